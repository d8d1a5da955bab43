#!/usr/bin/python3
"""Every fault at every phase of a move: docs/faults.md is what this saw.

The agent that is struck stops itself exactly at an event of the move (ZONEFERRY_STOP_AT); then the link is cut, the
disk fails, the clock jumps, the agent is killed or stays stopped; then all is well again. See fault_points.py for what
is asked afterwards.

    ZONEFERRY_FAULT_ROWS=all tests/e2e/fault_table_test.py      # every row, and rewrites docs/faults.md
    ZONEFERRY_FAULT_ROWS=10 ...                                 # CI: a random part, nothing is written
"""
import errno
import os
import pathlib
import random
import signal
import sys

import faults
from fault_points import DISK, ERROR, SYNC, Sweep
from faults import FaultTest, install_plain, wait_for

ROWS = os.environ.get("ZONEFERRY_FAULT_ROWS", "10")
SEED = int(os.environ.get("ZONEFERRY_FAULT_SEED", random.randrange(1 << 30)))
DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/faults.md"
# What the struck agent has just made durable.
PHASES = [("source", event) for event in ("begun", "prepared", "quiesced", "sent", "verified", "staged", "released",
                                          "owned", "activated")] + \
         [("target", event) for event in ("begun", "ready", "owned", "activated")]
PATIENCE_S = 3   # retry_s, quiesced_retry_s and answer_s of these agents
OUT_S = 4        # how long a link or a disk is away: longer than that
STOPPED_S = 8    # longer than every time-out after another: the answer's, then the patience
DAY_S = 86_400


class Fault:
    """A fault: strike() while the agent stands still at the event, then it goes on, then heal()."""

    def __init__(self, name, strike, heal=lambda case: None, lasts_s=OUT_S, goes_on=True):
        self.name, self.strike, self.heal, self.lasts_s, self.goes_on = name, strike, heal, lasts_s, goes_on


class Case:
    """One row while it runs."""

    def __init__(self, sweep, role, event):
        self.sweep, self.role, self.event = sweep, role, event
        self.home = sweep.holder()
        self.victim = self.home if role == "source" else sweep.test.other(self.home)
        self.points = sweep.points[self.victim.name]

    def wake(self):
        """SIGCONT to the agent, and to the nsenter that stops itself when its child stops."""
        process = self.sweep.test.agents[self.victim.name].process
        for pid in (process.pid, process.inner_pid):
            if pid is not None:
                os.kill(pid, signal.SIGCONT)

    def kill(self):
        os.kill(self.sweep.test.agents[self.victim.name].process.inner_pid, signal.SIGKILL)
        self.wake()
        self.sweep.test.agents[self.victim.name].process.wait()

    def kill_both(self):
        self.kill()
        self.sweep.test.agents[self.sweep.test.other(self.victim).name].kill()

    def disk_fails(self, error, classes=DISK):
        self.points.arm(ERROR, 1, error=error, classes=classes, calls=1 << 40)

    def cut_one_way(self):
        rules = "table inet cut { chain out { type filter hook output priority 0; oifname san0 drop; }; }"
        self.victim.run(["nft", "-f", "/dev/stdin"], input=rules)

    def heal_one_way(self):
        self.victim.run(["nft", "delete", "table", "inet", "cut"], check=False)


FAULTS = [
    Fault("killed", lambda case: case.kill(), lasts_s=0, goes_on=False),
    Fault("both agents killed", lambda case: case.kill_both(), lasts_s=0, goes_on=False),
    Fault(f"stopped {STOPPED_S} s", lambda case: None, lasts_s=STOPPED_S, goes_on=False),
    Fault("link cut", lambda case: case.victim.cut_link(), lambda case: case.victim.heal_link()),
    Fault("link cut one way", lambda case: case.cut_one_way(), lambda case: case.heal_one_way()),
    Fault("disk full (ENOSPC)", lambda case: case.disk_fails(errno.ENOSPC), lambda case: case.points.arm()),
    Fault("read-only (EROFS)", lambda case: case.disk_fails(errno.EROFS), lambda case: case.points.arm()),
    Fault("disk broken (EIO)", lambda case: case.disk_fails(errno.EIO), lambda case: case.points.arm()),
    Fault("fsync fails (EIO)", lambda case: case.disk_fails(errno.EIO, SYNC), lambda case: case.points.arm()),
    Fault("clock +30 d", lambda case: case.points.arm(clock_s=30 * DAY_S), lambda case: case.points.arm(), 1),
    Fault("clock -1 d", lambda case: case.points.arm(clock_s=-DAY_S), lambda case: case.points.arm(), 1),
]
EVERY_ROW = [(fault, role, event) for fault in FAULTS for role, event in PHASES]


