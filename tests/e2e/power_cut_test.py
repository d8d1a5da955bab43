#!/usr/bin/python3
"""A host loses its power at any call of its agent that changes anything: what was not synced is gone. The host boots
again from what its disk really held then, and the questions of fault_points.py are asked.

What the agent writes (state directory, /etc/zones, the zones' trees) lies on an ext4 of its own on a loop device, which
writes nothing out by itself for ten minutes. The moment the agent is killed the device's file is copied: that is the
disk after the power cut. The host goes down with all its processes, the copy takes the place of the file, and the next
boot replays the file system's journal.

    ZONEFERRY_CUTS=all tests/e2e/power_cut_test.py      # at every call on each side, and of both hosts; CI: 12
    ZONEFERRY_CUTS=both:72 ...                          # one of them; both:72-90: these
    ZONEFERRY_TEARS=all ...                             # within every sync on each side; CI: 6
    ZONEFERRY_RUNNING_CUTS=40 ...                       # with a zone that runs; CI: 3

Within a sync (TornWritesTest): of the sectors that it writes any part is there, in any order, each of 512 bytes as it
was or as it became, until the file system's own record that closes them (ext4 flushes before that one). So database
pages, files and directories are torn, and what was synced before must still do. The simulation (tests/sim) loses each
change by itself.
"""
import os
import pathlib
import random
import subprocess
import sys

import faults
from fault_points import ERROR, KILL, STOP_KILL, SYNC, Sweep, chosen, is_stopped, select_wait, wake
from faults import FaultTest, install_plain, wait_for
from ferry import make_zone

