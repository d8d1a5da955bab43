#!/usr/bin/python3
"""Real zones on one simulated host: whole-root and sparse, booted, halted, broken and attacked; nothing is left."""
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

import hosts as harness

WHOLE = "/export/zones/whole"
SPARSE = "/export/zones/sparse"
ADDRESS = {"whole": "10.99.1.1", "sparse": "10.99.1.2"}
SNIFF = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
s.bind(("switch", 0)); print("listening", flush=True)
while True:
    p = s.recv(100)
    if p[28:32] == p[38:42] == socket.inet_aton(sys.argv[1]):
        print(p[22:28].hex(":"), flush=True)
"""


def wait_for(what, seconds=20):
    """For what has no event that a test could wait on; the deadline only ends a hopeless wait."""
    deadline = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.05)


class ZoneTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hosts = harness.Hosts(["host1"], programs=os.environ["ZONEFERRY_BIN"])
        cls.host = cls.hosts["host1"]
        whole = cls.host.path(WHOLE + "/root")
        sparse = cls.host.path(SPARSE + "/root")
        for root in (whole, sparse):
            root.parent.mkdir(parents=True)
            root.parent.chmod(0o700)
        subprocess.run([harness.SUPPORT / "hostroot", whole, "systemd", "dbus", "iproute2", "procps", "util-linux",
                        "python3-minimal"], check=True)
        subprocess.run(["rsync", "-aHAX", "--exclude=/usr/*", f"{whole}/", f"{sparse}/"], check=True)
        (sparse / "etc/os-release").unlink()
        shutil.copy(whole / "usr/lib/os-release", sparse / "etc/os-release")
        for name, create, path in (("whole", "create -b", WHOLE), ("sparse", "create", SPARSE)):
            cls.host.run(["zonecfg", "-z", name, f"{create}; set zonepath={path}; set ip-type=exclusive; add net; "
                          f"set physical=br0; set address={ADDRESS[name]}/16; end"])
        index = cls.host.path("/etc/zones/index")
        index.write_text(index.read_text().replace(":configured:", ":installed:"))

    @classmethod
    def tearDownClass(cls):
        cls.hosts.close()

    def setUp(self):
        self.addCleanup(self.halt_all)

    def halt_all(self):
        for name in ADDRESS:
            self.zoneadm("-z", name, "halt", check=False)

    def zoneadm(self, *words, check=True, **options):
        return self.host.run(["zoneadm", *words], check=check, **options)

    def row(self, name):
        """id, name, state, zonepath, uuid, brand, ip-type"""
        return self.zoneadm("-z", name, "list", "-p").stdout.strip().split(":")

    def in_zone(self, name, *command, **options):
        return self.zoneadm("-z", name, "login", *command, **options)

    def wait_running(self, name):
        def answer():
            return self.in_zone(name, "systemctl", "is-system-running", check=False).stdout.strip()

        self.assertTrue(wait_for(lambda: answer() not in ("", "initializing", "starting")))
        failed = self.in_zone(name, "systemctl", "--failed", "--no-legend", "--plain", check=False).stdout
        self.assertEqual((answer(), failed), ("running", ""))

    def processes(self):
        return self.host.run(["ps", "-eo", "args"]).stdout

    def supervisor_pid(self, name):
        return self.host.run(["cat", f"/run/zoneferry/zones/{name}/record"]).stdout.split()[0]

    def assert_nothing_left(self):
        processes = self.processes()
        self.assertNotIn("systemd-nspawn", processes)
        self.assertNotIn("zoneadmd", processes)
        self.assertNotIn("zf", self.host.run(["ip", "-br", "link", "show", "type", "veth"]).stdout.replace("up0", ""))
        self.assertEqual(self.host.run(["sh", "-c", "find /sys/fs/cgroup/zones* -type d; true"]).stdout, "")
        self.assertEqual(self.host.run(["sh", "-c", "ls -d /run/zoneferry/zones/*/ 2>/dev/null; true"]).stdout, "")

    def test_boots_both_kinds_to_running_and_leaves_nothing(self):
        for name in ADDRESS:
            self.zoneadm("-z", name, "boot")
            self.assertEqual(self.row(name)[2], "running")
            self.assertEqual(self.row(name)[6], "excl")
            self.wait_running(name)
            addresses = self.in_zone(name, "ip", "-br", "addr", "show", "net0").stdout
            self.assertIn(ADDRESS[name] + "/16", addresses)
            self.in_zone(name, "sh", "-c", "echo mine > /root/made; chown 33 /root/made")
            made = self.host.path(f"/export/zones/{name}/root/root/made").stat()
            self.assertEqual((made.st_uid, made.st_gid), (33, 0))
        names = self.zoneadm("list").stdout.split()
        self.assertEqual(names, ["global", "whole", "sparse"])
        for name in ADDRESS:
            self.zoneadm("-z", name, "halt")
            self.assertEqual(self.row(name)[2], "installed")
        self.assert_nothing_left()

    def test_root_of_the_zone_may_bind_port_80_and_the_client_reaches_it(self):
        self.zoneadm("-z", "whole", "boot")
        server = self.host.popen(["zoneadm", "-z", "whole", "login", "python3", "-c",
                                  "import socket; s = socket.socket(); s.bind(('', 80)); s.listen(); print('up', flush=True);"
                                  "c, _ = s.accept(); c.sendall(b'hello')"], stdout=subprocess.PIPE, text=True)
        self.assertEqual(server.stdout.readline(), "up\n")
        answer = self.hosts.client_run(["python3", "-c", "import socket; s = socket.create_connection(('10.99.1.1', 80), 5);"
                                        "print(s.recv(9).decode())"], capture_output=True, text=True)
        self.assertEqual(answer.stdout, "hello\n")
        server.wait(timeout=10)
        server.stdout.close()

    def test_announces_its_address(self):
        sniffer = self.hosts.client_popen(["python3", "-c", SNIFF, ADDRESS["whole"]], stdout=subprocess.PIPE, text=True)
        self.assertEqual(sniffer.stdout.readline(), "listening\n")
        self.zoneadm("-z", "whole", "boot")
        mac = self.in_zone("whole", "cat", "/sys/class/net/net0/address").stdout.strip()
        heard = [sniffer.stdout.readline().strip() for _ in range(3)]
        sniffer.kill()
        sniffer.wait()
        sniffer.stdout.close()
        self.assertEqual(heard, [mac] * 3)

    def test_reboot_by_verb_and_from_inside(self):
        self.zoneadm("-z", "sparse", "boot")
        first = self.row("sparse")[0]
        self.zoneadm("-z", "sparse", "reboot")
        second = self.row("sparse")[0]
        self.assertNotEqual(first, second)
        self.in_zone("sparse", "systemctl", "reboot", check=False)
        self.assertTrue(wait_for(lambda: self.row("sparse")[2] == "running" and self.row("sparse")[0] not in ("-", "0", second)))
        self.wait_running("sparse")
        self.assertIn(ADDRESS["sparse"], self.in_zone("sparse", "ip", "-br", "addr").stdout)

    def test_poweroff_from_inside_leaves_nothing(self):
        self.zoneadm("-z", "sparse", "boot")
        self.in_zone("sparse", "systemctl", "poweroff", check=False)
        self.assertTrue(wait_for(lambda: self.row("sparse")[2] == "installed" and "zoneadmd" not in self.processes()))
        refused = self.zoneadm("-z", "sparse", "halt", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("is not running", refused.stderr)
        self.assert_nothing_left()

    def test_login_gives_status_input_and_output(self):
        self.zoneadm("-z", "sparse", "boot")
        self.assertEqual(self.in_zone("sparse", "cat", "/proc/self/cgroup").stdout.split("\n")[-2], "0::/init.scope")
        result = self.in_zone("sparse", "sh", "-c", "cat; echo bad >&2; exit 7", check=False, input="hello")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (7, "hello", "bad\n"))
        self.zoneadm("-z", "sparse", "halt")
        refused = self.in_zone("sparse", "true", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("is not running", refused.stderr)

    def test_killed_supervisors_leave_nothing_and_the_zone_boots_again(self):
        for victim in ("zoneadmd", "systemd-nspawn"):
            self.zoneadm("-z", "sparse", "boot")
            pid = self.supervisor_pid("sparse")
            if victim == "systemd-nspawn":
                pid = self.host.run(["pgrep", "-xf", "systemd-nspawn .*sparse.*"]).stdout.split()[0]
            self.host.run(["kill", "-KILL", pid])
            self.assertTrue(wait_for(lambda: self.row("sparse")[2] == "installed"))
            self.zoneadm("-z", "sparse", "boot")
            self.wait_running("sparse")
            self.zoneadm("-z", "sparse", "halt")
            self.assert_nothing_left()

    def test_zoneadmd_holds_nothing_of_its_starter(self):
        self.zoneadm("-z", "sparse", "boot")
        pid = self.supervisor_pid("sparse")
        links = self.host.run(["sh", "-c", f"ls -l /proc/{pid}/fd"]).stdout
        self.assertNotIn(".lock", links)
        stat = self.host.run(["ps", "-o", "ppid=,sid=,pid=", "-p", pid]).stdout.split()
        self.assertEqual(stat[0], "1")
        again = self.zoneadm("-z", "sparse", "boot", check=False)
        self.assertIn("runs already", again.stderr)

    def test_root_of_a_zone_cannot_write_to_the_host(self):
        before = self.host.run(["ls", "-la", "/usr", "/usr/bin"]).stdout
        for name in ADDRESS:
            self.zoneadm("-z", name, "boot")
            self.in_zone(name, "mkdir", "-p", "/root/m")
            attacks = ["mknod /root/disk b 8 0", "mknod /dev/mem2 c 1 1", "mount -t devtmpfs none /root/m && ls /root/m/*",
                       "echo 1 > /proc/sys/kernel/panic", "echo b > /proc/sysrq-trigger", "dmesg -C",
                       "cat /proc/1/root/../../../etc/zones/index", "ls /export/zones", "mount -t cgroup2 none /root/m && "
                       "ls -d /root/m/zones", "date -s 2001-01-01", "hwclock -w"]
            if name == "sparse":
                attacks += ["touch /usr/evil", "mount -o remount,bind,rw /usr && touch /usr/evil", "umount -i /usr && touch /usr/evil",
                            "mount --bind /usr /root/m && mount -o remount,bind,rw /root/m && touch /root/m/evil",
                            "unshare -m sh -c 'mount -o remount,rw /usr && touch /usr/evil'", "chmod 0777 /usr/bin",
                            "setfattr -n user.x -v y /usr/bin"]
            for attack in attacks:
                result = self.in_zone(name, "sh", "-c", attack, check=False)
                self.assertNotEqual(result.returncode, 0, f"{name}: {attack}: {result.stdout}{result.stderr}")
        self.assertEqual(self.host.run(["ls", "-la", "/usr", "/usr/bin"]).stdout, before)

    def test_the_gate_holds_for_every_way_to_boot(self):
        record = ("# zoneferry owner record 1\nzone=sparse\nzone_uuid=\nepoch=2\nstate={}\nhost=host2\nmove_id=m7\n"
                  "since_unix_ms=1763760000000\nend\n")
        owners = self.host.path("/var/lib/zoneferry/owners")
        owners.mkdir(parents=True, exist_ok=True)
        path = owners / "sparse"
        self.addCleanup(lambda: path.unlink(missing_ok=True))
        for state in ("frozen", "incoming", "released"):
            path.write_text(record.format(state))
            for verb in ("boot", "reboot"):
                refused = self.zoneadm("-z", "sparse", verb, check=False)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("another host" if state == "frozen" else "host2", refused.stderr)
                self.assertIn("m7", refused.stderr)
        path.write_text("damaged")
        self.assertIn("damaged", self.zoneadm("-z", "sparse", "boot", check=False).stderr)
        # A zone that reboots itself while a move has it stays down.
        path.unlink()
        self.zoneadm("-z", "sparse", "boot")
        path.write_text(record.format("frozen"))
        self.in_zone("sparse", "systemctl", "reboot", check=False)
        self.assertTrue(wait_for(lambda: self.row("sparse")[2] == "installed" and "zoneadmd" not in self.processes()))
        # The name of an incoming zone is reserved.
        path.with_name("fresh").write_text(record.format("incoming").replace("zone=sparse", "zone=fresh"))
        self.addCleanup(path.with_name("fresh").unlink)
        refused = self.host.run(["zonecfg", "-z", "fresh", "create; set zonepath=/export/zones/fresh"], check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("reserved", refused.stderr)

    def test_a_boot_that_fails_says_why_and_leaves_nothing(self):
        self.host.run(["zonecfg", "-z", "whole", "select net physical=br0; set physical=br9; end"])
        try:
            refused = self.zoneadm("-z", "whole", "boot", check=False)
        finally:
            self.host.run(["zonecfg", "-z", "whole", "select net physical=br9; set physical=br0; end"])
        self.assertEqual(refused.returncode, 1)
        self.assertIn("no interface br9", refused.stderr)
        self.host.run(["zonecfg", "-z", "whole", "select net physical=br0; set physical=lo; end"])
        try:
            refused = self.zoneadm("-z", "whole", "boot", check=False)  # not a bridge: fails after the zone's init runs
        finally:
            self.host.run(["zonecfg", "-z", "whole", "select net physical=lo; set physical=br0; end"])
        self.assertEqual(refused.returncode, 1)
        self.assertIn("network", refused.stderr)
        init = self.host.path(WHOLE + "/root/usr/lib/systemd/systemd")
        init.rename(str(init) + ".away")
        try:
            refused = self.zoneadm("-z", "whole", "boot", check=False)
        finally:
            pathlib.Path(str(init) + ".away").rename(init)
        self.assertEqual(refused.returncode, 1)
        self.assertTrue(refused.stderr.strip())
        self.host.path(WHOLE).chmod(0o755)
        refused = self.zoneadm("-z", "whole", "boot", check=False)
        self.host.path(WHOLE).chmod(0o700)
        self.assertIn("chmod 0700", refused.stderr)
        self.assert_nothing_left()

    def test_shared_network_puts_the_address_on_and_takes_it_off(self):
        self.host.run(["zonecfg", "-z", "sparse", "set ip-type=shared"])
        try:
            self.zoneadm("-z", "sparse", "boot")
            self.wait_running("sparse")
            self.assertIn(ADDRESS["sparse"], self.host.run(["ip", "-br", "addr", "show", "br0"]).stdout)
            self.zoneadm("-z", "sparse", "halt")
            self.assertNotIn(ADDRESS["sparse"], self.host.run(["ip", "-br", "addr", "show", "br0"]).stdout)
        finally:
            self.zoneadm("-z", "sparse", "halt", check=False)
            self.host.run(["zonecfg", "-z", "sparse", "set ip-type=exclusive"])
        self.assert_nothing_left()

    def test_a_running_zone_is_left_alone_a_halted_one_is_cloned_and_moved(self):
        self.host.run(["zonecfg", "-z", "copy", "create -t sparse; set zonepath=/export/zones/copy; select net physical=br0; "
                       "set address=10.99.1.3/16; end"])
        self.addCleanup(self.host.run, ["zonecfg", "-z", "copy", "delete", "-F"], check=False)
        self.addCleanup(self.zoneadm, "-z", "copy", "uninstall", "-F", check=False)
        self.addCleanup(self.zoneadm, "-z", "copy", "halt", check=False)
        self.zoneadm("-z", "sparse", "boot")
        for words in (("sparse", "detach"), ("sparse", "uninstall", "-F"), ("sparse", "mark", "incomplete"),
                      ("sparse", "move", "/export/zones/new"), ("copy", "clone", "sparse")):
            refused = self.zoneadm("-z", *words, check=False)
            self.assertEqual(refused.returncode, 1, words)
            self.assertIn("zone sparse is running", refused.stderr)
            self.assertIn("zoneadm -z sparse halt", refused.stderr)
        manifest = self.zoneadm("-z", "sparse", "detach", "-n").stdout
        self.assertEqual(self.zoneadm("attach", "-n", "-", input=manifest).returncode, 0)
        self.assertEqual(self.row("sparse")[2], "running")
        self.zoneadm("-z", "sparse", "halt")

        self.zoneadm("-z", "copy", "clone", "-m", "copy", "sparse")
        self.zoneadm("-z", "copy", "boot")
        self.wait_running("copy")
        self.assertEqual(self.in_zone("copy", "cat", "/etc/hostname").stdout, "copy\n")
        machine_id = self.in_zone("copy", "cat", "/etc/machine-id").stdout
        self.assertEqual(len(machine_id), 33)
        self.assertNotEqual(machine_id, self.host.path(SPARSE + "/root/etc/machine-id").read_text())
        self.zoneadm("-z", "copy", "halt")
        self.zoneadm("-z", "copy", "move", "/export/elsewhere/copy")
        self.assertFalse(self.host.path("/export/zones/copy").exists())
        self.zoneadm("-z", "copy", "boot")
        self.wait_running("copy")
        self.assertEqual(self.row("copy")[3], "/export/elsewhere/copy")
        self.assertEqual(self.in_zone("copy", "cat", "/etc/machine-id").stdout, machine_id)
        self.zoneadm("-z", "copy", "halt")
        self.assert_nothing_left()

    def test_usage_and_unknown_zones(self):
        self.assertEqual(self.zoneadm("fly", check=False).returncode, 2)
        self.assertEqual(self.zoneadm("boot", check=False).returncode, 2)
        self.assertEqual(self.zoneadm("-z", "none", "boot", check=False).returncode, 1)
        self.assertEqual(self.zoneadm("-z", "../x", "boot", check=False).returncode, 1)
        self.assertEqual(self.zoneadm("-z", "whole", "list", "-x", check=False).returncode, 2)


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit(77)
    unittest.main(verbosity=2)
