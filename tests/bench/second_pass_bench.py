#!/usr/bin/python3
"""What a second pass costs, ours and by rsync over ssh, over one connection in the same run: nothing changed, 1 % of the
files changed, and 64 scattered writes of 16 KiB in a file of 512 MiB (rsync --inplace).

    cmake --preset release && cmake --build --preset release --target stream_bench
    sudo tests/bench/second_pass_bench.py [--images /var/tmp] [--rounds 3] [--json FILE] [ENTRIES...]    # 100000

Unshaped link, warm cache; files of 0 to 63 bytes, 1000 in a directory. Times are whole: rsync from its start to its
end; ours *walked* the same way, a process of its own; ours *tracked* from the word to a process that has followed the
source since the pass before, as an agent does, to its answer: connecting and the target's sync are in it. A million
entries want some 12 GB: --images on a disk.
"""
import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from bench_hosts import ADDRESS, Ends, MemoryWatch, run  # noqa: E402
from stream_bench import REPOSITORY, RSYNC, Peers, wait_for_port  # noqa: E402

BINARIES = REPOSITORY / "build/release/tests/bench"
LARGE_BYTES, WRITE_BYTES, WRITES = 512 << 20, 16 << 10, 64


def make_files(place, entries, chance):
    for number in range(entries):
        directory = place / str(number // 1000)
        if number % 1000 == 0:
            directory.mkdir()
        (directory / f"file{number}").write_bytes(chance.randbytes(chance.randrange(64)))


def change_files(place, entries, chance):
    for number in range(0, entries, 100):
        (place / str(number // 1000) / f"file{number}").write_bytes(chance.randbytes(64))


def make_large(place, chance):
    with open(place / "database", "wb") as file:
        for _ in range(LARGE_BYTES >> 20):
            file.write(chance.randbytes(1 << 20))


def change_blocks(place, chance):
    with open(place / "database", "r+b") as file:
        for _ in range(WRITES):
            file.seek(chance.randrange(LARGE_BYTES - WRITE_BYTES))
            file.write(chance.randbytes(WRITE_BYTES))


class Tree:
    """One source, and a target of each way to copy it. Each way returns (seconds, MB on the wire)."""

    def __init__(self, ends, peers, name):
        self.ends, self.peers = ends, peers
        self.source = ends.directory["source"] / name
        self.targets = {way: ends.directory["target"] / f"{name}-{way}" for way in ("rsync", "ours")}
        for place in (self.source, *self.targets.values()):
            place.mkdir(mode=0o755)
        self.catalog = peers.keys / f"catalog-{name}"
        self.follower = None

    def close(self):
        if self.follower:
            self.follower.stdin.close()
            self.follower.wait()
        for place in (self.source, *self.targets.values()):
            run(["rm", "-rf", place])

    def timed(self, action):
        link, begin = self.ends.link_bytes(), time.monotonic()
        action()
        return time.monotonic() - begin, (self.ends.link_bytes() - link) / 1e6

    def rsync(self, options=""):
        keys = self.peers.keys
        ssh = (f"ssh -p 2222 -i {keys}/id -F none -o UserKnownHostsFile={keys}/known "
               "-o StrictHostKeyChecking=no -o LogLevel=ERROR -o Compression=no")
        target = f"root@{ADDRESS['target']}:{self.targets['rsync']}/"
        command = f'{RSYNC} --delete {options} -e "{ssh}" {self.source}/ {target}'
        return self.timed(lambda: self.end(self.ends.start("source", ["bash", "-c", command])))

    def walked(self):
        receiver = self.receive()
        words = [BINARIES / "stream_bench", "send", self.peers.keys, ADDRESS["target"], self.source, self.catalog]
        return self.timed(lambda: self.end(self.ends.start("source", words, stdout=subprocess.DEVNULL), receiver))

    def follow(self):
        """Everything is walked once more, and followed from then on."""
        if not self.follower:
            self.follower = self.ends.start("source", [BINARIES / "stream_bench", "follow", self.peers.keys,
                                                       ADDRESS["target"], self.source, self.catalog], text=True,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.say("walk")

    def tracked(self):
        return self.say("last")

    def say(self, word):
        receiver = self.receive()

        def ask():
            self.follower.stdin.write(word + "\n")
            self.follower.stdin.flush()
            answer = json.loads(self.follower.stdout.readline())
            if answer["walked_because"]:
                raise RuntimeError(f"not tracked: {answer['walked_because']}")
            self.end(receiver)
        return self.timed(ask)

    def receive(self):
        process = self.ends.start("target", [BINARIES / "stream_bench", "receive", self.peers.keys, ADDRESS["target"],
                                             self.targets["ours"]], stdout=subprocess.DEVNULL)
        wait_for_port(self.ends, 7743)
        return process

    @staticmethod
    def end(*processes):
        for process in processes:
            if process.wait() != 0:
                raise RuntimeError(f"{process.args} ended with {process.returncode}")

    def check(self):
        """Both copies are like the source, says rsync."""
        for way, target in self.targets.items():
            left = subprocess.run(["rsync", "-aHAXSnc", "--delete", "--itemize-changes", f"{self.source}/", target],
                                  check=True, capture_output=True, text=True).stdout
            if left:
                raise RuntimeError(f"{way}: {left[:500]}")


class Table:
    def __init__(self):
        self.rows = []

    def add(self, label, **runs):
        """runs: way -> [(seconds, MB), ...]; the medians, and against rsync."""
        medians = {way: [statistics.median(each) for each in zip(*values)] for way, values in runs.items()}
        self.rows.append({"case": label, "runs": runs, "medians": medians})
        for way, (seconds, megabytes) in medians.items():
            ratio = "" if way == "rsync" else f"{medians['rsync'][0] / seconds:8.1f} times faster than rsync"
            print(f"{label:32} {way:8} {seconds:8.3f} s {megabytes:9.3f} MB {ratio}", flush=True)


def many_files(ends, peers, table, entries, rounds, chance):
    tree = Tree(ends, peers, str(entries))
    make_files(tree.source, entries, chance)
    with MemoryWatch(ends) as memory:
        first = tree.walked()
    table.add(f"{entries} entries, full", rsync=[tree.rsync()], ours=[first])
    print(f"{entries} entries: ours held {memory.peak_mb('source'):.0f} MB at the source, "
          f"{memory.peak_mb('target'):.0f} MB at the target", flush=True)
    for label, change in (("nothing changed", False), ("1 % changed", True)):
        rsync, tracked, walked = [], [], []
        for _ in range(rounds):
            tree.follow()
            if change:
                change_files(tree.source, entries, chance)
            rsync.append(tree.rsync())
            tracked.append(tree.tracked())
            if change:
                change_files(tree.source, entries, chance)
            walked.append(tree.walked())
        tree.rsync()
        table.add(f"{entries} entries, {label}", rsync=rsync, walked=walked, tracked=tracked)
    tree.check()
    tree.close()


def large_file(ends, peers, table, rounds, chance):
    tree = Tree(ends, peers, "large")
    make_large(tree.source, chance)
    table.add("512 MiB, full", rsync=[tree.rsync()], ours=[tree.walked()])
    rsync, walked = [], []
    for _ in range(rounds):
        change_blocks(tree.source, chance)
        rsync.append(tree.rsync("--inplace"))
        walked.append(tree.walked())
    table.add("512 MiB, 64 writes", rsync=rsync, walked=walked)
    tree.check()
    tree.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entries", nargs="*", type=int, default=[100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", default="/dev/shm", help="where the ext4 images lie (tmpfs: no disk is measured)")
    parser.add_argument("--json", default="second_pass_bench.json")
    words = parser.parse_args()
    chance = random.Random(2)
    table = Table()
    megabytes = 3000 + max(words.entries) // 100
    with Ends(words.images, megabytes, BINARIES, source_mb=megabytes, bytes_per_inode=4096) as ends:
        peers = Peers(ends, BINARIES, ends.scratch / "keys")
        peers.make_keys()
        ends.start("target", ["bash", "-c", peers.sshd])
        wait_for_port(ends, 2222)
        for entries in words.entries:
            many_files(ends, peers, table, entries, words.rounds, chance)
        large_file(ends, peers, table, words.rounds, chance)
        ends.end_processes()
    pathlib.Path(words.json).write_text(json.dumps(table.rows, indent=1))


if __name__ == "__main__":
    main()
