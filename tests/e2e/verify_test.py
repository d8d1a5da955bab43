#!/usr/bin/python3
"""What is compared, and what is sent again: damage before the release, a lost catalog, a copy that was kept at home."""
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

from faults import ZONES, FaultTest, differences, events, install_plain, wait_for
from ferry import ferry, ferry_json, zone_path

MIB = 1 << 20


def is_stopped(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:
        return False


def newest(host, zone):
    """What the newest move of a zone has cost, as `history` tells it."""
    lines = [line for line in ferry_json(host, "history", zone)[1] if line["type"] == "history"]
    return max(lines, key=lambda line: line["begun_unix_ms"])


def damage(path):
    """One bit of a file, and its times as they were: what a bad disk does."""
    before = path.stat()
    with open(path, "r+b") as file:
        file.seek(before.st_size // 2)
        byte = file.read(1)[0]
        file.seek(before.st_size // 2)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


class VerifyTest(FaultTest):
    settings = {"refresh_s": 3600}

    def restart(self, host, env=None):
        self.agents[host.name].stop()
        self.agents[host.name].start(env=env)

    def tree(self, host, zone):
        return host.path(zone_path(zone)) / "root/srv/data"

    def move_with_damage(self, zone, name, *options):
        """A move that is stopped after its last pass while a byte changes on the target's disk: its end."""
        self.restart(self.host1, {"ZONEFERRY_STOP_AT": "source:after:sent"})
        pid = self.agents["host1"].process.inner_pid
        process = self.host1.popen(["zoneferry", "--format", "json", "move", *options, zone, "host2"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertTrue(wait_for(lambda: is_stopped(pid), 60, 0.01))
        staging = next(self.host2.path(ZONES).glob(".zoneferry-incoming-*"))
        damage(staging / "root/srv/data" / name)
        # Wakes it as often as it stops there: the nsenter around it, too, which stops itself when its child does.
        def wake():
            for each in (self.agents["host1"].process.pid, pid):
                if is_stopped(each):
                    os.kill(each, signal.SIGCONT)
        self.assertTrue(wait_for(lambda: process.poll() is not None or wake()), "it does not end")
        wake()
        output, _ = process.communicate(timeout=60)
        self.restart(self.host1)
        return process.returncode, output

    def test_a_byte_that_changed_on_the_disk_is_found_named_and_sent_again(self):
        install_plain(self.host1, "bad01", megabytes=4, files=8)
        status, output = self.move_with_damage("bad01", "file5")
        self.assertEqual(status, 0, output)
        self.assertIn("root/srv/data/file5", output)
        self.assertIn("sent again", output)
        self.assertEqual(events(self.host1, "bad01").count("repairing"), 1)
        self.assertEqual(newest(self.host1, "bad01")["repairs"], 1)
        self.assertLess(newest(self.host1, "bad01")["raw_bytes"], 5 * MIB)
        self.assertEqual(differences(self.tree(self.host1, "bad01"), self.tree(self.host2, "bad01")), "")

    def test_off_and_meta_compare_less_and_say_so(self):
        install_plain(self.host1, "off01")
        status, output = self.move_with_damage("off01", "file5", "--verify", "off")
        self.assertEqual(status, 0, output)
        self.assertEqual(newest(self.host1, "off01")["verify"], "off")
        self.assertNotEqual(differences(self.tree(self.host1, "off01"), self.tree(self.host2, "off01")), "")
        install_plain(self.host1, "meta01")
        ferry(self.host1, "move", "--verify", "meta", "meta01", "host2")
        self.assertEqual(newest(self.host1, "meta01")["verify"], "meta")
        self.assertEqual(differences(self.tree(self.host1, "meta01"), self.tree(self.host2, "meta01")), "")

    def test_a_lost_catalog_costs_a_comparison_and_not_the_whole_tree(self):
        install_plain(self.host1, "lost01", megabytes=32, files=40)
        # Without a system in it the zone cannot run: it only waits for its switch.
        ferry(self.host1, "move", "--no-switch", "lost01", "host2", check=False)
        self.assertEqual(ferry_json(self.host1, "status", "lost01")[1][0]["phase"], "waiting")
        self.assertGreater(newest(self.host1, "lost01")["raw_bytes"], 32 * MIB)
        bases = list(self.host1.path("/var/lib/zoneferry/moves").glob("*/catalog.base"))
        self.assertTrue(bases)
        for base in bases:
            base.write_bytes(base.read_bytes()[:-20])
        (self.tree(self.host1, "lost01") / "file7").write_text("changed meanwhile")
        ferry(self.host1, "switch", "lost01")
        self.assertLess(newest(self.host1, "lost01")["raw_bytes"], 33 * MIB)
        self.assertEqual(differences(self.tree(self.host1, "lost01"), self.tree(self.host2, "lost01")), "")

    def test_after_a_lost_catalog_only_the_changed_blocks_of_a_large_file_travel(self):
        install_plain(self.host1, "blocks01")
        disk = self.tree(self.host1, "blocks01") / "disk"
        with open(disk, "wb") as file:
            for number in range(128):  # every second half megabyte is a hole
                file.seek(number * MIB)
                file.write(os.urandom(MIB // 2))
        ferry(self.host1, "move", "--no-switch", "blocks01", "host2", check=False)
        first = newest(self.host1, "blocks01")["raw_bytes"]
        self.assertGreater(first, 64 * MIB)
        for base in self.host1.path("/var/lib/zoneferry/moves").glob("*/catalog.base"):
            base.write_bytes(base.read_bytes()[:-20])
        with open(disk, "r+b") as file:
            for number in range(64):
                file.seek(number * 2 * MIB + MIB // 4)
                file.write(os.urandom(16 << 10))
        time.sleep(0.2)  # of what was written within a clock tick of the comparison everything is sent
        ferry(self.host1, "switch", "blocks01")
        self.assertLess(newest(self.host1, "blocks01")["raw_bytes"], first + 2 * MIB)
        self.assertEqual(differences(self.tree(self.host1, "blocks01"), self.tree(self.host2, "blocks01")), "")

    def test_a_rollback_sends_only_what_the_zone_has_changed(self):
        install_plain(self.host1, "back01", megabytes=235, files=300)
        ferry(self.host1, "move", "back01", "host2")
        self.assertGreater(newest(self.host1, "back01")["raw_bytes"], 235 * MIB)
        changed = self.tree(self.host2, "back01") / "file9"
        changed.write_text("written at host2")
        ferry(self.host1, "rollback", "back01")
        self.assertLess(newest(self.host2, "back01")["raw_bytes"], 2 * MIB)
        self.assertEqual((self.tree(self.host1, "back01") / "file9").read_text(), "written at host2")


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: simulated hosts and zones need root")
        sys.exit(77)
    unittest.main(verbosity=2)
