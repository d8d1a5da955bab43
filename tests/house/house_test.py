"""The house rules, as tests over the source tree: who may include whom, which libraries live where, calls that are
banned and why, headers, READMEs, sizes. The target house_headers (see CMakeLists.txt) compiles every header alone.

    python3 tests/house/house_test.py            # all of them, under a second
"""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ("core", "transfer", "certs", "wire", "agent")
README_PLACES = ("core", "core/base", "core/zone", "core/packages", "core/attach", "core/adjust", "core/image",
                 "core/update", "core/p2v", "transfer", "wire", "certs",
                 "agent", "agent/move", "agent/push", "agent/verbs", "agent/programs", "tests", "tests/support", "packaging", "docs")
LINE_MOST = 120
FILE_LINES_MOST = 500

# Who may include whom: the first prefix that fits the including file counts.
LAYERS = (
    ("core/base/", ("core/base/",)),
    ("core/", ("core/",)),
    ("transfer/", ("transfer/", "core/base/")),
    ("certs/", ("certs/", "core/base/")),
    ("wire/", ("wire/", "core/")),
    ("agent/", ("agent/", "wire/", "transfer/", "certs/", "core/")),
)

# A library, and the only files that may include it.
LIBRARIES = (
    (r"asio[./]", ("wire/", "agent/")),
    (r"(capnp|kj)/", ("wire/codec",)),
    (r"pugixml", ("core/",)),
    (r"sqlite3", ("agent/journal.cpp",)),
    (r"nlohmann/", ("agent/",)),
    (r"toml\+\+/", ("agent/settings.cpp",)),
    (r"spdlog/", ("agent/",)),
    (r"CLI/", ("agent/",)),
    (r"archive(_entry)?\.h", ("core/image/archive_",)),
    (r"zstd\.h", ("transfer/",)),
    (r"(blkid|libmount)/", ("core/zone/storage_devices.cpp",)),
    (r"histedit\.h", ("agent/programs/zonecfg_terminal.cpp",)),
    (r"seccomp\.h", ("core/attach/scratch_filter.cpp",)),
    (r"openssl/", ("core/base/", "certs/", "wire/")),
)

# A call, and why it is not made here.
BANNED = (
    (r"\bremove_all\s*\(", "follows mounts and races with links: use remove_tree (core/base/files.h)"),
    (r"\bsleep_for\b|\bsleep_until\b|\busleep\s*\(", "wait for the event instead"),
    (r"\bsystem\s*\(|\bpopen\s*\(", "no shell: use run_process (core/base/process.h)"),
    (r"\b(strcpy|strcat|sprintf|gets)\s*\(", "has no bound"),
    (r"\bco_(await|return|yield)\b", "g++ 12 destroys temporaries of a co_await expression twice; we use handlers"),
)


