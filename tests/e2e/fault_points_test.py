#!/usr/bin/python3
"""Either agent is killed at any call that changes anything, its disk fails at any call, it is stopped for longer than
every time-out: the move goes on or is undone, nothing is lost, doubled or left behind, and the command tells the truth.

    ZONEFERRY_KILLS=all tests/e2e/fault_points_test.py      # every call on each side; CI: 100, of about 1 s each
    ZONEFERRY_RUNNING_KILLS=all ...                         # the same with a zone that runs; CI: 8
    ZONEFERRY_FAULT_SEED=17 ...                             # the part that was printed
"""
import os
import random
import sys

import faults
from fault_points import Observer, Sweep
from faults import FaultTest, install_plain

KILLS = os.environ.get("ZONEFERRY_KILLS", "100")
RUNNING_KILLS = os.environ.get("ZONEFERRY_RUNNING_KILLS", "8")
SEED = int(os.environ.get("ZONEFERRY_FAULT_SEED", random.randrange(1 << 30)))


class PointsTest(FaultTest):
    settings = {"quiesced_retry_s": 3, "retry_s": 3}

    def points(self, how_many):
        """(role, number) of calls to strike at: all of them, a random part, or the one named ("source:72")."""
        if ":" in how_many:
            role, number = how_many.split(":")
            return [(role, int(number))]
        lengths = self.sweep.length()
        generator = random.Random(SEED)
        every = [(role, number) for role, length in lengths.items() for number in range(1, length + 1)]
        print(f"{lengths} calls, seed {SEED}", file=sys.stderr)
        if how_many == "all" or int(how_many) >= len(every):
            return every
        return generator.sample(every, int(how_many))

    def kill_at_each(self, how_many):
        for role, number in self.points(how_many):
            with self.subTest(role=role, number=number):
                self.sweep.kill_at(role, number)


class HaltedZoneTest(PointsTest):
    def test_killed_at_any_call(self):
        install_plain(self.host1, "plain", megabytes=1, files=4)
        self.sweep = Sweep(self, "plain")
        self.kill_at_each(KILLS)


class RunningZoneTest(PointsTest):
    """Halted and booted by every move, so each takes longer; and an observer looks all the time how many run."""

    def test_killed_at_any_call(self):
        self.zone("runs")
        self.sweep = Sweep(self, "runs", runs=True)
        with Observer(self.hosts, "runs") as observer:
            self.kill_at_each(RUNNING_KILLS)
        self.assertEqual(observer.seen, {"host1", "host2"})
        self.assertEqual(observer.twice, [])


if __name__ == "__main__":
    faults.main()
