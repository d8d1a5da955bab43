#!/usr/bin/python3
"""The harness tests itself: simulated hosts, real systemd zones in them, a client that measures, nothing left."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import hosts as harness
import poller

NSPAWN = ["systemd-nspawn", "--register=no", "--keep-unit", "--boot", "--console=pipe",
          "--private-users=1000000:65536", "--private-users-ownership=map"]
ZONE = "/export/zones/web01"


def wait_for(what, seconds=20):
    """For what has no event that a test could wait on; the deadline only ends a hopeless wait."""
    deadline = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.05)


def boot(host, name, root, *extra):
    """A zone started by hand in a cgroup of its own: (nspawn's process, the pid of the zone's init seen from here)."""
    script = 'mkdir -p /sys/fs/cgroup/zones/$0; echo $$ > /sys/fs/cgroup/zones/$0/cgroup.procs; exec "$@"'
    zone = host.popen(["sh", "-c", script, name, *NSPAWN, f"--machine={name}", "-D", root, *extra],
                      env={"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    nspawn = zone.inner_pid

    def leader():
        children = pathlib.Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()
        return next((c for c in children if os.path.exists(f"/proc/{c}/root/run/systemd/private")), None)

    found = wait_for(leader)
    if not found:
        zone.kill()
        raise AssertionError(f"{name} did not boot: {zone.communicate()}")
    return zone, found


def in_zone(leader, *argv, check=False):
    return subprocess.run(["nsenter", "-t", leader, "-a", "--", *argv],
                          check=check, capture_output=True, text=True, timeout=60)


def is_running(leader):
    answer = in_zone(leader, "systemctl", "is-system-running", "--wait")
    failed = in_zone(leader, "systemctl", "--failed", "--no-legend", "--plain").stdout.strip()
    return answer.stdout.strip() + answer.stderr, failed


def make_sparse(whole, sparse):
    """The whole-root zone's tree without its /usr, as an inherited /usr needs it."""
    subprocess.run(["rsync", "-aHAX", "--exclude=/usr/*", f"{whole}/", f"{sparse}/"], check=True)
    (sparse / "etc/os-release").unlink()
    shutil.copy(whole / "usr/lib/os-release", sparse / "etc/os-release")


class HarnessTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hosts = harness.Hosts(["host1", "host2"])
        cls.host1, cls.host2 = cls.hosts["host1"], cls.hosts["host2"]
        cls.root = cls.host1.path(ZONE + "/root")
        cls.root.parent.mkdir(parents=True)
        cls.root.parent.chmod(0o700)
        subprocess.run([harness.SUPPORT / "hostroot", cls.root, "nginx-light", "python3-minimal"], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.hosts.close()

    def test_a_host_is_a_machine_of_its_own(self):
        self.assertEqual(self.host1.run(["hostname"]).stdout.strip(), "host1")
        self.assertEqual(self.host1.run(["cat", "/proc/1/comm"]).stdout.strip(), "host-init")
        self.assertEqual(self.host1.run(["cat", "/proc/self/cgroup"]).stdout.split("\n")[-2], "0::/init")
        self.assertEqual(self.host1.run(["stat", "-fc", "%T", "/sys/fs/cgroup"]).stdout.strip(), "cgroup2fs")
        self.assertEqual(self.host1.run(["dpkg", "--audit"]).stdout, "")
        mounts = self.host1.run(["cat", "/proc/self/mountinfo"]).stdout
        self.assertNotIn("overlay", mounts)
        self.host1.run(["sh", "-c", "echo mine > /var/lib/marker"])
        self.assertEqual(self.host1.path("/var/lib/marker").read_text(), "mine\n")
        self.assertFalse(self.host2.path("/var/lib/marker").exists())
        self.assertFalse(os.path.exists("/var/lib/marker"))

    def test_run_gives_status_output_and_input(self):
        result = self.host1.run(["sh", "-c", "cat; echo bad >&2; exit 3"], check=False, input="hello")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (3, "hello", "bad\n"))
        with self.assertRaisesRegex(RuntimeError, "host1: .* ended with 3"):
            self.host1.run(["sh", "-c", "exit 3"])
        sleeper = self.host1.popen(["sleep", "1000"])
        sleeper.terminate()
        self.assertEqual(sleeper.wait(timeout=60), -signal.SIGTERM)
        self.assertNotIn("sleep\n1000", self.host1.run(["ps", "-eo", "args"]).stdout)

    def test_links_can_be_cut_and_healed(self):
        ping = ["python3", "-c", "import socket; socket.create_connection(('host2', 9), 0.5)"]
        self.assertIn("refused", self.host1.run(ping, check=False).stderr)
        self.host1.cut_link()
        self.assertIn("timed out", self.host1.run(ping, check=False).stderr)
        self.host1.heal_link()
        self.assertTrue(wait_for(lambda: "refused" in self.host1.run(ping, check=False).stderr))

    def test_a_crash_keeps_the_disk_and_ends_every_process(self):
        process = self.host2.popen(["sh", "-c", "echo kept > /var/lib/kept; echo up; exec sleep 1000"],
                                   stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"up\n")
        pid = process.inner_pid
        self.host2.crash()
        self.assertNotEqual(process.wait(timeout=60), 0)
        process.stdout.close()
        self.assertFalse(os.path.exists(f"/proc/{pid}"))
        with self.assertRaisesRegex(RuntimeError, "host2 is down"):
            self.host2.run(["true"])
        self.host2.restart()
        self.assertEqual(self.host2.run(["cat", "/var/lib/kept"]).stdout, "kept\n")
        self.assertIn("10.99.0.2/16", self.host2.run(["ip", "-br", "addr"]).stdout)

    def test_whole_root_zone_boots_and_serves_the_client(self):
        harness.install_web_service(self.root)
        zone, leader = boot(self.host1, "web01", ZONE + "/root", "--network-bridge=br0")
        try:
            self.assertEqual(is_running(leader), ("running", ""))
            for command in ("addr add 10.99.1.1/16 dev host0", "link set host0 up"):
                in_zone(leader, "ip", *command.split(), check=True)
            client = self.hosts.client_popen(["python3", harness.SUPPORT / "poller.py", "--seconds", "3",
                                              "--output", self.hosts.directory / "poll", "http://10.99.1.1/counter"])
            client.wait(timeout=30)
            summary = poller.summarise(poller.read_log(self.hosts.directory / "poll"))
            self.assertGreater(summary["answers"], 20)
            self.assertGreater(summary["last_value"], summary["first_value"])
            self.assertEqual(summary["went_back"], 0)
            durable = int((self.root / "var/lib/counter/value").read_text())
            self.assertGreaterEqual(durable, summary["last_value"])
        finally:
            zone.terminate()
            output = zone.communicate(timeout=30)
        self.assertEqual(zone.returncode, 0, output)

    def test_sparse_zone_boots_on_the_host_s_usr(self):
        sparse = self.host1.path("/export/zones/small/root")
        sparse.parent.mkdir(parents=True, mode=0o700)
        make_sparse(self.root, sparse)
        zone, leader = boot(self.host1, "small", "/export/zones/small/root", "--private-network",
                            "--bind-ro=/usr:/usr:idmap")
        try:
            self.assertEqual(is_running(leader), ("running", ""))
            self.assertNotEqual(in_zone(leader, "mount", "-o", "remount,bind,rw", "/usr").returncode, 0)
        finally:
            zone.terminate()
            output = zone.communicate(timeout=30)
        self.assertEqual(zone.returncode, 0, output)


class AloneTest(unittest.TestCase):
    def test_the_summary_finds_the_gap_and_lost_writes(self):
        records = [{"t": t, "ok": True, "value": v} for t, v in ((1.0, 5), (1.01, 6), (2.5, 7), (2.51, 4))]
        records.insert(2, {"t": 1.5, "ok": False, "error": "timed out"})
        summary = poller.summarise(records)
        self.assertEqual(summary["longest_gap_ms"], 1490.0)
        self.assertEqual((summary["value_before_gap"], summary["value_after_gap"]), (6, 7))
        self.assertEqual((summary["went_back"], summary["failures"]), (1, 1))

    def test_nothing_is_left_after_close_or_a_hard_kill(self):
        with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="zf-image-") as base:
            script = "import hosts, time; h = hosts.Hosts(['alone']); print(h['alone'].pid, flush=True); time.sleep(60)"
            environment = {**os.environ, "ZONEFERRY_TEST_DIR": base}
            child = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE)
            init = int(child.stdout.readline())
            child.kill()
            child.wait()
            child.stdout.close()
            self.assertTrue(wait_for(lambda: not harness.is_alive(init)))
            harness.remove_leftovers(pathlib.Path(base))
            self.assertEqual(os.listdir(base), [])
            self.assertNotIn(base, pathlib.Path("/proc/self/mountinfo").read_text())
            self.assertEqual(list(harness.cgroup2_mount().glob(f"{harness.SCRATCH_PREFIX}{child.pid}.*")), [])


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("harness_test: skipped: simulated hosts need root")
        sys.exit(77)
    unittest.main(verbosity=2)
