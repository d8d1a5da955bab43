#!/usr/bin/python3
"""A host loses its power at any call of its agent that changes anything: what was not synced is gone. The host boots
again from what its disk really held then, and the questions of fault_points.py are asked.

What the agent writes (state directory, /etc/zones, the zones' trees) lies on an ext4 of its own on a loop device, which
writes nothing out by itself for ten minutes. The moment the agent is killed the device's file is copied: that is the
disk after the power cut. The host goes down with all its processes, the copy takes the place of the file, and the next
boot replays the file system's journal.

    ZONEFERRY_CUTS=all tests/e2e/power_cut_test.py      # at every call on each side, and of both hosts; CI: 12
    ZONEFERRY_CUTS=both:72 ZONEFERRY_FAULT_SEED=17 ...  # one of them

Not covered: torn sectors, and a disk that reorders what lies between two flushes; ext4 writes its journal in order, so
one fsync makes what came before it durable, too. The simulation (tests/sim) loses each change by itself.
"""
import os
import random
import subprocess
import sys

import faults
from fault_points import ERROR, KILL, SYNC, Sweep, select_wait
from faults import FaultTest, install_plain

CUTS = os.environ.get("ZONEFERRY_CUTS", "12")
SEED = int(os.environ.get("ZONEFERRY_FAULT_SEED", random.randrange(1 << 30)))
PLACES = ("/var/lib/zoneferry", "/etc/zones", "/export/zones")
IMAGE_BYTES = 4 << 30  # sparse: some 20 MiB are used; the check wants room


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


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
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-N", "4096", "-J", "size=4", str(self.image))
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

    def cut_power(self):
        """As it was synced; the host is down until boot()."""
        after = self.image.with_suffix(".after")
        run("cp", "--sparse=always", "--reflink=auto", str(self.image), str(after))
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
        install_plain(cls.host1, "plain", megabytes=1, files=4)
        cls.disks = {}
        for host in cls.hosts:
            disk = cls.disks[host.name] = Disk(host, cls.hosts.scratch)
            cls.addClassCleanup(disk.remove)
            disk.make()
            cls.agents[host.name].process.wait()
            cls.agents[host.name].start()

    def cut_power(self, sweep, hosts):
        """Of these hosts at once; they boot again, and their agents start."""
        dark = [self.disks[host.name] for host in hosts]
        for disk in dark:
            disk.cut_power()
        for disk in dark:
            disk.boot()
        for disk in dark:
            self.agents[disk.host.name].process.wait()
            sweep.restart(disk.host)
            sweep.mounts[disk.host.name] = sweep._mounts(disk.host)  # pylint: disable=protected-access


class PowerCutTest(DiskTest):
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
        if ":" in CUTS:
            role, number = CUTS.split(":")
            return [(role, int(number))]
        lengths = sweep.length()
        self.assertIs(sweep.holder(), self.host2, self.agents["host1"].log()[-2000:])
        every = [(role, number) for role, length in lengths.items() for number in range(1, length + 1)]
        every += [("both", number) for number in range(1, lengths["source"] + 1)]
        print(f"{lengths} calls, seed {SEED}", file=sys.stderr)
        return every if CUTS == "all" else random.Random(SEED).sample(every, int(CUTS))

    def test_power_cut_at_any_call(self):
        sweep = Sweep(self, "plain")
        for role, number in self.points(sweep):
            with self.subTest(role=role, number=number):
                outcome = self.cut_at(sweep, role, number)
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
