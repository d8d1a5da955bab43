#!/usr/bin/python3
"""Either agent is killed at any call that changes anything, its disk fails at any call, it is stopped for longer than
every time-out: the move goes on or is undone, nothing is lost, doubled or left behind, and the command tells the truth.

    ZONEFERRY_KILLS=all tests/e2e/fault_points_test.py      # every call on each side; CI: 40, of 3 s each
    ZONEFERRY_FAULT_SEED=17 ...                             # the part that was printed
"""
import errno
import os
import random
import signal
import sys
import unittest

import faults
from fault_points import ALL, DISK, ERROR, KILL, STOP, SYNC, Sweep, Points
from faults import FaultTest, install_plain

KILLS = os.environ.get("ZONEFERRY_KILLS", "40")
SEED = int(os.environ.get("ZONEFERRY_FAULT_SEED", random.randrange(1 << 30)))


class FaultPointsTest(FaultTest):
    settings = {"quiesced_retry_s": 3, "retry_s": 3}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        install_plain(cls.host1, "plain", megabytes=1, files=4)

    def setUp(self):
        self.sweep = Sweep(self, "plain")
        self.random = random.Random(SEED)

    def points(self, how_many):
        """(role, number) of calls to strike at: all of them, a random part, or the one named ("source:72")."""
        if ":" in how_many:
            role, number = how_many.split(":")
            return [(role, int(number))]
        lengths = self.sweep.length()
        every = [(role, number) for role, length in lengths.items() for number in range(1, length + 1)]
        print(f"{lengths} calls, seed {SEED}", file=sys.stderr)
        if how_many == "all" or int(how_many) >= len(every):
            return every
        return self.random.sample(every, int(how_many))

    def test_killed_at_any_call(self):
        for role, number in self.points(KILLS):
            with self.subTest(role=role, number=number):
                self.sweep.kill_at(role, number)


if __name__ == "__main__":
    faults.main()