def is_stopped(pid):
    """The state of a process is T."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:
        return False


class FaultTableTest(FaultTest):
    is_documented = True
    settings = {"quiesced_retry_s": PATIENCE_S, "retry_s": PATIENCE_S, "answer_s": PATIENCE_S}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        install_plain(cls.host1, "plain", megabytes=1, files=4, storage=cls.storage)

    def strike(self, sweep, fault, role, event):
        """One row; returns what was seen: (where the zone is, what the command ended with)."""
        case = Case(sweep, role, event)
        sweep.restart(case.victim, {"ZONEFERRY_STOP_AT": f"{role}:after:{event}"})
        home, away, process = sweep.move()
        agent = self.agents[case.victim.name].process
        pid = agent.inner_pid
        self.assertTrue(wait_for(lambda: is_stopped(pid) or process.poll() is not None, 30, 0.005))
        struck = is_stopped(pid)
        fault.strike(case)
        if fault.goes_on:
            case.wake()
        if fault.lasts_s:
            wait_for(lambda: process.poll() is not None, fault.lasts_s, 0.02)
        fault.heal(case)
        if agent.poll() is None:
            case.wake()
            wait_for(lambda: process.poll() is not None, 2 * PATIENCE_S, 0.02)
        where = sweep.finish(home, away, process, f"{fault.name}, {role} {event}")
        return (where if struck else where + " (over before)"), process.returncode

    def test_every_fault_at_every_phase(self):
        generator = random.Random(SEED)
        rows = EVERY_ROW if ROWS == "all" else generator.sample(EVERY_ROW, int(ROWS))
        print(f"{len(rows)} of {len(EVERY_ROW)} rows, seed {SEED}", file=sys.stderr)
        sweep = Sweep(self, "plain")
        seen = {}
        for fault, role, event in rows:
            with self.subTest(fault=fault.name, role=role, event=event):
                seen[fault.name, role, event] = self.strike(sweep, fault, role, event)
                print(f"{fault.name}, {role} {event}: {seen[fault.name, role, event]}", file=sys.stderr, flush=True)
        if self.is_documented and ROWS == "all" and len(seen) == len(EVERY_ROW):
            write_document(seen)

    def test_the_document_has_every_row(self):
        text = DOCUMENT.read_text(encoding="utf8")
        for fault in FAULTS:
            lines = [line for line in text.splitlines() if line.startswith(f"| {fault.name} |")]
            self.assertEqual([line.count("|") for line in lines], [len(PHASES[:9]) + 2, len(PHASES[9:]) + 2], fault.name)
        for _, event in PHASES:
            self.assertIn(f" {event} |", text)


def write_document(seen):
    """docs/faults.md from what was seen."""
    lines = ["# Faults", "",
             "What became of a move when a fault struck just after an event of it had become durable. Made by",
             "`ZONEFERRY_FAULT_ROWS=all tests/e2e/fault_table_test.py` with real agents on two hosts in namespaces;",
             f"a link or a disk was away for {OUT_S} s; `retry_s`, `quiesced_retry_s` and `answer_s` were {PATIENCE_S}, so an",
             f"agent that was stopped for {STOPPED_S} s was away for longer than every time-out of the other one.", "",
             "*moved*: the zone is on the target and the source's copy is deleted, as asked for. *home*: it is on the",
             "source as before. The number is the exit status of `zoneferry move`: 5 when the agent that it asked died.",
             "In every cell exactly one host may run the zone, its tree is byte for byte what it was, and no staging,",
             "mount, process or half-written file is left on either host.", ""]
    for role, there in (("source", "the source"), ("target", "the target")):
        events = [event for of, event in PHASES if of == role]
        lines += [f"## At {there}", "", "| fault | " + " | ".join(events) + " |", "|---" * (len(events) + 1) + "|"]
        for fault in FAULTS:
            cells = []
            for event in events:
                where, status = seen[fault.name, role, event]
                cells.append(f"{where.replace('at home as before', 'home')} {status}")
            lines.append(f"| {fault.name} | " + " | ".join(cells) + " |")
        lines.append("")
    DOCUMENT.write_text("\n".join(lines[:-1]) + "\n", encoding="utf8")


if __name__ == "__main__":
    faults.main()
