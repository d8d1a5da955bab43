#!/usr/bin/python3
"""Agents of two versions: moves in both directions, and either side is upgraded in the middle of a move.

    tests/e2e/upgrade_test.py      # CI: the older agent is this one, with the features of the version before only

    git worktree add --detach ../old c189089; cd ../old; cmake --preset dev
    cmake --build --preset dev --target zoneferryd zoneferry zoneadm zoneadmd zonecfg
    ZONEFERRY_OLD_BIN=../old/build/dev/bin tests/e2e/upgrade_test.py      # with the oldest agent whose digest is ours

c189089 has our protocol without `tree-lists`, and a journal that lacks two columns. Journals of version 2: journal_test.
"""
import os

import faults
from faults import FaultTest, wait_for
from ferry import ferry, ferry_json, zone_states
from hosts import PATH, Hosts

OLD_BIN = os.environ.get("ZONEFERRY_OLD_BIN")
OLD_PLACE = "/opt/zoneferry/old"
FEATURES = "kept-return,move-history,owner-claims,p2v-push,probe,segments-zstd,shared-storage"  # of c189089


class UpgradeTest(FaultTest):
    settings = {"quiesced_retry_s": 60, "retry_s": 60}

    @classmethod
    def make_hosts(cls, binds):
        if OLD_BIN:
            binds = lambda hosts: {host.name: {OLD_PLACE: OLD_BIN} for host in hosts}
        return super().make_hosts(binds)

    def start_old(self, host, crash_at=""):
        """An agent of the version before, that knows of no earlier move: it could not read our journal."""
        agent = self.agents[host.name]
        if agent.process.poll() is None:
            agent.stop()
        for place in ("journal.db", "owners/*", "owner.key"):
            for path in host.path("/var/lib/zoneferry").glob(place):
                path.unlink()
        env = {"PATH": f"{OLD_PLACE}:{PATH}"} if OLD_BIN else {"ZONEFERRY_FEATURES": FEATURES}
        agent.start(env={**env, "ZONEFERRY_CRASH_AT": crash_at})

    def start_new(self, host):
        agent = self.agents[host.name]
        if agent.process.poll() is None:
            self.assertEqual(agent.stop(), 0)
        agent.start()

    def ends_on(self, name, host):
        self.assertTrue(wait_for(lambda: zone_states(host).get(name) == "running", 60), f"{name}: not on {host.name}")
        self.assertIs(self.assert_sane(name), host)

    def wait_for_phase(self, host, name, phase):
        def reached():
            lines = ferry_json(host, "status", name, check=False)[1]
            return [line for line in lines if line["type"] == "move" and line["phase"] == phase]
        self.assertTrue(wait_for(reached, 60), f"{name} is not {phase}")

    def test_moves_in_both_directions(self):
        self.start_old(self.host2)
        self.start_new(self.host1)
        self.zone("there")
        ferry(self.host1, "move", "there", "host2")
        self.ends_on("there", self.host2)
        refused = ferry(self.host1, "move", "there", "host2", "--verify", "meta", check=False)
        self.assertNotEqual(refused.returncode, 0)
        ferry(self.host1, "rollback", "there")  # asks the older agent to move it
        self.ends_on("there", self.host1)
        self.zone("here", host=self.host2)
        ferry(self.host2, "move", "here", "host1", "--remove-source")
        self.ends_on("here", self.host1)
        ferry(self.host1, "move", "here", "host2")
        self.ends_on("here", self.host2)

    def test_the_source_is_upgraded_while_the_move_is_paused(self):
        self.start_old(self.host1)
        self.start_new(self.host2)
        self.zone("paused")
        ferry(self.host1, "move", "paused", "host2", "--no-switch")
        ferry(self.host1, "pause", "paused")
        self.wait_for_phase(self.host1, "paused", "paused")
        self.start_new(self.host1)
        ferry(self.host1, "resume", "paused", check=False)
        self.wait_for_phase(self.host1, "paused", "waiting")
        ferry(self.host1, "switch", "paused")
        self.ends_on("paused", self.host2)

    def test_the_source_is_upgraded_when_it_has_released_the_zone(self):
        self.start_old(self.host1, "source:after:released")
        self.start_new(self.host2)
        self.zone("released")
        ferry(self.host1, "move", "released", "host2", check=False)
        self.agents["host1"].process.wait(timeout=60)
        self.start_new(self.host1)
        self.ends_on("released", self.host2)

    def test_the_target_is_upgraded_while_the_source_waits(self):
        self.start_old(self.host2)
        self.start_new(self.host1)
        self.zone("waits")
        ferry(self.host1, "move", "waits", "host2", "--no-switch")
        self.start_new(self.host2)
        ferry(self.host1, "switch", "waits")
        self.ends_on("waits", self.host2)

    def test_the_target_is_upgraded_when_it_has_promised(self):
        self.start_old(self.host2, "target:after:ready")
        self.start_new(self.host1)
        self.zone("ready")
        move = self.host1.popen(["zoneferry", "move", "ready", "host2"])
        self.agents["host2"].process.wait(timeout=60)
        self.start_new(self.host2)
        self.assertEqual(move.wait(timeout=60), 0)
        self.ends_on("ready", self.host2)


if __name__ == "__main__":
    faults.main()
