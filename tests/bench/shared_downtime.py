#!/usr/bin/python3
"""How long a zone on shared storage is down for a move, beside the same done by hand in the same run: halt, unmount,
mount, boot, typed by a script that needs no proof, no record and no other host.

    ZONEFERRY_BIN=build/dev/bin PYTHONPATH=tests/support python3 tests/bench/shared_downtime.py [directory|ext4|xfs] [N]
"""
import os
import sys
import time

from ferry import ferry_json, start_agents, trust, zone_path
from hosts import Hosts
from shared import Lun, SharedDirectory, make_shared_zone

ZONE = "web01"


def median(values):
    return sorted(values)[len(values) // 2]


def by_hand(storage, host):
    """Milliseconds from the halt to the zone's ready."""
    began = time.monotonic()
    host.run(["zoneadm", "-z", ZONE, "halt"])
    if storage.kind == "lun":
        host.run(["umount", zone_path(ZONE)])
        host.run(["mount", storage.devices[host.name], zone_path(ZONE)])
    host.run(["zoneadm", "-z", ZONE, "boot"])
    return (time.monotonic() - began) * 1000


def main():
    kind = sys.argv[1] if len(sys.argv) > 1 else "directory"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    storage = SharedDirectory() if kind == "directory" else Lun(kind)
    try:
        with Hosts(programs=os.environ["ZONEFERRY_BIN"], binds=storage.binds, real_disk=True) as hosts:
            start_agents(hosts)
            here, there = hosts["host1"], hosts["host2"]
            trust(here, there)
            make_shared_zone(storage, here, ZONE, "10.99.1.1")
            moved, hand, parts = [], [], {}
            for _ in range(rounds):
                hand.append(by_hand(storage, here))
                end = ferry_json(here, "move", ZONE, there.name, "--remove-source")[1][-1]
                moved.append(end["down_ms"])
                for part in ("halt_ms", "stage_ms", "attach_ms", "boot_ms", "other_ms"):
                    parts.setdefault(part, []).append(end.get(part, 0))
                here, there = there, here
            print(f"{kind}: down for {median(moved):.0f} ms by a move, {median(hand):.0f} ms by hand (medians of "
                  f"{rounds}); " + " ".join(f"{name} {median(values)}" for name, values in parts.items()))
    finally:
        storage.close()


if __name__ == "__main__":
    main()
