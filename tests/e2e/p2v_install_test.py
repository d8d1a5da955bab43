#!/usr/bin/python3
"""zoneadm install of a physical system's image: how it ends, and what is left when it does not end well; p2v scan; a
live machine pushed to a peer in two passes. (That images of every format boot: p2v_test.py.)"""
import json
import os
import re
import subprocess
import sys
import unittest

import ferry
import hosts as harness

ADDRESS = "10.99.1.7"


class P2vInstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hosts = harness.Hosts(["host1", "host2"], programs=os.environ["ZONEFERRY_BIN"])
        cls.host1, cls.host2 = cls.hosts["host1"], cls.hosts["host2"]
        cls.image = cls.host1.path("/srv/image")
        subprocess.run([harness.SUPPORT / "hostroot", cls.image, "nginx-light", "attr"], check=True)
        cls.archive = cls.host1.path("/srv/image.cpio.gz")
        cls.pack(cls.archive)

    @classmethod
    def tearDownClass(cls):
        cls.hosts.close()

    @classmethod
    def pack(cls, archive):
        subprocess.run(f"cd {cls.image}; find . | cpio -o --quiet -H newc | gzip -1 > {archive}", shell=True, check=True)

    def configure(self, zone, host=None, address=None):
        (host or self.host1).run(["zonecfg", "-z", zone, "-f", "/dev/stdin"],
                                  input=ferry.zone_commands(zone, address))

    def zoneadm(self, zone, *words, env=None, check=True, **options):
        return self.host1.run(["zoneadm", "-z", zone, *words], timeout=300, check=check, env=env, **options)

    def install(self, zone, *words, env=None):
        done = self.zoneadm(zone, "install", *words, "--format", "json", env=env, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return done, {kind: [line for line in lines if line["type"] == kind]
                      for kind in ("finding", "change", "install", "end", "install-progress")}

    def state(self, zone):
        return ferry.zone_states(self.host1)[zone]

    def root(self, zone):
        return self.host1.path(ferry.zone_path(zone)) / "root"

    def assert_empty(self, zone):
        self.assertEqual(self.state(zone), "configured")
        place = self.root(zone).parent
        self.assertEqual(os.listdir(place) if place.exists() else [], [])

    def edit_status(self, package, edit):
        """Changes the image's dpkg status of one package; gives back what undoes it."""
        path = self.image / "var/lib/dpkg/status"
        before = path.read_text()
        stanzas = before.split("\n\n")
        path.write_text("\n\n".join(edit(stanza) if stanza.startswith(f"Package: {package}\n") else stanza
                                    for stanza in stanzas))
        return lambda: path.write_text(before)

    def test_usage_and_exit_status(self):
        self.configure("words")
        for words, status in ((["-a", "/srv/image.cpio.gz"], 253), (["-p"], 253), (["--frozen"], 2),
                              (["-a", "/nothing", "-p"], 253), (["-d", "/srv", "-u"], 253)):
            done = self.zoneadm("words", "install", *words, check=False)
            self.assertEqual((done.returncode, done.stdout), (status, ""), (words, done.stderr))
            self.assert_empty("words")

    def test_a_killed_install_is_mended_by_uninstall(self):
        self.configure("killed")
        done, _ = self.install("killed", "-a", "/srv/image.cpio.gz", "-p", env={"ZONEFERRY_CRASH_AT": "install:unpacked"})
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(self.state("killed"), "incomplete")
        refused, told = self.install("killed", "-a", "/srv/image.cpio.gz", "-p")
        self.assertEqual(refused.returncode, 253)
        self.assertIn("uninstall", told["end"][0]["remedy"])
        self.zoneadm("killed", "uninstall", "-F")
        self.assert_empty("killed")
        done, told = self.install("killed", "-a", "/srv/image.cpio.gz", "-u")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual([line["step"] for line in told["install-progress"]],
                         ["checking", "unpacking", "setting up", "updating", "adjusting"])
        self.assertEqual(told["install"][0]["log"], "/var/log/zoneferry/zones/killed.install.log")
        self.assertEqual(self.state("killed"), "installed")
        log = (self.root("killed") / "var/log/zoneferry-install.log").read_text()
        self.assertIn("sanity check: passed", log)
        for change in told["change"]:
            self.assertIn(f"{change['kind']}: {change['path']}", log)
        self.zoneadm("killed", "uninstall", "-F")

    def test_streams_and_silence(self):
        self.configure("stream")
        stdin = open(self.archive, "rb")
        command = self.host1.popen(["zoneadm", "-z", "stream", "install", "-a", "-", "-p", "-s"], stdin=stdin,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = command.communicate(timeout=300)
        stdin.close()
        self.assertEqual((command.returncode, out, err), (0, b"", b""))
        self.zoneadm("stream", "uninstall", "-F")

    def test_a_newer_image_is_refused_before_it_is_unpacked(self):
        self.configure("newer")
        undo = self.edit_status("attr", lambda text: re.sub(r"\nVersion: .*", "\nVersion: 9:9", text))
        self.addCleanup(undo)
        self.pack(self.host1.path("/srv/newer.cpio.gz"))
        done, told = self.install("newer", "-a", "/srv/newer.cpio.gz", "-p")
        self.assertEqual(done.returncode, 253, done.stderr)
        self.assertEqual([(each["code"], each["subject"]) for each in told["finding"]], [("IMAGE_PACKAGE_NEWER", "attr")])
        self.assertEqual([each["step"] for each in told["install-progress"]], ["checking"])
        self.assert_empty("newer")

    def test_an_older_image_is_brought_to_the_hosts_level(self):
        self.configure("older")
        undo = self.edit_status("attr", lambda text: re.sub(r"\nVersion: .*", "\nVersion: 0.1", text))
        self.addCleanup(undo)
        prerm = self.image / "var/lib/dpkg/info/attr.prerm"
        prerm.write_text("#!/bin/sh\nexit 1\n")
        prerm.chmod(0o755)
        self.addCleanup(lambda: prerm.unlink(missing_ok=True))
        postinst_of_old = self.image / "var/lib/dpkg/info/attr.postinst"
        done, told = self.install("older", "-d", "/srv/image", "-p")
        if done.returncode != 0:  # dpkg asks the new package's prerm after the old one's has failed: there is none
            self.assertEqual(done.returncode, 254, done.stderr)
            self.assertIn("attr", told["end"][0]["message"])
            self.assert_empty("older")
        else:
            self.fail("the old package's prerm failed, and nobody noticed")
        prerm.unlink()
        postinst_of_old.unlink(missing_ok=True)
        done, told = self.install("older", "-d", "/srv/image", "-p")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(told["install"][0]["packages_updated"], 1)
        shown = subprocess.run(["dpkg-query", f"--admindir={self.root('older')}/var/lib/dpkg", "-Wf", "${Version}", "attr"],
                               capture_output=True, text=True, check=True)
        self.assertNotEqual(shown.stdout, "0.1")
        self.zoneadm("older", "uninstall", "-F")

    def test_scan_and_push(self):
        host1, host2 = self.host1, self.host2
        host1.path("/etc/fstab").write_text("/dev/sda1 / ext4 defaults 0 1\n/dev/sdb1 /data ext4 defaults 0 2\n")
        host1.path("/etc/modules").write_text("loop\n")
        scanned = ferry.ferry(host1, "p2v", "scan", "--format", "json")
        lines = [json.loads(line) for line in scanned.stdout.splitlines()]
        codes = {line["code"] for line in lines if line["type"] == "finding"}
        self.assertLessEqual({"P2V_LOCAL_FS", "P2V_MODULE"}, codes)
        template = next(line for line in lines if line["type"] == "p2v-scan")["zonecfg"]
        self.assertIn("create -b\nset zonepath=/export/zones/host1\n", template)
        host2.path("/etc/template").write_text(template)
        host2.run(["zonecfg", "-z", "host1", "-f", "/etc/template"])
        exported = host2.run(["zonecfg", "-z", "host1", "export"]).stdout
        self.assertIn("ip-type=exclusive", exported)
        if "add net" not in exported:  # the machine has no configured interface
            host2.run(["zonecfg", "-z", "host1", f"add net; set physical=br0; set address={ADDRESS}/16; end; commit"])

        agents = ferry.start_agents([host1, host2])
        ferry.trust(host1, host2)
        host1.path("/srv").mkdir(exist_ok=True)
        host1.path("/srv/first").write_text("one")
        missing = ferry.ferry(host1, "p2v", "push", "host2:nozone", check=False)
        self.assertEqual(missing.returncode, 8, missing.stderr)
        first = ferry.ferry(host1, "p2v", "push", "host2:host1")
        self.assertIn("stop this machine's services", first.stdout + first.stderr)
        place = host2.path("/export/zones/host1")
        self.assertEqual(os.listdir(place), [])
        host1.path("/srv/second").write_text("two")
        host1.path("/srv/first").unlink()
        again = ferry.ferry(host1, "p2v", "push", "host2:host1", "-p", timeout=600)
        self.assertIn("zone host1 is installed on host2", again.stdout)
        root = place / "root"
        self.assertEqual((root / "srv/second").read_text(), "two")
        self.assertFalse((root / "srv/first").exists())
        self.assertFalse((root / "var/lib/zoneferry").exists(), "the machine's keys have travelled")
        self.assertEqual([name for name in os.listdir(place.parent) if name.startswith(".zoneferry")], [])
        self.assertEqual((root / "etc/machine-id").read_text(), host1.path("/etc/machine-id").read_text())
        self.assertNotIn("\n/dev/sdb1", (root / "etc/fstab").read_text())
        self.assertIn("/dev/sda1 / ext4", host1.path("/etc/fstab").read_text(), "the machine itself was changed")
        self.assertEqual(ferry.zone_states(host2)["host1"], "installed")
        host2.run(["zoneadm", "-z", "host1", "boot"], timeout=120)
        shown = host2.run(["zoneadm", "-z", "host1", "login", "cat", "/srv/second"])
        self.assertEqual(shown.stdout, "two")
        host2.run(["zoneadm", "-z", "host1", "halt"])
        for agent in agents.values():
            agent.stop()


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("p2v_install_test: skipped: simulated hosts need root")
        sys.exit(77)
    unittest.main(verbosity=2)
