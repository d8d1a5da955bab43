#!/usr/bin/python3
"""demo.py PROGRAMS: two hosts, one zone, one move, one rollback; every claim measured by somebody else.

The poller in the third namespace measures the downtime, rsync compares the trees, and the counter in the zone,
fsynced every 10 ms, shows whether an acknowledged write was lost.
"""
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import poller  # noqa: E402
from ferry import ferry, start_agents, trust, make_web_zone, zone_path, zone_states  # noqa: E402
from hosts import Hosts  # noqa: E402

ZONE, ADDRESS = "web01", "10.99.1.1"
OWN_FILES = ("SUNWdetached.xml", ".zoneferry-owner")


def say(text):
    print(f"\n== {text}", flush=True)


def show(host, *words):
    """Types a command on a host: shows it and its output as they come."""
    print(f"{host.name}# {' '.join(words)}", flush=True)
    process = host.popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = ""
    for line in process.stdout:
        print("  " + line, end="", flush=True)
        output += line
    return process.wait(), output


def must(condition, text):
    print(("  ok    " if condition else "  FAIL  ") + text, flush=True)
    if not condition:
        raise SystemExit("the demo has failed")


def wait_until(condition, text, deadline_s=30):
    until = time.monotonic() + deadline_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    must(condition(), text)


class Watcher:
    """The poller in the client's namespace."""

    def __init__(self, hosts):
        self.log = hosts.directory / "poll.log"
        self.process = hosts.client_popen(["/usr/bin/python3", poller.__file__, f"http://{ADDRESS}/counter",
                                           "--output", str(self.log)])

    def wait_for_answers(self, count):
        """Until so many more good answers have come."""
        def good():
            return sum(r.get("ok", False) for r in poller.read_log(self.log)) if self.log.exists() else 0
        wanted = good() + count
        wait_until(lambda: good() >= wanted, "the service answers the poller")

    def since(self, start):
        return poller.summarise([r for r in poller.read_log(self.log) if r.get("t", 0) >= start])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def differing_entries(released, live):
    """What rsync finds different between the tree that was released and the one that runs now: paths below it."""
    command = ["rsync", "-aHAXSnc", "--delete", "--itemize-changes", *(f"--exclude=/{n}" for n in OWN_FILES),
               f"{released}/", f"{live}/"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.split(" ", 1)[1].strip() for line in lines if " " in line]


def written_by_the_zone(live, path, since):
    """True if the entry (or, when it was deleted, its directory) was changed after that moment."""
    full = pathlib.Path(live) / path.split(" -> ")[0]
    while not os.path.lexists(full):
        full = full.parent
    return full.lstat().st_ctime >= since


def report_downtime(summary, what):
    print(f"  downtime seen by the poller, {what}: {summary['longest_gap_ms'] / 1000:.2f} s "
          f"({summary['answers']} answers, counter {summary['value_before_gap']} before the gap, "
          f"{summary['value_after_gap']} after it)", flush=True)
    must(summary["went_back"] == 0 and summary["value_after_gap"] >= summary["value_before_gap"],
         "no acknowledged write was lost")


def move_there(hosts, watcher):
    host1, host2 = hosts["host1"], hosts["host2"]
    say("would it work? nothing is touched")
    status, _ = show(host1, "zoneferry", "check", ZONE, "host2")
    must(status == 0, "the check says ready")

    say("move it, while the poller asks the service every 10 ms")
    start = time.monotonic()
    status, _ = show(host1, "zoneferry", "move", ZONE, "host2")
    must(status == 0 and zone_states(host2).get(ZONE) == "running", "the zone runs on host2")
    watcher.wait_for_answers(50)
    report_downtime(watcher.since(start), "the whole move")

    say("is the tree on host2 what host1 released? (rsync -aHAXSnc --delete --itemize-changes)")
    released, live = host1.path(zone_path(ZONE)), host2.path(zone_path(ZONE))
    boot = min((host2.path("/var/log/zoneferry/zones") / f"{ZONE}.{kind}").stat().st_mtime
               for kind in ("log", "console"))
    activated = (live / ".zoneferry-owner").stat().st_mtime
    differing = differing_entries(released, live)
    foreign = [path for path in differing if not written_by_the_zone(live, path, min(boot, activated))]
    count = sum(len(names) + len(files) for _, names, files in os.walk(released))
    print(f"  {count} entries, {len(differing)} differ, {len(differing) - len(foreign)} of these were written by the "
          "zone after it had booted on host2")
    must(not foreign, "every other entry is equal in content, owner, mode, times, links, xattrs and ACLs")

    say("may host1 boot it as well?")
    status, _ = show(host1, "zoneadm", "-z", ZONE, "boot")
    must(status == 1 and zone_states(host1).get(ZONE) == "configured", "host1 refuses")


def bring_back(hosts, watcher):
    host1, host2 = hosts["host1"], hosts["host2"]
    say("bring it home, with what it wrote on host2")
    start = time.monotonic()
    status, _ = show(host1, "zoneferry", "rollback", ZONE)
    must(status == 0 and zone_states(host1).get(ZONE) == "running", "the zone runs on host1")
    watcher.wait_for_answers(50)
    report_downtime(watcher.since(start), "the way back")
    wait_until(lambda: ZONE not in zone_states(host2) and not host2.path(zone_path(ZONE)).exists(),
               "host2 has deleted its copy")
    show(host1, "zoneferry", "list")


def run(programs):
    say("two hosts, host1 and host2, each with its own Debian root, network and agent; and a client")
    with Hosts(["host1", "host2"], programs=programs, real_disk=True) as hosts:
        start_agents(hosts)
        say("they come to trust each other through a one-use invitation")
        trust(hosts["host1"], hosts["host2"])
        show(hosts["host1"], "zoneferry", "version", "--peer", "host2")
        say(f"a zone {ZONE} on host1, from host1's own packages: systemd, nginx, and a counter fsynced every 10 ms")
        make_web_zone(hosts["host1"], ZONE, ADDRESS)
        show(hosts["host1"], "zoneadm", "list", "-cv")
        watcher = Watcher(hosts)
        watcher.wait_for_answers(100)
        move_there(hosts, watcher)
        bring_back(hosts, watcher)
        watcher.stop()
    say("done; hosts, zones and networks are gone")


if __name__ == "__main__":
    run(sys.argv[1])
