#!/usr/bin/python3
"""zoneadm install --fresh: a fresh system by mmdebstrap, from a package repository on the host's own disk; from its cache
when no source answers; from the host's packages when there is no cache either; and nothing left when it fails."""
import os
import re
import shutil
import sys
import unittest

import ferry
import hosts as harness
import local_repository


class FreshInstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hosts = harness.Hosts(["host1"], programs=os.environ["ZONEFERRY_BIN"], packages=("mmdebstrap",))
        cls.addClassCleanup(cls.hosts.close)
        cls.host = cls.hosts["host1"]
        cls.names = local_repository.make(cls.host.path("/srv/repository"), ["iproute2"])
        shutil.rmtree(cls.host.path("/etc/apt/sources.list.d"), ignore_errors=True)

    def sources(self, scheme="copy", place="/srv/repository"):
        self.host.path("/etc/apt/sources.list").write_text(f"deb [trusted=yes] {scheme}:{place} ./\n")

    def fill_cache(self):
        """As apt leaves it: the lists, and the packages by their full names."""
        self.host.run(["apt-get", "-q", "update"])
        place = self.host.path("/srv/repository")
        for stanza in (place / "Packages").read_text().split("\n\n"):
            fields = dict(re.findall(r"^(Package|Version|Architecture|Filename): (.*)$", stanza, re.M))
            if fields:
                name = "{Package}_{Version}_{Architecture}.deb".format(**fields).replace(":", "%3a")
                os.link(place / fields["Filename"], self.host.path("/var/cache/apt/archives") / name)

    def install(self, zone, *words, check=True):
        self.host.run(["zonecfg", "-z", zone, "-f", "/dev/stdin"], input=ferry.zone_commands(zone, "10.99.1.1"))
        return self.host.run(["zoneadm", "-z", zone, "install", "--fresh", *words], timeout=400, check=check)

    def packages(self, zone):
        status = self.host.path(ferry.zone_path(zone)) / "root/var/lib/dpkg/status"
        return set(re.findall(r"^Package: (.*)$", status.read_text(), re.M))

    def mounts(self):
        return self.host.run(["cat", "/proc/mounts"]).stdout

    def test_1_from_the_sources(self):
        self.sources(scheme="file")
        before = self.mounts()
        done = self.install("mirror")
        self.assertNotIn("warning", done.stderr)
        self.assertLessEqual({"systemd-sysv", "dbus", "apt"}, self.packages("mirror"))
        self.assertLess(self.packages("mirror"), set(self.names))
        self.assertEqual(self.mounts(), before)

    def test_2_from_the_cache_with_no_source_that_answers(self):
        self.sources()
        self.fill_cache()
        self.host.path("/srv/repository").rename(self.host.path("/srv/away"))
        done = self.install("cached", "--include", "iproute2")
        self.assertNotIn("warning", done.stderr)
        self.assertIn("iproute2", self.packages("cached"))
        root = self.host.path(ferry.zone_path("cached")) / "root"
        self.assertEqual((root / "etc/hostname").read_text(), "cached\n")
        self.assertEqual(list((root / "var/cache/apt/archives").glob("*.deb")), [])
        self.assertGreater(len(list(self.host.path("/var/cache/apt/archives").glob("*.deb"))), 50)
        self.host.run(["zoneadm", "-z", "cached", "boot"], timeout=120)
        shown = self.host.run(["zoneadm", "-z", "cached", "login", "ip", "-br", "address", "show", "net0"])
        self.assertIn("10.99.1.1/16", shown.stdout)
        self.host.run(["zoneadm", "-z", "cached", "halt"])

    def test_3_without_sources_and_cache_the_hosts_packages(self):
        self.sources(place="/nowhere")
        shutil.rmtree(self.host.path("/var/lib/apt/lists"))
        before = self.mounts()
        failed = self.install("named", "--include", "iproute2", check=False)
        self.assertEqual(failed.returncode, 1, failed.stderr)
        self.assertIn("mmdebstrap failed: ", failed.stderr)
        self.assertEqual(ferry.zone_states(self.host)["named"], "configured")
        self.assertEqual(os.listdir(self.host.path(ferry.zone_path("named"))), [])
        done = self.install("copied")
        self.assertIn("the zone has this host's packages instead", done.stderr)
        self.assertIn("mmdebstrap", self.packages("copied"))
        self.assertEqual(self.mounts(), before)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("fresh_install_test: skipped: simulated hosts need root")
        sys.exit(77)
    unittest.main(verbosity=2)
