#!/usr/bin/python3
"""Memory and time of passes over very many entries: a full pass and an unchanged one, over one connection.

    cmake --preset release && cmake --build --preset release --target stream_bench
    sudo tests/bench/many_entries.py [--images /dev/shm] [ENTRIES...]    # 10000 100000 1000000; also 10000000

Empty files, 1000 in a directory, on ext4. Ten million want 7 GB in the place of the images, and a quarter of an hour.
Every five seconds the kernel is told to forget names and inodes that nobody uses, as one that is short of memory does:
a kernel whose table of names is small (dhash_entries) is slow at every lookup else, whoever asks.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from bench_hosts import ADDRESS, Ends, MemoryWatch, run  # noqa: E402
from stream_bench import REPOSITORY, Peers, wait_for_port  # noqa: E402

BINARIES = REPOSITORY / "build/release/tests/bench"
PER_DIRECTORY, FORGET_EVERY_S = 1000, 5


class Forgetting:
    """with Forgetting(): names and inodes that nobody uses are dropped again and again."""

    def __init__(self):
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._done.wait(FORGET_EVERY_S):
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("2")

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *exception):
        self._done.set()
        self._thread.join()


def make_files(place, entries):
    for first in range(0, entries, PER_DIRECTORY):
        directory = place / f"{first // 100_000:04}" / f"{first // PER_DIRECTORY:06}"
        directory.mkdir(parents=True)
        fd = os.open(directory, os.O_RDONLY)
        for number in range(min(PER_DIRECTORY, entries - first)):
            os.close(os.open(f"f{number:03}", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
        os.close(fd)


def one_pass(ends, keys, source, target):
    """Seconds, and the peak memory of source and target in MB."""
    with MemoryWatch(ends, 0.01) as memory:
        receiver = ends.start("target", [BINARIES / "stream_bench", "receive", keys, ADDRESS["target"], target],
                              stdout=subprocess.DEVNULL)
        wait_for_port(ends, 7743)
        begin = time.monotonic()
        sender = ends.start("source", [BINARIES / "stream_bench", "send", keys, ADDRESS["target"], source,
                                       keys / "catalog"], stdout=subprocess.DEVNULL)
        status = sender.wait() or receiver.wait()
        seconds = time.monotonic() - begin
        if status != 0:
            raise RuntimeError(f"a pass ended with {status}")
    return seconds, memory.peak_mb("source"), memory.peak_mb("target")


def measure(images, entries):
    megabytes = max(256, entries // 850)
    with Ends(images, megabytes, BINARIES, None, megabytes, bytes_per_inode=1024) as ends, Forgetting():
        peers = Peers(ends, BINARIES, ends.scratch / "keys")
        peers.make_keys()
        source, target = ends.directory["source"] / "tree", ends.directory["target"] / "tree"
        target.mkdir(mode=0o700)
        make_files(source, entries)
        run(["sync", "-f", source])
        for name in ("full", "unchanged"):
            seconds, of_source, of_target = one_pass(ends, peers.keys, source, target)
            print(f"{entries:10} {name:10} {seconds:8.2f} {of_source:10.0f} {of_target:10.0f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entries", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--images", default="/dev/shm")
    words = parser.parse_args()
    print(f"{'entries':>10} {'pass':10} {'seconds':>8} {'source MB':>10} {'target MB':>10}")
    for entries in words.entries:
        measure(words.images, entries)


if __name__ == "__main__":
    main()
