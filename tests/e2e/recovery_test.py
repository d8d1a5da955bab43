#!/usr/bin/python3
"""docs/recovery.md, followed by the letter: what it tells a person to type does what it says."""
import re

import faults
from faults import FaultTest
from ferry import ferry, trust, zone_path, zone_states

ZONE = "lost"


def take_by_hand(host, name):
    """The way of "The target is lost for good" without the agent."""
    for inside in (f"/var/lib/zoneferry/owners/{name}", f"{zone_path(name)}/.zoneferry-owner"):
        path = host.path(inside)
        text = re.sub(r"epoch=(\d+)", lambda found: f"epoch={int(found[1]) + 2}", path.read_text())
        text = re.sub(r"seal=.*", "seal=", re.sub(r"state=.*", "state=owned", text))
        path.write_text(re.sub(r"host=.*", f"host={host.name}", text))


class RecoveryCase(FaultTest):
    def release_without_answer(self, name):
        """host1 has released the zone, host2 is away: in doubt."""
        self.assertEqual(self.agents["host1"].stop(), 0)
        self.agents["host1"].start(env={"ZONEFERRY_CRASH_AT": "source:after:released"})
        self.assertEqual(ferry(self.host1, "move", name, "host2", check=False).returncode, 5)
        self.agents["host1"].process.wait(timeout=60)
        self.agents["host2"].kill()
        self.agents["host1"].start()
        done = ferry(self.host1, "status", name, check=False)
        self.assertEqual(done.returncode, 13, done)
        self.assertIn("IN DOUBT", done.stdout)
        self.assertNotEqual(self.host1.run(["zoneadm", "-z", name, "boot"], check=False).returncode, 0)
        refused = ferry(self.host1, "abort", name, check=False)
        self.assertEqual(refused.returncode, 7, refused)


class RecoveryTest(RecoveryCase):
    def test_lost_target_and_damaged_journal(self):
        self.zone(ZONE)
        ferry(self.host1, "move", ZONE, "host2")
        self.agents["host2"].kill()
        self.host2.run(["zoneadm", "-z", ZONE, "halt"])

        refused = self.host1.run(["zoneadm", "-z", ZONE, "attach"], check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("belongs to host host2", refused.stderr)
        asked = ferry(self.host1, "resolve", ZONE, "--reclaim", "--peer-is-fenced", check=False)
        self.assertEqual(asked.returncode, 2, "the zone's name was not typed")
        ferry(self.host1, "resolve", ZONE, "--reclaim", "--peer-is-fenced", "--yes")
        self.assertEqual(zone_states(self.host1)[ZONE], "running")

        # The other host comes back: it is told of the higher epoch before it can boot anything.
        self.agents["host2"].start()
        refused = self.host2.run(["zoneadm", "-z", ZONE, "boot"], check=False)
        self.assertIn("is unavailable: host host1 holds it", refused.stderr)
        self.assert_one_sentence(ferry(self.host1, "finalize", ZONE, check=False), 7, "only a completed move")
        self.assertTrue(self.host1.path(zone_path(ZONE)).exists())
        self.assertEqual(zone_states(self.host1)[ZONE], "running")
        for record in (f"/var/lib/zoneferry/owners/{ZONE}", f"{zone_path(ZONE)}/.zoneferry-owner"):
            self.host2.path(record).unlink()
        self.host2.run(["zoneadm", "-z", ZONE, "uninstall", "-F"])
        self.host2.run(["zonecfg", "-z", ZONE, "delete -F"])
        self.host2.run(["rmdir", zone_path(ZONE)])
        self.assertNotIn(ZONE, zone_states(self.host2))

        self.damage_the_journal()

    def test_in_doubt_ends_when_the_target_is_back(self):
        self.zone("doubt")
        self.release_without_answer("doubt")
        self.agents["host2"].start()
        self.assertIs(self.assert_sane("doubt"), self.host2)

    def damage_the_journal(self):
        self.assertEqual(self.agents["host1"].stop(), 0)
        journal = self.host1.path("/var/lib/zoneferry/journal.db")
        content = bytearray(journal.read_bytes())
        content[100:3000] = b"x" * 2900
        journal.write_bytes(content)
        refused = self.host1.run(["zoneferryd"], check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("docs/recovery.md", refused.stderr)
        self.assertEqual(zone_states(self.host1)[ZONE], "running")
        journal.rename(journal.with_suffix(".bad"))
        self.agents["host1"].start()
        self.assertEqual(faults.moves(self.host1), [])
        # The zone can move as before: its owner record was never in the journal.
        self.assertEqual(ferry(self.host1, "move", ZONE, "host2").returncode, 0)
        self.assertIs(self.assert_sane(ZONE), self.host2)


class OldStateTest(RecoveryCase):
    def forget(self, *more):
        """host2's state is from before it was joined with anybody."""
        state = "cd /var/lib/zoneferry; rm -r trust journal.db owners owner.key moves/*"
        self.host2.run(["sh", "-c", state], check=False)
        self.host2.run(["rm", "-f", *more])

    def test_state_from_before_the_host_was_joined(self):
        self.zone("early", host=self.host2)
        index = self.host2.path("/etc/zones/index")
        backup = index.read_text()
        ferry(self.host2, "move", "early", "host1")
        self.assertEqual(self.agents["host2"].stop(), 0)
        self.forget()
        self.agents["host2"].start()
        for verb in ("boot", "attach", "attach -F"):  # what lies beside the tree still says where it is
            refused = self.host2.run(["zoneadm", "-z", "early", *verb.split()], check=False)
            self.assertEqual(refused.returncode, 1, refused)
            self.assertIn("belongs to host host1 since", refused.stderr)

        # The zone's tree and configuration came back, too: nothing here can know. Joined anew, it is told and parks.
        self.assertEqual(self.agents["host2"].stop(), 0)
        index.write_text(backup)
        self.forget(f"{zone_path('early')}/.zoneferry-owner", f"{zone_path('early')}/SUNWdetached.xml")
        self.agents["host2"].start()
        ferry(self.host1, "trust", "remove", "host2")
        trust(self.host1, self.host2)
        refused = self.host2.run(["zoneadm", "-z", "early", "boot"], check=False)
        self.assertEqual(refused.returncode, 1, refused)
        self.assertIn("is unavailable: host host1 holds it", refused.stderr)
        self.assertEqual(zone_states(self.host1)["early"], "running")


class LostTargetInDoubtTest(RecoveryCase):  # leaves a move in doubt: hosts of its own
    def test_in_doubt_with_a_lost_target(self):
        self.zone("gone")
        self.release_without_answer("gone")
        self.assertEqual(self.agents["host1"].stop(), 0)
        take_by_hand(self.host1, "gone")
        journal = self.host1.path("/var/lib/zoneferry/journal.db")
        journal.rename(journal.with_suffix(".old"))
        self.agents["host1"].start()
        self.host1.run(["zoneadm", "-z", "gone", "boot"])
        self.assertEqual(zone_states(self.host1)["gone"], "running")
        # Were it not lost: what it has promised it keeps, in doubt, and it does not run it.
        self.agents["host2"].start()
        self.assertEqual(ferry(self.host2, "status", "gone", check=False).returncode, 13)
        self.assertNotIn("gone", zone_states(self.host2))
        self.assertEqual(faults.owner_states(self.host2)["gone"], "incoming")


if __name__ == "__main__":
    faults.main()
