#!/usr/bin/python3
"""Real zones moved between file systems: ext4 to xfs, xfs to btrfs, btrfs to btrfs. On btrfs the zone's root is a
subvolume, with others in it: they arrive as directories, and finalize removes them. From btrfs to btrfs the first pass
is btrfs's own (more of that: btrfs_transport_test.py)."""
import json
import os
import subprocess

import faults
from faults import FaultTest, differences
from ferry import ferry, ferry_json, zone_commands, zone_path, zone_states
from hosts import Hosts, install_web_service
from torture import torture

MIB = 1 << 20


def btrfs(*words):
    subprocess.run(["btrfs", "-q", "subvolume", *map(str, words)], check=True)


def add_subvolumes(tree):
    """The zone's root is a subvolume; in it another one, whose inodes have the same numbers, and its snapshot."""
    inner = tree / "root/srv/inner"
    btrfs("create", inner)
    (inner / "file").write_text("in a subvolume")
    os.link(inner / "file", inner / "another name")
    btrfs("snapshot", "-r", inner, tree / "root/srv/snapshot")


class FileSystemsTest(FaultTest):
    settings = {"transport": "auto"}

    @classmethod
    def make_hosts(cls, binds):
        return Hosts(["host1", "host2"], programs=os.environ["ZONEFERRY_BIN"], binds=binds, packages=("btrfs-progs",))

    def newest(self, host, zone):
        lines = [line for line in ferry_json(host, "history", zone)[1] if line["type"] == "history"]
        return max(lines, key=lambda line: line["begun_unix_ms"])

    def place(self, zone, source, target):
        """A disk at each host where the zone lies: the trees there and here, as seen from outside."""
        return [host.mount_disk(f"/export/{zone}", file_system=kind) / "zone"
                for host, kind in ((self.host1, source), (self.host2, target))]

    def make(self, zone, tree, address, longest_link_bytes):
        """A sparse zone with the counter, and data that is hard to copy."""
        commands = zone_commands(zone, address, sparse=True).replace(zone_path(zone), f"/export/{zone}/zone")
        self.host1.run(["zonecfg", "-z", zone, "-f", "/dev/stdin"], input=commands)
        self.host1.run(["zoneadm", "-z", zone, "install"])
        install_web_service(tree / "root")
        torture(tree / "root/srv/torture", longest_link_bytes)

    def move_running(self, zone, address):
        self.host1.run(["zoneadm", "-z", zone, "boot"])
        before = self.poll(address)
        ferry(self.host1, "move", zone, "host2")
        self.assertEqual(zone_states(self.host2)[zone], "running")
        self.assertGreater(self.poll(address), before)
        told = self.newest(self.host1, zone)
        self.assertEqual((told["verify"], told["repairs"]), ("full", 0))

    def assert_same_data(self, here, there, *options):
        self.assertEqual(differences(here / "root/srv", there / "root/srv", *options), "")
        hole = (there / "root/srv/torture/hole-all").stat()
        self.assertLess(hole.st_blocks * 512, hole.st_size / 8)

    def test_ext4_to_xfs(self):
        here, there = self.place("exted", "ext4", "xfs")
        self.make("exted", here, "10.99.1.21", 4000)
        status, lines = ferry_json(self.host1, "check", "exted", "host2", check=False)
        self.assertNotEqual(status, 0)
        found = [line for line in lines if line.get("code") == "LINK_TOO_LONG" or "LINK_TOO_LONG" in json.dumps(line)]
        self.assertIn("srv/torture/link-long", json.dumps(found))
        (here / "root/srv/torture/link-long").unlink()
        self.move_running("exted", "10.99.1.21")
        self.assert_same_data(here, there, "--no-holes")

    def test_xfs_to_btrfs(self):
        here, there = self.place("xfsed", "xfs", "btrfs")
        self.make("xfsed", here, "10.99.1.22", 1023)
        data = here / "root/srv/torture"
        subprocess.run(["cp", "--reflink=always", data / "random", data / "clone"], check=True)
        self.move_running("xfsed", "10.99.1.22")
        self.assert_same_data(here, there, "--no-holes")

    def test_btrfs_to_btrfs_and_back(self):
        here, there = self.place("btred", "btrfs", "btrfs")
        self.make("btred", here, "10.99.1.23", 4000)
        add_subvolumes(here)
        data = here / "root/srv/torture"
        subprocess.run(["cp", "--reflink=always", data / "random", data / "clone"], check=True)
        (here / "root/srv/big").write_bytes(os.urandom(64 * MIB))
        self.move_running("btred", "10.99.1.23")
        told = ferry_json(self.host1, "status", "btred")[1]
        passes = [line["text"] for line in told if line["type"] == "event" and line["kind"] == "pass-done"]
        self.assertEqual(passes[0], "btrfs")
        self.assert_same_data(here, there)
        with open(there / "root/srv/big", "r+b") as file:
            file.seek(32 * MIB)
            file.write(b"written at host2")
        # The kept copy is cloned and compared; of the large file only the block goes back.
        ferry(self.host1, "rollback", "btred")
        self.assertEqual(zone_states(self.host1)["btred"], "running")
        told = self.newest(self.host2, "btred")
        self.assertLess(told["raw_bytes"], 16 * MIB, told)
        self.assertEqual(told["repairs"], 0)
        with open(here / "root/srv/big", "rb") as file:
            file.seek(32 * MIB)
            self.assertEqual(file.read(16), b"written at host2")
        self.poll("10.99.1.23")

    def test_finalize_removes_subvolumes(self):
        here, _ = self.place("subbed", "btrfs", "ext4")
        self.make("subbed", here, "10.99.1.24", 1000)
        add_subvolumes(here)
        ferry(self.host1, "move", "subbed", "host2")
        ferry(self.host1, "finalize", "subbed")
        self.assertEqual(list(here.parent.iterdir()), [])  # the read-only one, too


if __name__ == "__main__":
    faults.main()
