#!/usr/bin/python3
"""Zones installed by zoneadm are real systems: consistent, bootable, reachable, and without the host's secrets."""
import json
import os
import re
import subprocess
import sys
import unittest

import hosts as harness
import poller

NGINX_CONF = "user www-data;\npid /run/nginx.pid;\nevents {}\nhttp { include /etc/nginx/sites-enabled/*; }\n"


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
        subprocess.run([harness.SUPPORT / "hostroot", host.path("/srv/image"), "nginx-light", "python3-minimal"],
                       check=True)

    @classmethod
    def tearDownClass(cls):
        cls.hosts.close()

    def zoneadm(self, zone, *words, check=True):
        return self.host.run(["zoneadm", "-z", zone, *words], timeout=120, check=check)

    def configure(self, zone, create, address):
        self.host.run(["zonecfg", "-z", zone, f"{create}; set zonepath=/export/{zone}; set ip-type=exclusive; add net; "
                       f"set physical=br0; set address={address}/16; end; commit"])
        return self.host.path(f"/export/{zone}/root")

    def state(self, zone):
        return self.host.run(["zoneadm", "list", "-cp"]).stdout.split(f":{zone}:")[1].split(":")[0]

    def check_running(self, zone, address):
        """Boots it: everything in it runs, the client reaches its service, it halts cleanly."""
        login = lambda *argv: self.zoneadm(zone, "login", *argv, check=False)
        self.zoneadm(zone, "boot")
        self.assertEqual(login("systemctl", "is-system-running", "--wait").stdout, "running\n")
        self.assertEqual(login("systemctl", "--failed", "--no-legend").stdout, "")
        self.assertEqual(login("systemctl", "is-active", "nginx", "counter-writer").stdout, "active\nactive\n")
        log = self.hosts.directory / f"{zone}.poll"
        self.hosts.client_run(["python3", harness.SUPPORT / "poller.py", "--seconds", "2", "--output", log,
                               f"http://{address}/counter"])
        summary = poller.summarise(poller.read_log(log))
        self.assertGreater(summary["answers"], 10)
        self.assertEqual(summary["went_back"], 0)
        self.assertEqual(login("dpkg", "--audit").stdout, "")
        # The host itself has neither documentation nor translations (hostroot --slim).
        expected = re.compile(r"/etc/nginx/nginx\.conf$|"
                              r"^missing +/usr/share/(doc|man|locale|info|lintian|bash-completion|zsh)/")
        changed = [line for line in login("dpkg", "--verify").stdout.splitlines() if not expected.search(line)]
        self.assertEqual(changed, [])
        self.assertEqual(login("awk", "BEGIN {print 1+1}").stdout, "2\n")
        self.assertEqual(login("getent", "passwd", "messagebus").returncode, 0)
        self.zoneadm(zone, "halt")
        self.assertEqual(self.state(zone), "installed")

    def check_from_host_packages(self, zone, create, address):
        root = self.configure(zone, create, address)
        installed = self.zoneadm(zone, "install")
        self.assertIn("left out, because not everyone may read it", installed.stderr)
        self.assertEqual(os.stat(root.parent).st_mode & 0o7777, 0o700)
        self.assertEqual((root / "etc/machine-id").read_text(), "")
        self.assertEqual((root / "etc/hostname").read_text(), zone + "\n")
        found = subprocess.run(["grep", "-rl", "SECRET-", root / "etc"], capture_output=True, text=True)
        self.assertEqual(found.stdout, "")
        audit = self.host.run(["dpkg", f"--root=/export/{zone}/root", "--audit"])
        self.assertEqual(audit.stdout + audit.stderr, "")
        self.assertFalse((root / "etc/nginx/nginx.conf").exists())  # left out above
        (root / "etc/nginx/nginx.conf").write_text(NGINX_CONF)
        harness.install_web_service(root)
        self.check_running(zone, address)
        return root

    def test_whole_root(self):
        root = self.check_from_host_packages("whole", "create -b", "10.99.1.1")
        self.assertTrue((root / "usr/lib/systemd/systemd").exists())

    def test_sparse(self):
        root = self.check_from_host_packages("sparse", "create", "10.99.1.2")
        self.assertEqual(os.listdir(root / "usr"), [])
        self.assertEqual(os.readlink(root / "lib"), "usr/lib")
        self.assertFalse((root / "etc/os-release").is_symlink())

    def test_directory(self):
        root = self.configure("copied", "create -b", "10.99.1.3")
        installed = self.zoneadm("copied", "install", "-d", "/srv/image", "-p", "--format", "json")
        told = [json.loads(line) for line in installed.stdout.splitlines()]
        adjusted = ["/var/log/zoneferry-install.log"]
        for change in told:
            if change["type"] == "change":
                adjusted += ["/" + change["path"]] + (["/" + change["backup"]] if change["backup"] else [])
        compare = subprocess.run(["rsync", "-aHAXSnc", "--delete", "--itemize-changes", "--exclude=/run/*",
                                  "--exclude=/tmp/*", "--omit-dir-times",
                                  *(f"--exclude={path}" for path in adjusted), f"{self.host.path('/srv/image')}/", f"{root}/"],
                                 capture_output=True, text=True, check=True)
        self.assertEqual(compare.stdout, "")
        harness.install_web_service(root)
        self.check_running("copied", "10.99.1.3")

    def test_archive_and_a_cut_one(self):
        root = self.configure("packed", "create -b", "10.99.1.4")
        image, archive = self.host.path("/srv/image"), self.host.path("/srv/image.tar.zst")
        subprocess.run(["tar", "-C", image, "--xattrs", "--xattrs-include=*", "--acls", "-I", "zstd -1", "-cf", archive,
                        "."], check=True)
        whole = archive.stat().st_size
        subprocess.run(["cp", archive, self.host.path("/srv/cut.tar.zst")], check=True)
        os.truncate(self.host.path("/srv/cut.tar.zst"), whole // 2)
        cut = self.zoneadm("packed", "install", "-a", "/srv/cut.tar.zst", "-p", check=False)
        self.assertEqual(cut.returncode, 253)
        self.assertIn("cannot be read", cut.stderr)
        self.assertEqual(self.state("packed"), "configured")
        self.assertEqual(os.listdir(root.parent), [])
        self.zoneadm("packed", "install", "-a", "/srv/image.tar.zst", "-p")
        harness.install_web_service(root)
        self.check_running("packed", "10.99.1.4")
        again = self.zoneadm("packed", "install", check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("only a configured zone can be installed", again.stderr)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("install_test: skipped: simulated hosts need root")
        sys.exit(77)
    unittest.main(verbosity=2)
