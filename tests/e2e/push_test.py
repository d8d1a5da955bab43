#!/usr/bin/python3
"""A machine that is pushed to a peer, and what breaks on the way: the link, either agent, in a pass or in the install.
The configured zone stays what it is, the next call goes on, and in the end the zone is the machine. (That a push works:
p2v_install_test.py; what a lying peer gets: the unit tests.)"""
import os
import re

import ferry
import faults
from faults import FaultTest, Watch, in_pass

PLACE = "/export/zones/old"
BALLAST = 30  # MiB that no compression makes smaller


class PushTest(FaultTest):
    settings = {"answer_s": 3}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.host1.path("/srv").mkdir(exist_ok=True)
        for number in range(BALLAST):
            cls.host1.path(f"/srv/ballast{number}").write_bytes(os.urandom(1 << 20))

    def setUp(self):
        self.host2.run(["zonecfg", "-z", "old", "-f", "/dev/stdin"], input=ferry.zone_commands("old"))
        self.addCleanup(self.discard)

    def discard(self):
        self.host2.run(["zoneadm", "-z", "old", "uninstall", "-F"], check=False)
        self.host2.run(["zonecfg", "-z", "old", "delete", "-F"])
        ferry.ferry(self.host2, "gc")
        self.assertEqual(self.staging(), [])

    def staging(self):
        return [path for path in self.host2.path(ferry.ZONES).iterdir() if path.name.startswith(".zoneferry")]

    def push(self, *words, check=True):
        return ferry.ferry_json(self.host1, "p2v", "push", "host2:old", *words, check=check, timeout=300)

    def broken_in_a_pass(self, do, *words):
        """The last line of a push to which something is done in its midst."""
        push = Watch(self.host1, "p2v", "push", "host2:old", "--bwlimit", "10M", *words)
        push.until(in_pass(1))
        self.assertTrue(faults.wait_for(lambda: self.acknowledged() >= 3))
        do()
        end = push.end_or_nothing()
        self.assertEqual(ferry.zone_states(self.host2)["old"], "configured")
        self.assertEqual(os.listdir(self.host2.path(PLACE)), [])
        return end

    def acknowledged(self):
        """How many segments of the pass at hand the target has on its disk, of at least 2 MiB each."""
        texts = [path.read_text() for path in self.host1.path("/var/lib/zoneferry").rglob("catalog.acked")]
        return int(texts[0].split()[1]) if texts else 0

    def sent(self):
        """By a push without an install, in MiB before compression."""
        code, lines = self.push()
        self.assertEqual(code, 0, lines)
        number, unit = re.search(r"sent ([0-9.]+) (\w+) as", lines[-1]["message"]).groups()
        return float(number) * {"B": 0, "KiB": 0, "MiB": 1, "GiB": 1024}[unit]

    def assert_goes_on(self, whole):
        """The next call sends what is missing only: not what was acknowledged."""
        self.assertLess(self.sent(), whole - 4)

    def assert_installed(self, *words):
        code, lines = self.push(*words)
        self.assertEqual(code, 0, lines)
        self.assertEqual(ferry.zone_states(self.host2)["old"], "installed")
        self.assertEqual(self.staging(), [])
        root = self.host2.path(PLACE) / "root"
        self.assertEqual(faults.differences(self.host1.path("/srv"), root / "srv"), "")

    def test_link_cut_in_the_first_and_in_the_last_pass(self):
        whole = self.sent()
        self.push("--forget")
        for words in ((), ("-p",)):
            with self.subTest(words=words):
                self.addCleanup(self.host1.heal_link)
                end = self.broken_in_a_pass(self.host1.cut_link, *words)
                self.assertEqual(end["exit_code"], 9, end)
                self.host1.heal_link()
                reached = faults.wait_for(lambda: ferry.ferry(self.host1, "version", "--peer", "host2", check=False)
                                          .returncode == 0)
                self.assertTrue(reached)
                if words:
                    break
                self.assert_goes_on(whole)
                for number in range(BALLAST):  # so that the last pass has much to do
                    self.host1.path(f"/srv/ballast{number}").write_bytes(os.urandom(1 << 20))
        self.assert_installed("-p")

    def test_either_agent_killed_in_a_pass(self):
        whole = self.sent()
        for host in (self.host2, self.host1):
            self.assertEqual(self.push("--forget")[0], 0)
            self.assertEqual(self.staging(), [])
            with self.subTest(killed=host.name):
                agent = self.agents[host.name]
                end = self.broken_in_a_pass(agent.kill)
                self.assertNotEqual(end["exit_code"] if end else 9, 0, end)
                agent.start()
                code, lines = ferry.ferry_json(self.host2, "gc")
                kept = [line for line in lines if line["type"] == "leftover"]
                self.assertEqual([line["removed"] for line in kept], [False], kept)
                self.assertIn("can go on with its push", kept[0]["why"])
                self.assert_goes_on(whole)

    def test_target_killed_while_it_installs(self):
        agent = self.agents["host2"]
        for step, state in (("placed", "configured"), ("unpacked", "incomplete")):
            with self.subTest(step=step):
                agent.stop()
                agent.start(env={"ZONEFERRY_CRASH_AT": f"push:{step}"})
                code, lines = self.push("-p", check=False)
                self.assertEqual(code, 9, lines)
                agent.start()
                self.assertEqual(ferry.zone_states(self.host2)["old"], state)
        code, lines = self.push("-p", check=False)
        self.assertEqual(code, 7, lines)
        self.assertIn("uninstall", str(lines))
        self.host2.run(["zoneadm", "-z", "old", "uninstall", "-F"])
        self.assert_installed("-u")


if __name__ == "__main__":
    faults.main()
