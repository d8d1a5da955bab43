#!/usr/bin/python3
"""Either agent is killed at any call that changes anything, its disk fails at any call, it is stopped for longer than
every time-out: the move goes on or is undone, nothing is lost, doubled or left behind, and the command tells the truth.

    ZONEFERRY_KILLS=all tests/e2e/fault_points_test.py      # every call on each side; CI: 200, of half a second
    ZONEFERRY_RUNNING_KILLS=all ...                         # the same with a zone that runs; CI: 8
    ZONEFERRY_RUNNING_KILLS=2/3 ...                         # a third of it: three such runs side by side are all
    ZONEFERRY_FAULT_SEED=17 ...                             # the part that was printed
"""
import os
import random

import faults
from fault_points import Observer, Sweep
from faults import FaultTest, install_plain

KILLS = os.environ.get("ZONEFERRY_KILLS", "200")
RUNNING_KILLS = os.environ.get("ZONEFERRY_RUNNING_KILLS", "8")
SEED = int(os.environ.get("ZONEFERRY_FAULT_SEED", random.randrange(1 << 30)))


class PointsTest(FaultTest):
    settings = {"quiesced_retry_s": 3, "retry_s": 3}


class HaltedZoneTest(PointsTest):
    def test_killed_at_any_call(self):
        install_plain(self.host1, "plain", megabytes=1, files=4)
        Sweep(self, "plain").kill_at_each(KILLS, SEED)


class RunningZoneTest(PointsTest):
    """Halted and booted by every move, so each takes longer; and an observer looks all the time how many run."""

    def test_killed_at_any_call(self):
        self.zone("runs", boot=False)
        for path in (self.tree(self.host1, "runs") / "root/var/lib/dpkg/info").iterdir():
            path.unlink()  # three of four entries: another thousand calls that make a file, and nothing new
        self.host1.run(["zoneadm", "-z", "runs", "boot"])
        sweep = Sweep(self, "runs", runs=True)
        with Observer(self.hosts, "runs") as observer:
            sweep.kill_at_each(RUNNING_KILLS, SEED)
        self.assertEqual(observer.seen, {"host1", "host2"})
        self.assertEqual(observer.twice, [])


if __name__ == "__main__":
    faults.main()
