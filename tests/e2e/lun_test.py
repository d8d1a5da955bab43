#!/usr/bin/python3
"""Moves over a LUN: one image with a file system, a loop device on it for each host, mounted by one of them at a time.

    ZONEFERRY_SHARED_MOVES=20 ZONEFERRY_SHARED_KILLS=all tests/e2e/lun_test.py      # CI: a part of each
"""
import os
import shutil

import faults
import shared_case
from ferry import ferry, ferry_json, zone_path
from shared import Lun


class LunTest(shared_case.SharedStorageTest):
    @classmethod
    def make_storage(cls):
        return Lun("ext4")

    def mounted(self, host):
        return any(line.split()[1] == zone_path(self.zone)
                   for line in host.run(["cat", "/proc/mounts"]).stdout.splitlines())

    def assert_mounted_only_on(self, host):
        self.assertEqual([one.name for one in self.hosts if self.mounted(one)], [host.name])

    def test_only_the_holder_has_it_mounted(self):
        away = self.move("--remove-source")
        self.assert_mounted_only_on(away)

    def test_after_a_restart_of_the_host_it_is_mounted_again_by_the_boot(self):
        home = self.move("--remove-source")  # from then on the owner record knows the LUN
        before = self.count(home)
        self.agents[home.name].stop()
        home.restart()
        self.assertFalse(self.mounted(home))
        self.agents[home.name].start()
        home.run(["zoneadm", "-z", self.zone, "boot"], timeout=60)
        self.assert_mounted_only_on(home)
        self.assert_counts_on(home, before)

    def test_the_former_owner_mounts_nothing(self):
        home = self.home()
        away = self.move()
        self.assert_refused(home, "boot", "attach -F")
        self.assert_mounted_only_on(away)
        ferry(home, "finalize", self.zone)
        self.assert_mounted_only_on(away)

    def test_a_clone_with_the_same_uuid_is_found_out(self):
        home = self.home()
        away = self.other(home)
        clone = self.storage.directory / "clone.img"
        shutil.copyfile(self.storage.image, clone)
        device = self.storage.attach(clone)
        ours = self.storage.devices[away.name]
        self.addCleanup(self.storage.detach, device)
        number = device.removeprefix("/dev/loop")
        away.run(["umount", ours])
        away.run(["rm", ours])
        away.run(["mknod", device, "b", "7", number])
        self.addCleanup(away.run, ["rm", device])
        self.addCleanup(away.run, ["mknod", ours, "b", "7", ours.removeprefix("/dev/loop")])
        status, lines = ferry_json(home, "check", self.zone, away.name, "--shared", "require", check=False)
        self.assertEqual(status, 3)
        codes = {line["code"] for line in lines if line["type"] == "finding"}
        self.assertLessEqual({"STORAGE_CLONE", "STORAGE_NOT_SHARED"}, codes)

    def test_a_lun_that_both_have_mounted_is_refused(self):
        home = self.home()
        away = self.other(home)
        away.run(["mkdir", "-p", "/mnt/twice"])
        away.run(["mount", "-o", "ro,norecovery" if self.storage.file_system == "ext4" else "ro,norecovery,nouuid",
                  self.storage.devices[away.name], "/mnt/twice"])
        self.addCleanup(away.run, ["umount", "/mnt/twice"], check=False)
        status, lines = ferry_json(home, "check", self.zone, away.name, check=False)
        self.assertEqual(status, 3)
        self.assertIn("STORAGE_MOUNTED", {line["code"] for line in lines if line["type"] == "finding"})

    def test_storage_that_is_still_in_use_gives_the_zone_back(self):
        home = self.home()
        before = self.count(home)
        user = home.popen(["sh", "-c", f"cd {zone_path(self.zone)}; exec sleep 60"])
        self.addCleanup(user.wait)
        self.addCleanup(user.kill)
        self.assertIsNotNone(user.inner_pid)
        done = ferry(home, "move", self.zone, self.other(home).name, check=False)
        self.assertEqual(done.returncode, 12, done)
        self.assertIn("still in use", done.stderr)
        self.assertEqual(self.home(), home)
        self.assert_counts_on(home, before)


class XfsLunTest(LunTest):
    @classmethod
    def make_storage(cls):
        return Lun("xfs")

    def test_a_file_system_that_was_left_frozen_is_thawed_by_the_agents_start(self):
        """Only xfs is frozen by a move."""
        home = self.move("--remove-source")  # from then on the owner record knows the LUN
        self.agents[home.name].stop()
        before = self.count(home)
        home.run(["fsfreeze", "-f", zone_path(self.zone)])
        self.addCleanup(home.run, ["fsfreeze", "-u", zone_path(self.zone)], check=False)
        self.agents[home.name].start()
        self.assert_counts_on(home, before)

    if not os.environ.get("ZONEFERRY_SHARED_XFS"):  # what does not depend on the file system
        test_abort_gives_it_back = test_rollback_brings_it_home_and_keeps_what_it_wrote = None
        test_check_names_the_storage_and_leaves_nothing = test_the_former_owner_mounts_nothing = None
        test_finalize_gc_and_deleting_the_configuration_leave_the_tree = test_killed_at_every_step = None
        test_a_clone_with_the_same_uuid_is_found_out = test_only_the_holder_has_it_mounted = None
        test_after_a_restart_of_the_host_it_is_mounted_again_by_the_boot = None


if __name__ == "__main__":
    faults.main()
