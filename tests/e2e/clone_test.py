#!/usr/bin/python3
"""A host is copied whole, with its machine-id, key and journal, and the copy is switched on beside it, elsewhere:
the zones never run twice, both are told, and all is well again without the copy."""
import os
import subprocess

import faults
from faults import FaultTest, wait_for
from ferry import ZONES, Agent, ferry, zone_states
from hosts import Hosts

COPIED = ("/etc/machine-id", "/etc/zones", "/etc/zoneferry", "/var/lib/zoneferry", ZONES)


class CloneTest(FaultTest):
    @classmethod
    def make_hosts(cls, binds):
        return Hosts(["host1", "host2", "host3"], programs=os.environ["ZONEFERRY_BIN"], binds=binds)

    def copy_host1_to(self, other):
        for place in COPIED:
            other.path(place).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["rm", "-rf", other.path(place)], check=True)
            subprocess.run(["cp", "-a", self.host1.path(place), other.path(place)], check=True)

    def assert_boot_refused(self, host):
        refused = host.run(["zoneadm", "-z", "twin", "boot"], check=False)
        self.assertEqual(refused.returncode, 1, refused)
        self.assertIn("host1 is there twice, at ", refused.stderr)
        self.assertIn("The host was cloned", refused.stderr)

    def test_a_copy_with_the_machine_id(self):
        self.zone("twin", boot=False)
        self.host1.run(["zonecfg", "-z", "twin", "set autoboot=true"])
        self.host1.run(["zoneadm", "-z", "twin", "boot"])
        self.assertEqual(self.agents["host1"].stop(), 0)
        self.agents["host3"].kill()
        host3 = self.hosts["host3"]
        self.copy_host1_to(host3)
        self.agents["host1"].start()  # its peer has heard of it

        host3.run(["rm", "-rf", "/run/zoneferry"])  # as after a boot: zones with autoboot start
        clone = Agent(host3).start()
        self.addCleanup(clone.kill)
        self.assertEqual(zone_states(host3)["twin"], "installed")
        self.assert_boot_refused(host3)
        refused = ferry(host3, "move", "twin", "host2", check=False)
        self.assert_one_sentence(refused, 6, "host1 is there twice")

        self.assertEqual(self.agents["host1"].stop(), 0)
        self.agents["host1"].start()
        self.assertEqual(zone_states(self.host1)["twin"], "running", "what runs goes on")
        self.assert_boot_refused(self.host1)
        self.assertEqual(ferry(self.host1, "move", "twin", "host2", check=False).returncode, 6)

        clone.kill()
        self.assertEqual(self.agents["host2"].stop(), 0)
        self.agents["host2"].start()  # forgets it at once, else after some minutes
        self.assertEqual(self.agents["host1"].stop(), 0)
        self.agents["host1"].start()
        ferry(self.host1, "move", "twin", "host2")
        self.assertTrue(wait_for(lambda: zone_states(self.host2).get("twin") == "running"))


if __name__ == "__main__":
    faults.main()
