#!/usr/bin/python3
"""kill -9 of either agent just before and just after every event of a move, then it is started again: the move goes
on or is undone by itself, and exactly one host has the zone. One zone wanders between the hosts through all of it."""
import signal
import subprocess

import faults
from ferry import ferry, zone_path, zone_states
from faults import FaultTest, differences, events, moves, wait_for

ZONE = "wander"
SOURCE_EVENTS = ("begun", "prepared", "pass-begun", "running-pass-done", "quiesced", "sent", "verified", "staged",
                 "released", "owned", "activated")
TARGET_EVENTS = ("begun", "ready", "owned", "activated")


class KillTest(FaultTest):
    settings = {"quiesced_retry_s": 30}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.zone(cls, ZONE)

    def arm(self, host, point):
        agent = self.agents[host.name]
        self.assertEqual(agent.stop(), 0)
        agent.start(env={"ZONEFERRY_CRASH_AT": point})
        self.addCleanup(self.revive, host)

    def revive(self, host):
        agent = self.agents[host.name]
        if agent.process.poll() is not None:
            agent.start()

    def wait_for_the_crash(self, host):
        status = self.agents[host.name].process.wait(timeout=60)
        self.assertEqual(status, -signal.SIGKILL)

    def begin(self, host, *words):
        return host.popen(["zoneferry", *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def crash_and_recover(self, role, point, *words):
        """Runs the verb on the zone's host with a crash in it; returns what the command ended with."""
        here = self.holder(ZONE)
        victim = here if role == "source" else self.other(here)
        self.arm(victim, f"{role}:{point}")
        command = self.begin(here, *(words or ("move", ZONE, self.other(here).name)))
        self.wait_for_the_crash(victim)
        self.assertLessEqual(sum(zone_states(host).get(ZONE) == "running" for host in self.hosts), 1)
        self.agents[victim.name].start()
        stdout, stderr = command.communicate(timeout=120)
        return here, subprocess.CompletedProcess(words, command.returncode, stdout, stderr)

    def finish(self, start):
        """Whoever has the zone now; a kept copy is finalized, so that the next case can go either way."""
        here = self.assert_sane(ZONE)
        if here is not start:
            self.assertEqual(ferry(start, "finalize", ZONE, check=False).returncode, 0)
            self.assertFalse(start.path(zone_path(ZONE)).exists())
        for host in self.hosts:
            self.assertEqual(faults.footprint(host)["moves"], [], host.name)
        return here

    def test_source_killed(self):
        for event in SOURCE_EVENTS:
            for moment in ("before", "after"):
                with self.subTest(event=event, moment=moment):
                    start, done = self.crash_and_recover("source", f"{moment}:{event}")
                    self.assertEqual(done.returncode, 5, done)  # the agent that was asked has ended
                    here = self.finish(start)
                    if event == "begun" and moment == "before":
                        self.assertIs(here, start)  # nobody knows of it
                    else:
                        self.assertIsNot(here, start, events(start, ZONE))

    def test_target_killed(self):
        for event in TARGET_EVENTS:
            for moment in ("before", "after"):
                with self.subTest(event=event, moment=moment):
                    start, done = self.crash_and_recover("target", f"{moment}:{event}")
                    here = self.finish(start)
                    self.assertEqual(done.returncode, 0 if here is not start else 12, done)
                    if event in ("owned", "activated"):
                        self.assertIsNot(here, start)

    def test_killed_while_undoing(self):
        for role, event in (("source", "aborting"), ("source", "aborted"), ("target", "discarded")):
            for moment in ("before", "after"):
                with self.subTest(role=role, event=event, moment=moment):
                    start = self.holder(ZONE)
                    victim = start if role == "source" else self.other(start)
                    self.arm(victim, f"{role}:{moment}:{event}")
                    command = self.begin(start, "move", ZONE, self.other(start).name, "--bwlimit", "100K")
                    self.assertTrue(wait_for(lambda: "pass-begun" in events(start, ZONE)[-1:]))
                    abort = self.begin(start, "abort", ZONE)
                    self.wait_for_the_crash(victim)
                    self.agents[victim.name].start()
                    command.communicate(timeout=120)
                    abort.communicate(timeout=120)
                    if event == "aborting" and moment == "before":  # the wish has died with the agent
                        self.assertEqual(ferry(start, "abort", ZONE, check=False).returncode, 0)
                    self.assertIs(self.finish(start), start)
                    self.assertEqual(moves(start)[-1]["phase"], "aborted")

    def test_killed_while_finalizing(self):
        for role in ("source", "target"):
            for moment in ("before", "after"):
                with self.subTest(role=role, moment=moment):
                    start = self.holder(ZONE)
                    there = self.other(start)
                    ferry(start, "move", ZONE, there.name)
                    victim = start if role == "source" else there
                    self.arm(victim, f"{role}:{moment}:finalized")
                    command = self.begin(start, "finalize", ZONE)
                    self.wait_for_the_crash(victim)
                    self.agents[victim.name].start()
                    command.communicate(timeout=60)
                    again = ferry(start, "finalize", ZONE, check=False)
                    self.assertEqual(again.returncode, 7 if (role, moment) == ("source", "after") else 0, again)
                    self.assertIs(self.assert_sane(ZONE), there)
                    self.assertFalse(start.path(zone_path(ZONE)).exists())
                    self.assertNotIn(ZONE, zone_states(start))
                    self.assertEqual([faults.footprint(host)["moves"] for host in self.hosts], [[], []])

    def test_killed_while_rolling_back(self):
        for role, event in (("source", "released"), ("target", "owned"), ("source", "returned"),
                            ("target", "activated"), ("source", "finalized")):
            with self.subTest(role=role, event=event):
                home = self.holder(ZONE)
                away = self.other(home)
                ferry(home, "move", ZONE, away.name)
                written = away.path(zone_path(ZONE)) / "root/srv/written-away"
                written.write_text(event)
                # The move back has its source away; `returned` is noted for the first move, whose source is home.
                victim = {"source": away, "target": home}[role] if event != "returned" else home
                self.arm(victim, f"{role}:after:{event}")
                command = self.begin(home, "rollback", ZONE)
                self.wait_for_the_crash(victim)
                self.agents[victim.name].start()
                command.communicate(timeout=120)
                self.assertIs(self.assert_sane(ZONE), home)
                self.assertEqual((home.path(zone_path(ZONE)) / "root/srv/written-away").read_text(), event)
                self.assertTrue(wait_for(lambda: ZONE not in zone_states(away)), zone_states(away))
                def first_move():
                    return [move["phase"] for move in moves(home) if move["role"] == "source"][-1]
                wait_for(lambda: first_move() == "returned", 20)
                self.assertEqual(first_move(), "returned")
                self.assertEqual(faults.footprint(home)["moves"], [])
                self.assertEqual(home.path("/export/zones").joinpath(ZONE).exists(), True)


if __name__ == "__main__":
    faults.main()
