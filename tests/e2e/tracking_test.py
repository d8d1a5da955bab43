#!/usr/bin/python3
"""The last pass of a zone that writes all the time: it visits what the kernel announced, and both digests are equal."""
import os
import pathlib
import shutil
import sys
import unittest

import ferry as ferry_module
from ferry import ferry, ferry_json, make_zone, start_agents, trust, write_settings, zone_path, zone_states
from hosts import Hosts

SUPPORT = pathlib.Path(ferry_module.__file__).resolve().parent
FEW = 4_000  # entries; the zone has more
OLDER = "block-lists,extra-trees,kept-return,move-history,probe,segments-zstd,tree-lists"  # features
UNIT = "[Service]\nExecStart=/etc/zone-churn/churn-writer\nRestart=always\n"


def install_churn(root):
    (root / "etc/zone-churn").mkdir()
    shutil.copy(SUPPORT / "churn-writer", root / "etc/zone-churn/churn-writer")
    (root / "etc/systemd/system/churn.service").write_text(UNIT, encoding="utf8")
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "churn.service").symlink_to("/etc/systemd/system/churn.service")


class TrackingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hosts = Hosts(["host1", "host2"], programs=os.environ["ZONEFERRY_BIN"])
        cls.addClassCleanup(cls.hosts.close)
        cls.host1, cls.host2 = cls.hosts["host1"], cls.hosts["host2"]
        # File systems of their own: what others change on the machine's would be announced, too.
        cls.disks = [host.mount_disk(ferry_module.ZONES) for host in (cls.host1, cls.host2)]
        cls.agents = start_agents(cls.hosts)
        trust(cls.host1, cls.host2)

    def restart(self, env=None, **settings):
        """The agent of host1."""
        write_settings(self.host1, **settings)
        self.agents["host1"].stop()
        self.agents["host1"].start(env=env)

    def last_move(self, host, zone):
        lines = [line for line in ferry_json(host, "history", zone)[1] if line["type"] == "history"]
        return max(lines, key=lambda line: line["begun_unix_ms"])

    def test_a_zone_that_writes_all_the_time(self):
        make_zone(self.host1, "churn01")
        install_churn(self.disks[0] / "churn01/root")
        self.host1.run(["zoneadm", "-z", "churn01", "boot"], timeout=120)
        ferry(self.host1, "move", "--remove-source", "churn01", "host2")
        move = self.last_move(self.host1, "churn01")
        self.assertEqual((move["last_pass"], move["repairs"]), ("tracked", 0))
        # Back with a peer that does not know such digests: a comparison that looks at every entry finds what a pass has
        # missed, and would send it again, which is counted.
        self.addCleanup(self.restart)
        self.restart(env={"ZONEFERRY_FEATURES": OLDER})
        ferry(self.host2, "move", "--remove-source", "churn01", "host1")
        move = self.last_move(self.host2, "churn01")
        self.assertEqual((move["last_pass"], move["repairs"]), ("tracked", 0))
        self.assertGreater(min(move["looked_at"], move["looked_at_there"]), FEW)
        self.assertEqual(zone_states(self.host1).get("churn01"), "running")

    def test_only_what_was_announced_is_compared_after_the_halt(self):
        make_zone(self.host1, "calm01")
        ferry(self.host1, "move", "--no-switch", "--remove-source", "calm01", "host2", check=False)
        (self.disks[0] / "calm01/root/etc/motd").write_text("written meanwhile")
        ferry(self.host1, "switch", "calm01")
        move = self.last_move(self.host1, "calm01")
        logs = [agent.log() for agent in self.agents.values()]
        for count in (move["looked_at"], move["looked_at_there"]):
            self.assertIn(count, range(1, 100), logs)
        self.assertEqual(move["repairs"], 0)
        # Back, and somebody writes into what has arrived: announced, too.
        ferry(self.host2, "move", "--no-switch", "--remove-source", "calm01", "host1", check=False)
        staging = next(self.disks[0].glob(".zoneferry-incoming-*"))
        (staging / "root/etc/motd").write_text("not what was sent")
        ferry(self.host2, "switch", "calm01")
        self.assertEqual(self.last_move(self.host2, "calm01")["repairs"], 1)
        self.assertEqual((self.disks[0] / "calm01/root/etc/motd").read_text(), "written meanwhile")
        ferry(self.host1, "move", "--no-switch", "--verify", "meta", "calm01", "host2", check=False)
        ferry(self.host1, "switch", "calm01")
        move = self.last_move(self.host1, "calm01")
        for count in (move["looked_at"], move["looked_at_there"]):
            self.assertIn(count, range(1, 100), [agent.log() for agent in self.agents.values()])

    def test_it_can_be_switched_off(self):
        self.addCleanup(self.restart)
        self.restart(change_tracking=False)
        make_zone(self.host1, "plain01")
        ferry(self.host1, "move", "plain01", "host2")
        self.assertEqual(self.last_move(self.host1, "plain01")["last_pass"],
                         "walked: change tracking is switched off")


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: simulated hosts and zones need root")
        sys.exit(77)
    unittest.main(verbosity=2)
