#!/usr/bin/python3
"""Both hosts restart after a move: the zone starts at the right one by itself, and never at the other."""
import faults
from ferry import ferry, zone_states
from faults import FaultTest, wait_for


class RestartTest(FaultTest):
    def restart(self, *hosts):
        for host in hosts:
            host.crash()
        for host in hosts:
            host.start()
            self.agents[host.name].start()

    def test_hosts_restart_after_a_move(self):
        self.zone("auto", boot=False)
        self.host1.run(["zonecfg", "-z", "auto", "set autoboot=true"])
        self.host1.run(["zoneadm", "-z", "auto", "boot"])
        ferry(self.host1, "move", "auto", "host2")
        self.assertIs(self.assert_sane("auto"), self.host2)
        self.restart(self.host1, self.host2)
        self.assertTrue(wait_for(lambda: zone_states(self.host2)["auto"] == "running"))
        self.assertIs(self.assert_sane("auto"), self.host2)
        self.host1.crash()
        self.host1.start()
        refused = self.host1.run(["zoneadm", "-z", "auto", "boot"], check=False)  # also with no agent there
        self.assertEqual(refused.returncode, 1, refused)
        self.assertNotEqual(zone_states(self.host1)["auto"], "running")
        self.agents["host1"].start()
        self.assertEqual(ferry(self.host1, "rollback", "auto").returncode, 0)
        self.assertIs(self.assert_sane("auto"), self.host1)
        self.restart(self.host1, self.host2)
        self.assertTrue(wait_for(lambda: zone_states(self.host1)["auto"] == "running"))
        self.assertIs(self.assert_sane("auto"), self.host1)

    def test_source_host_restarts_in_the_middle(self):
        self.zone("middle")
        agent = self.agents["host1"]
        agent.stop()
        agent.start(env={"ZONEFERRY_CRASH_AT": "source:after:quiesced"})
        ferry(self.host1, "move", "middle", "host2", check=False)
        agent.process.wait(timeout=60)
        self.restart(self.host1)
        self.assertIs(self.assert_sane("middle"), self.host2)


if __name__ == "__main__":
    faults.main()
