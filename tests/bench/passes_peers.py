#!/usr/bin/python3
"""A second pass by rsync over ssh, for what passes_bench measures of ours: nothing changed, 1 % changed, and 64
scattered writes in a large file with --inplace. Files are like those of passes_bench; unshaped link, warm cache.

    sudo tests/bench/passes_peers.py [entries...]        default 100000; prints seconds and MB on the wire
"""
import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from bench_hosts import ADDRESS, Ends, run  # noqa: E402
from stream_bench import REPOSITORY, RSYNC, Peers, wait_for_port  # noqa: E402


def make_files(place, entries, chance):
    for number in range(entries):
        directory = place / str(number // 1000)
        if number % 1000 == 0:
            directory.mkdir()
        (directory / f"file{number}").write_bytes(chance.randbytes(chance.randrange(64)))


def change_files(place, entries, chance):
    for number in range(0, entries, 100):
        (place / str(number // 1000) / f"file{number}").write_bytes(chance.randbytes(64))


def change_blocks(file, size, chance):
    with open(file, "r+b") as opened:
        for _ in range(64):
            opened.seek(chance.randrange(size - 16384))
            opened.write(chance.randbytes(16384))


class RsyncOverSsh:
    def __init__(self, ends, peers):
        self.ends, self.keys = ends, peers.keys
        ends.start("target", ["bash", "-c", peers.sshd])
        wait_for_port(ends, 2222)

    def copy(self, label, source, target, options=""):
        ssh = (f"ssh -p 2222 -i {self.keys}/id -F none -o UserKnownHostsFile={self.keys}/known "
               "-o StrictHostKeyChecking=no -o LogLevel=ERROR -o Compression=no")
        link, begin = self.ends.link_bytes(), time.monotonic()
        command = f'{RSYNC} --delete {options} -e "{ssh}" {source}/ root@{ADDRESS["target"]}:{target}/'
        status = self.ends.start("source", ["bash", "-c", command]).wait()
        took = time.monotonic() - begin
        if status != 0:
            raise RuntimeError(f"rsync ended with {status}")
        print(f"{label:34} {took:8.3f} s  {(self.ends.link_bytes() - link) / 1e6:10.3f} MB on the wire", flush=True)


def main():
    sizes = [int(word) for word in sys.argv[1:]] or [100_000]
    chance = random.Random(2)
    with Ends("/dev/shm", 2000 + max(sizes) // 100, REPOSITORY / "build/release/tests/bench") as ends:
        peers = Peers(ends, REPOSITORY / "build/release/tests/bench", ends.scratch / "keys")
        peers.make_keys()
        rsync = RsyncOverSsh(ends, peers)
        for entries in sizes:
            source, target = (ends.directory[side] / str(entries) for side in ("source", "target"))
            for place in (source, target):
                place.mkdir()
            make_files(source, entries, chance)
            rsync.copy(f"{entries} entries, full", source, target)
            for _ in range(3):
                rsync.copy(f"{entries} entries, nothing changed", source, target)
            for _ in range(3):
                change_files(source, entries, chance)
                rsync.copy(f"{entries} entries, 1 % changed", source, target)
            run(["rm", "-rf", source, target])
        source, target = (ends.directory[side] / "large" for side in ("source", "target"))
        for place in (source, target):
            place.mkdir()
        size = 512 << 20
        with open(source / "database", "wb") as file:
            for _ in range(512):
                file.write(chance.randbytes(1 << 20))
        rsync.copy("512 MiB, full", source, target)
        for _ in range(3):
            change_blocks(source / "database", size, chance)
            rsync.copy("512 MiB, 64 writes, --inplace", source, target, "--inplace")
        ends.end_processes()


if __name__ == "__main__":
    main()
