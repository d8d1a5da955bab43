#!/usr/bin/python3
"""What a zone mounts from its host and writes to travels with it, unless the target has the very same directory:
whatever its zonepath lies on, with agents killed, back home, and never over what lies there."""
import os
import subprocess

from faults import FaultTest, differences, install_plain, main, wait_for
from ferry import ZONES, ferry, ferry_json, zone_commands, zone_states
from hosts import install_web_service
from shared import SharedDirectory

DATA = "/data"


def extra_fs(special, directory="/srv/extra"):
    return ["add fs", "set type=lofs", f"set dir={directory}", f"set special={special}", "end"]


class MixedTest(FaultTest):
    """Both hosts take trees below /data."""
    settings = {"extra_fs_roots": [DATA], "retry_s": 3, "quiesced_retry_s": 3}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for host in cls.hosts:
            host.path(DATA).mkdir(mode=0o700)

    def data(self, host, name):
        return host.path(f"{DATA}/{name}")

    def fill(self, host, name):
        """A directory that the zone is to have: files, a link, a large one with a hole, and a mode of its own."""
        place = self.data(host, name)
        (place / "below/it").mkdir(parents=True)
        for number in range(20):
            (place / f"below/file{number}").write_bytes(os.urandom(20_000))
        os.link(place / "below/file0", place / "another name")
        with open(place / "below/large", "wb") as large:
            large.write(os.urandom(1 << 20))
            large.truncate(8 << 20)
        os.chown(place / "below", 1000, 1000)
        place.chmod(0o1777)
        return place

    def plain(self, host, name):
        """A zone that never boots, with such a directory."""
        self.fill(host, name)
        install_plain(host, name, megabytes=1, files=4, extra=extra_fs(f"{DATA}/{name}"), storage=self.storage)

    def assert_nothing_left(self):
        for host in self.hosts:
            def left(places=(host.path(DATA), host.path(ZONES))):
                return [path.name for place in places for path in place.iterdir() if path.name.startswith(".")]
            wait_for(lambda: not left(), 20)
            self.assertEqual(left(), [], host.name)

    def findings(self, host, name, other):
        lines = ferry_json(host, "check", name, other.name, check=False)[1]
        return {line["code"]: line for line in lines if line["type"] == "finding"}

    def blocked(self, host, name, other):
        return {code for code, line in self.findings(host, name, other).items() if line["severity"] == "block"}


