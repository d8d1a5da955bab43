#!/usr/bin/python3
"""Every fault at every phase of a move: docs/faults.md is what this saw.

The agent that is struck stops itself exactly at an event of the move (ZONEFERRY_STOP_AT); then the link is cut, the
disk fails, the clock jumps, the agent is killed or stays stopped; then all is well again. See fault_points.py for what
is asked afterwards.

    ZONEFERRY_FAULT_ROWS=all tests/e2e/fault_table_test.py      # every row, and rewrites its tables in docs/faults.md
    ZONEFERRY_FAULT_ROWS=7 ...                                  # CI: a random part, nothing is written
    ZONEFERRY_FAULT_ROWS="killed, source" ...                   # those that begin so
"""
import errno
import os
import pathlib
import random
import signal
import sys

import faults
from fault_points import DISK, ERROR, SYNC, Sweep, chosen, is_stopped, wake
from faults import FaultTest, install_plain, wait_for

ROWS = os.environ.get("ZONEFERRY_FAULT_ROWS", "7")
SEED = int(os.environ.get("ZONEFERRY_FAULT_SEED", random.randrange(1 << 30)))
DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/faults.md"
# What the struck agent has just made durable.
PHASES = [("source", event) for event in ("begun", "prepared", "quiesced", "sent", "verified", "staged", "released",
                                          "owned", "activated")] + \
         [("target", event) for event in ("begun", "ready", "owned", "activated")]
PATIENCE_S = 3   # retry_s, quiesced_retry_s and answer_s of these agents
SHORT_S = 1      # how long a link or a disk is away: shorter than that,
LONG_S = 10      # and longer than the patience;
LONGEST_S = 20   # longer than every time-out after another: the answer's, the patience, a connection's (10 s)
ENDS_S = 40      # how long a command is waited for when all is well again; a target looks after its moves every 15 s
DAY_S = 86_400


class Fault:
    """A fault: strike() while the agent stands still at the event, then it goes on, then heal()."""

    def __init__(self, name, strike, heal=lambda case: None, lasts_s=0, goes_on=True):
        self.name, self.strike, self.heal, self.lasts_s, self.goes_on = name, strike, heal, lasts_s, goes_on


class Case:
    """One row while it runs."""

    def __init__(self, sweep, role, event):
        self.sweep, self.role, self.event = sweep, role, event
        self.home = sweep.holder()
        self.victim = self.home if role == "source" else sweep.test.other(self.home)
        self.points = sweep.points[self.victim.name]

    def wake(self):
        wake(self.sweep.test.agents[self.victim.name].process)

    def kill(self):
        os.kill(self.sweep.test.agents[self.victim.name].process.inner_pid, signal.SIGKILL)
        self.wake()
        self.sweep.test.agents[self.victim.name].process.wait()

    def kill_both(self):
        self.kill()
        self.sweep.test.agents[self.sweep.test.other(self.victim).name].kill()

    def cut_one_way(self):
        rules = "table inet cut { chain out { type filter hook output priority 0; oifname san0 drop; }; }"
        self.victim.run(["nft", "-f", "/dev/stdin"], input=rules)

    def heal_one_way(self):
        self.victim.run(["nft", "delete", "table", "inet", "cut"], check=False)


def cut(case):
    case.victim.cut_link()


def heal_cut(case):
    case.victim.heal_link()


def disk(error, classes=DISK):
    return lambda case: case.points.arm(ERROR, 1, error=error, classes=classes, calls=1 << 40)


def clock(seconds):
    return lambda case: case.points.arm(clock_s=seconds)


def well(case):
    case.points.arm()


