"""What the fault tests share: a pair of hosts, and the questions that must have a good answer after every fault.

After any fault, once both agents run again: exactly one host may run the zone and the other one refuses with the
reason; it runs if it ran; nothing half-done is left; `zoneferry status` says the same as the hosts do.
"""
import json
import os
import subprocess
import sys
import time
import unittest

import poller
from ferry import ZONES, ferry, ferry_json, make_zone, start_agents, trust, zone_path, zone_states
from hosts import SUPPORT, Hosts

COMPARE = str(SUPPORT / "tree_compare.py")


def wait_for(what, seconds=60, every_s=0.05):
    """For what has no event that a test could wait on; the deadline only ends a hopeless wait."""
    deadline = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(every_s)


class Watch:
    """zoneferry WORDS... as json, read while it runs."""

    def __init__(self, host, *words):
        self.process = host.popen(["zoneferry", "--format", "json", *words], text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)

    def until(self, wanted):
        """The first line for which wanted(line) is true."""
        for text in self.process.stdout:
            line = json.loads(text)
            if wanted(line):
                return line
        raise AssertionError(f"it ended first: {self.process.wait()} {self.process.stderr.read()}")

    def end_or_nothing(self):
        """The last line; nothing: the agent that was asked has gone."""
        lines = [json.loads(text) for text in self.process.stdout]
        self.process.stdout.close()
        self.process.stderr.close()
        self.process.wait(timeout=20)
        return lines[-1] if lines and lines[-1]["type"] == "end" else None

    def end(self):
        line = self.until(lambda each: each["type"] == "end")
        self.process.stdout.close()
        self.process.stderr.close()
        assert self.process.wait(timeout=20) == line["exit_code"], line
        return line


def in_pass(number, bytes_at_least=1):
    return lambda line: line["type"] == "progress" and line["pass"] == number and line["bytes_done"] >= bytes_at_least


def moves(host):
    return [line for line in ferry_json(host, "status")[1] if line["type"] == "move"]


def events(host, move):
    """The kinds of a move's journal entries on a host, in order."""
    return [line["kind"] for line in ferry_json(host, "status", move, check=False)[1] if line["type"] == "event"]


def owner_states(host):
    """{"web01": "released", ...} from the owner records."""
    directory = host.path("/var/lib/zoneferry/owners")
    found = {}
    for path in sorted(directory.iterdir()) if directory.exists() else []:
        fields = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
        found[path.name] = fields.get("state")
    return found


def footprint(host):
    """What a refused or undone move must leave as it was."""
    def below(inside):
        top = host.path(inside)
        return sorted(str(path.relative_to(top)) for path in top.iterdir()) if top.exists() else []
    index = host.path("/etc/zones/index")
    return {"zones": below("/etc/zones"), "index": index.read_text() if index.exists() else "",
            "owners": owner_states(host), "trees": below(ZONES), "moves": below("/var/lib/zoneferry/moves"),
            "states": zone_states(host), "mounts": host.run(["cat", "/proc/mounts"]).stdout.count("/export/"),
            "links": sorted(line.split()[1] for line in host.run(["ip", "-o", "link"]).stdout.splitlines())}


