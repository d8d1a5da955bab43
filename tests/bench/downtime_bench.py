#!/usr/bin/python3
"""How long a real zone with much data is down for a move, beside the same by a careful script in the same run.

    ZONEFERRY_BIN=build/release/bin PYTHONPATH=tests/support python3 tests/bench/downtime_bench.py [FILES] [MB] [ROUNDS]

The zone has so many files of 1 to 8 KB (100,000) and a large file that fills it up to so many MB (1,000); the link is
1 Gbit/s. By hand: rsync -aHAXS over ssh while the zone runs, halt, rsync --delete, boot - on the same host, which needs
no configuration, record or address to be moved. Ours: zoneferry move, to and fro. Down is the longest time without
an answer that a poller of the zone's service saw.
"""
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import bench_data  # noqa: E402
import poller  # noqa: E402
from ferry import ZONES, ferry_json, make_zone, start_agents, trust, zone_path  # noqa: E402
from hosts import Hosts, install_web_service  # noqa: E402

ZONE, ADDRESS = "web01", "10.99.1.1"
TARGET_RATIO = 0.4
SHAPE = "tc qdisc add dev san0 root tbf rate 1000mbit burst 256kb latency 50ms"


def fill(root, files, megabytes):
    small = root / "srv/small"
    small.mkdir(parents=True)
    bench_data.make_small(small, files / 100_000)
    used = sum(entry.stat().st_size for entry in small.rglob("*.conf"))
    with open(root / "srv/large", "wb") as file:
        for _ in range(max(0, megabytes * 1_000_000 - used) // 1_000_000):
            file.write(os.urandom(500_000) + bytes(range(250)) * 2000)


def give_ssh(source, target):
    """root of the source may rsync to the target: the peer's way."""
    for host in (source, target):
        host.run(["mkdir", "-p", "-m", "700", "/root/.ssh", "/run/sshd"])
    source.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519"])
    target.path("/root/.ssh/authorized_keys").write_text(source.path("/root/.ssh/id_ed25519.pub").read_text())
    target.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/run/sshd/key"])
    return target.popen(["/usr/sbin/sshd", "-D", "-f", "/dev/null", "-h", "/run/sshd/key", "-o", "UsePAM=no",
                         "-o", "StrictModes=no"])


def rsync(source, target):
    ssh = "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o Compression=no"
    done = source.run(["rsync", "-aHAXS", "--numeric-ids", "--delete", "-e", ssh, f"{zone_path(ZONE)}/root/",
                       f"{target.address}:{ZONES}/copy/"], check=False, timeout=600)
    if done.returncode not in (0, 24):  # 24: a file vanished while the zone was running
        raise RuntimeError(done.stderr)


def by_hand(source, target):
    rsync(source, target)
    source.run(["zoneadm", "-z", ZONE, "halt"])
    rsync(source, target)
    source.run(["zoneadm", "-z", ZONE, "boot"])


def down_ms(hosts, action):
    """The longest gap that the poller saw while that was done, and 50 answers before and after it."""
    with tempfile.NamedTemporaryFile() as log:
        process = hosts.client_popen(["/usr/bin/python3", poller.__file__, f"http://{ADDRESS}/counter", "--output",
                                      log.name])
        try:
            await_answers(log.name, 50)
            action()
            await_answers(log.name, 50)
        finally:
            process.terminate()
            process.wait()
        return poller.summarise(poller.read_log(log.name))["longest_gap_ms"]


def await_answers(log, more):
    """Until so many more good answers are in the poller's log."""
    def good():
        return sum(record.get("ok", False) for record in poller.read_log(log))
    wanted, deadline = good() + more, time.monotonic() + 60
    while good() < wanted:
        if time.monotonic() > deadline:
            raise RuntimeError("the zone's service does not answer")
        time.sleep(0.2)


def measure(hosts, files, megabytes, rounds):
    here, there = hosts["host1"], hosts["host2"]
    disk, _ = (host.mount_disk(ZONES, 8 << 30) for host in (here, there))
    start_agents(hosts)
    trust(here, there)
    make_zone(here, ZONE, ADDRESS)
    root = disk / ZONE / "root"
    install_web_service(root)
    fill(root, files, megabytes)
    here.run(["zoneadm", "-z", ZONE, "boot"])
    give_ssh(here, there)
    for host in hosts:
        host.run(SHAPE.split())
    hand = [down_ms(hosts, lambda: by_hand(here, there)) for _ in range(rounds)]
    there.run(["rm", "-rf", f"{ZONES}/copy"], timeout=300)
    ours, ends = [], []
    for _ in range(rounds):
        def move():
            ends.append(ferry_json(here, "move", ZONE, there.name, "--remove-source", timeout=600)[1][-1])
        ours.append(down_ms(hosts, move))
        here, there = there, here
    return hand, ours, ends


def main():
    files, megabytes, rounds = (int(word) for word in (sys.argv[1:] + ["100000", "1000", "3"][len(sys.argv) - 1:]))
    with Hosts(["host1", "host2"], programs=os.environ["ZONEFERRY_BIN"],
               packages=("openssh-server", "openssh-client")) as hosts:
        hand, ours, ends = measure(hosts, files, megabytes, rounds)
    ratio = statistics.median(ours) / statistics.median(hand)
    print(f"by hand {statistics.median(hand):.0f} ms, ours {statistics.median(ours):.0f} ms (medians of {rounds}): ratio "
          f"{ratio:.2f}, target at most {TARGET_RATIO}: {'ok' if ratio <= TARGET_RATIO else 'MISSED'}")
    for part in ("halt_ms", "last_pass_ms", "verify_ms", "stage_ms", "attach_ms", "boot_ms", "other_ms"):
        print(f"  {part} {statistics.median(end[part] for end in ends)}")
    print(json.dumps({"files": files, "mb": megabytes, "by_hand_ms": hand, "ours_ms": ours}))


if __name__ == "__main__":
    main()
