#!/usr/bin/python3
"""Moves of real zones between two simulated hosts: that they arrive whole, that the service goes on, that only one
host may run them, and what the command line says meanwhile. Faults are in fault_*_test.py."""
import os
import pty
import select
import subprocess

import faults
from faults import FaultTest, differences
from ferry import ferry, ferry_json, make_web_zone, make_zone, zone_path, zone_states
from torture import torture


def rsync_differences(a, b):
    """What rsync sees, as a list of its lines; content is compared by checksum."""
    done = subprocess.run(["rsync", "-aHAXSnc", "--delete", "--itemize-changes", f"{a}/", f"{b}/"], check=True,
                          capture_output=True)
    return done.stdout.splitlines()


class MoveTest(FaultTest):
    def assert_same_tree(self, zone):
        # The zone's root: in the zonepath above it each host keeps its manifest and owner record.
        kept, arrived = (host.path(zone_path(zone)) / "root" for host in (self.host1, self.host2))
        self.assertEqual(rsync_differences(kept, arrived), [])
        self.assertEqual(differences(kept, arrived), "")

    def test_halted_zone_with_a_torture_tree_arrives_whole(self):
        tree = make_zone(self.host1, "torture")
        torture(tree / "root/srv/torture")
        status, lines = ferry_json(self.host1, "move", "torture", "host2")
        self.assertEqual(status, 0)
        self.assert_same_tree("torture")
        self.assertEqual(zone_states(self.host2)["torture"], "installed")
        self.assertEqual(zone_states(self.host1)["torture"], "configured")
        self.assertEqual(lines[-1]["type"], "end")
        self.assertGreaterEqual(lines[-1]["raw_bytes"], lines[-1]["wire_bytes"])  # equal where packing would cost time

    def test_running_zone_keeps_its_service_and_every_acknowledged_write(self):
        for zone, address, sparse in (("whole", "10.99.1.11", False), ("sparse", "10.99.1.12", True)):
            with self.subTest(zone):
                make_web_zone(self.host1, zone, address, sparse)
                before = self.poll(address, 30)
                status, lines = ferry_json(self.host1, "move", zone, "host2")
                self.assertEqual(status, 0)
                self.assertEqual(zone_states(self.host2)[zone], "running")
                self.assertGreater(self.poll(address, 30), before)
                end = lines[-1]
                parts = ("halt_ms", "last_pass_ms", "verify_ms", "stage_ms", "attach_ms", "boot_ms", "other_ms")
                # The parts are whole milliseconds of two clocks: the sum may be off by one for each.
                self.assertAlmostEqual(sum(end[part] for part in parts), end["down_ms"], delta=len(parts))

                refused = self.host1.run(["zoneadm", "-z", zone, "boot"], check=False)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("belongs to host host2", refused.stderr)
                self.assertIn("zoneferry rollback", refused.stderr)

                seen = self.poll(address, 30)
                ferry(self.host1, "rollback", zone)
                self.assertEqual(zone_states(self.host1)[zone], "running")
                self.assertGreater(self.poll(address, 30), seen, "what it wrote on host2 came home")
                self.assertNotIn(zone, zone_states(self.host2))
                self.assertFalse(self.host2.path(zone_path(zone)).exists())
                self.host1.run(["zoneadm", "-z", zone, "halt"])

    def test_check_and_dry_run_touch_nothing(self):
        make_zone(self.host1, "dry")
        before = [self.listing(host) for host in self.hosts]
        for words in (["check", "dry", "host2"], ["move", "-n", "dry", "host2"]):
            status, lines = ferry_json(self.host1, *words)
            self.assertEqual(status, 0)
            check = next(line for line in lines if line["type"] == "check")
            self.assertEqual((check["verdict"], check["running"]), ("ready", False))
        self.assertEqual([self.listing(host) for host in self.hosts], before)

    def listing(self, host):
        places = ("/etc/zones", "/export/zones", "/var/lib/zoneferry/owners", "/var/lib/zoneferry/moves")
        return {place: sorted(os.listdir(host.path(place))) if host.path(place).exists() else [] for place in places}

    def test_cold_move_with_a_limit_removes_the_source(self):
        make_zone(self.host1, "cold", sparse=True)
        self.host1.run(["zoneadm", "-z", "cold", "boot"])
        status, lines = ferry_json(self.host1, "move", "--cold", "--bwlimit", "50M", "--remove-source", "cold", "host2")
        self.assertEqual(status, 0)
        self.assertEqual(lines[-1]["passes"], 1)
        self.assertEqual(zone_states(self.host2)["cold"], "running")
        self.assertNotIn("cold", zone_states(self.host1))
        self.assertFalse(self.host1.path(zone_path("cold")).exists())
        self.host2.run(["zoneadm", "-z", "cold", "halt"])

    def test_package_differences_are_all_listed_and_force_overrides_them(self):
        make_zone(self.host1, "packages", sparse=True)
        status_file = self.host2.path("/var/lib/dpkg/status")
        original = status_file.read_text(encoding="utf8")
        versions = [line for line in original.splitlines() if line.startswith("Version: ")][:2]
        changed = original
        for version in versions:
            changed = changed.replace(version + "\n", version + "+newer1\n", 1)
        status_file.write_text(changed, encoding="utf8")
        try:
            done = ferry(self.host1, "move", "packages", "host2", check=False)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("source host packages inconsistent with local host", done.stdout)
            self.assertEqual(done.stdout.count("version mismatch"), 2, done.stdout)
            self.assertNotIn("packages", zone_states(self.host2))
            ferry(self.host1, "move", "-F", "packages", "host2")
            self.assertEqual(zone_states(self.host2)["packages"], "installed")
        finally:
            status_file.write_text(original, encoding="utf8")

    def test_terminal_gets_a_live_line_and_a_pipe_gets_plain_lines(self):
        make_zone(self.host1, "live")
        leader, follower = pty.openpty()
        process = self.host1.popen(["zoneferry", "move", "--bwlimit", "30M", "live", "host2"], stdout=follower,
                                   stderr=follower, env={"TERM": "xterm"})
        os.close(follower)
        text = b""
        while True:
            readable, _, _ = select.select([leader], [], [], 60)
            try:
                piece = os.read(leader, 65536) if readable else b""
            except OSError:  # the other end was closed
                break
            if not piece:
                break
            text += piece
        os.close(leader)
        self.assertEqual(process.wait(), 0)
        self.assertGreater(text.count(b"\rpass 1  "), 3, "the live line is drawn again and again")
        self.assertIn(b"ETA", text)
        plain = ferry(self.host2, "move", "live", "host1", check=False)  # the kept copy is in the way
        self.assertEqual(plain.returncode, 3)
        self.assertIn("NAME_TAKEN", plain.stdout)
        self.assertNotIn("\x1b", plain.stdout + plain.stderr)
        self.assertNotIn("\r", plain.stdout + plain.stderr)

    def test_watch_status_and_list_tell_the_same(self):
        make_zone(self.host1, "told", sparse=True)
        _, lines = ferry_json(self.host1, "move", "told", "host2")
        move = next(line["move"] for line in lines if line["type"] == "started")
        _, watched = ferry_json(self.host1, "watch", move)
        self.assertEqual(watched[-1]["exit_code"], 0)
        _, status = ferry_json(self.host1, "status", "told")
        self.assertEqual(status[0]["id"], move)
        self.assertEqual(status[0]["phase"], "activated")
        kinds = [line["kind"] for line in status if line["type"] == "event"]
        self.assertEqual(kinds[0], "begun")
        self.assertLess(kinds.index("staged"), kinds.index("released"))
        _, listed = ferry_json(self.host2, "list")
        self.assertIn((move, "target"), [(line["id"], line["role"]) for line in listed if line["type"] == "move"])
        status, _ = ferry_json(self.host1, "status", "no-such-move", check=False)
        self.assertEqual(status, 8)

    def test_version_of_the_peer(self):
        _, lines = ferry_json(self.host1, "version", "--peer", "host2")
        self.assertEqual([line["host"] for line in lines if line["type"] == "version"], ["host1", "host2"])


if __name__ == "__main__":
    faults.main()
