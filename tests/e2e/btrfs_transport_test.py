#!/usr/bin/python3
"""btrfs on both hosts: the bulk of a zone's tree comes by `btrfs send | btrfs receive` over the peers' connection, the
ordinary pass does the rest; whatever goes wrong with it, the zone moves in the ordinary way, and no snapshot and no
received subvolume is left. (A running zone goes that way in file_systems_test.py.)"""
import os
import pathlib
import shutil
import subprocess
import tempfile

import faults
from faults import Watch, differences, in_pass, install_plain, wait_for
from ferry import ZONES, ferry, ferry_json, write_settings, zone_states
from hosts import Hosts

WITHOUT = ("block-lists,kept-return,move-history,owner-claims,p2v-push,probe,push-digest,segments-zstd,shared-storage,"
           "tree-lists")


def btrfs(*words):
    subprocess.run(["btrfs", "-q", *map(str, words)], check=True)


class BtrfsDisks:
    """ZONES of every host is a btrfs of its own; the root of each zone is a subvolume."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="zf-btrfs-test.", dir="/var/tmp"))
        self.places = {}

    def binds(self, hosts):
        for host in hosts:
            image, place = self.directory / f"{host.name}.img", self.directory / host.name
            with open(image, "wb") as file:
                file.truncate(1 << 30)
            subprocess.run(["mkfs.btrfs", "-q", image], check=True, stdout=subprocess.DEVNULL)
            place.mkdir()
            subprocess.run(["mount", "-o", "loop,noatime", image, place], check=True)
            self.places[host.name] = place
        return {name: {ZONES: place} for name, place in self.places.items()}

    def prepare(self, host, name):
        self.tree(host, name).mkdir(mode=0o700)
        btrfs("subvolume", "create", self.tree(host, name) / "root")

    def tree(self, host, name):
        return self.places[host.name] / name

    def subvolumes(self, host):
        listed = subprocess.run(["btrfs", "subvolume", "list", self.places[host.name]], check=True, capture_output=True,
                                text=True).stdout
        return sorted(line.split(" path ")[1] for line in listed.splitlines())

    def close(self):
        for place in self.places.values():
            subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)


class BtrfsTransportTest(faults.FaultTest):
    make_storage = BtrfsDisks
    settings = {"transport": "auto"}

    @classmethod
    def make_hosts(cls, binds):
        return Hosts(["host1", "host2"], programs=os.environ["ZONEFERRY_BIN"], binds=binds, packages=("btrfs-progs",))

    def plain(self, name, megabytes=1):
        install_plain(self.host1, name, megabytes, storage=self.storage)
        return self.storage.tree(self.host1, name)

    def passes(self, name):
        """How the passes of the last move of the zone went: the texts in the source's journal."""
        told = ferry_json(self.host1, "status", name, check=False)[1]
        return [line["text"] for line in told if line["type"] == "event" and line["kind"] == "pass-done"]

    def assert_moved(self, name, by_btrfs):
        """It is whole on host2, host1 has the copy that was kept, and there is nothing else."""
        self.assertEqual(zone_states(self.host2)[name], "installed")
        self.assertEqual(self.passes(name)[0] == "btrfs", by_btrfs, self.passes(name))
        here, there = (self.storage.tree(host, name) for host in self.hosts)
        self.assertEqual(differences(here / "root", there / "root"), "")
        for host in self.hosts:
            left = [path.name for path in self.storage.places[host.name].iterdir() if path.name.startswith(".")]
            self.assertEqual(left, [], host.name)
            self.assertEqual([path for path in self.storage.subvolumes(host) if path.startswith(".")], [])
        self.assertEqual(f"{name}/root" in self.storage.subvolumes(self.host2), by_btrfs)

    def test_everything_arrives(self):
        tree = self.plain("all")
        place = tree / "root/srv/odd"
        place.mkdir()
        for name in ("fixed", "uncopied", "listed"):
            (place / name).write_bytes(b"")
        subprocess.run(["chattr", "+C", place / "uncopied"], check=True)
        for name in ("fixed", "uncopied", "listed"):
            (place / name).write_bytes(name.encode() * 100_000)
        os.setxattr(place / "listed", "user.what", b"an attribute")
        os.setxattr(place / "listed", "trusted.what", b"another")
        subprocess.run(["setfacl", "-m", "u:7:r", place / "listed"], check=True)
        with open(place / "holes", "wb") as file:
            file.truncate(8 << 20)
            file.seek(4 << 20)
            file.write(b"data")
        btrfs("subvolume", "create", place / "inner")
        (place / "inner/file").write_text("in a subvolume")
        os.link(place / "inner/file", place / "inner/name")
        os.mkfifo(place / "fifo", 0o620)
        os.mknod(place / "null", 0o20666, os.makedev(1, 3))
        os.chown(place / "null", 3, 4)
        (place / "sealed").mkdir()
        (place / "sealed/file").write_text("below an immutable directory")
        subprocess.run(["chattr", "+i", place / "fixed", place / "sealed"], check=True)
        try:
            ferry(self.host1, "move", "all", "host2")
            self.assert_moved("all", True)
            there = self.storage.tree(self.host2, "all") / "root/srv/odd"
            flags = subprocess.run(["lsattr", "-d", *(there / name for name in ("fixed", "sealed", "uncopied"))],
                                   check=True, capture_output=True, text=True).stdout.split()[::2]
            self.assertEqual(["i" in flags[0], "i" in flags[1], "C" in flags[2]], [True] * 3, flags)
            self.assertLess((there / "holes").stat().st_blocks, 1024)
            # The way back, and the removal of a tree with all that in it.
            ferry(self.host1, "finalize", "all")
            self.assertFalse(tree.exists())
            self.assertEqual([path for path in self.storage.subvolumes(self.host1) if path.startswith("all")], [])
        finally:
            subprocess.run(["chattr", "-R", "-i", self.storage.directory / "host1"], check=False,
                           stderr=subprocess.DEVNULL)

    def test_broken_off_in_the_bulk(self):
        """Either agent is killed, or the connection is reset."""
        for name, strike in (("source", lambda: self.kill(self.host1)), ("target", lambda: self.kill(self.host2)),
                             ("link", self.reset_link)):
            with self.subTest(name):
                self.plain(name, 6)
                watch = Watch(self.host1, "move", name, "host2", "--bwlimit", "4M")
                watch.until(in_pass(1))
                self.assertIn(name, "".join(path.name for path in self.storage.places["host1"].iterdir()))
                self.assertTrue(any(".zoneferry-snapshot" in path for path in self.storage.subvolumes(self.host1)))
                strike()
                end = watch.end_or_nothing()
                if name == "link":
                    self.assertEqual(end["exit_code"], 0, end)
                self.settle()
                self.assert_moved(name, False)

    def kill(self, host):
        self.agents[host.name].kill()
        self.agents[host.name].start()

    def reset_link(self):
        """The source's connection is reset at its next packet; the target hears nothing of that."""
        rule = ("table inet cut { chain out { type filter hook output priority 0;\n"
                "tcp dport 7743 reject with tcp reset\n}\n}\n")
        self.host1.run(["nft", "-f", "/dev/stdin"], input=rule)
        self.assertTrue(wait_for(lambda: "ESTAB" not in self.host1.run(["ss", "-Htn", "dport", "=", "7743"]).stdout))
        self.host1.run(["nft", "flush", "ruleset"])

    def test_receive_fails(self):
        fake = self.host2.path("/usr/local/sbin/btrfs")
        fake.parent.mkdir(parents=True, exist_ok=True)
        scripts = {"exits": "#!/bin/sh\n[ $2 = --help ] || [ $3 = --help ] || exit 1\n",
                   "makesmore": "#!/bin/sh\nfor last; do :; done\n"
                                "[ $last = --help ] && exit\n/usr/bin/btrfs \"$@\" && mkdir $last/more\n"}
        for name, script in scripts.items():
            with self.subTest(name):
                self.plain(name)
                fake.write_text(script)
                fake.chmod(0o755)
                try:
                    done = ferry(self.host1, "move", name, "host2")
                finally:
                    fake.unlink()
                self.assertIn("in the ordinary way", done.stdout + done.stderr)
                self.assert_moved(name, False)

    def test_not_chosen(self):
        """By the settings of a host, with an older agent."""
        agent = self.agents["host1"]
        self.plain("set")
        write_settings(self.host1, transport="stream")
        self.kill(self.host1)
        ferry(self.host1, "move", "set", "host2")
        self.assert_moved("set", False)
        write_settings(self.host1, **self.settings)
        agent.stop()
        agent.start(env={"ZONEFERRY_FEATURES": WITHOUT})
        self.plain("older")
        ferry(self.host1, "move", "older", "host2")
        self.assert_moved("older", False)
        self.kill(self.host1)


if __name__ == "__main__":
    faults.main()
