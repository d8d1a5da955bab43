#!/usr/bin/python3
"""Do moves that run at once share the link fairly? Halted zones of as many MB each are moved together over a link of
200 Mbit/s: some with large files that do not shrink, the others with files of 1 to 8 KB. What counts is what each had
sent when the first of them was half done.

    ZONEFERRY_BIN=build/dev/bin PYTHONPATH=tests/support python3 tests/bench/fair_bench.py [ZONES] [MB]
"""
import os
import sys
import threading

from faults import Watch
from ferry import ZONES, start_agents, trust, zone_commands
from hosts import Hosts

SHAPE = "tc qdisc add dev san0 root tbf rate 200mbit burst 64kb latency 50ms"
LARGE_BYTES = 25_000_000


def fill(place, megabytes, small):
    left, number = megabytes * 1_000_000, 0
    while left > 0:
        size = 1_000 + number * 7919 % 7_000 if small else LARGE_BYTES
        directory = place / f"d{number // 200}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"f{number}").write_bytes(os.urandom(min(size, left)))
        left, number = left - size, number + 1


def install(host, disk, name, megabytes, small):
    tree = disk / name
    fill(tree / "root/srv", megabytes, small)
    tree.chmod(0o700)
    host.run(["zonecfg", "-z", name, "-f", "/dev/stdin"], input=zone_commands(name))
    host.run(["zoneadm", "-z", name, "attach", "-F"])


def follow(watch, name, half_bytes, sent, halfway):
    """Keeps what the move has sent; halfway: what all had sent when the first was half done."""
    def look(line):
        if line["type"] == "progress":
            sent[name] = line["wire_bytes"]
            if sent[name] >= half_bytes and not halfway:
                halfway.update(sent)
        return line["type"] == "end"
    end = watch.until(look)
    if end["exit_code"] != 0:
        raise RuntimeError(f"{name}: {end}")


def main():
    zones, megabytes = (int(word) for word in (sys.argv[1:] + ["4", "150"][len(sys.argv) - 1:]))
    names = {f"large{i}" if i % 2 else f"small{i}": not i % 2 for i in range(zones)}
    with Hosts(["host1", "host2"], programs=os.environ["ZONEFERRY_BIN"]) as hosts:
        disk, _ = (host.mount_disk(ZONES, 8 << 30) for host in hosts)
        start_agents(hosts)
        trust(hosts["host1"], hosts["host2"])
        for name, small in names.items():
            install(hosts["host1"], disk, name, megabytes, small)
        for host in hosts:
            host.run(SHAPE.split())
        sent, halfway = dict.fromkeys(names, 0), {}
        watches = [(Watch(hosts["host1"], "move", name, "host2"), name) for name in names]
        threads = [threading.Thread(target=follow, args=(*watch, megabytes * 500_000, sent, halfway))
                   for watch in watches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name, done in halfway.items():
        print(f"{name}: {done / 1e6:.0f} MB sent when the first was half done")
    print(f"smallest against largest {min(halfway.values()) / max(halfway.values()):.2f}")


if __name__ == "__main__":
    main()
