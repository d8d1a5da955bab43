#!/usr/bin/python3
"""Moves over one directory that both hosts have: no byte of the zone travels, nothing of it is ever deleted, and every
way to run it twice is refused.

    ZONEFERRY_SHARED_MOVES=20 tests/e2e/shared_test.py      # CI: 4 moves back and forth, of 1 s each
"""
import os
import pathlib

import faults
import shared_case
from ferry import ZONES, ferry, ferry_json, zone_commands, zone_path, zone_states
from shared import make_shared_zone

class DirectoryTest(shared_case.SharedStorageTest):
    """What only a directory can be."""

    def blocked(self, *words):
        """The codes of what a check finds."""
        home = self.home()
        status, lines = ferry_json(home, "check", self.zone, self.other(home).name, *words, check=False)
        self.assertEqual(status, 3, lines)
        return {line["code"] for line in lines if line["type"] == "finding"}

    def replaced(self, host, command):
        """The zones' directory of that host is something else for a while."""
        host.run(["sh", "-c", command.format(zones=ZONES)])
        self.addCleanup(host.run, ["umount", ZONES], check=False)

    def test_an_equal_path_on_other_storage_is_found_out(self):
        away = self.other(self.home())
        self.replaced(away, "mkdir -p /srv/elsewhere && chmod 755 /srv/elsewhere && mount --bind /srv/elsewhere {zones}")
        away.run(["mkdir", "-m", "0700", zone_path(self.zone)])
        self.assertLessEqual({"STORAGE_OTHER", "STORAGE_NOT_SHARED"}, self.blocked("--shared", "require"))
        self.assertIn("ZONEPATH_EXISTS", self.blocked())  # nor is it taken for a place to put the zone

    def test_a_mount_that_may_only_be_read_is_found_out(self):
        away = self.other(self.home())
        self.replaced(away, "mount --bind {zones} {zones} && mount -o remount,bind,ro {zones}")
        self.assertIn("STORAGE_ONE_WAY", self.blocked())

    def test_a_stale_mount_is_found_out(self):
        away = self.other(self.home())
        gone = f"/srv/gone/{self.zone}"
        self.replaced(away, f"mkdir -p /srv/stale/{self.zone} {gone} && chmod 0700 {gone} && mount --bind /srv/stale "
                            "{zones}")
        away.run(["mount", "--bind", gone, zone_path(self.zone)])
        self.addCleanup(away.run, ["umount", zone_path(self.zone)], check=False)
        away.run(["python3", "-c", f"import os; os.rename('{gone}', '{gone}.old')"])
        away.run(["rmdir", f"{gone}.old"], check=False)
        self.assertIn("STORAGE_STALE", self.blocked())

    def test_by_hand_one_host_has_it_and_a_takeover_waits_for_the_lease(self):
        here, there, name = self.host1, self.host2, "hand"
        make_shared_zone(self.storage, here, name, service=False)
        here.run(["zoneadm", "-z", name, "boot"])
        here.run(["zoneadm", "-z", name, "halt"])
        here.run(["zoneadm", "-z", name, "detach"])
        there.run(["zonecfg", "-z", name, f"create -a {zone_path(name)}; commit"])
        there.run(["zoneadm", "-z", name, "attach"])
        there.run(["zoneadm", "-z", name, "boot"])
        for verb in ("attach", "attach -F", "boot"):
            refused = here.run(["zoneadm", "-z", name, *verb.split()], check=False)
            self.assertEqual(refused.returncode, 1, verb)
        self.assertIn("host2", here.run(["zoneadm", "-z", name, "attach"], check=False).stderr)
        take_over = ["zoneadm", "-z", name, "attach", "-F", "--takeover"]
        refused = here.run(take_over, check=False, input="other\n")
        self.assertIn("is held by host host2 since", refused.stderr)
        self.assertEqual(refused.returncode, 1)
        refused = here.run([*take_over, "--yes", "--peer-is-fenced"], check=False)
        self.assertIn("lease", refused.stderr)
        self.assertEqual(refused.returncode, 1)

        there.crash()  # fenced: its locks are gone with it
        here.run(take_over, input=f"{name}\n")
        here.run(["zoneadm", "-z", name, "boot"])
        self.assertIn("takes over: zone hand is held by host host2", here.path("/var/log/zoneferry/audit.log").read_text())
        beside = (self.storage.tree(here, name) / ".zoneferry-owner").read_bytes()
        there.start()
        here.run(["ip", "neigh", "flush", "dev", "san0"])  # it has come back with another hardware address
        files = sorted(os.listdir(self.storage.tree(here, name)))
        for verb in ("boot", "attach", "attach -F", "detach"):  # it is not parked yet
            refused = there.run(["zoneadm", "-z", name, *verb.split()], check=False)
            self.assertEqual(refused.returncode, 1, verb)
        self.assertIn("belongs to host host1", refused.stderr)
        self.assertEqual(sorted(os.listdir(self.storage.tree(here, name))), files)
        self.agents["host2"].start()
        self.assertEqual(faults.owner_states(there)[name], "parked")
        self.assertIn("is unavailable: host host1 holds it",
                      there.run(["zoneadm", "-z", name, "boot"], check=False).stderr)
        there.run(["zoneadm", "-z", name, "detach"])
        there.run(["zonecfg", "-z", name, "delete -F"])
        self.assertEqual((self.storage.tree(here, name) / ".zoneferry-owner").read_bytes(), beside)
        self.assertEqual(zone_states(here)[name], "running")
        here.run(["zoneadm", "-z", name, "halt"])
        home = self.home()
        if zone_states(home)[self.zone] == "installed":  # it was on the host that crashed
            home.run(["zoneadm", "-z", self.zone, "boot"])
        self.assert_counts_on(home, 0)

    def test_mixed_with_what_the_zone_mounts(self):
        """What it writes to is shared, or said to be each host's own; else it would have to travel."""
        here, there, name = self.host1, self.host2, "mixed"
        path, shared, local = f"/srv/{name}", f"{ZONES}/data-of-{name}", "/srv/data"
        for host in self.hosts:
            host.run(["mkdir", "-p", "-m", "0755", shared, local])

        def make(zone, zonepath, special):
            lofs = ["add fs", "set type=lofs", "set dir=/data", f"set special={special}", "end"]
            commands = zone_commands(zone, sparse=True, extra=lofs).replace(zone_path(zone), zonepath)
            here.run(["zonecfg", "-z", zone, "-f", "/dev/stdin"], input=commands)
            here.run(["zoneadm", "-z", zone, "install"], timeout=120)

        def codes(zone):
            _, lines = ferry_json(here, "check", zone, there.name, check=False)
            return {line["code"] for line in lines if line["type"] == "finding" and line["severity"] == "block"}

        make("mixed1", zone_path("mixed1"), local)  # a shared zonepath, and a local file system
        self.assertEqual(codes("mixed1"), {"FS_NOT_ALLOWED"})  # see mixed_test.py
        here.run(["zonecfg", "-z", "mixed1", "select fs dir=/data; add options hostlocal; end"])
        self.assertEqual(codes("mixed1"), set())
        make("mixed2", f"{path}2", shared)  # the reverse
        here.run(["sh", "-c", f"echo kept >{shared}/file"])
        self.assertEqual(codes("mixed2"), set())
        ferry(here, "move", "mixed2", there.name, "--remove-source")
        there.run(["zoneadm", "-z", "mixed2", "boot"])
        self.assertEqual(there.run(["zoneadm", "-z", "mixed2", "login", "cat", "/data/file"]).stdout, "kept\n")
        there.run(["zoneadm", "-z", "mixed2", "halt"])
        self.assertEqual([name for name in os.listdir(self.storage.directory / "zones" / "data-of-mixed")], ["file"])

    def test_never_means_never(self):
        self.assertIn("ZONEPATH_EXISTS", self.blocked("--shared", "never"))


if __name__ == "__main__":
    faults.main()
