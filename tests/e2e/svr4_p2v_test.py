#!/usr/bin/python3
"""zoneadm install -a of a Solaris system: brought to the host's level by real package scripts, adjusted, and with -u
what sys-unconfig does. What was changed is compared with tests/golden/solaris_p2v_install_*.txt; after a change that is
meant, run with ZONEFERRY_UPDATE_GOLDEN=1 and look at the difference. (It is not booted: no Solaris here.)"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import solaris_image
import svr4_world

BIN = pathlib.Path(os.environ["ZONEFERRY_BIN"])
GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
BACKUPS = "/var/lib/zoneferry-p2v"


class Svr4P2vTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = pathlib.Path(tempfile.mkdtemp(prefix="zf-svr4-", dir=os.environ.get("ZONEFERRY_TEST_DIR", "/var/tmp")))
        cls.addClassCleanup(shutil.rmtree, cls.base)
        os.chmod(cls.base, 0o755)
        solaris_image.make(str(cls.base))
        cls.host, cls.image = cls.base / "host", cls.base / "zone"
        (cls.host / "zones").mkdir(mode=0o755)

    def run_program(self, program, *words, expect=0):
        done = subprocess.run([BIN / program, "--root", self.host, *words], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "LC_ALL": "C"})
        self.assertEqual(done.returncode, expect, (words, done.stdout, done.stderr))
        return done

    def configure(self, zone, network):
        self.run_program("zonecfg", "-z", zone, f"create -b; set zonepath=/zones/{zone}; {network}; commit")
        return str(self.host / "zones" / zone / "root")

    def install(self, zone, make, *words, expect=0):
        archive = self.host / "archive"
        try:
            make(self.image, archive)
            done = self.run_program("zoneadm", "-z", zone, "install", "-a", "/archive", *words, "--format", "json",
                                    expect=expect)
        finally:
            archive.unlink(missing_ok=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def check_golden(self, name, told):
        text = "".join(f"{line['kind']} {line['path']}: {line['done']}\n" for line in told if line["type"] == "change")
        path = GOLDEN / f"solaris_p2v_install_{name}.txt"
        if os.environ.get("ZONEFERRY_UPDATE_GOLDEN"):
            path.write_text(text)
            self.fail("updated; a run that updates does not count")
        self.assertEqual(text, path.read_text())

    def check_packages(self, root, told):
        """At the host's level as update on attach brings it there; what else differs are the image's own files."""
        changed = {"/" + line["path"] for line in told if line["type"] == "change"}
        own = set(solaris_image.SYSTEM) | changed | {"/etc/shadow", "/etc/ssh/ssh_host_rsa_key"}
        allowed = own | {path.rsplit("/", depth)[0] for path in own for depth in range(1, path.count("/"))}
        for line in svr4_world.compare(root, str(self.base / "expected")):
            kind, path = line.split(": ")[0].split(" ", 1)
            named = path in allowed or path.startswith(("/etc/hostname.", BACKUPS, "/var/lib", "/var/log", "/dev/", "/system"))
            self.assertTrue(kind == "file" and named, line)
        installed = next(line for line in told if line["type"] == "install")
        self.assertEqual(installed["packages_updated"], 5, installed)

    def test_cpio_in_a_stack_of_its_own_keeps_its_identity(self):
        root = self.configure("sol", "set ip-type=exclusive; add net; set physical=br0; end")
        told = self.install("sol", solaris_image.cpio, "-p")
        self.check_golden("cpio_preserve", told)
        self.check_packages(root, told)
        for path in ("/etc/nodename", "/etc/inet/hosts", "/etc/shadow", "/etc/ssh/ssh_host_rsa_key"):
            self.assertEqual(pathlib.Path(root + path).read_bytes(), (self.image / path[1:]).read_bytes(), path)
        self.assertIn("# share -F nfs /export/home", pathlib.Path(root + "/etc/dfs/dfstab").read_text())
        self.assertIn("sol:installed:", self.run_program("zoneadm", "list", "-cp").stdout)
        log = pathlib.Path(root + "/var/log/zoneferry-install.log").read_text()
        self.assertIn("SUNWcore", log)

    def test_flar_in_the_shared_stack_unconfigured(self):
        root = self.configure("sys", "add net; set physical=lo; set address=127.0.0.9/8; end")
        told = self.install("sys", solaris_image.flar, "-u")
        self.check_golden("flar_unconfigure", told)
        self.check_packages(root, told)
        self.assertTrue(os.path.exists(root + "/etc/.UNCONFIGURED"))
        for place, _, names in os.walk(root + "/etc"):
            for name in names:
                path = pathlib.Path(place, name)
                if path.is_file() and not path.is_symlink():
                    content = path.read_text()
                    self.assertEqual([secret for secret in ("OLDROOTHASH", "OLDKEY") if secret in content], [], path)
        self.assertNotIn("sol10", pathlib.Path(root + "/etc/inet/hosts").read_text())

    def test_a_newer_image_is_refused(self):
        self.configure("newer", "set ip-type=exclusive")
        release = self.image / "var/sadm/system/admin/INST_RELEASE"
        release.write_text(solaris_image.RELEASE.format(11))
        self.addCleanup(release.write_text, solaris_image.RELEASE.format(10))
        told = self.install("newer", solaris_image.cpio, "-p", expect=253)
        self.assertEqual([line["code"] for line in told if line["type"] == "finding"], ["IMAGE_OS_NEWER"])


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("svr4_p2v_test: skipped: needs root")
        sys.exit(77)
    unittest.main(verbosity=2)
