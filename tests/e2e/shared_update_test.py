#!/usr/bin/python3
"""A move with update (-u) over shared storage, of which there is only the one copy: when the update fails the zone is
what it was, and one command brings it home."""
import os
import unittest

import faults
from debs import Newer, version_of
from ferry import ferry, start_agents, trust, zone_path, zone_states
from hosts import Hosts
from shared import SharedDirectory, make_shared_zone

ZONE = "web01"


class SharedUpdateTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.storage = SharedDirectory()
        cls.addClassCleanup(cls.storage.close)
        cls.hosts = Hosts(["host1", "host2"], programs=os.environ["ZONEFERRY_BIN"], binds=cls.storage.binds)
        cls.addClassCleanup(cls.hosts.close)
        cls.host1, cls.host2 = cls.hosts["host1"], cls.hosts["host2"]
        for host in cls.hosts:
            host.path("/etc/zoneferry/all-zones.d").mkdir(parents=True)
            host.path("/etc/zoneferry/all-zones.d/test.list").write_text("sed\n")
        start_agents(cls.hosts)
        trust(cls.host1, cls.host2)
        cls.old = version_of(cls.host1, "sed")
        sed = Newer(cls.host2, "sed", cls.old + ".0")
        sed.script("postinst", "[ ! -e /etc/fail ] || exit 1")
        sed.install(keep=True)
        make_shared_zone(cls.storage, cls.host1, ZONE, service=False)
        cls.host1.run(["zoneadm", "-z", ZONE, "boot"])

    def version(self, host):
        return version_of(host, "sed", root=zone_path(ZONE) + "/root")

    def test_a_failed_update_leaves_the_zone_whole_and_it_comes_home(self):
        marker = self.storage.tree(self.host1, ZONE) / "root/etc/fail"
        marker.write_text("")
        failed = ferry(self.host1, "move", "-u", ZONE, "host2", check=False)
        self.assertEqual(failed.returncode, 12, failed)
        self.assertEqual(zone_states(self.host2)[ZONE], "configured")
        self.assertEqual(self.version(self.host2), self.old)
        self.assertEqual(self.host1.run(["zoneadm", "-z", ZONE, "boot"], check=False).returncode, 1)  # not its any more
        ferry(self.host1, "rollback", ZONE)
        self.assertEqual(zone_states(self.host1)[ZONE], "installed")
        self.assertNotIn(ZONE, zone_states(self.host2))
        self.assertEqual(self.version(self.host1), self.old)
        self.host1.run(["zoneadm", "-z", ZONE, "boot"])
        marker.unlink()
        ferry(self.host1, "move", "-u", ZONE, "host2", "--remove-source")
        self.assertEqual(zone_states(self.host2)[ZONE], "running")
        self.assertEqual(self.version(self.host2), self.old + ".0")
        left = [name for name in os.listdir(self.storage.tree(self.host2, ZONE)) if name.startswith("lu")]
        self.assertEqual(left, [])


if __name__ == "__main__":
    faults.main()