FAULTS = [
    Fault("killed", Case.kill, goes_on=False),
    Fault("both agents killed", Case.kill_both, goes_on=False),
    Fault(f"stopped {LONGEST_S} s", lambda case: None, lasts_s=LONGEST_S, goes_on=False),
    Fault(f"link cut {SHORT_S} s", cut, heal_cut, SHORT_S),
    Fault(f"link cut {LONGEST_S} s", cut, heal_cut, LONGEST_S),
    Fault(f"link cut one way {SHORT_S} s", Case.cut_one_way, Case.heal_one_way, SHORT_S),
    Fault(f"link cut one way {LONGEST_S} s", Case.cut_one_way, Case.heal_one_way, LONGEST_S),
    Fault(f"disk full (ENOSPC) {SHORT_S} s", disk(errno.ENOSPC), well, SHORT_S),
    Fault(f"disk full (ENOSPC) {LONG_S} s", disk(errno.ENOSPC), well, LONG_S),
    Fault(f"read-only (EROFS) {LONG_S} s", disk(errno.EROFS), well, LONG_S),
    Fault(f"disk broken (EIO) {LONG_S} s", disk(errno.EIO), well, LONG_S),
    Fault(f"fsync fails (EIO) {LONG_S} s", disk(errno.EIO, SYNC), well, LONG_S),
    Fault("clock +30 d", clock(30 * DAY_S), well, SHORT_S),
    Fault("clock -1 d", clock(-DAY_S), well, SHORT_S),
]


class FaultTableTest(FaultTest):
    phases = PHASES
    section = ""  # of docs/faults.md; the first one is what stands before all others
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
        self.assertTrue(wait_for(lambda: is_stopped(pid) or process.poll() is not None, every_s=0.005))
        struck = is_stopped(pid)
        fault.strike(case)
        if fault.goes_on:
            case.wake()
        wait_for(lambda: False, fault.lasts_s, 0.1)
        fault.heal(case)
        if agent.poll() is None:
            case.wake()
            wait_for(lambda: process.poll() is not None, ENDS_S, 0.02)
        where = sweep.finish(home, away, process, f"{fault.name}, {role} {event}")
        self.assertTrue(struck, f"the move was over before: {where}, {process.returncode} {sweep.told}")
        return where, process.returncode

    def test_every_fault_at_every_phase(self):
        every = [(fault, role, event) for fault in FAULTS for role, event in self.phases]
        named = [row for row in every if f"{row[0].name}, {row[1]} {row[2]}".startswith(ROWS)]
        rows = named or chosen(every, ROWS, SEED)
        print(f"{len(rows)} of {len(every)} rows, seed {SEED}", file=sys.stderr)
        sweep = Sweep(self, "plain")
        seen = {}
        for fault, role, event in rows:
            with self.subTest(fault=fault.name, role=role, event=event):
                sweep.recover()
                seen[fault.name, role, event] = self.strike(sweep, fault, role, event)
                print(f"{fault.name}, {role} {event}: {seen[fault.name, role, event]}", file=sys.stderr, flush=True)
        if len(seen) == len(every):
            write_section(self.section, tables(seen, self.phases, "###" if self.section else "##"))

    def test_the_document_has_every_row(self):
        text = sections(DOCUMENT.read_text(encoding="utf8"))[self.section]
        for fault in FAULTS:
            lines = [line for line in text.splitlines() if line.startswith(f"| {fault.name} |")]
            phases = [[event for of, event in self.phases if of == role] for role in ("source", "target")]
            self.assertEqual([line.count("|") for line in lines], [len(events) + 2 for events in phases], fault.name)
            for events in phases:
                self.assertIn(f"| fault | {' | '.join(events)} |", text)


def tables(seen, phases, level):
    """What was seen, in two tables."""
    lines = []
    for role in ("source", "target"):
        events = [event for of, event in phases if of == role]
        lines += [f"{level} At the {role}", "", "| fault | " + " | ".join(events) + " |", "|---" * (len(events) + 1) + "|"]
        for fault in FAULTS:
            cells = []
            for event in events:
                where, status = seen[fault.name, role, event]
                cells.append(f"{where.replace('at home as before', 'home')} {status}")
            lines.append(f"| {fault.name} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


OVER_STORAGE = "\n## Over "
DEATHS = "\n## Killed at every call"


def sections(text):
    """{name: text} of the document: "" is the one over no shared storage."""
    text, deaths = text.split(DEATHS)
    first, *others = text.split(OVER_STORAGE)
    found = {"": first}
    for other in others:
        name, _, rest = other.partition("\n")
        found["Over " + name] = rest
    return {**found, "deaths": deaths}


def write_section(name, made):
    """Its tables in docs/faults.md anew; the words before them stay."""
    text = DOCUMENT.read_text(encoding="utf8")
    old = sections(text)[name]
    begin = old.index("### At the source" if name else "## At the source")
    DOCUMENT.write_text(text.replace(old[begin:], made), encoding="utf8")


if __name__ == "__main__":
    faults.main()
