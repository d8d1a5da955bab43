"""What shared_test.py and lun_test.py ask of every kind of shared storage: see those."""
import os
import shutil
import sys
import unittest

from faults import wait_for
from ferry import ferry, ferry_json, start_agents, trust, zone_states
from hosts import Hosts
from shared import SharedDirectory, counter, make_shared_zone

MOVES = int(os.environ.get("ZONEFERRY_SHARED_MOVES", "4"))
BYTES_MOST = 1 << 20


def sent_bytes(host):
    """All that the host's san0 has sent."""
    return int(host.run(["cat", "/sys/class/net/san0/statistics/tx_bytes"]).stdout)


class SharedStorageTest(unittest.TestCase):
    """For every kind of shared storage; see lun_test.py for the other one."""
    zone = "web01"

    @classmethod
    def make_storage(cls):
        return SharedDirectory()

    @classmethod
    def setUpClass(cls):
        cls.storage = cls.make_storage()
        cls.addClassCleanup(cls.storage.close)
        cls.hosts = Hosts(["host1", "host2"], programs=os.environ["ZONEFERRY_BIN"], binds=cls.storage.binds)
        cls.addClassCleanup(cls.hosts.close)
        cls.agents = start_agents(cls.hosts, quiesced_retry_s=3, retry_s=3)
        cls.host1, cls.host2 = cls.hosts["host1"], cls.hosts["host2"]
        trust(cls.host1, cls.host2)
        make_shared_zone(cls.storage, cls.host1, cls.zone, "10.99.1.1")
        cls.told = 0

    def tearDown(self):
        result = self._outcome.result
        if len(result.failures) + len(result.errors) > type(self).told:
            type(self).told = len(result.failures) + len(result.errors)
            for agent in self.agents.values():
                print(f"--- {agent.host.name}\n{agent.log()[-3000:]}", file=sys.stderr)

    def other(self, host):
        return self.host2 if host is self.host1 else self.host1

    def home(self):
        """The only host on which the zone is installed or runs."""
        homes = [host for host in self.hosts if zone_states(host).get(self.zone) in ("running", "installed")]
        self.assertEqual(len(homes), 1, [(host.name, zone_states(host)) for host in self.hosts])
        return homes[0]

    def count(self, host):
        return counter(self.storage, host, self.zone)

    def assert_counts_on(self, host, before):
        self.assertEqual(zone_states(host).get(self.zone), "running")
        self.assertTrue(wait_for(lambda: self.count(host) > before, 20, 0.02), "the service does not go on")

    def assert_refused(self, host, *words):
        for verb in words:
            done = host.run(["zoneadm", "-z", self.zone, *verb.split()], check=False)
            self.assertEqual(done.returncode, 1, (verb, done))
            self.assertEqual(len([line for line in done.stderr.splitlines() if line.startswith("zoneadm: ")]), 1, done)

    def move(self, *words):
        """To the other host and forgotten here; returns where it is then."""
        home = self.home()
        away = self.other(home)
        done = ferry(home, "move", self.zone, away.name, *words)
        self.assertEqual(self.home(), away, done)
        return away

    def test_back_and_forth_without_a_byte_of_it(self):
        downtimes = []
        for number in range(MOVES):
            with self.subTest(number):
                home = self.home()
                away = self.other(home)
                before, sent = self.count(home), sent_bytes(home)
                status, lines = ferry_json(home, "move", self.zone, away.name, "--remove-source")
                self.assertEqual(status, 0, lines)
                self.assertEqual(self.home(), away)
                self.assertGreaterEqual(self.count(away), before, "an acknowledged write is lost")
                self.assert_counts_on(away, before)
                self.assertLess(sent_bytes(home) - sent, BYTES_MOST)
                self.assertEqual(lines[-1]["raw_bytes"], 0)
                self.assertNotIn(self.zone, zone_states(home))
                downtimes.append(lines[-1]["down_ms"])
        print(f"{MOVES} moves, down for {sorted(downtimes)} ms", file=sys.stderr)

    def test_check_names_the_storage_and_leaves_nothing(self):
        home = self.home()
        tree = self.storage.tree(home, self.zone)
        before = sorted(os.listdir(tree)), os.stat(tree).st_mtime_ns
        status, lines = ferry_json(home, "check", self.zone, self.other(home).name, "--shared", "require")
        self.assertEqual(status, 0, lines)
        self.assertEqual([line["shared"] for line in lines if line["type"] == "check"], [self.storage.kind])
        self.assertEqual((sorted(os.listdir(tree)), os.stat(tree).st_mtime_ns), before)

    def test_rollback_brings_it_home_and_keeps_what_it_wrote(self):
        home = self.home()
        away = self.move()
        before = self.count(away)
        self.assert_refused(home, "boot", "attach -F", "attach", "uninstall -F", "attach --undo")
        refused = ferry(home, "rollback", self.zone, "--discard", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("no older copy", refused.stderr)
        self.assert_counts_on(away, before)
        before = self.count(away)
        ferry(home, "rollback", self.zone)
        self.assertEqual(self.home(), home)
        self.assert_counts_on(home, before)
        self.assertNotIn(self.zone, zone_states(away))

    def test_finalize_gc_and_deleting_the_configuration_leave_the_tree(self):
        home = self.home()
        away = self.move()
        ferry(home, "gc")
        ferry(home, "finalize", self.zone)
        ferry(home, "gc")
        self.assertNotIn(self.zone, zone_states(home))
        self.assert_counts_on(away, self.count(away))
        left = [name for name in os.listdir(self.storage.tree(away, self.zone).parent) if name.startswith(".zoneferry")]
        self.assertEqual(left, [])

    def test_abort_gives_it_back(self):
        home = self.home()
        before = self.count(home)
        ferry(home, "move", self.zone, self.other(home).name, "--no-switch")
        ferry(home, "abort", self.zone)
        self.assertEqual(self.home(), home)
        self.assert_counts_on(home, before)
        self.assertNotIn(self.zone, zone_states(self.other(home)))

    def test_restarts_of_both_hosts_and_an_old_state_directory(self):
        """The host that it left comes back from a backup of before the move; then the one that has it restarts, too."""
        home = self.home()
        old = home.root.parent / "backup"
        self.agents[home.name].stop()
        for place in ("/var/lib/zoneferry", "/etc/zones"):
            shutil.copytree(home.path(place), old / place[1:])
        self.addCleanup(shutil.rmtree, old)
        self.agents[home.name].start()
        away = self.move()
        home.restart()
        for place in ("/var/lib/zoneferry", "/etc/zones"):
            shutil.rmtree(home.path(place))
            shutil.copytree(old / place[1:], home.path(place))
        self.assertEqual(zone_states(home)[self.zone], "installed")  # as it believes
        before = self.count(away)
        self.assert_refused(home, "boot", "attach -F")
        self.assert_counts_on(away, before)
        home.run(["ip", "neigh", "flush", "dev", "san0"])
        self.agents[home.name].start()
        self.assert_refused(home, "boot", "attach -F")
        before = self.count(away)
        away.restart()
        away.run(["ip", "neigh", "flush", "dev", "san0"])
        self.assert_refused(home, "boot")  # nobody runs it now, and it still is not this host's
        away.run(["zoneadm", "-z", self.zone, "boot"], timeout=60)
        self.assert_counts_on(away, before)
        self.agents[away.name].start()
        index = home.path("/etc/zones/index")  # a person who knows better forgets the zone there
        index.write_text("".join(line for line in index.read_text().splitlines(True) if self.zone not in line))
        self.assertEqual(self.home(), away)

    def kill_and_see(self, host, env):
        """A move with one agent killed at that point; afterwards exactly one host has the zone and it counts on."""
        home = self.home()
        away = self.other(home)
        before = self.count(home)
        agent = self.agents[host.name]
        agent.stop()
        agent.start(env={"ZONEFERRY_CRASH_AT": env})
        move = home.popen(["zoneferry", "move", self.zone, away.name, "--remove-source"])
        wait_for(lambda: agent.process.poll() is not None, 20, 0.02)
        self.assertIsNotNone(agent.process.poll(), f"{env}: was not reached")
        for one in self.hosts:
            if one.run(["zoneadm", "-z", self.zone, "list"], check=False).returncode == 0 and one is not home:
                self.assertNotEqual([zone_states(one).get(self.zone), zone_states(home).get(self.zone)], ["running"] * 2)
        agent.start()
        settled = wait_for(lambda: all(line["over"] for one in self.hosts
                                       for line in ferry_json(one, "status")[1] if line["type"] == "move"), 40, 0.1)
        self.assertTrue(settled, f"{env}: still under way")
        move.wait(timeout=30)
        holder = self.home()
        self.assertTrue(wait_for(lambda: zone_states(holder).get(self.zone) == "running", 20, 0.1))
        self.assert_counts_on(holder, before)
        if zone_states(self.other(holder)).get(self.zone):
            self.assert_refused(self.other(holder), "boot", "attach -F")
            wait_for(lambda: self.zone not in zone_states(self.other(holder)), 30, 0.2)
        self.assertNotIn(self.zone, zone_states(self.other(holder)), f"{env}: not finalized")

    def test_killed_at_every_step(self):
        source = [f"source:{when}:{event}" for event in ("prepared", "quiescing", "quiesced", "staged", "released",
                                                         "owned", "activated") for when in ("before", "after")]
        target = [f"target:{when}:{event}" for event in ("begun", "ready", "owned", "activated")
                  for when in ("before", "after")]
        points = source + target
        some = os.environ.get("ZONEFERRY_SHARED_KILLS", "3")
        if some != "all":
            points = points[int(some) and os.getpid() % 3::max(1, len(points) // int(some))]
        for point in points:
            with self.subTest(point):
                self.kill_and_see(self.home() if point.startswith("source") else self.other(self.home()), point)
