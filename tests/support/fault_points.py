"""Faults at a chosen call of an agent: the page that fault_shim.cpp reads, and a sweep of moves with a fault in each.

    points = Points(host)                 # before the agent starts
    agent.start(wrapper=points.wrapper)
    points.arm(KILL, 17)                  # the 17th call from now that changes anything
    ...
    points.fired()                        # "renameat2", or "" when the agent made fewer calls

One zone wanders between two hosts. After every fault the agents run again and check() asks: does exactly one host hold
the zone and may run it, is its tree byte for byte what it was, is nothing left behind, did the command tell the truth?
"""
import contextlib
import hashlib
import json
import mmap
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import threading
import time

from faults import moves, owner_states, wait_for
from ferry import ZONES, ferry, zone_path, zone_states

KILL, STOP, ERROR, KILL_AFTER, STOP_KILL = 1, 2, 3, 4, 5
NAMES, DATA, SYNC, SOCKET, PROCESS = 1, 2, 4, 8, 16
ALL = NAMES | DATA | SYNC | SOCKET | PROCESS
DISK = NAMES | DATA | SYNC
HEAD = struct.Struct("<QQQIiIIq64s")
INSIDE = "/var/tmp/faults.page"
ENDS = 3600  # calls: no fault lasts longer than a move


class Points:
    """The page that a host's agent shares with the test."""

    def __init__(self, host):
        path = host.path(INSIDE)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(4096))
        with open(path, "r+b") as file:
            self._page = mmap.mmap(file.fileno(), 4096)
        self.wrapper = ["env", "LD_PRELOAD=/opt/zoneferry/bin/fault_shim.so", f"ZONEFERRY_FAULTS={INSIDE}"]

    def arm(self, action=0, at=0, calls=ENDS, error=0, classes=ALL, clock_s=0):
        """at: the number of the call from now on; calls: how many calls fail from there (ERROR)."""
        self._page[:HEAD.size] = HEAD.pack(0, at, at + calls, action, error, classes, 0, clock_s, b"")

    def count(self):
        return HEAD.unpack(self._page[:HEAD.size])[0]

    def fired(self):
        fields = HEAD.unpack(self._page[:HEAD.size])
        return fields[8].rstrip(b"\0").decode() if fields[6] else ""


def tree_digest(top):
    """Names, kinds, modes, owners, times and contents of a plain tree, as one number."""
    digest = hashlib.sha256()
    for directory, names, files in os.walk(top):
        names.sort()
        for name in sorted([*names, *files]):
            path = os.path.join(directory, name)
            info = os.lstat(path)
            digest.update(f"{os.path.relpath(path, top)} {info.st_mode} {info.st_uid} {info.st_gid} ".encode())
            if os.path.islink(path):
                digest.update(os.readlink(path).encode())
            elif os.path.isfile(path):
                digest.update(f"{info.st_mtime_ns} ".encode() + pathlib.Path(path).read_bytes())
    return digest.hexdigest()


def runners(host):
    """Pids of what runs zones on a host: its supervisors and its containers."""
    found = []
    for directory, _, files in os.walk(host._cgroup):  # pylint: disable=protected-access
        if "cgroup.procs" not in files:
            continue
        for pid in pathlib.Path(directory, "cgroup.procs").read_text().split():
            try:
                command = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:
                continue
            if command in ("zoneadmd", "systemd-nspawn", "nspawn"):
                found.append(int(pid))
    return found


class Observer:
    """Looks all the time, from outside, on which hosts a zone's init runs; more than one is the worst that can be."""

    def __init__(self, hosts, name):
        self.hosts, self.name, self.seen, self.twice = list(hosts), name, set(), []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _runs(self, host):
        """A process in the zone's own cgroup below the host's, that is not its supervisor."""
        for directory, names, files in os.walk(host._cgroup):  # pylint: disable=protected-access
            if self.name not in directory or "cgroup.procs" not in files:
                continue
            try:
                if "payload" in directory and pathlib.Path(directory, "cgroup.procs").read_text().strip():
                    return True
            except OSError:
                pass
        return False

    def _look(self):
        while not self._stop.wait(0.002):
            running = [host.name for host in self.hosts if self._runs(host)]
            self.seen.update(running)
            if len(running) > 1:
                self.twice.append(time.monotonic())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()


def chosen(every, how_many, seed):
    """"all" of a list, every third from the second on ("2/3": so that three runs side by side are all of it), or so many
    of it at random."""
    if "/" in how_many:
        part, parts = map(int, how_many.split("/"))
        return every[part - 1::parts]
    if how_many == "all" or int(how_many) >= len(every):
        return every
    return random.Random(seed).sample(every, int(how_many))