class LocalTest(MixedTest):
    """The zonepath is each host's own, too."""

    def test_both_travel_and_come_back(self):
        self.plain(self.host1, "both")
        before = self.data(self.host1, "both")
        self.data(self.host2, "both").mkdir()  # empty: made for it
        told = self.findings(self.host1, "both", self.host2)["FS_TRAVELS"]
        self.assertIn("fs /srv/extra: ", told["message"])
        self.assertIn("/data/both", told["message"])
        ferry(self.host1, "move", "both", "host2")
        after = self.data(self.host2, "both")
        self.assertEqual(differences(before, after), "")
        self.assertEqual(after.stat().st_mode & 0o7777, 0o1777)
        (after / "new").write_text("written there")
        (after / "below/file3").unlink()
        ferry(self.host1, "rollback", "both")
        self.assertEqual((before / "new").read_text(), "written there")
        self.assertFalse((before / "below/file3").exists())
        self.assertTrue((before / "below/file4").exists())
        self.assertEqual(zone_states(self.host1)["both"], "installed")
        self.settle()
        self.assert_nothing_left()
        self.assertFalse(self.data(self.host2, "both").exists(), "a rollback deletes what it leaves")
        ferry(self.host1, "move", "both", "host2", "--remove-source")
        self.assertFalse(before.exists())
        self.assertEqual((self.data(self.host2, "both") / "new").read_text(), "written there")
        self.assert_nothing_left()

    def test_the_kept_copy_is_taken_with_discard(self):
        self.plain(self.host1, "older")
        ferry(self.host1, "move", "older", "host2")
        (self.data(self.host2, "older") / "new").write_text("written there")
        ferry(self.host1, "rollback", "older", "--discard")
        self.assertTrue((self.data(self.host1, "older") / "below/file0").exists())
        self.assertFalse((self.data(self.host1, "older") / "new").exists())
        self.settle()
        self.assertFalse(self.data(self.host2, "older").exists())
        self.assert_nothing_left()

    def test_a_place_that_is_not_for_it_is_refused(self):
        here, there = self.host1, self.host2
        self.plain(here, "refused")
        taken = self.data(there, "refused")
        taken.mkdir()
        (taken / "file").write_text("of another")
        self.assertEqual(self.blocked(here, "refused", there), {"FS_PLACE_TAKEN"})
        (taken / "file").unlink()
        there.path(DATA).chmod(0o755)
        self.assertEqual(self.blocked(here, "refused", there), {"FS_PLACE_UNSAFE"})
        there.path(DATA).chmod(0o700)
        taken.rmdir()
        taken.symlink_to("/srv")
        self.assertEqual(self.blocked(here, "refused", there), {"FS_PLACE_UNSAFE"})
        taken.unlink()
        (taken / "below").mkdir(parents=True)
        install_plain(there, "other", files=1, extra=extra_fs("/data/refused/below"))
        self.assertEqual(self.blocked(here, "refused", there), {"FS_PLACE_TAKEN", "FS_IN_USE"})
        here.run(["mount", "-t", "tmpfs", "none", "/data/refused/below/it"])
        self.assertIn("MOUNTED_INSIDE", self.blocked(here, "refused", there))
        here.run(["umount", "/data/refused/below/it"])
        here.path("/export/elsewhere").mkdir()
        here.run(["zonecfg", "-z", "refused", "select fs dir=/srv/extra; set special=/export/elsewhere; end"])
        self.assertEqual(self.blocked(here, "refused", there), {"FS_NOT_ALLOWED"})
        done = ferry(here, "move", "refused", "host2", check=False)
        self.assertEqual(done.returncode, 3, done)
        self.assertIn("extra_fs_roots", done.stdout + done.stderr)

    def test_nothing_is_left_of_a_move_that_is_given_up(self):
        self.plain(self.host1, "undone")
        ferry(self.host1, "move", "undone", "host2", "--no-switch")
        self.assertEqual(len([name for name in os.listdir(self.host2.path(DATA)) if name.startswith(".")]), 1)
        ferry(self.host1, "abort", "undone")
        self.settle()
        self.assert_nothing_left()
        self.assertFalse(self.data(self.host2, "undone").exists())
        self.assertTrue((self.data(self.host1, "undone") / "below/file0").exists())

    def test_agents_killed_before_and_after_the_release(self):
        for number, point in enumerate(("source:before:verified", "target:before:ready", "source:after:released",
                                        "target:before:activated")):
            with self.subTest(point):
                self.killed(f"killed{number}", point)

    def killed(self, name, point):
        host = self.host1 if point.startswith("source") else self.host2
        agent = self.agents[host.name]
        self.plain(self.host1, name)
        agent.stop()
        agent.start(env={"ZONEFERRY_CRASH_AT": point})
        move = self.host1.popen(["zoneferry", "move", name, "host2", "--remove-source"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        self.assertTrue(wait_for(lambda: agent.process.poll() is not None, 20, 0.02), "was not reached")
        agent.start()
        move.wait(timeout=30)
        self.settle()
        self.assertEqual(self.holder(name), self.host2)
        self.assertTrue(wait_for(lambda: not self.data(self.host1, name).exists(), 20), "not deleted")
        self.assertTrue((self.data(self.host2, name) / "below/large").exists())
        self.assert_nothing_left()


class SharedZonepathTest(MixedTest):
    """The zonepath lies on storage that both have."""
    make_storage = SharedDirectory

    def count(self, host):
        value = self.data(host, "counts") / "value"
        return int(value.read_text() or 0) if value.exists() else 0

    def test_a_running_zone_that_writes_there_all_the_time(self):
        name = "counts"
        self.data(self.host1, name).mkdir()
        commands = zone_commands(name, sparse=True, extra=extra_fs(f"{DATA}/{name}", "/var/lib/counter"))
        self.host1.run(["zonecfg", "-z", name, "-f", "/dev/stdin"], input=commands)
        self.host1.run(["zoneadm", "-z", name, "install"], timeout=120)
        install_web_service(self.storage.tree(self.host1, name) / "root")
        self.host1.run(["zoneadm", "-z", name, "boot"], timeout=120)
        self.assertTrue(wait_for(lambda: self.count(self.host1) > 5, 20))
        status, lines = ferry_json(self.host1, "check", name, "host2")
        check = next(line for line in lines if line["type"] == "check")
        self.assertEqual((status, check["shared"], check["extra_trees"][0]["path"]), (0, "directory", "/data/counts"))
        ferry(self.host1, "move", name, "host2")
        self.assertEqual(zone_states(self.host2)[name], "running")
        before = self.count(self.host1)
        self.assertTrue(wait_for(lambda: self.count(self.host2) > before, 20), "the service does not go on")
        refused = self.host1.run(["zoneadm", "-z", name, "boot"], check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertEqual(self.count(self.host1), before)
        ferry(self.host2, "rollback", name)
        self.assertEqual(zone_states(self.host1)[name], "running")
        self.settle()
        self.assertGreater(self.count(self.host1), before)
        self.assertFalse(self.data(self.host2, name).exists())
        self.assertTrue((self.storage.tree(self.host1, name) / "root").exists())
        self.assert_nothing_left()


if __name__ == "__main__":
    main()
