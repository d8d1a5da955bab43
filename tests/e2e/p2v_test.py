#!/usr/bin/python3
"""A physical machine's system becomes a zone, from every kind of image: adjusted, booted, and its service answers."""
import json
import os
import sys
import unittest

import faults
import hosts as harness
import physical_image as physical
import poller

ADDRESS = "10.99.1.{}"
OLD_ADDRESS = ADDRESS.format(1)
BACKUPS = "var/lib/zoneferry-p2v"
SYSID = "hostname=db01\nroot_password=$6$newsalt$NEWROOTHASH0123456789\nname_server=192.0.2.99\n"


class P2vTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hosts = harness.Hosts(["host1"], programs=os.environ["ZONEFERRY_BIN"], packages=("openssh-server",))
        cls.host = cls.hosts["host1"]
        cls.disk = cls.host.mount_disk("/srv")
        cls.image = cls.disk / "image"
        physical.make(cls.image, OLD_ADDRESS)

    @classmethod
    def tearDownClass(cls):
        cls.hosts.close()

    def zoneadm(self, zone, *words, check=True):
        return self.host.run(["zoneadm", "-z", zone, *words], timeout=180, check=check)

    def configure(self, zone, address, ip_type="exclusive"):
        given = f"set address={address}/16; " if address else ""
        self.host.run(["zonecfg", "-z", zone, f"create -b; set zonepath=/srv/zones/{zone}; set ip-type={ip_type}; add net; "
                       f"set physical=br0; {given}end; commit"])
        self.addCleanup(self.discard, zone)
        return self.disk / f"zones/{zone}/root"

    def discard(self, zone):
        self.zoneadm(zone, "halt", check=False)
        self.zoneadm(zone, "uninstall", "-F")
        self.host.run(["zonecfg", "-z", zone, "delete", "-F"])

    def install(self, zone, *words):
        """The changes that zoneadm tells of."""
        done = self.zoneadm(zone, "install", *words, "--format", "json")
        told = [json.loads(line) for line in done.stdout.splitlines()]
        return [line for line in told if line["type"] == "change"]

    def install_archive(self, zone, make, *words):
        archive = self.disk / "archive"
        try:
            make(self.image, archive)
            return self.install(zone, "-a", "/srv/archive", *words)
        finally:
            archive.unlink(missing_ok=True)

    def boot(self, zone, address):
        """All of it runs, nothing failed, and a client reaches its service."""
        self.zoneadm(zone, "boot")
        login = lambda *argv: self.zoneadm(zone, "login", *argv, check=False).stdout
        state = login("systemctl", "is-system-running", "--wait")
        self.assertEqual(login("systemctl", "--failed", "--no-legend", "--plain"), "")
        self.assertEqual(state, "running\n")
        self.assertEqual(login("systemctl", "is-active", "nginx", "counter-writer", "ssh"), "active\nactive\nactive\n")
        log = self.hosts.directory / f"{zone}.poll"
        self.hosts.client_run(["python3", harness.SUPPORT / "poller.py", "--seconds", "1", "--output", log,
                               f"http://{address}/counter"])
        summary = poller.summarise(poller.read_log(log))
        self.assertGreater(summary["answers"], 5)
        return login

    def check_five_kinds(self, root, changes):
        kinds = {change["kind"] for change in changes}
        self.assertLessEqual({"services", "network", "nfs", "mounts", "nested"}, kinds)
        for unit in physical.MASKED:
            self.assertEqual(os.readlink(root / "etc/systemd/system" / unit), "/dev/null")
        off = [line for line in (root / "etc/fstab").read_text().splitlines() if line.startswith(("# UUID", "# /dev", "# LABEL"))]
        self.assertEqual(len(off), 3)
        self.assertIn("\ntmpfs /srv/scratch", (root / "etc/fstab").read_text())
        self.assertEqual((root / BACKUPS / "etc/fstab").read_text(), physical.FSTAB)
        self.assertEqual((root / BACKUPS / "etc/exports").read_text(), physical.EXPORTS)
        for line in (root / "etc/exports").read_text().splitlines():
            self.assertTrue(line.startswith("# "), line)
        self.assertFalse((root / "export/zones/inner").exists())
        self.assertFalse((root / "etc/zones/inner.xml").exists())
        self.assertFalse((root / "etc/systemd/network/10-enp3s0.link").exists())
        self.assertTrue((root / "var/log/zoneferry-install.log").exists())

    def check_preserved(self, root):
        for path in physical.IDENTITY:
            self.assertEqual((root / path).read_bytes(), (self.image / path).read_bytes(), path)

    def check_unconfigured(self, root, name):
        old_key = (self.image / "etc/ssh/ssh_host_ed25519_key").read_bytes().splitlines()[2]
        secrets = (b"OLDROOTHASH", b"OLDSEED", physical.MACHINE_ID.strip().encode(), old_key, b"oldbox", OLD_ADDRESS.encode() + b"/")
        for directory in ("etc", "var/lib"):
            for path in (root / directory).rglob("*"):
                if path.is_file() and not path.is_symlink() and "dpkg" not in path.parts:
                    content = path.read_bytes()
                    self.assertEqual([secret for secret in secrets if secret in content], [], path)
        self.assertEqual((root / "etc/hostname").read_text(), name + "\n")
        self.assertEqual((root / "etc/machine-id").read_text(), "")

    def test_directory_keeps_its_static_address_under_the_zones_interface(self):
        root = self.configure("tree", None)
        changes = self.install("tree", "-d", "/srv/image", "-p")
        self.check_five_kinds(root, changes)
        self.check_preserved(root)
        self.assertEqual((root / "var/lib/machines/box/etc/os-release").read_text(), "ID=box\n")
        login = self.boot("tree", OLD_ADDRESS)
        self.assertIn(OLD_ADDRESS + "/16", login("ip", "-br", "address", "show", "net0"))
        self.assertEqual(login("hostname"), "oldbox\n")
        self.assertEqual(login("cat", "/etc/machine-id"), physical.MACHINE_ID)
        self.zoneadm("tree", "halt")
        self.assertEqual((root / "etc/ssh/ssh_host_ed25519_key").read_bytes(),
                         (self.image / "etc/ssh/ssh_host_ed25519_key").read_bytes())

    def test_cpio_gz_unconfigured_asks_on_its_console(self):
        root = self.configure("cpio", ADDRESS.format(2))
        changes = self.install_archive("cpio", physical.cpio_gz, "-u", "--delete-containers")
        self.check_five_kinds(root, changes)
        self.check_unconfigured(root, "cpio")
        self.assertFalse((root / "var/lib/machines/box").exists())
        login = self.boot("cpio", ADDRESS.format(2))
        self.assertEqual(login("hostname"), "cpio\n")
        self.assertRegex(login("cat", "/etc/machine-id"), "^[0-9a-f]{32}\n$")
        self.assertNotEqual(login("cat", "/etc/machine-id"), physical.MACHINE_ID)
        self.assertIn("ssh-ed25519", login("cat", "/etc/ssh/ssh_host_ed25519_key.pub"))
        self.assertTrue(login("getent", "shadow", "root").startswith("root:*:"))
        console = self.host.path("/var/log/zoneferry/zones/cpio.console")
        self.assertTrue(faults.wait_for(lambda: "give its root user a password" in console.read_text(errors="replace")))

    def test_pax_with_the_address_of_the_zones_configuration(self):
        address = ADDRESS.format(3)
        root = self.configure("pax", address)
        self.check_five_kinds(root, self.install_archive("pax", physical.pax, "-p"))
        self.check_preserved(root)
        login = self.boot("pax", address)
        shown = login("ip", "-br", "address", "show", "net0")
        self.assertIn(address + "/16", shown)
        self.assertNotIn(OLD_ADDRESS + "/", shown)

    def test_flar_with_a_sysid_file(self):
        (self.disk / "sysid").write_text(SYSID)
        root = self.configure("flar", ADDRESS.format(4))
        self.check_five_kinds(root, self.install_archive("flar", physical.flar, "-u", "--sysid", "/srv/sysid"))
        self.check_unconfigured(root, "db01")
        self.assertIn("root:$6$newsalt$NEWROOTHASH0123456789::", (root / "etc/shadow").read_text())
        self.assertFalse((root / "etc/.UNCONFIGURED").exists())
        login = self.boot("flar", ADDRESS.format(4))
        self.assertEqual(login("hostname"), "db01\n")
        self.assertEqual(login("cat", "/etc/resolv.conf"), "nameserver 192.0.2.99\n")

    def test_dump_in_the_global_zones_network(self):
        address = ADDRESS.format(5)
        root = self.configure("dump", address, ip_type="shared")
        changes = self.install_archive("dump", physical.dump, "-p")
        self.check_five_kinds(root, changes)
        self.check_preserved(root)
        self.assertEqual(os.readlink(root / "etc/systemd/system/systemd-networkd.service"), "/dev/null")
        # In a shared stack the low ports belong to the global zone.
        (root / "etc/ssh/sshd_config").write_text("UsePAM yes\nPort 8022\n")
        site = root / "etc/nginx/sites-available/counter"
        site.write_text(site.read_text().replace("listen 80", "listen 8080"))
        self.boot("dump", address + ":8080")


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("p2v_test: skipped: simulated hosts need root")
        sys.exit(77)
    unittest.main(verbosity=2)