class Sweep:
    """A zone that wanders through faults. test: a FaultTest (hosts and agents)."""

    def __init__(self, test, zone, runs=False):
        self.test, self.zone, self.runs = test, zone, runs
        self.points = {}
        for host in test.hosts:
            self.points[host.name] = Points(host)
            self.restart(host)
        self.digest = self.stamp(self.holder())
        self.mounts = {host.name: self._mounts(host) for host in test.hosts}
        self.told = ("", "")  # what the last command has said
        self.rows = []  # (fault, phase it struck in, outcome)

    def stamp(self, host):
        return tree_digest(self.test.tree(host, self.zone) / "root/srv")

    def _mounts(self, host):
        """How many mounts there are on a host, but that of a LUN that goes with the zone."""
        lines = pathlib.Path(f"/proc/{host.pid}/mounts").read_text().splitlines()
        return len([line for line in lines if not self._is_lun(line)])

    def _is_lun(self, line):
        return self.test.storage is not None and line.split()[1] == zone_path(self.zone) and line.startswith("/dev/loop")

    def _has_lun(self, host):
        return any(map(self._is_lun, pathlib.Path(f"/proc/{host.pid}/mounts").read_text().splitlines()))

    def restart(self, host, env=None):
        agent = self.test.agents[host.name]
        if agent.process.poll() is None:
            agent.kill()
        self.points[host.name].arm()
        agent.start(wrapper=self.points[host.name].wrapper, env=env)

    def recover(self):
        """After a case that failed in its middle: well again, so that the next one tells the truth."""
        if self.holder() is not None and self.test.is_quiet(0):
            return
        for host in self.test.hosts:
            host.heal_link()
            host.run(["nft", "flush", "ruleset"])
            self.restart(host)
        well = wait_for(lambda: self.holder() is not None and self.test.is_quiet(0), 60, 0.1)
        self.test.assertTrue(well, "the hosts do not recover from the case before")

    def holder(self):
        """The one host whose records let it run the zone; None when there is none or more."""
        holders = []
        for host in self.test.hosts:
            index = host.path("/etc/zones/index")
            lines = index.read_text().splitlines() if index.exists() else []
            states = {line.split(":")[0]: line.split(":")[1] for line in lines if line and line[0] != "#"}
            if states.get(self.zone) == "installed" and owner_states(host).get(self.zone) in (None, "owned"):
                holders.append(host)
        return holders[0] if len(holders) == 1 else None

    def move(self, *words):
        """Starts the move from where the zone is: (home, away, the process)."""
        home = self.holder()
        away = self.test.other(home)
        process = home.popen(["zoneferry", "--format", "json", "move", self.zone, away.name, "--remove-source", *words],
                             text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return home, away, process

    def finish(self, home, away, process, fault, reuse=False):
        """Everything runs again: waits until it is over, and asks the questions. Returns the outcome."""
        for host in self.test.hosts:
            self.points[host.name].arm()
            if self.test.agents[host.name].process.poll() is not None or not reuse:
                self.restart(host)
        if reuse and not self.test.is_quiet(2):
            for host in self.test.hosts:
                self.restart(host)  # they ask each other at their start, else every 15 s
        stdout, stderr = process.communicate(timeout=120)
        self.told = (stdout[-800:], stderr[-500:])
        ends = [line for line in map(json.loads, stdout.splitlines()) if line.get("type") == "end"]
        self.test.settle(90)
        wait_for(lambda: self.problems(home, away, ends, process.returncode) == [], 30, 0.1)
        problems = self.problems(home, away, ends, process.returncode)
        if problems:
            print(f"{fault}: {problems}", file=sys.stderr, flush=True)
            logs = "\n".join(f"{host.name}: {self.test.agents[host.name].log()[-2500:]}" for host in self.test.hosts)
            raise AssertionError(f"{fault}: {problems}\n{self.told}\n{logs}")
        outcome = "moved" if self.holder() is away else "at home as before"
        self.rows.append((fault, outcome))
        return outcome

    def problems(self, home, away, ends, status):
        """What is wrong now; empty: nothing."""
        found = []
        here = self.holder()
        if here is None:
            return [f"holders: {[(h.name, owner_states(h), zone_states(h)) for h in self.test.hosts]}"]
        there = self.test.other(here)
        if not (self.test.tree(here, self.zone) / "root").exists() or self.stamp(here) != self.digest:
            found.append(f"the tree on {here.name} differs")
        for host in self.test.hosts:
            hidden = [path.name for path in host.path(ZONES).iterdir() if path.name.startswith(".")]
            left = [path.name for path in host.path("/var/lib/zoneferry/moves").iterdir()]
            found += [f"{host.name}: left behind {name}" for name in hidden + left]
            if {"incoming", "frozen"} & set(owner_states(host).values()):
                found.append(f"{host.name}: {owner_states(host)}")
            running = runners(host)
            if running and not (self.runs and host is here):
                found.append(f"{host.name}: processes {running}")
            if host is there and self._has_lun(host):
                found.append(f"{host.name}: has the LUN mounted")
            if not self.runs and self._mounts(host) != self.mounts[host.name]:
                found.append(f"{host.name}: mounts {self._mounts(host)}, not {self.mounts[host.name]}")
        if zone_states(there).get(self.zone) == "running":
            found.append(f"runs on {there.name}")
        if self.runs and zone_states(here).get(self.zone) != "running":
            found.append(f"does not run on {here.name}")
        is_kept = there.path(zone_path(self.zone) + "/root").exists() and self.test.make_storage is None
        if here is away and is_kept and there is home:
            found.append(f"{home.name}: the copy that should be deleted is still there")
        if ends and ends[-1]["exit_code"] == 0 and here is not away:
            found.append("the command said that it moved")
        if status == 0 and here is not away:
            found.append("exit status 0, and it is not there")
        if ends and status in (10, 11, 12) and "as before" in ends[-1].get("message", "") and here is not home:
            found.append("the command said that it is at home")
        return found

    def length(self):
        """How many calls of each agent one undisturbed move takes: {"source": n, "target": m}."""
        for points in self.points.values():
            points.arm()
        home, away, process = self.move()
        process.communicate(timeout=120)
        self.test.assertTrue(wait_for(lambda: self.holder() is away), "an undisturbed move does not arrive")
        counts = {"source": self.points[home.name].count(), "target": self.points[away.name].count()}
        self.finish(home, away, process, "none", reuse=True)
        return counts

    def kill_at_each(self, how_many, seed):
        """A move with a death at every call of either side (all), at some, or at the one named ("source:72"); says how
        many of how many were seen."""
        if ":" in how_many:
            role, number = how_many.split(":")
            return self.kill_at(role, int(number))
        lengths = self.length()
        every = [(role, number) for role, length in lengths.items() for number in range(1, length + 1)]
        points = chosen(every, how_many, seed)
        print(f"{lengths} calls, {len(points)} of {len(every)} deaths, seed {seed}", file=sys.stderr, flush=True)
        begin = len(self.rows)
        for done, (role, number) in enumerate(points):
            if done % 100 == 99:
                print(f"{done + 1} done", file=sys.stderr, flush=True)
            with self.test.subTest(role=role, number=number):
                self.kill_at(role, number)
        done = self.rows[begin:]
        never = sum(fault.endswith("no call") for fault, _ in done)
        moved = sum(outcome == "moved" for _, outcome in done)
        print(f"killed at {len(done) - never} calls ({never} moves made fewer calls), {len(points) - len(done)} "
              f"failures; moved {moved}, at home {len(done) - moved}", file=sys.stderr, flush=True)
        return done

    def kill_at(self, role, number, action=KILL):
        """One move with the death of one agent at its number-th call."""
        home = self.holder()
        victim = home if role == "source" else self.test.other(home)
        self.points[victim.name].arm(action, number)
        home, away, process = self.move()
        agent = self.test.agents[victim.name].process
        while process.poll() is None and agent.poll() is None:
            select_wait(process, agent)
        call = self.points[victim.name].fired()
        if call and action == KILL:
            agent.wait(timeout=20)  # the command may notice the death before nsenter does
        return self.finish(home, away, process, f"{role} killed at {call or 'no call'}", reuse=True)

    def fail_at(self, role, number, error, calls=ENDS, classes=DISK):
        """One move in which that many calls fail, from the number-th on; then the disk is well again."""
        home = self.holder()
        victim = home if role == "source" else self.test.other(home)
        self.points[victim.name].arm(ERROR, number, calls, error, classes)
        home, away, process = self.move()
        wait_for(lambda: process.poll() is not None, 12, 0.02)
        call = self.points[victim.name].fired()
        self.points[victim.name].arm()
        return self.finish(home, away, process, f"{role}: {os.strerror(error)} at {call or 'no call'}")


def is_stopped(pid):
    """The state of a process is T."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:
        return False


def wake(process):
    """SIGCONT to an agent, and to the nsenter that stops itself when its child stops."""
    for pid in (process.pid, process.inner_pid):
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it may have been killed just now
                os.kill(pid, signal.SIGCONT)


def select_wait(*processes):
    """Until one of them ends, or a tenth of a second."""
    deadline = time.monotonic() + 0.1
    while time.monotonic() < deadline and all(process.poll() is None for process in processes):
        time.sleep(0.005)


__all__ = ["ALL", "DISK", "ERROR", "KILL", "KILL_AFTER", "Observer", "Points", "STOP", "STOP_KILL", "SYNC", "Sweep",
           "chosen", "is_stopped", "signal", "wake"]
