#!/usr/bin/python3
"""zoneferry move -u of an SVR4 zone between two agents: host1 at level A, host2 at level B. Then the same with the
target's agent killed while it updates the zone's staging: the zone is at host1, as it was, or at host2, at B."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import hosts as harness
import svr4_world
from ferry import ferry, ferry_json, start_agents, trust, zone_path, zone_states

# What an SVR4 host has of the world's host; the programs are the simulated host's own.
NOT_TAKEN = ["/bin", "/zones"]


class Svr4MoveTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hosts = harness.Hosts(["host1", "host2"], programs=os.environ["ZONEFERRY_BIN"])
        cls.host1, cls.host2 = cls.hosts["host1"], cls.hosts["host2"]
        cls.world = pathlib.Path(tempfile.mkdtemp(prefix="zf-svr4-", dir=cls.hosts.directory))
        svr4_world.make(str(cls.world))
        for host, tree in ((cls.host1, "source"), (cls.host2, "host")):
            host.path("/var/lib/dpkg/status").rename(host.path("/var/lib/dpkg/status.away"))
            subprocess.run(["rsync", "-aK", *(f"--exclude={path}" for path in NOT_TAKEN), f"{cls.world}/{tree}/", f"{host.root}/"],
                           check=True)
        cls.agents = start_agents(cls.hosts)
        trust(cls.host1, cls.host2)

    @classmethod
    def tearDownClass(cls):
        cls.hosts.close()

    def make_zone(self, name):
        """Installed at level A, edited, halted."""
        tree = self.host1.path(zone_path(name))
        tree.mkdir(mode=0o700)
        subprocess.run(["cp", "-a", self.world / "zone", tree / "root"], check=True)
        self.host1.run(["zonecfg", "-z", name, f"create -b; set zonepath={zone_path(name)}; set ip-type=exclusive; "
                                              "add inherit-pkg-dir; set dir=/usr; end; commit"])
        index = self.host1.path("/etc/zones/index")
        index.write_text(index.read_text().replace(f"{name}:configured:", f"{name}:installed:"))
        return tree

    def assert_at_b(self, name):
        differences = svr4_world.compare(str(self.host2.path(zone_path(name)) / "root"), str(self.world / "expected"))
        self.assertEqual([], differences)
        self.assertEqual(zone_states(self.host2).get(name), "installed")

    def assert_as_it_was(self, name):
        compare = subprocess.run([sys.executable, harness.SUPPORT / "tree_compare.py", self.world / "zone",
                                  self.host1.path(zone_path(name)) / "root"], capture_output=True, text=True)
        self.assertEqual(compare.returncode, 0, compare.stdout)
        self.assertEqual(zone_states(self.host1).get(name), "installed")

    def test_move_with_update(self):
        self.make_zone("web")
        refused = ferry(self.host1, "move", "web", "host2", check=False)
        self.assertEqual(refused.returncode, 3, refused.stdout + refused.stderr)
        for package in ("SUNWcore", "SUNWhol", "SUNWinh", "SUNWnew", "SUNWold"):
            self.assertIn(package, refused.stdout)
        status, lines = ferry_json(self.host1, "check", "-u", "web", "host2")
        self.assertEqual(status, 0, lines)
        changes = sorted(line["subject"] for line in lines if line.get("code") == "PKG_WILL_CHANGE")
        self.assertEqual(changes, ["SUNWcore", "SUNWhol", "SUNWinh", "SUNWnew", "SUNWold"])
        self.assert_as_it_was("web")
        moved = ferry(self.host1, "move", "-u", "web", "host2", check=False)
        self.assertEqual(moved.returncode, 0, moved.stdout + moved.stderr + self.agents["host2"].log()[-2000:])
        self.assert_at_b("web")
        ferry(self.host1, "finalize", "web")

    def test_target_killed_while_it_updates_staging(self):
        for number, step in enumerate(("package:SUNWcore", "logged")):
            name = f"killed{number}"
            with self.subTest(step):
                self.make_zone(name)
                self.agents["host2"].stop()
                self.agents["host2"].start(env={"ZONEFERRY_CRASH_AT": f"update:{step}"})
                mover = self.host1.popen(["zoneferry", "move", "-u", name, "host2"], text=True,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.assertIn(self.agents["host2"].process.wait(timeout=60), (-9, 137))
                self.agents["host2"].start()
                output, _ = mover.communicate(timeout=120)
                if mover.returncode == 0:
                    self.assert_at_b(name)
                    self.assertNotEqual(zone_states(self.host1).get(name), "running")
                else:
                    self.assertIn(mover.returncode, (11, 12), output)
                    self.assert_as_it_was(name)
                    self.assertNotIn(name, zone_states(self.host2))
                    self.assertFalse([path for path in self.host2.path("/export/zones").iterdir() if name in path.name])


if __name__ == "__main__":
    if os.geteuid() != 0 or not shutil.which("busybox"):
        print("svr4_move_test: skipped: simulated hosts need root, the zone needs busybox-static")
        sys.exit(77)
    unittest.main(verbosity=2)
