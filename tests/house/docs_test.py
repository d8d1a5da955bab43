"""Documents against programs, so that they cannot drift: finding codes, verbs, exit statuses, settings, man pages.

    ZONEFERRY_BIN=build/dev/bin python3 tests/house/docs_test.py
"""
import os
import pathlib
import re
import shutil
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ZONEFERRY_BIN", ROOT / "build/dev/bin"))


def text_of(name):
    return (ROOT / name).read_text(encoding="utf8")


def codes_in_code():
    """{(code, side, severity)} as the programs emit them; attach and packages: side target."""
    found = set()
    for side, part in zip(("target", "source"), text_of("agent/move/preflight.cpp").split("judge_source(")):
        for severity, code in re.findall(r'\.(block|warn|info)\(\s*"([A-Z_]+)"', part):
            found.add((code, side, severity))
    attach = text_of("core/attach/attach.cpp") + text_of("core/packages/update_plan_text.cpp")
    attach += text_of("core/p2v/image_check.cpp")
    found |= {(code, "target", "block") for code in re.findall(r'\bblock\(\s*"([A-Z_]+)"', attach)}
    found |= {(code, "target", severity)
              for code, severity in re.findall(r'make_finding\(\s*"([A-Z_]+)", Severity::(\w+)', attach)}
    for ending in re.findall(r'what \+ "(_[A-Z_]+)"', text_of("core/packages/compare.cpp")):
        found |= {(what + ending, "target", "block") for what in ("PKG", "PATCH")}
    scan = text_of("core/p2v/scan.cpp")
    found |= {(code, "source", severity)
              for severity, code in re.findall(r'\badd\(\s*Severity::(\w+),\s*"([A-Z0-9_]+)"', scan)}
    found |= {("P2V_SOFTWARE", "source", severity) for severity in re.findall(r'Software\{"[^"]+", Severity::(\w+)', scan)}
    for line in re.findall(r"finding\.code = ([^;]*);", text_of("agent/move/start_move.cpp")):
        found |= {(code, "target", "block") for code in re.findall(r'"([A-Z_]+)"', line)}
    proof = text_of("agent/move/storage_proof.cpp")
    for sides, part in zip((("target",), ("source",), ("source", "target")),
                           re.split("^void judge_source_place|^}  // namespace$", text_of("agent/move/extra_check.cpp"),
                                    flags=re.M)):
        made = re.findall(r'finding_of\(place, "([A-Z_]+)", Severity::(\w+)', part)
        made += [(code, "block") for code in re.findall(r'\bblock\(\s*"([A-Z_]+)"', part)]
        found |= {(code, side, severity) for code, severity in made for side in sides}
    found |= {(code, side, severity) for code, side, severity in re.findall(
        r'storage_finding\(\s*"([A-Z_]+)", Side::(\w+),\s*Severity::(\w+)', proof)}
    found |= {(code, "target", "warn") for code in re.findall(r'\bwarn\(\s*"(STORAGE_[A-Z]+)"', proof)}
    found |= {(code, "target", "block" if code == "STORAGE_MOUNTED" else "warn")
              for code in re.findall(r'"(STORAGE_[A-Z]+)"', text_of("core/zone/storage.cpp"))}
    return found


def codes_in_docs():
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (\w+) \| (\w+) \|", text_of("docs/findings.md"), flags=re.M)
    return {(code, one, severity) for code, side, severity in rows
            for one in (("source", "target") if side == "both" else (side,))}


def help_of(*words):
    done = subprocess.run([str(BIN / words[0]), *words[1:], "--help"], capture_output=True, text=True, timeout=20)
    return done.stdout + done.stderr


