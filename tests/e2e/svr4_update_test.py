#!/usr/bin/python3
"""zoneadm attach -u of an SVR4 zone: from a host at level A to one at level B, both directories of this machine; real
package scripts in real scratch zones. Killed at every step, no space, failing scripts: the zone is at A or at B, whole.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import svr4_world

BIN = pathlib.Path(os.environ["ZONEFERRY_BIN"])
SUPPORT = pathlib.Path(__file__).resolve().parents[1] / "support"
STEPS = ["planned", "journaled", "incomplete", "package:SUNWold", "removed", "copied", "package:SUNWnew",
         "package:SUNWcore", "package:SUNWhol", "package:SUNWinh", "recorded", "logged", "synced", "exchanged", "installed",
         "manifest"]
DONE_FROM = STEPS.index("exchanged")


def run(program, root, *words, crash_at=None, expect=None):
    environment = {**os.environ, "LC_ALL": "C"}
    if crash_at:
        environment["ZONEFERRY_CRASH_AT"] = "update:" + crash_at
    done = subprocess.run([str(BIN / program), "--root", str(root), *words], capture_output=True, text=True, timeout=300,
                          env=environment)
    if expect is not None:
        assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
    return done


def names_in(zonepath):
    """All but the owner record and its lease."""
    return sorted(name for name in os.listdir(zonepath) if not name.startswith(".zoneferry-"))


class Svr4UpdateTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = pathlib.Path(tempfile.mkdtemp(prefix="zf-svr4-", dir=os.environ.get("ZONEFERRY_TEST_DIR", "/var/tmp")))
        os.chmod(cls.base, 0o755)
        svr4_world.make(str(cls.base))
        cls.source, cls.host = cls.base / "source", cls.base / "host"
        for root in (cls.source, cls.host):
            (root / "usr").mkdir(exist_ok=True)
            (root / "zones").mkdir(mode=0o755)
        cls.zonepath = cls.host / "zones/web"
        cls.detach()

    @classmethod
    def detach(cls):
        path = cls.source / "zones/web"
        run("zonecfg", cls.source, "-z", "web", "create; set zonepath=/zones/web", expect=0)
        path.mkdir(mode=0o700)
        (cls.base / "zone").rename(path / "root")
        index = cls.source / "etc/zones/index"
        index.write_text(index.read_text().replace(":configured:", ":installed:"))
        run("zoneadm", cls.source, "-z", "web", "detach", expect=0)
        path.rename(cls.zonepath)
        run("zonecfg", cls.host, "-z", "web", "create -a /zones/web", expect=0)
        subprocess.run(["cp", "-a", str(cls.zonepath), str(cls.base / "saved")], check=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.base)

    def setUp(self):
        self.reset()

    def reset(self):
        """The zone detached at level A on the host at level B."""
        shutil.rmtree(self.zonepath, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self.base / "saved"), str(self.zonepath)], check=True)
        index = self.host / "etc/zones/index"
        lines = [line for line in index.read_text().splitlines() if not line.startswith("web:")]
        index.write_text("\n".join([*lines, "web:configured:/zones/web:"]) + "\n")

    def state(self):
        return run("zoneadm", self.host, "list", "-cp").stdout

    def assert_at_b(self):
        differences = svr4_world.compare(str(self.zonepath / "root"), str(self.base / "expected"))
        self.assertEqual([], differences)
        self.assertIn("web:installed:", self.state())
        self.assertEqual(names_in(self.zonepath), ["root"])

    def assert_at_a(self):
        """Byte for byte, with all attributes, by a tool of its own."""
        saved = self.base / "saved"
        done = subprocess.run([sys.executable, str(SUPPORT / "tree_compare.py"), str(self.zonepath / "root"), str(saved / "root")],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(names_in(self.zonepath), ["SUNWdetached.xml", "root"])
        self.assertIn("state=free\n", (self.zonepath / ".zoneferry-owner").read_text())  # another host may attach it, too
        self.assertEqual((self.zonepath / "SUNWdetached.xml").read_bytes(), (saved / "SUNWdetached.xml").read_bytes())
        self.assertIn("web:configured:", self.state())

    def test_without_u_it_is_refused_and_lists_them(self):
        refused = run("zoneadm", self.host, "-z", "web", "attach", expect=1)
        for package in ("SUNWcore", "SUNWhol", "SUNWinh", "SUNWnew", "SUNWold"):
            self.assertIn(package, refused.stdout + refused.stderr)
        self.assertNotIn("SUNWkeep", refused.stdout + refused.stderr)
        self.assert_at_a()

    def test_update(self):
        run("zoneadm", self.host, "-z", "web", "attach", "-u", expect=0)
        self.assert_at_b()
        log = (self.zonepath / "root/var/sadm/system/logs/update_log").read_text()
        for heading in ("pkg_rm", "pkg_add", "gz_cp_list", "rmlist", "remove_pkg", "cpio", "add_pkg", "finalize"):
            self.assertIn(f"***** {heading} *****", log)

    def test_killed_at_every_step(self):
        for number, step in enumerate(STEPS):
            with self.subTest(step=step):
                self.reset()
                killed = run("zoneadm", self.host, "-z", "web", "attach", "-u", crash_at=step)
                self.assertEqual(killed.returncode, -signal.SIGKILL, killed.stderr)
                if step not in ("planned", "manifest"):
                    self.assertIn("lu", os.listdir(self.zonepath))
                run("zoneadm", self.host, "-z", "web", "attach", "--undo")
                if number >= DONE_FROM:
                    self.assert_at_b()
                else:
                    self.assert_at_a()
                    if step in ("copied", "package:SUNWinh"):  # and it can be done after all
                        run("zoneadm", self.host, "-z", "web", "attach", "-u", expect=0)
                        self.assert_at_b()

    def test_a_failing_script_at_each_package(self):
        for package in ("SUNWnew", "SUNWcore", "SUNWinh"):
            with self.subTest(package=package):
                self.reset()
                script = self.host / f"var/sadm/pkg/{package}/save/pspool/{package}/install/postinstall"
                before = script.read_text() if script.exists() else None
                script.parent.mkdir(exist_ok=True)
                script.write_text("echo 'went wrong' >&2; exit 1\n")
                try:
                    failed = run("zoneadm", self.host, "-z", "web", "attach", "-u", expect=1)
                finally:
                    script.unlink() if before is None else script.write_text(before)
                self.assertIn(f"postinstall of package {package} failed with status 1: went wrong", failed.stderr)
                self.assert_at_a()

    def test_killed_while_a_script_runs_leaves_no_process(self):
        script = self.host / "var/sadm/pkg/SUNWcore/save/pspool/SUNWcore/install/preinstall"
        before = script.read_text()
        script.write_text("touch $PKG_INSTALL_ROOT/var/began; sleep 76541\n")
        try:
            zoneadm = subprocess.Popen([str(BIN / "zoneadm"), "--root", str(self.host), "-z", "web", "attach", "-u"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 60
            while not list(self.zonepath.glob("lu/root/var/began")) and time.monotonic() < deadline:
                self.assertIsNone(zoneadm.poll())
                time.sleep(0.02)
            zoneadm.kill()
            zoneadm.wait()
        finally:
            script.write_text(before)
        self.wait_for_no_process("76541")
        run("zoneadm", self.host, "-z", "web", "attach", "--undo", expect=0)
        self.assert_at_a()

    def wait_for_no_process(self, word):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            running = [path for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if self.runs(path, word)]
            if not running:
                return
            time.sleep(0.02)
        self.fail(f"still running: {running}")

    @staticmethod
    def runs(path, word):
        try:
            return b"sleep\0" + word.encode() in path.read_bytes()
        except OSError:
            return False

    def test_no_space_at_any_moment(self):
        """The zonepath on file systems with room for so many files, from what the zone alone has to what its update needs.
        (Not bytes: the working copy already leaves 64 MiB of these free.)"""
        outcomes, reasons = set(), []
        shutil.rmtree(self.zonepath)
        self.zonepath.mkdir()
        for inodes in [100, 180, *range(186, 210, 2), 1000]:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=256m,nr_inodes={inodes},mode=700", "none", str(self.zonepath)],
                           check=True)
            try:
                copied = subprocess.run(["cp", "-a", str(self.base / "saved") + "/.", str(self.zonepath)],
                                        capture_output=True)
                if copied.returncode != 0:
                    continue
                index = self.host / "etc/zones/index"
                index.write_text("global:installed:/:\nweb:configured:/zones/web:\n")
                done = run("zoneadm", self.host, "-z", "web", "attach", "-u")
                with self.subTest(inodes=inodes):
                    outcomes.add(done.returncode)
                    reasons.append(f"{inodes}: {done.returncode} {done.stderr}")
                    if done.returncode == 0:
                        self.assert_at_b()
                    else:
                        self.assert_at_a()
            finally:
                subprocess.run(["umount", str(self.zonepath)], check=True)
        self.assertEqual(outcomes, {0, 1}, "".join(reasons))  # the sizes are chosen so that both are seen
        places = [place for place in ("copying", "package SUNWcore") if place in "".join(reasons)]
        self.assertEqual(places, ["copying", "package SUNWcore"], "".join(reasons))


if __name__ == "__main__":
    if os.geteuid() != 0 or not os.path.exists("/usr/bin/busybox"):
        print("needs root and busybox-static")
        sys.exit(77)
    unittest.main()