CUTS = os.environ.get("ZONEFERRY_CUTS", "12")
TEARS = os.environ.get("ZONEFERRY_TEARS", "6")
RUNNING_CUTS = os.environ.get("ZONEFERRY_RUNNING_CUTS", "3")
SEED = int(os.environ.get("ZONEFERRY_FAULT_SEED", random.randrange(1 << 30)))
PLACES = ("/var/lib/zoneferry", "/etc/zones", "/export/zones")
IMAGE_BYTES = 4 << 30  # sparse: some 20 MiB are used; the check wants room
JOURNAL_MIB = 64       # of ext4: nothing is written to its place before the test is over
BLOCK, SECTOR = 4096, 512
COMMIT_BLOCK = bytes.fromhex("c03b3998 00000002")  # how a record begins that closes a transaction of ext4's journal


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def data_blocks(file):
    """The numbers of the blocks of a sparse file that hold data."""
    end, size = 0, os.fstat(file.fileno()).st_size
    while end < size:
        try:
            begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
        yield from range(begin // BLOCK, -(-end // BLOCK))


def tear(before, after, generator):
    """Of what was written from one image to the other, in place: each block is as before, as after, or mixed of both
    by sectors; none that closes a transaction is there. Returns how many blocks differ."""
    differ = 0
    with open(before, "rb") as old_file, open(after, "r+b") as new_file:
        for number in list(data_blocks(new_file)):
            old = os.pread(old_file.fileno(), BLOCK, number * BLOCK).ljust(BLOCK, b"\0")
            new = os.pread(new_file.fileno(), BLOCK, number * BLOCK)
            if old == new:
                continue
            differ += 1
            share = 0 if new.startswith(COMMIT_BLOCK) else generator.choice((0, 0.5, 1))
            mixed = b"".join((new if generator.random() < share else old)[at:at + SECTOR]
                             for at in range(0, BLOCK, SECTOR))
            os.pwrite(new_file.fileno(), mixed, number * BLOCK)
    return differ


class Disk:
    """The disk of one host. Mounted in its tree from outside, so that the host boots with it."""

    def __init__(self, host, directory):
        self.host = host
        self.image = directory / f"{host.name}.disk"
        self.mounted = directory / f"{host.name}.mounted"
        self.loop = None

    def make(self):
        """Moves what the places hold to a new disk; the host reboots."""
        self.mounted.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(IMAGE_BYTES)
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-N", "4096", "-J", f"size={JOURNAL_MIB}", str(self.image))
        self.host.crash()
        self.attach()
        for number, place in enumerate(PLACES):
            self.host.path(place).mkdir(parents=True, exist_ok=True)
            run("cp", "-a", f"{self.host.path(place)}/.", str(self.mounted / str(number)))
        run("sync", "-f", str(self.mounted))
        self.bind()
        self.host.start()

    def attach(self):
        self.loop = run("losetup", "--find", "--show", str(self.image))
        run("mount", "-o", "commit=600", self.loop, str(self.mounted))

    def bind(self):
        for number, place in enumerate(PLACES):
            run("mount", "--bind", str(self.mounted / str(number)), str(self.host.path(place)))

    def detach(self):
        for place in (*map(self.host.path, PLACES), self.mounted):
            while os.path.ismount(place):
                run("umount", str(place))
        if self.loop:
            run("losetup", "--detach", self.loop)
            self.loop = None

    def _written(self):
        """How many writes the disk has done, and how many requests are under way (Documentation/block/stat.rst)."""
        fields = pathlib.Path(f"/sys/block/{pathlib.Path(self.loop).name}/stat").read_text().split()
        return fields[4], fields[8]

    def copy(self, suffix):
        """What lies on the disk at one moment, without what the host has in memory only. Copied again when the disk was
        written to meanwhile: else the copy could have a later block and lack an earlier one, as no disk ever does."""
        copy = self.image.with_suffix(suffix)
        for _ in range(100):
            before = self._written()
            run("cp", "--sparse=always", "--reflink=auto", str(self.image), str(copy))
            if self._written() == before and before[1] == "0":
                return copy
        raise AssertionError(f"{self.image} is written to all the time")

    def cut_power(self, change=None):
        """As it was synced; the host is down until boot(). change: is called with the image that comes back."""
        after = self.copy(".after")
        if change:
            change(after)
        self.host.crash()
        self.detach()
        after.rename(self.image)

    def boot(self):
        self.attach()
        self.bind()
        self.host.start()

    def remove(self):
        self.host.crash()
        self.detach()


class DiskTest(FaultTest):
    settings = {"quiesced_retry_s": 3, "retry_s": 3}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.make_zone()
        cls.disks = {}
        for host in cls.hosts:
            disk = cls.disks[host.name] = Disk(host, cls.hosts.scratch)
            cls.addClassCleanup(disk.remove)
            disk.make()
            cls.agents[host.name].process.wait()
            cls.agents[host.name].start()

    @classmethod
    def make_zone(cls):
        install_plain(cls.host1, "plain", megabytes=1, files=4)

    def cut_power(self, sweep, hosts, change=None):
        """Of these hosts at once; they boot again, and their agents start."""
        for host in hosts:
            if self.agents[host.name].process.poll() is None:
                self.agents[host.name].kill()  # writes no more
        dark = [self.disks[host.name] for host in hosts]
        for disk in dark:
            disk.cut_power(change)
        for disk in dark:
            disk.boot()
        for disk in dark:
            self.agents[disk.host.name].process.wait()
            sweep.restart(disk.host)
            sweep.mounts[disk.host.name] = sweep._mounts(disk.host)  # pylint: disable=protected-access


class PowerCutTest(DiskTest):
    zone_name, runs, cuts = "plain", False, CUTS

    def cut_at(self, sweep, role, number):
        """One move; the power goes at that call of the source's agent, the target's, or of both hosts at once."""
        home = sweep.holder()
        struck = sweep.test.other(home) if role == "target" else home
        sweep.points[struck.name].arm(KILL, number)
        home, away, process = sweep.move()
        agent = self.agents[struck.name].process
        while process.poll() is None and agent.poll() is None:
            select_wait(process, agent)
        call = sweep.points[struck.name].fired()
        self.cut_power(sweep, self.hosts if role == "both" else [struck])
        return sweep.finish(home, away, process, f"power cut, {role}, at {call or 'no call'}", reuse=True)

    def points(self, sweep):
        if ":" in self.cuts:
            role, numbers = self.cuts.split(":")
            first, _, last = numbers.partition("-")
            return [(role, number) for number in range(int(first), int(last or first) + 1)]
        lengths = sweep.length()
        self.assertIs(sweep.holder(), self.host2, self.agents["host1"].log()[-2000:])
        every = [(role, number) for role, length in lengths.items() for number in range(1, length + 1)]
        every += [("both", number) for number in range(1, lengths["source"] + 1)]
        print(f"{lengths} calls, {self.cuts} of {len(every)} cuts, seed {SEED}", file=sys.stderr)
        return chosen(every, self.cuts, SEED)

    def test_power_cut_at_any_call(self):
        sweep = Sweep(self, self.zone_name, self.runs)
        for role, number in self.points(sweep):
            with self.subTest(role=role, number=number):
                outcome = self.cut_at(sweep, role, number)
                print(f"{role} {number}: {sweep.rows[-1][0]}: {outcome}", file=sys.stderr, flush=True)


class RunningPowerCutTest(PowerCutTest):
    """The zone boots again with its host, wherever it belongs by then."""
    zone_name, runs, cuts = "runs", True, RUNNING_CUTS

    @classmethod
    def make_zone(cls):
        make_zone(cls.host1, "runs", sparse=True)
        faults.add_data(cls.host1, "runs", 1, 4)
        cls.host1.run(["zonecfg", "-z", "runs", "set autoboot=true"])


class TornWritesTest(DiskTest):
    def tear_at(self, sweep, role, number, generator):
        """One move; the power goes within that sync of the source's agent or the target's. The agent dies the moment the
        sync is over: what it would say of it then, a torn disk must not have heard."""
        home = sweep.holder()
        struck = sweep.test.other(home) if role == "target" else home
        points, agent = sweep.points[struck.name], self.agents[struck.name].process
        pid = agent.inner_pid
        points.arm(STOP_KILL, number, classes=SYNC)
        home, away, process = sweep.move()
        self.assertTrue(wait_for(lambda: is_stopped(pid) or process.poll() is not None, every_s=0.005))
        call, torn = points.fired(), []
        before = self.disks[struck.name].copy(".before")
        wake(agent)
        while process.poll() is None and agent.poll() is None:
            select_wait(process, agent)
        self.cut_power(sweep, [struck], lambda after: torn.append(tear(before, after, generator)))
        fault = f"power cut within {call or 'no call'}, {torn[0]} blocks torn, {role}"
        return sweep.finish(home, away, process, fault, reuse=True)

    def test_power_cut_within_any_sync(self):
        sweep = Sweep(self, "plain")
        for points in sweep.points.values():
            points.arm(classes=SYNC)
        home, away, process = sweep.move()
        process.communicate(timeout=60)
        lengths = {"source": sweep.points[home.name].count(), "target": sweep.points[away.name].count()}
        sweep.finish(home, away, process, "none", reuse=True)
        every = [(role, number) for role, length in lengths.items() for number in range(1, length + 1)]
        print(f"{lengths} syncs, {TEARS} of {len(every)} cuts, seed {SEED}", file=sys.stderr)
        generator = random.Random(SEED)
        for role, number in chosen(every, TEARS, SEED):
            with self.subTest(role=role, number=number):
                outcome = self.tear_at(sweep, role, number, generator)
                print(f"{role} {number}: {sweep.rows[-1][0]}: {outcome}", file=sys.stderr, flush=True)


class LyingDiskTest(DiskTest):
    def test_a_target_that_does_not_sync_is_found(self):
        """The test's own test: what cuts the power here does lose what was not synced."""
        sweep = Sweep(self, "plain")
        for host in self.hosts:
            sweep.points[host.name].arm(ERROR, 1, error=0, classes=SYNC, calls=1 << 40)
        home, away, process = sweep.move()
        stdout, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, stdout)
        self.assertIs(sweep.holder(), away)
        try:
            self.cut_power(sweep, [away])
        except RuntimeError:
            return  # its agent does not even start
        self.assertNotEqual(sweep.problems(home, away, [], 0), [])


if __name__ == "__main__":
    faults.main()