def add_data(host, name, megabytes=2, files=20, tree=None):
    """A subtree that no zone ever writes to, so that it can be compared while the zone runs. tree: the zonepath as seen
    from outside, where that is not host.path()."""
    place = (tree or host.path(zone_path(name))) / "root/srv/data"
    place.mkdir(parents=True, exist_ok=True)
    (place / "another name").unlink(missing_ok=True)
    (place / "link").unlink(missing_ok=True)
    for number in range(files):
        (place / f"file{number}").write_bytes(os.urandom(megabytes * 1024 * 1024 // files))
    os.link(place / "file0", place / "another name")
    (place / "link").symlink_to("file1")
    return place


def install_plain(host, name, megabytes=1, files=10, extra=(), storage=None):
    """A zone without an operating system: installed, never booted; for what only concerns its files."""
    if storage:
        storage.prepare(host, name)
    tree = storage.tree(host, name) if storage else host.path(zone_path(name))
    add_data(host, name, megabytes, files, tree)
    tree.chmod(0o700)
    commands = "; ".join(["create -b", f"set zonepath={zone_path(name)}", "set ip-type=exclusive", *extra])
    host.run(["zonecfg", "-z", name, commands])
    host.run(["zoneadm", "-z", name, "attach", "-F"])


def differences(one, other, *options):
    """What the independent comparison prints for two trees; empty when they are equal."""
    done = subprocess.run([sys.executable, COMPARE, *options, str(one), str(other)], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


class FaultTest(unittest.TestCase):
    """Two hosts with agents that trust each other, for all the tests of a class."""
    settings = {}
    failures_told = 0
    make_storage = None  # what the hosts have in common (shared.py); None: nothing
    storage = None

    @classmethod
    def make_hosts(cls, binds):
        return Hosts(["host1", "host2"], programs=os.environ["ZONEFERRY_BIN"], binds=binds)

    @classmethod
    def setUpClass(cls):
        binds = None
        if cls.make_storage:
            cls.storage = cls.make_storage()
            cls.addClassCleanup(cls.storage.close)
            binds = cls.storage.binds
        cls.hosts = cls.make_hosts(binds)
        cls.addClassCleanup(cls.hosts.close)
        cls.agents = start_agents(cls.hosts, **cls.settings)
        cls.host1, cls.host2 = cls.hosts["host1"], cls.hosts["host2"]
        trust(cls.host1, cls.host2)

    def tearDown(self):
        result = self._outcome.result
        if len(result.failures) + len(result.errors) > FaultTest.failures_told:
            FaultTest.failures_told = len(result.failures) + len(result.errors)
            for agent in self.agents.values():
                print(f"--- {agent.host.name}, exit status {agent.process.poll()}\n{agent.log()[-3000:]}",
                      file=sys.stderr)

    def other(self, host):
        return self.host2 if host is self.host1 else self.host1

    def tree(self, host, name):
        """The zonepath of a host that has the zone, as seen from outside."""
        return self.storage.tree(host, name) if self.storage else host.path(zone_path(name))

    def zone(self, name, boot=True, host=None):
        """A small sparse zone with data in it; running if boot."""
        host = host or self.host1
        make_zone(host, name, sparse=True)
        add_data(host, name)
        if boot:
            host.run(["zoneadm", "-z", name, "boot"])

    def poll(self, address, at_least=1):
        """Waits for so many good answers of a zone's service, from the client; returns what it counted last."""
        done = self.hosts.client_run(["/usr/bin/python3", poller.__file__, f"http://{address}/counter", "--seconds",
                                      "3" if at_least > 1 else "1"], capture_output=True, text=True)
        summary = json.loads(done.stdout.splitlines()[-1])["summary"]
        self.assertGreaterEqual(summary["answers"], at_least, summary)
        return summary["last_value"]

    def holder(self, name):
        """The only host that may run the zone."""
        holders = [host for host in self.hosts if name in zone_states(host) and owner_states(host).get(name) in
                   (None, "owned") and zone_states(host)[name] != "configured"]
        self.assertEqual(len(holders), 1, f"{name}: {[(h.name, zone_states(h), owner_states(h)) for h in self.hosts]}")
        return holders[0]

    def is_quiet(self, seconds):
        """Waits until no move is under way on either host, or until the time is over."""
        return wait_for(lambda: all(move["over"] for host in self.hosts for move in moves(host)), seconds, 0.05)

    def settle(self, seconds=60):
        """Waits until no move is under way on either host."""
        quiet = self.is_quiet(seconds)
        self.assertTrue(quiet, [(host.name, move) for host in self.hosts for move in moves(host) if not move["over"]])

    def assert_sane(self, name, running=True):
        """The questions above; returns the host that has the zone."""
        self.settle()
        here = self.holder(name)
        there = self.other(here)
        self.assertEqual(zone_states(here)[name], "running" if running else "installed")
        refused = there.run(["zoneadm", "-z", name, "boot"], check=False)
        self.assertEqual(refused.returncode, 1, refused)
        self.assertIn(name, refused.stderr)
        self.assertNotIn(name, [zone for zone, state in zone_states(there).items() if state == "running"])
        for host in self.hosts:
            def left(place=host.path(ZONES)):
                return [path.name for path in place.iterdir() if path.name.startswith(".")]
            wait_for(lambda: not left(), 20)  # deleting goes on after the end is told
            self.assertEqual(left(), [], f"{host.name}: left behind")
            self.assertFalse({"incoming", "frozen"} & set(owner_states(host).values()), owner_states(host))
        copy = here.path(zone_path(name)) / "root/srv/data"
        self.assertTrue((copy / "file0").exists())
        kept = there.path(zone_path(name)) / "root/srv/data"
        found = differences(copy, kept) if kept.exists() else ""
        self.assertTrue(found == "" or not kept.exists(), found)  # a rollback deletes it about now
        return here

    def assert_one_sentence(self, done, code, *words):
        """Its exit code, one sentence that says it, no riddles."""
        self.assertEqual(done.returncode, code, (done.stdout, done.stderr))
        lines = [line for line in done.stderr.splitlines() if line.startswith("zoneferry: ")]
        self.assertEqual(len(lines), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stdout + done.stderr)


def main():
    if os.geteuid() != 0:
        print("needs root: skipped")
        sys.exit(77)
    unittest.main(verbosity=2)
