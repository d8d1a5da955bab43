#!/usr/bin/python3
"""What needs a zone that runs: waiting for a switch, the budget for the downtime, probes and the way back."""
import os
import sys
import unittest

from faults import wait_for
from ferry import ferry, ferry_json, make_zone, start_agents, trust, zone_path, zone_states
from hosts import Hosts


class SteeringTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hosts = Hosts(["host1", "host2"], programs=os.environ["ZONEFERRY_BIN"])
        cls.addClassCleanup(cls.hosts.close)
        cls.host1, cls.host2 = cls.hosts["host1"], cls.hosts["host2"]
        start_agents(cls.hosts, refresh_s=1)
        trust(cls.host1, cls.host2)

    def running_zone(self, name):
        make_zone(self.host1, name)
        self.host1.run(["zoneadm", "-z", name, "boot"], timeout=120)

    def states(self, name):
        return zone_states(self.host1).get(name), zone_states(self.host2).get(name)

    def test_a_zone_runs_on_until_the_switch_and_a_budget_stops_it_before(self):
        self.running_zone("wait01")
        status, lines = ferry_json(self.host1, "move", "--max-downtime", "1ms", "wait01", "host2", check=False)
        self.assertEqual(status, 14, lines[-1])
        self.assertEqual(lines[-1]["phase"], "waiting")
        self.assertGreater(lines[-1]["expected_down_ms"], 1)
        self.assertEqual(self.states("wait01"), ("running", None))
        (self.host1.path(zone_path("wait01")) / "root/late").write_text("late", encoding="utf8")
        # A switch with a budget looks again before it halts anything.
        status, lines = ferry_json(self.host1, "switch", "--max-downtime", "1ms", "wait01", check=False)
        self.assertEqual(status, 14, lines[-1])
        self.assertEqual(self.states("wait01")[0], "running")
        ferry(self.host1, "switch", "wait01")
        self.assertEqual(self.states("wait01"), ("configured", "running"))
        self.assertEqual((self.host2.path(zone_path("wait01")) / "root/late").read_text(encoding="utf8"), "late")
        _, history = ferry_json(self.host1, "history", "wait01")
        self.assertGreater(history[0]["down_ms"], 0)
        ferry(self.host1, "rollback", "--discard", "wait01")
        self.assertEqual(self.states("wait01")[0], "running")

    def test_a_probe_that_succeeds_and_one_that_brings_the_zone_back(self):
        self.running_zone("probe01")
        ferry(self.host1, "move", "--probe", "cmd:/bin/true", "probe01", "host2")
        self.assertEqual(self.states("probe01"), ("configured", "running"))
        ferry(self.host1, "rollback", "probe01")
        self.assertEqual(self.states("probe01")[0], "running")
        status, lines = ferry_json(self.host1, "move", "--probe", "cmd:/bin/false", "--probe-timeout", "2s",
                                   "--rollback-on-failed-probe", "probe01", "host2", check=False)
        self.assertEqual(status, 12, lines[-1])
        self.assertIn("brings it back", lines[-1]["message"])
        # host1 hears of that move a moment later.
        wait_for(lambda: self.states("probe01")[0] == "running", 90)
        self.assertEqual(self.states("probe01")[0], "running")


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: simulated hosts and zones need root")
        sys.exit(77)
    unittest.main(verbosity=2)
