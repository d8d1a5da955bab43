#!/usr/bin/python3
"""Zones installed from the host's packages are real systems: consistent, bootable, and without the host's secrets."""
import os
import subprocess
import sys
import unittest

import hosts as harness
import harness_test as zones

INSTALL = "/opt/zoneferry/bin/zf-test-install"


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hosts = harness.Hosts(["host1"], programs=os.environ["ZONEFERRY_BIN"])
        host = cls.host = cls.hosts["host1"]
        # What must not reach a zone, and what must not be taken from the host as it is.
        host.path("/etc/ssh").mkdir(exist_ok=True)
        host.path("/etc/ssh/ssh_host_ed25519_key").write_text("SECRET-HOST-KEY")
        with open(host.path("/etc/shadow"), "a") as shadow:
            shadow.write("keeper:$6$SECRET-HASH:19000:0:99999:7:::\n")
        with open(host.path("/etc/nginx/nginx.conf"), "a") as conf:
            conf.write("# SECRET-EDIT\n")
        host.path("/etc/nginx/nginx.conf").chmod(0o600)
        host.run(["mkdir", "-p", "/etc/zones"])

    @classmethod
    def tearDownClass(cls):
        cls.hosts.close()

    def install(self, zone, *arguments):
        result = self.host.run([INSTALL, zone, f"/export/{zone}", *arguments], timeout=120)
        self.assertIn("left out, because not everyone may read it", result.stderr)
        return self.host.path(f"/export/{zone}/root")

    def check(self, zone, root, *nspawn):
        self.assertEqual(os.stat(root.parent).st_mode & 0o7777, 0o700)
        self.assertEqual((root / "etc/machine-id").read_text(), "")
        self.assertEqual((root / "etc/hostname").read_text(), zone + "\n")
        self.assertFalse((root / "etc/os-release").is_symlink() and "--bind-ro=/usr:/usr:idmap" in nspawn)
        found = subprocess.run(["grep", "-rl", "SECRET-", root / "etc"], capture_output=True, text=True)
        self.assertEqual(found.stdout, "")
        audit = self.host.run(["dpkg", f"--root=/export/{zone}/root", "--audit"])
        self.assertEqual(audit.stdout + audit.stderr, "")
        # Configured as packaged, so nginx needs its missing nginx.conf, which was left out on purpose.
        conf = root / "etc/nginx/nginx.conf"
        self.assertFalse(conf.exists())
        conf.write_text("user www-data;\npid /run/nginx.pid;\nevents {}\nhttp { include /etc/nginx/sites-enabled/*; }\n")
        harness.install_web_service(root)
        process, leader = zones.boot(self.host, zone, f"/export/{zone}/root", "--private-network", *nspawn)
        try:
            self.assertEqual(zones.is_running(leader), ("running", ""))
            self.assertEqual(zones.in_zone(leader, "hostname").stdout, zone + "\n")
            self.assertEqual(zones.in_zone(leader, "systemctl", "is-active", "nginx", "counter-writer").stdout,
                             "active\nactive\n")
            self.assertEqual(zones.in_zone(leader, "dpkg", "--audit").stdout, "")
            verify = zones.in_zone(leader, "dpkg", "--verify").stdout
            changed = [line for line in verify.splitlines() if not line.endswith("/etc/nginx/nginx.conf")]
            self.assertEqual(changed, [])
            self.assertEqual(zones.in_zone(leader, "awk", "BEGIN {print 1+1}").stdout, "2\n")
            self.assertEqual(zones.in_zone(leader, "getent", "passwd", "messagebus").returncode, 0)
        finally:
            process.terminate()
            output = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0, output)

    def test_whole_root(self):
        root = self.install("whole")
        self.assertTrue((root / "usr/lib/systemd/systemd").exists())
        self.check("whole", root)

    def test_sparse(self):
        root = self.install("sparse", "--inherit", "/usr")
        self.assertEqual(os.listdir(root / "usr"), [])
        self.assertEqual(os.readlink(root / "lib"), "usr/lib")
        self.check("sparse", root, "--bind-ro=/usr:/usr:idmap")

    def test_directory_image(self):
        subprocess.run([harness.SUPPORT / "hostroot", self.host.path("/srv/image"), "nginx-light", "python3-minimal"],
                       check=True)
        self.host.run([INSTALL, "copied", "/export/copied", "-d", "/srv/image"], timeout=120)
        compare = subprocess.run(["rsync", "-aHAXSnc", "--delete", "--itemize-changes", "--exclude=/run/*",
                                  "--exclude=/tmp/*", f"{self.host.path('/srv/image')}/",
                                  f"{self.host.path('/export/copied/root')}/"], capture_output=True, text=True, check=True)
        self.assertEqual(compare.stdout, "")
        process, leader = zones.boot(self.host, "copied", "/export/copied/root", "--private-network")
        try:
            self.assertEqual(zones.is_running(leader), ("running", ""))
        finally:
            process.terminate()
            process.communicate(timeout=30)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("install_test: skipped: simulated hosts need root")
        sys.exit(77)
    unittest.main(verbosity=2)
