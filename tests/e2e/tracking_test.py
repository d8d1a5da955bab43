#!/usr/bin/python3
"""The last pass of a zone that writes all the time: it visits what the kernel announced, and both digests are equal."""
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

import ferry as ferry_module
from ferry import ferry, ferry_json, make_zone, start_agents, trust, write_settings, zone_path, zone_states
from hosts import Hosts

SUPPORT = pathlib.Path(ferry_module.__file__).resolve().parent
FEW = 4_000  # entries; the zone has more
OLDER = "block-lists,extra-trees,kept-return,move-history,probe,segments-zstd,tree-lists"  # features
UNIT = "[Service]\nExecStart=/etc/zone-churn/churn-writer\nRestart=always\n"


AT_THE_END = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecStop={command}\n"


def install_unit(root, name, text):
    (root / "etc/systemd/system" / name).write_text(text, encoding="utf8")
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / name).symlink_to(f"/etc/systemd/system/{name}")


def install_churn(root):
    (root / "etc/zone-churn").mkdir()
    shutil.copy(SUPPORT / "churn-writer", root / "etc/zone-churn/churn-writer")
    install_unit(root, "churn.service", UNIT)


def install_chattr(root):
    """With its libraries: the simulated hosts' packages have none, a Debian zone has it."""
    shutil.copy("/usr/bin/chattr", root / "usr/bin/chattr")
    for line in subprocess.run(["ldd", "/usr/bin/chattr"], check=True, capture_output=True, text=True).stdout.splitlines():
        library = pathlib.Path(line.partition("=> ")[2].split(" ")[0])
        if library.is_absolute() and not (root / library.relative_to("/")).exists():
            shutil.copy(library, root / library.relative_to("/"))


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

    def test_attributes_that_nothing_announced_are_told_and_can_be_set(self):
        make_zone(self.host1, "still01")
        source, target = (disk / "still01/root" for disk in self.disks)
        install_chattr(source)
        install_unit(source, "late.service", AT_THE_END.format(command="/usr/bin/chattr +d /etc/passwd"))
        self.host1.run(["zoneadm", "-z", "still01", "boot"], timeout=120)
        moved = ferry(self.host1, "move", "--remove-source", "still01", "host2")
        move = self.last_move(self.host1, "still01")
        self.assertEqual((move["last_pass"], move["changed_unannounced"]), ("tracked", 1), moved.stderr)
        self.assertIn(move["looked_back"], moved.stderr)
        self.assertTrue((source / "etc/passwd").exists(), "deleted unseen")
        self.assertNotIn("d", self.attributes_of(target / "etc/passwd"))
        command = move["looked_back"].partition("on host2 type: ")[2]
        self.host2.run(command.split())
        self.assertIn("d", self.attributes_of(target / "etc/passwd"))
        ferry(self.host1, "finalize", "still01")
        self.assertFalse((self.disks[0] / "still01").exists())

    @staticmethod
    def attributes_of(path):
        return subprocess.run(["lsattr", path], check=True, capture_output=True, text=True).stdout.split()[0]

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