class DocsTest(unittest.TestCase):
    def test_findings(self):
        in_code = codes_in_code()
        self.assertGreater(len(in_code), 30)
        self.assertEqual(sorted(in_code), sorted(codes_in_docs()))

    def test_no_other_file_makes_findings(self):
        makers = {path.relative_to(ROOT).as_posix() for room in ("core", "agent")
                  for path in (ROOT / room).rglob("*.cpp") if "Finding finding;" in path.read_text(encoding="utf8")}
        self.assertEqual(makers, {"agent/move/extra_check.cpp", "agent/move/preflight.cpp", "agent/move/start_move.cpp",
                                  "agent/move/storage_proof.cpp",
                                  "core/attach/attach.cpp",
                                  "core/packages/compare.cpp", "core/packages/update_plan_text.cpp",
                                  "core/p2v/image_check.cpp"})

    def test_exit_statuses(self):
        in_code = set(re.findall(r"= (\d+),", text_of("agent/exit_codes.h")))
        for document in ("docs/man/zoneferry.8.scd", "README.md"):
            section = text_of(document).split("EXIT STATUS" if document.endswith("scd") else "## Exit status")[1]
            section = re.split(r"^#", section, flags=re.M)[0]
            in_docs = set(re.findall(r"(?:^\|?\[?\s*\*|^\| )(\d+)[* ]", section, flags=re.M))
            self.assertEqual(sorted(in_code, key=int), sorted(in_docs, key=int), document)

    def test_every_verb_and_option_has_its_place_in_the_man_page(self):
        page = text_of("docs/man/zoneferry.8.scd")
        verbs = re.findall(r"^  ([a-z]+)  ", help_of("zoneferry").split("Subcommands:")[1], flags=re.M)
        self.assertIn("move", verbs)
        for verb in verbs:
            self.assertRegex(page, rf"\*{verb}[* ]", verb)
            for option in re.findall(r"(--[a-z-]+)", help_of("zoneferry", verb)):
                self.assertIn(option, page, verb)
        for verb in re.findall(r"^  ([a-z]+)  ", help_of("zoneferry", "trust").split("Subcommands:")[1], flags=re.M):
            self.assertIn(f"*trust {verb}*", page)
        page = text_of("docs/man/zoneadm.8.scd")
        verbs = re.findall(r"^  (?:-z ZONE )?([a-z]+)", help_of("zoneadm"), flags=re.M)
        self.assertIn("boot", verbs)
        for verb in verbs:
            self.assertRegex(page, rf"\*{verb}[* ]", verb)

    def test_zonecfg_commands_and_resources(self):
        page = text_of("docs/man/zonecfg.8.scd")
        done = subprocess.run([str(BIN / "zonecfg"), "--root", "/nonexistent", "-z", "any", "help"], capture_output=True,
                              text=True, timeout=20)
        self.assertIn("create", done.stdout)
        for command in re.findall(r"^([a-z]+)(?= |$)", done.stdout, flags=re.M):
            self.assertRegex(page, rf"\*{command}[* ]", command)
        for resource in re.findall(r'^\s+\{"([a-z-]+)", \{', text_of("core/zone/resources.cpp"), flags=re.M):
            self.assertIn(f"*{resource}*", page)

    def test_settings(self):
        keys = set(re.findall(r'key == "(\w+)"', text_of("agent/settings.cpp")))
        self.assertGreater(len(keys), 4)
        self.assertEqual(keys, set(re.findall(r"^\*(\w+)\* =", text_of("docs/man/agent.toml.5.scd"), flags=re.M)))
        self.assertEqual(keys, set(re.findall(r"^# (\w+) =", text_of("packaging/agent.toml"), flags=re.M)))

    def test_man_pages(self):
        pages = sorted((ROOT / "docs/man").glob("*.scd"))
        self.assertEqual(len(pages), 6)
        for page in pages:
            for section in ("# NAME", "# DESCRIPTION", "# EXAMPLES", "# EXIT STATUS"):
                self.assertIn(section, page.read_text(), page.name)
        if not shutil.which("scdoc") or not shutil.which("mandoc"):
            self.skipTest("scdoc or mandoc is not installed")
        for page in pages:
            made = subprocess.run(["scdoc"], input=page.read_bytes(), capture_output=True, timeout=20)
            self.assertEqual((made.returncode, made.stderr), (0, b""), page.name)
            checked = subprocess.run(["mandoc", "-Tlint", "-Wunsupp"], input=made.stdout, capture_output=True, timeout=20)
            self.assertEqual((checked.returncode, checked.stdout), (0, b""), page.name)

    def test_packages_are_explained(self):
        script = text_of("tools/install-packages")
        packages = [word for group in re.findall(r"^(?:build|run|test)=\(([^)]*)\)", script, flags=re.M) for word in group.split()]
        packages = [word for word in packages if re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", word)]
        explained = text_of("docs/dependencies.md")
        self.assertGreater(len(packages), 25)
        self.assertEqual([], [name for name in packages if f"`{name}`" not in explained])

    def test_links_lead_somewhere(self):
        broken = []
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
            for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf8")):
                if "://" not in target and not (page.parent / target).exists():
                    broken.append(f"{page.name}: {target}")
        self.assertEqual([], broken)


if __name__ == "__main__":
    unittest.main()