def files(*suffixes, places=(*ROOMS, "tests")):
    for place in places:
        for path in sorted((ROOT / place).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def code_of(path):
    """The file without comments and without what stands in quotes; lines stay where they are."""
    pattern = r'()R"(\w*)\(.*?\)\2"|//[^\n]*|/\*.*?\*/|()"(?:\\.|[^"\\\n])*"'
    text = path.read_text(encoding="utf8")
    includes = re.sub(r'^(#include )"([^"]+)"', r"\1{\2}", text, flags=re.M)  # their names are kept

    def keep_quotes(match):
        quoted = match.group(1) is not None or match.group(3) is not None
        return ('""' if quoted else "") + "\n" * match.group(0).count("\n")
    return re.sub(pattern, keep_quotes, includes, flags=re.S)


def includes_of(path):
    for number, line in enumerate(code_of(path).splitlines(), 1):
        found = re.match(r"#include ([<{])([^>}]+)[>}]", line)
        if found:
            yield number, found.group(1) == "{", found.group(2)


class HouseTest(unittest.TestCase):
    def expect_none(self, problems):
        problems = list(problems)
        self.assertFalse(problems, "\n" + "\n".join(problems))

    def test_layers(self):
        def problems():
            for path in files(".cpp", ".h", places=ROOMS):
                name = name_of(path)
                allowed = next(rule for prefix, rule in LAYERS if name.startswith(prefix))
                for number, is_ours, included in includes_of(path):
                    if is_ours and not included.startswith(allowed):
                        yield f"{name}:{number}: may not include {included}"
                    if name.startswith(("agent/move/", "agent/push/")) and included.startswith(("agent/verbs/",
                                                                                             "agent/programs/")):
                        yield f"{name}:{number}: a move knows no words of the command line, as {included}"
        self.expect_none(problems())

    def test_libraries_stay_in_their_rooms(self):
        def problems():
            for path in files(".cpp", ".h", places=ROOMS):
                name = name_of(path)
                for number, is_ours, included in includes_of(path):
                    for library, places in LIBRARIES:
                        if not is_ours and re.match(library, included) and not name.startswith(places):
                            yield f"{name}:{number}: {included} belongs into {', '.join(places)}"
                    if name.startswith("core/base/") and included.startswith("openssl/"):
                        if included not in ("openssl/evp.h", "openssl/rand.h"):
                            yield f"{name}:{number}: core/base uses OpenSSL's EVP and RAND only"
                    if included.endswith(".capnp.h") and not name.startswith("wire/codec"):
                        yield f"{name}:{number}: generated headers stay in wire's codec"
        self.expect_none(problems())

    def test_types_have_names_of_their_own(self):
        """All rooms share one namespace and are linked together: two types of one name would share their inline code."""
        def problems():
            seen = {}
            for path in files(".h", places=ROOMS):
                for name in re.findall(r"^(?:struct|class|enum class) (\w+)(?: final)?(?: :[^;{]*)? ?\{", code_of(path),
                                       flags=re.M):
                    if name in seen:
                        yield f"{name_of(path)}: {name} is also a type of {seen[name]}"
                    seen[name] = name_of(path)
        self.expect_none(problems())

    def test_banned_calls(self):
        def problems():
            for path in files(".cpp", ".h", places=ROOMS):
                for number, line in enumerate(code_of(path).splitlines(), 1):
                    for call, why in BANNED:
                        if re.search(call, line):
                            yield f"{name_of(path)}:{number}: {line.strip()}: {why}"
        self.expect_none(problems())

    def test_new_only_into_a_smart_pointer(self):
        smart = re.compile(r"(unique_ptr|shared_ptr)<[^>]+>\s*(\w+\s*)?\(new \w+")

        def problems():
            for path in files(".cpp", ".h", places=ROOMS):
                for number, line in enumerate(code_of(path).splitlines(), 1):
                    if re.search(r"\bnew\s+[\w:(]", line) and not smart.search(line):
                        yield f"{name_of(path)}:{number}: {line.strip()}"
        self.expect_none(problems())

    def test_one_name_one_type(self):
        """Two types of one name in two rooms are one to the linker, which takes the functions of either: memory is lost
        or overwritten (seen: a second TreeWriter). In .cpp files an unnamed namespace keeps them apart."""
        def types(path):
            hidden = False
            for line in path.read_text(encoding="utf8").splitlines():
                hidden = hidden or line.startswith("namespace {")
                if line.startswith("}  // namespace") and not line.startswith("}  // namespace z"):
                    hidden = False
                made = re.match(r"(?:class|struct|union|enum(?: class)?) (\w+)\b(?!::)[^;]*(\{|$)", line)
                if made and not hidden:
                    yield made[1]

        def problems():
            first = {}
            for path in files(".h", ".cpp", places=ROOMS):
                for name in types(path):
                    if first.setdefault(name, path) != path:
                        yield f"{name} is a type of {name_of(first[name])} and of {name_of(path)}"
        self.expect_none(problems())

    def test_headers(self):
        def problems():
            for path in files(".h"):
                code = code_of(path)
                if code.count("#pragma once") != 1:
                    yield f"{name_of(path)}: needs #pragma once"
                if re.search(r"^\s*using namespace", code, flags=re.M):
                    yield f"{name_of(path)}: using namespace in a header"
        self.expect_none(problems())

    def test_a_source_includes_its_own_header_first(self):
        """So its compilation shows that the header needs nothing before it; house_headers compiles the others."""
        def problems():
            for path in files(".h", places=ROOMS):
                source = path.with_suffix(".cpp")
                if source.exists() and next(includes_of(source))[1:] != (True, name_of(path)):
                    yield f"{name_of(source)}: includes {path.name} not first"
        self.expect_none(problems())

    def test_every_file_begins_with_a_comment_or_has_a_header_that_does(self):
        def problems():
            for path in files(".h", places=ROOMS):
                if not path.read_text(encoding="utf8").startswith("//"):
                    yield f"{name_of(path)}: says not what it is for in its first line"
        self.expect_none(problems())

    def test_sizes(self):
        def problems():
            for path in files(".cpp", ".h", ".py"):
                lines = path.read_text(encoding="utf8").splitlines()
                if len(lines) > FILE_LINES_MOST:
                    yield f"{name_of(path)}: {len(lines)} lines, at most {FILE_LINES_MOST}"
            for path in files(".cpp", ".h", places=ROOMS):
                for number, line in enumerate(path.read_text(encoding="utf8").splitlines(), 1):
                    if len(line) > LINE_MOST:
                        yield f"{name_of(path)}:{number}: {len(line)} characters, at most {LINE_MOST}"
        self.expect_none(problems())

    def test_prose_fits_the_line(self):
        def problems():
            texts = [*ROOT.glob("*.md"), *files(".md", places=(*ROOMS, "tests", "docs", "packaging"))]
            for path in texts:
                in_block = False
                for number, line in enumerate(path.read_text(encoding="utf8").splitlines(), 1):
                    in_block ^= line.startswith("```")
                    is_table = line.startswith("|")
                    if len(line) > LINE_MOST and not in_block and not is_table:
                        yield f"{name_of(path)}:{number}: {len(line)} characters, at most {LINE_MOST}"
        self.expect_none(problems())

    def test_every_room_says_what_lives_in_it(self):
        self.expect_none(f"{place}/README.md is missing" for place in README_PLACES
                         if not (ROOT / place / "README.md").is_file())

    def test_nothing_is_left_for_later_or_bound_to_one_machine(self):
        words = re.compile(r"\bTO" + r"DO\b|\bFIX" + r"ME\b|/wo" + r"rk/")

        def problems():
            places = (*ROOMS, "tests", "docs", "packaging", "tools", ".ci")
            texts = [path for path in ROOT.glob("*") if path.is_file() and path.name != ".git"]
            for place in places:
                texts += [path for path in sorted((ROOT / place).rglob("*")) if path.is_file()]
            for path in texts:
                if {"corpus", "golden", "__pycache__"} & set(path.parts):
                    continue
                for number, line in enumerate(path.read_text(encoding="utf8", errors="replace").splitlines(), 1):
                    if words.search(line):
                        yield f"{name_of(path)}:{number}: {line.strip()[:100]}"
        self.expect_none(problems())


class RulesThemselvesTest(unittest.TestCase):
    """A rule that sees nothing is worse than none."""

    def test_code_of_drops_comments_and_quotes(self):
        import tempfile
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "x.cpp"
            path.write_text('#include "core/a.h"  // system(1)\n/* popen(\n */ f("gets(\\"", R"(strcpy()\n)");\n')
            self.assertEqual(list(includes_of(path)), [(1, True, "core/a.h")])
            code = code_of(path)
            self.assertEqual(code.count("\n"), 4)
            for word in ("system", "popen", "gets", "strcpy"):
                self.assertNotIn(word, code)

    def test_the_rooms_are_there(self):
        self.assertGreater(len(list(files(".h", places=ROOMS))), 50)


if __name__ == "__main__":
    unittest.main()
