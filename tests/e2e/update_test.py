#!/usr/bin/python3
"""Update on attach with real packages and real dpkg: host2 holds newer versions of packages of host1 than the zones do."""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import unittest

import hosts as harness
from debs import Newer, fake_package, version_of
from ferry import ferry, ferry_json, make_zone, start_agents, trust, zone_path, zone_states

SUPPORT = harness.SUPPORT
FAIL = "[ ! -e /etc/fail-{0} ] || exit 1"
# What an updated zone may have otherwise than one that was freshly installed at the new level, and why.
MAY_DIFFER = ("var/lib/dpkg/",            # compared package by package
              "var/log/dpkg.log", "var/log/zoneferry-update.log", "var/log/alternatives.log",
              "etc/hostname", "etc/hosts",  # the zones have different names
              "etc/nginx/scgi_params",      # an obsolete configuration file stays, as dpkg does it
              "etc/nginx/nginx.conf.dpkg-dist",  # the new one beside the edited one
              # Made by the packages' scripts, which an install from the host's packages does not run:
              "etc/rc", "var/www/", "var/cache/debconf/", "var/lib/systemd/deb-systemd-helper-enabled/",
              "etc/ld.so.cache", "var/cache/ldconfig/")


def quiet(argv, **options):
    return subprocess.run(list(map(str, argv)), check=True, capture_output=True, text=True, **options)


def names_in(zonepath):
    """All but the owner record and its lease."""
    return sorted(name for name in os.listdir(zonepath) if not name.startswith(".zoneferry-"))


class UpdateTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hosts = harness.Hosts(["host1", "host2"], programs=os.environ["ZONEFERRY_BIN"])
        cls.host1, cls.host2 = cls.hosts["host1"], cls.hosts["host2"]
        for host in cls.hosts:
            host.path("/etc/zoneferry/all-zones.d").mkdir(parents=True)
            host.path("/etc/zoneferry/all-zones.d/test.list").write_text("sed\nnginx-common\n")
        cls.agents = start_agents(cls.hosts)
        trust(cls.host1, cls.host2)
        cls.old = {name: version_of(cls.host1, name) for name in ("sed", "nginx-common")}
        cls.new = {name: version + ".0" for name, version in cls.old.items()}
        cls.make_newer()
        for name, sparse in (("sparse", True), ("whole", False)):
            cls.make_detached(name, sparse)

    @classmethod
    def make_newer(cls):
        sed = Newer(cls.host2, "sed", cls.new["sed"])
        sed.write("/usr/share/doc/sed/news-of-b", "B\n")
        sed.conffile("/etc/sed-b.conf", "level B\n")
        sed.script("postinst", FAIL.format("sed") + "; echo configured > /var/lib/sed-b")
        sed.install(keep=True)  # in the archive cache; the other one must be repacked
        nginx = Newer(cls.host2, "nginx-common", cls.new["nginx-common"])
        nginx.conffile("/etc/nginx/nginx.conf", "# level B\n" + cls.host2.path("/etc/nginx/nginx.conf").read_text())
        nginx.conffile("/etc/nginx/mime.types", "# level B\n" + cls.host2.path("/etc/nginx/mime.types").read_text())
        nginx.drop_conffile("/etc/nginx/scgi_params")
        nginx.script("preinst", FAIL.format("nginx-pre"))
        nginx.script("postinst", FAIL.format("nginx"))
        nginx.install()
        # The host's administrator edits one: its secret must not reach a zone, and what the package shipped must.
        conf = cls.host2.path("/etc/nginx/mime.types")
        shutil.copy2(conf, str(conf) + ".dpkg-dist")
        with open(conf, "a") as text:
            text.write("# SECRET-OF-HOST2\n")

    @classmethod
    def make_detached(cls, name, sparse):
        """A zone of level A with edits, detached; its tree is what attach -u is tried on, on host2, again and again."""
        tree = make_zone(cls.host1, name, sparse=sparse)
        cls.edit(tree / "root")
        cls.host1.run(["zoneadm", "-z", name, "detach"])

    @staticmethod
    def edit(root):
        (root / "etc/nginx/nginx.conf").write_text("user www-data;\nevents {}\n# EDITED IN THE ZONE\n")
        (root / "var/log/nginx").mkdir(parents=True, exist_ok=True)
        (root / "var/log/nginx/access.log").write_text("volatile\n")
        (root / "srv/data").mkdir(parents=True, exist_ok=True)
        (root / "srv/data/linked").write_text("two names\n")
        os.link(root / "srv/data/linked", root / "srv/data/other-name")

    @classmethod
    def tearDownClass(cls):
        cls.hosts.close()

    # ---- helpers ------------------------------------------------------------------------------------------

    def bring(self, name, as_name=None):
        """A fresh copy of the detached zone on host2, configured there."""
        as_name = as_name or name
        tree = self.host2.path(zone_path(as_name))
        self.forget(as_name)
        quiet(["cp", "-a", self.host1.path(zone_path(name)), tree])
        self.host2.run(["zonecfg", "-z", as_name, f"create -a {zone_path(as_name)}; commit"])
        return tree

    def forget(self, name):
        state = zone_states(self.host2).get(name)
        if state in ("installed", "incomplete"):
            self.host2.run(["zoneadm", "-z", name, "uninstall", "-F"])
        if state is not None:
            self.host2.run(["zonecfg", "-z", name, "delete -F"])
        shutil.rmtree(self.host2.path(zone_path(name)), ignore_errors=True)

    def attach(self, name, *words, env=None, check=True):
        return self.host2.run(["zoneadm", "-z", name, "attach", *words], env=env, check=check, timeout=300)

    def zone_version(self, name, package, host=None):
        return version_of(host or self.host2, package, f"{zone_path(name)}/root")

    def assert_new(self, name):
        self.assertEqual(zone_states(self.host2)[name], "installed")
        self.assertEqual({p: self.zone_version(name, p) for p in self.new}, self.new)
        audit = self.host2.run(["dpkg", f"--root={zone_path(name)}/root", "--audit"])
        self.assertEqual(audit.stdout, "")
        self.assertEqual(names_in(self.host2.path(zone_path(name))), ["root"])

    def assert_old(self, name, tree, state="configured"):
        """Byte for byte what the detached zone was."""
        self.assertEqual(zone_states(self.host2)[name], state)
        compare = subprocess.run([sys.executable, SUPPORT / "tree_compare.py", self.host1.path(zone_path("sparse")) / "root",
                                  tree / "root"], capture_output=True, text=True)
        self.assertEqual(names_in(tree), ["SUNWdetached.xml", "root"])
        self.assertIn("state=free\n", (tree / ".zoneferry-owner").read_text())  # another host may attach it as well
        self.assertEqual(compare.returncode, 0, compare.stdout[-2000:])

    # ---- attach -u ----------------------------------------------------------------------------------------

    def test_plan_is_shown_and_nothing_changes(self):
        tree = self.bring("sparse")
        plain = self.attach("sparse", check=False)
        self.assertEqual(plain.returncode, 1)
        self.assertEqual(plain.stderr.count("version mismatch"), 2, plain.stderr)
        shown = self.attach("sparse", "-n", "-u", "--format", "json")
        lines = [json.loads(line) for line in shown.stdout.splitlines()]
        steps = {line["package"]: line for line in lines if line["type"] == "update"}
        self.assertEqual(set(steps), {"sed", "nginx-common"})
        self.assertEqual((steps["sed"]["from"], steps["sed"]["to"]), (self.old["sed"], self.new["sed"]))
        self.assertEqual(steps["sed"]["why"], "all-zones")
        self.assertGreater(steps["sed"]["bytes"], 0)
        self.assertEqual(lines[-1]["exit_code"], 0)
        self.assert_old("sparse", tree)

    def check_against_fresh(self, name, create):
        tree = self.bring(name)
        self.attach(name, "-u")
        self.assert_new(name)
        fresh = f"fresh-{name}"
        self.forget(fresh)
        make_zone(self.host2, fresh, sparse=create)
        fresh_root = self.host2.path(zone_path(fresh)) / "root"
        # The host's edited file is copied by install (with a warning): what the package ships is the measure here.
        shutil.copy2(self.host2.path("/etc/nginx/mime.types.dpkg-dist"), fresh_root / "etc/nginx/mime.types")
        self.edit(fresh_root)
        (fresh_root / "var/lib/sed-b").write_text("configured\n")  # made by the package's script
        listed = quiet(["rsync", "-rlpgoAXHnc", "--delete", "--itemize-changes", f"{fresh_root}/", f"{tree}/root/"]).stdout
        differ = [line.split(None, 1) for line in listed.splitlines()]
        unexpected = [(how, path) for how, path in differ
                      if not path.startswith(MAY_DIFFER) and how not in (".d..t......",)]
        self.assertFalse(unexpected, unexpected)
        query = ["-W", "-f", "${Package} ${Version} ${Status}\\n"]
        both = [self.host2.run(["dpkg-query", f"--admindir={zone_path(z)}/root/var/lib/dpkg", *query]).stdout
                for z in (name, fresh)]
        self.assertEqual(both[0], both[1])
        lists = [{path.name: sorted(path.read_text().split("\n")) for path in (t / "var/lib/dpkg/info").glob("*.list")}
                 for t in (tree / "root", fresh_root)]
        self.assertEqual(lists[0], lists[1])
        found = subprocess.run(["grep", "-rl", "SECRET-OF-HOST2", tree / "root/etc"], capture_output=True, text=True)
        self.assertEqual(found.stdout, "")
        self.assertIn("EDITED", (tree / "root/etc/nginx/nginx.conf").read_text())
        self.assertIn("done after", (tree / "root/var/log/zoneferry-update.log").read_text())
        self.assertIn("Setting up sed", self.host2.path(f"/var/log/zoneferry/zones/{name}.update.log").read_text())
        self.forget(fresh)
        self.forget(name)

    def test_sparse_zone_is_as_freshly_installed(self):
        self.check_against_fresh("sparse", True)

    def test_whole_zone_is_as_freshly_installed(self):
        self.check_against_fresh("whole", False)

    def test_killed_at_every_step(self):
        """SIGKILL: mended, the zone is at its old level, byte for byte, or at the new one, and it is told which."""
        steps = ("journaled", "incomplete", "copied", "packed", "dpkg:unpacked:sed", "dpkg:installed:nginx-common",
                 "configured", "logged", "synced", "exchanged", "installed", "manifest")
        tree = self.bring("sparse")
        for step in steps:
            with self.subTest(step):
                killed = self.attach("sparse", "-u", env={"ZONEFERRY_CRASH_AT": f"update:{step}"}, check=False)
                self.assertEqual(killed.returncode, 137 if killed.returncode > 0 else -9, killed.stderr)
                mended = self.attach("sparse", "--undo")
                if step in ("exchanged", "installed", "manifest"):
                    self.assertIn("at this host's level", mended.stdout)
                    self.assert_new("sparse")
                    tree = self.bring("sparse")
                else:
                    self.assertIn("as it was before the update", mended.stdout)
                    self.assert_old("sparse", tree)
        nothing = self.attach("sparse", "--undo", check=False)
        self.assertEqual(nothing.returncode, 1)
        # The next attempt mends by itself.
        self.attach("sparse", "-u", env={"ZONEFERRY_CRASH_AT": "update:synced"}, check=False)
        self.assertEqual(zone_states(self.host2)["sparse"], "incomplete")
        again = self.attach("sparse", "-u")
        self.assertIn("put back to its old level first", again.stderr)
        self.assert_new("sparse")

    def test_failing_scripts_leave_the_zone_as_it_was(self):
        for step in ("sed", "nginx", "nginx-pre"):
            with self.subTest(step):
                tree = self.bring("sparse")
                for place in (tree, self.host1.path(zone_path("sparse"))):
                    (place / f"root/etc/fail-{step}").write_text("")
                try:
                    quiet(["touch", "-r", self.host1.path(zone_path("sparse")) / "root/etc", tree / "root/etc"])
                    for place in (tree, self.host1.path(zone_path("sparse"))):
                        quiet(["touch", "-r", "/etc/hostname", place / f"root/etc/fail-{step}"])
                    failed = self.attach("sparse", "-u", check=False)
                    self.assertEqual(failed.returncode, 1)
                    self.assertIn("is as it was before, at its old level", failed.stderr)
                    self.assert_old("sparse", tree)
                finally:
                    (self.host1.path(zone_path("sparse")) / f"root/etc/fail-{step}").unlink()

    def test_full_disk(self):
        """Too little room for the copy, and room that ends while dpkg writes."""
        self.host2.path("/export/small").mkdir(exist_ok=True)
        for size, needle in (("40m", "--no-undo"), ("76m", "as it was before")):
            with self.subTest(size):
                # The mount lives in host2's namespace, so everything goes through its programs.
                script = (f"mount -t tmpfs -o size={size},mode=755 none /export/small && "
                          "cp -a /export/zones/full /export/small/full && rm -rf /export/zones/full && "
                          "zonecfg -z full 'create -a /export/small/full; commit' && "
                          "cp -a /export/small/full /run/before && "
                          "{ [ $1 = 40m ] || dd if=/dev/zero of=/export/small/fill bs=1M count=69 2>/dev/null || true; } && "
                          "{ zoneadm -z full attach -u; echo status $?; } 2>&1; "
                          "diff -r -x .zoneferry-lease -x .zoneferry-owner --no-dereference /run/before /export/small/full && echo same; "
                          "rm -rf /run/before; zonecfg -z full 'delete -F'; umount /export/small")
                shutil.rmtree(self.host2.path("/export/zones/full"), ignore_errors=True)
                quiet(["cp", "-a", self.host1.path(zone_path("sparse")), self.host2.path("/export/zones/full")])
                done = self.host2.run(["sh", "-c", script, "sh", size], check=False, timeout=120)
                self.assertIn("status 1", done.stdout, done.stderr)
                self.assertIn("\nsame\n", done.stdout)
                self.assertIn(needle, done.stdout)

    def test_hostile_zones_do_not_reach_the_host(self):
        before = self.host_digest()
        for link, target in (("var/lib/dpkg", "/var/lib/dpkg"), ("etc", "/"), ("var/log", "/etc"),
                             ("var/lib/dpkg/info", "/etc")):
            with self.subTest(link):
                tree = self.bring("sparse")
                place = tree / "root" / link
                place.rename(place.with_name(place.name + ".away"))
                place.symlink_to(target)
                self.attach("sparse", "-u", check=False)
                self.assertEqual(self.host_digest(), before)
                self.forget("sparse")

    def host_digest(self):
        """Everything of host2's /etc and package database."""
        digest = hashlib.sha256()
        for top in ("/etc", "/var/lib/dpkg"):
            for path in sorted(self.host2.path(top).rglob("*")):
                if path.is_file() and not path.is_symlink() and "zones" not in path.parts:
                    digest.update(str(path).encode() + path.read_bytes())
        return digest.hexdigest()

    def test_without_undo_nothing_is_copied(self):
        tree = self.bring("sparse")
        self.attach("sparse", "-u", "--no-undo")
        self.assert_new("sparse")
        tree = self.bring("sparse")
        (tree / "root/etc/fail-sed").write_text("")
        failed = self.attach("sparse", "-u", "--no-undo", check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn("incomplete", failed.stderr)
        self.assertEqual(zone_states(self.host2)["sparse"], "incomplete")
        self.assertEqual(self.attach("sparse", "--undo", check=False).returncode, 1)

    # ---- removed packages, and -U ---------------------------------------------------------------------------

    def test_packages_that_go_and_packages_of_the_zone_alone(self):
        """zf-gone is dependent (it lies in /usr) and host2 does not have it; zf-own and zf-ahead lie in /opt alone."""
        own = {"zf-own": ("1.0", "2.0"), "zf-ahead": ("2.0", "1.0")}
        gone = fake_package(self.host1, "zf-gone", "1.0", {"/usr/share/zf-gone/data": "x\n", "/etc/zf-gone.conf": "c\n"},
                            conffiles=["/etc/zf-gone.conf"])
        for package, versions in own.items():
            for host, version in zip((self.host1, self.host2), versions):
                fake_package(host, package, version, {f"/opt/{package}/version": version + "\n"})
        try:
            self.make_detached("extra", True)
            tree = self.bring("extra")
            done = self.attach("extra", "-u")
            self.assertEqual(zone_states(self.host2)["extra"], "installed")
            status = self.host2.run(["dpkg-query", f"--admindir={zone_path('extra')}/root/var/lib/dpkg", "-W", "-f",
                                     "${db:Status-Status}", gone]).stdout
            self.assertEqual(status, "config-files")
            self.assertEqual((tree / "root/etc/zf-gone.conf").read_text(), "c\n")  # removed, not purged
            self.assertEqual({p: self.zone_version("extra", p) for p in own}, {p: v[0] for p, v in own.items()}, done.stderr)
            tree = self.bring("extra")
            done = self.attach("extra", "-U")
            self.assertEqual({p: self.zone_version("extra", p) for p in own}, {"zf-own": "2.0", "zf-ahead": "2.0"})
            self.assertEqual((tree / "root/opt/zf-own/version").read_text(), "2.0\n")
            self.assertEqual((tree / "root/opt/zf-ahead/version").read_text(), "2.0\n")
            self.assertIn("zf-ahead", done.stdout + done.stderr)
            self.assert_new("extra")
        finally:
            self.forget("extra")
            self.host1.run(["dpkg", "--purge", "zf-gone", *own])
            self.host2.run(["dpkg", "--purge", *own])

    # ---- move -u --------------------------------------------------------------------------------------------

    def serve(self, name, address, sparse):
        tree = make_zone(self.host1, name, address, sparse)
        harness.install_web_service(tree / "root")
        self.host1.run(["zoneadm", "-z", name, "boot"], timeout=120)

    def assert_answers(self, address):
        answer = self.hosts.client_run(["curl", "-s", "--retry", "20", "--retry-delay", "1", "--retry-all-errors",
                                        f"http://{address}/counter"], capture_output=True, text=True)
        self.assertRegex(answer.stdout, r"^\d+")

    def check_move(self, name, address, sparse):
        self.serve(name, address, sparse)
        refused = ferry(self.host1, "move", name, "host2", check=False)
        self.assertEqual(refused.returncode, 3, refused.stdout)
        listed = [line.split()[0] for line in refused.stdout.splitlines() if "version mismatch" in line]
        self.assertEqual(listed, ["nginx-common", "sed"])
        self.assertEqual(zone_states(self.host1)[name], "running")
        status, lines = ferry_json(self.host1, "check", "-u", name, "host2")
        self.assertEqual(status, 0)
        changes = {line["subject"]: line["target"] for line in lines if line.get("code") == "PKG_WILL_CHANGE"}
        self.assertEqual(changes, self.new)
        moved = ferry(self.host1, "move", "-u", name, "host2", check=False)
        self.assertEqual(moved.returncode, 0, moved.stdout + moved.stderr + self.agents["host2"].log()[-2000:])
        self.assertEqual(zone_states(self.host2)[name], "running")
        self.assert_answers(address)
        self.assertEqual({p: self.zone_version(name, p) for p in self.new}, self.new)
        back = ferry(self.host2, "check", "-u", name, "host1", check=False)
        self.assertIn("newer in the zone than on the target", back.stdout)
        self.assertEqual(back.stdout.count("is newer than"), 2)
        self.assertEqual(back.returncode, 3)
        ferry(self.host1, "finalize", name)
        self.host2.run(["zoneadm", "-z", name, "halt"])

    def test_sparse_zone_moves_with_update(self):
        self.check_move("web-sparse", "10.99.1.11", True)

    def test_whole_zone_moves_with_update(self):
        self.check_move("web-whole", "10.99.1.12", False)

    def test_move_is_undone_when_a_script_fails(self):
        self.serve("web-fails", "10.99.1.13", True)
        self.host1.path(zone_path("web-fails") + "/root/etc/fail-sed").write_text("")
        failed = ferry(self.host1, "move", "-u", "web-fails", "host2", check=False)
        self.assertEqual(failed.returncode, 11, failed.stdout + failed.stderr)
        self.assertIn("dpkg failed in the zone", failed.stdout + failed.stderr)
        self.assertEqual(zone_states(self.host1)["web-fails"], "running")
        self.assertNotIn("web-fails", zone_states(self.host2))
        self.assertEqual(self.zone_version("web-fails", "sed", self.host1), self.old["sed"])
        self.assert_answers("10.99.1.13")
        self.host1.run(["zoneadm", "-z", "web-fails", "halt"])


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("update_test: skipped: simulated hosts need root")
        sys.exit(77)
    unittest.main(verbosity=2)
