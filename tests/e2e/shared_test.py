#!/usr/bin/python3
"""Moves over one directory that both hosts have: no byte of the zone travels, nothing of it is ever deleted, and every
way to run it twice is refused.

    ZONEFERRY_SHARED_MOVES=20 tests/e2e/shared_test.py      # CI: 6 moves back and forth, of 1 s each
"""
import pathlib

import faults
import shared_case
from ferry import ferry_json, zone_path

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
        ZONES = str(pathlib.Path(zone_path(self.zone)).parent)
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

    def test_never_means_never(self):
        self.assertIn("ZONEPATH_EXISTS", self.blocked("--shared", "never"))


if __name__ == "__main__":
    faults.main()
