#!/usr/bin/python3
"""An SVR4 host at level B, a zone that was installed at level A and edited, and what that zone must be after an update:
a zone freshly installed at B with the edits. Made and compared without any of Zoneferry's code.

    svr4_world.py make DIR          DIR/host, DIR/source (a host at level A), DIR/zone, DIR/expected
    svr4_world.py compare ZONE EXPECTED      prints what differs; exit status 1 if anything does

What is expected of each file is written down here by hand; nothing is computed by the rules that are tested.
"""
import os
import pathlib
import shutil
import stat
import sys

APPLETS = ("sh cat cp mv rm mkdir dirname basename cmp sed awk echo test chmod chown ln touch id env sort grep true "
           "false sleep ls expr head yes kill mknod").split()
NAMES = {"root": (0, 0), "bin": (2, 2), "sys": (3, 3)}
TIME = 1106350000


def sysv_sum(data):
    total = sum(data) & 0xffffffff
    once = (total & 0xffff) + (total >> 16)
    return (once & 0xffff) + (once >> 16)


def put(root, path, text, mode=0o644, owner="root", group="root", mtime=TIME):
    full = root + path
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    os.chown(full, NAMES[owner][0], NAMES[group][1])
    os.chmod(full, mode)
    os.utime(full, (mtime, mtime))


def directory(root, path, mode=0o755, owner="root", group="root"):
    os.makedirs(root + path, exist_ok=True)
    os.chown(root + path, NAMES[owner][0], NAMES[group][1])
    os.chmod(root + path, mode)


class Package:
    """Lines of a pkgmap with their content; as a host has it installed and spooled."""

    def __init__(self, name, version, classes="none", **parameters):
        self.name, self.version, self.classes = name, version, classes
        self.parameters = {"SUNW_PKG_ALLZONES": "true", **parameters}
        self.lines, self.files, self.links, self.dirs, self.scripts = [], [], [], [], {}

    def dir(self, path, mode=0o755, owner="root", group="bin", type="d"):
        self.dirs.append((path, mode, owner, group))
        self.lines.append(f"1 {type} none {path} {mode:04o} {owner} {group}")
        return self

    def file(self, path, text, klass="none", type="f", mode=0o644, owner="root", group="bin", shown=None):
        data = text.encode()
        self.files.append((type, klass, path, data, mode, owner, group))
        self.lines.append(f"1 {type} {klass} {shown or path} {mode:04o} {owner} {group} {len(data)} {sysv_sum(data)} {TIME}")
        return self

    def link(self, type, path, target):
        self.links.append((type, path, target))
        self.lines.append(f"1 {type} none {path}={target}")
        return self

    def script(self, name, text):
        self.scripts[name] = text
        return self

    def pkginfo(self, quoted):
        values = {"CLASSES": self.classes, "BASEDIR": "/", "PKG": self.name, "NAME": f"The {self.name}", "ARCH": "i386",
                  "VERSION": self.version, "CATEGORY": "system", **self.parameters}
        mark = '"' if quoted else ""
        return "".join(f"{key}={mark}{value}{mark}\n" for key, value in values.items())

    def installed_pkginfo(self, extra=()):
        """What pkginstall stores, by pkginfo(4) and the original's habits."""
        base = ["CLASSES=" + self.classes, "BASEDIR=/", f"PKG={self.name}", f"NAME=The {self.name}", "ARCH=i386",
                "VERSION=" + self.version, "CATEGORY=system"]
        patches = [f"{key}={value}" for key, value in self.parameters.items() if key.startswith("PATCH")]
        plain = [f"{key}={value}" for key, value in self.parameters.items() if not key.startswith("PATCH")]
        tail = [f"PKGINST={self.name}", f"PKGSAV=/var/sadm/pkg/{self.name}/save", "INSTDATE=Jan 01 2005 00:00"]
        return "\n".join([*base, *plain, *extra, *tail, *patches]) + "\n"

    def contents(self, inherited_too=True):
        """{path: (fields, package)} as the contents file has them."""
        out = {}
        for path, mode, owner, group in self.dirs:
            out[path] = f"d none {mode:04o} {owner} {group}"
        for type, klass, path, data, mode, owner, group in self.files:
            out[path] = f"{type} {klass} {mode:04o} {owner} {group} {len(data)} {sysv_sum(data)} {TIME}"
        for type, path, target in self.links:
            out[f"{path}={target}"] = f"{type} none"
        return out

    def on_host(self, root):
        put(root, f"/var/sadm/pkg/{self.name}/pkginfo", self.installed_pkginfo())
        spool = f"/var/sadm/pkg/{self.name}/save/pspool/{self.name}"
        put(root, spool + "/pkginfo", self.pkginfo(True))
        put(root, spool + "/pkgmap", ": 1 100\n" + "".join(line + "\n" for line in self.lines))
        for name, text in self.scripts.items():
            put(root, f"{spool}/install/{name}", text)
        if "depend" in self.scripts:
            put(root, f"/var/sadm/pkg/{self.name}/install/depend", self.scripts["depend"])
        for type, klass, path, data, mode, owner, group in self.files:
            if type in "ev":
                put(root, f"{spool}/root{path}", data, mode, owner, group)
            put(root, path, data, mode, owner, group)
        self.place_rest(root)

    def place_rest(self, root):
        for path, mode, owner, group in self.dirs:
            directory(root, path, mode, owner, group)
        for type, path, target in self.links:
            if type == "s":
                os.symlink(target, root + path)
            else:
                os.link(root + target, root + path)

    def in_zone(self, root, skip=("/usr",), kept_scripts=(), pkginfo_extra=(), at=None):
        """Freshly installed; at: {path: text, or None for not there} where a class script makes something else."""
        at = at or {}
        put(root, f"/var/sadm/pkg/{self.name}/pkginfo", self.installed_pkginfo(pkginfo_extra))
        os.makedirs(root + f"/var/sadm/pkg/{self.name}/save", exist_ok=True)
        for name in kept_scripts:
            put(root, f"/var/sadm/pkg/{self.name}/install/{name}", self.scripts[name])
        if self.parameters.get("SUNW_PKG_HOLLOW") == "true":
            return
        for type, klass, path, data, mode, owner, group in self.files:
            text = at.get(path, data)
            if text is not None and not path.startswith(skip):
                put(root, path, text, mode, owner, group)
        for path, mode, owner, group in self.dirs:
            if not path.startswith(skip):
                directory(root, path, mode, owner, group)
        for type, path, target in self.links:
            if type == "s":
                os.symlink(target, root + path)
            else:
                os.link(root + target, root + path)


def busybox(root):
    os.makedirs(root + "/bin", exist_ok=True)
    shutil.copy("/usr/bin/busybox", root + "/bin/busybox")
    for name in APPLETS:
        os.symlink("busybox", f"{root}/bin/{name}")


def write_contents(root, entries):
    """entries: {path: [fields, package, ...]}"""
    lines = []
    for path, (fields, *owners) in entries.items():
        lines.append(f"{path} {fields} {' '.join(owners)}")
    put(root, "/var/sadm/install/contents", "".join(sorted(line + "\n" for line in lines)))


def merge(packages):
    out = {}
    for package in packages:
        if package.parameters.get("SUNW_PKG_HOLLOW") == "true":
            continue
        for path, fields in package.contents().items():
            out.setdefault(path, [fields])
            out[path][0] = fields
            out[path].append(package.name)
    return out


SED = "!install\ns/^level=.*/level=%s/\n!remove\ns/^level=.*/level=none/\n"
AWK = "!install\n{ print } /^seen %s$/ { have = 1 } END { if (!have) print \"seen %s\" }\n!remove\n!/^seen/\n"
BUILD = "if [ \"$1\" = install ]; then echo built by $PKGINST %s; fi\n"
OWN = "while read src dst; do { cat \"$src\"; echo \"from i.own of $VERSION, update=$UPDATE\"; } > \"$dst\"; done\n"
REMOVE_OWN = "while read dst; do echo \"${dst#$PKG_INSTALL_ROOT}\" >> $PKG_INSTALL_ROOT/var/removed; rm $dst; done\n"
TELL = "echo \"%s $PKGINST $PKG_INSTALL_ROOT $BASEDIR $CLIENT_BASEDIR $UPDATE $VERSION\" >> $PKG_INSTALL_ROOT/var/scripts\n"
CLASSES = "none preserve renamenew renameold sed awk build manifest own"


def core(level):
    """Every type and every class; what is of one level only is obsolete or new."""
    version = f"11.10.0,REV=200{5 if level == 'A' else 6}.01.01"
    parameters = {} if level == "A" else {
        "PATCHLIST": "118833-36", "PATCH_INFO_118833-36": "Installed: Mon Jan 1 From: host Obsoletes: 118822-30 Requires: "
                                                          "Incompatibles:"}
    package = Package("SUNWcore", version, CLASSES, **parameters)
    package.dir("/opt/core").dir("/opt/core/mode", 0o755 if level == "A" else 0o750)
    package.dir("/opt/shared").file("/opt/shared/both", f"both {level}\n")
    package.file("/opt/core/tool", f"tool {level}\n", mode=0o755).file("/opt/core/suid", f"suid {level}\n", mode=0o4755)
    package.link("s", "/opt/core/link", "tool" if level == "A" else "suid").link("l", "/opt/core/hard", "/opt/core/tool")
    package.file("/etc/core.conf", f"pristine {level}\n", type="e").file("/etc/plain.conf", f"plain {level}\n", type="e")
    package.file("/var/core.state", f"state {level}\n", type="v")
    for klass in ("preserve", "renamenew", "renameold"):
        package.file(f"/etc/{klass}.conf", f"{klass} {level}\n", klass, "e")
    package.file("/etc/renamenew.same", "the same\n", "renamenew", "e")
    package.file("/etc/sed.conf", SED % level, "sed", "e").file("/etc/awk.conf", AWK % (level, level), "awk", "e")
    package.file("/etc/build.conf", BUILD % level, "build", "e").file("/etc/own.conf", f"own {level}\n", "own", "e")
    package.file("/var/svc/manifest/core.xml", f"<service {level}/>\n", "manifest")
    package.script("i.own", OWN).script("r.own", REMOVE_OWN)
    package.script("preinstall", TELL % "preinstall").script("postinstall", TELL % "postinstall")
    package.script("depend", "P SUNWnew Something new\n").script("copyright", "nobody's\n")
    if level == "A":
        package.file("/opt/core/gone", "gone\n").dir("/opt/core/olddir").file("/opt/core/olddir/file", "old\n")
        package.dir("/opt/core/keptdir").file("/opt/core/keptdir/file", "old\n").link("s", "/opt/core/gonelink", "gone")
        package.file("/etc/obsolete.conf", "obsolete\n", type="e").file("/var/obsolete.state", "obsolete\n", type="v")
        package.file("/etc/obsolete.own", "obsolete own\n", "own", "e").dir("/opt/core/turns")
    else:
        package.file("/opt/core/new", "new\n").file("/etc/new.conf", "new conf\n", type="e", mode=0o600)
        package.file("/opt/core/turns", "a file now\n").file("/var/new.state", "new state\n", type="v", owner="bin")
        for number in range(16):  # so that the update needs more room than the removals give
            package.file(f"/opt/core/new{number:02}", f"{number}\n")
        package.file("/etc/new.sed", SED % level, "sed", "e").file("/etc/new.own", "new own\n", "own", "e")
    return package


def inherited(level, sparse=True):
    package = Package("SUNWinh", f"1.{level}")
    package.dir("/usr/inh").file("/usr/inh/program", f"program {level}\n", mode=0o755)
    refused = "(echo x > /a/usr/inh/program) 2>/dev/null && exit 1\n" if sparse else ""
    package.script("postinstall", f"cp /a/usr/inh/program /a/var/inherited || exit 1\n{refused}exit 0\n")
    return package.file("/etc/inh.conf", f"inh {level}\n", type="e")


def hollow(level):
    return Package("SUNWhol", f"1.{level}", SUNW_PKG_HOLLOW="true").file("/opt/hollow", "never in a zone\n") \
        .script("postinstall", "touch $PKG_INSTALL_ROOT/var/hollow-ran\n").script("depend", "P SUNWcore\n")


def old():
    package = Package("SUNWold", "1.0", "none own sed awk build renamenew preserve")
    package.file("/etc/old.sed", "# mine\nlevel=A\n", "sed", "e").file("/etc/old.awk", "seen A\nmine\n", "awk", "e")
    package.file("/etc/old.build", "built\n", "build", "e").file("/etc/old.renamenew", "x\n", "renamenew", "e")
    package.file("/etc/old.preserve", "x\n", "preserve", "e")
    package.dir("/opt/old").file("/opt/old/file", "old\n").file("/etc/old.conf", "old\n", type="e")
    package.file("/etc/old.own", "old own\n", "own", "e").file("/etc/old.own2", "old own 2\n", "own", "e")
    package.script("preremove", TELL % "preremove").script("postremove", TELL % "postremove")
    return package.script("r.own", REMOVE_OWN)


def new():
    """Its place and its classes are answers."""
    package = Package("SUNWnew", "2.0", "none", WHERE="/opt/nowhere")
    package.dir("/opt/chosen").file("/opt/chosen/file", "new\n", shown="$WHERE/file")
    package.lines[0] = "1 d none $WHERE 0755 root bin"
    package.file("/opt/chosen/extra", "extra\n", "extra").file("/opt/chosen/never", "never\n", "never")
    package.script("request", "exit 1\n").script("response", "WHERE='/opt/chosen'\nVERSION=0.1\n")
    return package.script("checkinstall", "id -u | grep -q '^0$' && exit 3\necho 'CLASSES=\"none extra\"' >> $1\n")


def keep():
    return Package("SUNWkeep", "7.0", SUNW_PKG_ALLZONES="false").dir("/opt/shared").file("/opt/shared/both", "both A\n").file("/opt/kept", "kept\n")


def make(base, sparse=True):
    """sparse: the zone inherits /usr."""
    host, zone, expected = (f"{base}/{name}" for name in ("host", "zone", "expected"))
    at_b = [core("B"), hollow("B"), inherited("B", sparse), new()]
    skip = ("/usr",) if sparse else ()
    busybox(host)
    for package in at_b:
        package.on_host(host)
    write_contents(host, merge(at_b))

    for package in (core("A"), hollow("A"), inherited("A", sparse), old()):
        package.on_host(base + "/source")
    write_contents(base + "/source", merge([core("A"), hollow("A"), inherited("A"), old()]))

    at_a = [core("A"), hollow("A"), inherited("A", sparse), old(), keep()]
    made = {"/etc/sed.conf": "level=A\nmore\n", "/etc/awk.conf": "seen A\n", "/etc/build.conf": "built by SUNWcore A\n"}
    for package in at_a:
        package.in_zone(zone, skip, at=made if package.name == "SUNWcore" else {},
                        kept_scripts=[name for name in package.scripts if name.startswith("r.") or "remove" in name])
    write_contents(zone, merge(at_a))
    put(zone, "/var/sadm/pkg/SUNWold/save/sed/etc/old.sed", SED % "A")
    put(zone, "/var/sadm/pkg/SUNWold/save/awk/etc/old.awk", AWK % ("A", "A"))
    put(zone, "/var/sadm/pkg/SUNWold/save/build/etc/old.build", BUILD % "A")
    for path, text in EDITS.items():
        put(zone, path, text, group="bin")
    for root in (zone, expected):
        for name in ("dev", "proc", "tmp", "run", "usr"):
            directory(root, "/" + name)
        put(root, "/etc/passwd", "root:x:0:0::/:/bin/sh\nbin:x:2:2::/:\nnobody:x:60001:60001::/:\n")
        put(root, "/etc/group", "root::0:\nbin::2:\nsys::3:\n")
        put(root, "/export/data", "the zone's own\n")

    expect(expected, at_b, skip)


# By the zone's administrator; the last one is in a directory that goes.
EDITS = {"/etc/core.conf": "edited\n", "/var/core.state": "grown\n", "/etc/preserve.conf": "edited preserve\n",
         "/etc/renamenew.conf": "edited renamenew\n", "/etc/renameold.conf": "edited renameold\n",
         "/etc/sed.conf": "# mine\nlevel=edited\nmore\n", "/etc/awk.conf": "mine\nseen A\n", "/etc/inh.conf": "edited inh\n",
         "/etc/obsolete.conf": "edited and gone\n", "/opt/core/keptdir/mine": "the zone's\n"}


def expect(root, at_b, skip):
    core_b, hollow_b, inherited_b, new_b = at_b
    version = core_b.version
    # Editable and volatile files without a class stay as the zone has them, edited or not.
    core_b.in_zone(root, kept_scripts=["r.own", "depend", "copyright"], at={
        "/etc/core.conf": "edited\n", "/etc/plain.conf": "plain A\n", "/var/core.state": "grown\n",
        "/etc/preserve.conf": "edited preserve\n", "/etc/renamenew.conf": "edited renamenew\n",
        "/etc/renameold.conf": "renameold B\n", "/etc/sed.conf": "# mine\nlevel=B\nmore\n",
        "/etc/awk.conf": "mine\nseen A\nseen B\n", "/etc/build.conf": "built by SUNWcore B\n",
        "/etc/own.conf": f"own B\nfrom i.own of {version}, update=yes\n",
        "/etc/new.own": f"new own\nfrom i.own of {version}, update=yes\n", "/etc/new.sed": ""})
    put(root, "/etc/renamenew.conf.new", "renamenew B\n", group="bin")
    put(root, "/etc/renameold.conf.old", "edited renameold\n", group="bin")
    save = "/var/sadm/pkg/SUNWcore/save"
    for path, text in {"sed/etc/sed.conf": SED % "B", "sed/etc/new.sed": SED % "B", "awk/etc/awk.conf": AWK % ("B", "B"),
                       "build/etc/build.conf": BUILD % "B"}.items():
        put(root, f"{save}/{path}", text, group="bin")
    put(root, "/etc/old.sed", "# mine\nlevel=none\n", group="bin")  # what a removed package had edited, it edits back
    put(root, "/etc/old.awk", "mine\n", group="bin")
    put(root, "/opt/core/keptdir/mine", "the zone's\n", group="bin")
    os.chown(root + "/opt/core/keptdir", 0, 2)
    hollow_b.in_zone(root, kept_scripts=["depend"])
    put(root, "/var/inherited", "program B\n", mode=0o755)
    inherited_b.in_zone(root, skip, at={"/etc/inh.conf": "edited inh\n"})
    new_b.classes = "none extra"
    new_b.parameters["WHERE"] = "/opt/chosen"
    new_b.in_zone(root, at={"/opt/chosen/never": None})
    keep().in_zone(root)
    put(root, "/opt/shared/both", "both B\n", group="bin")
    put(root, "/var/removed", "/etc/old.own2\n/etc/old.own\n")
    put(root, "/var/scripts", "preremove SUNWold /a /a/ /  1.0\npostremove SUNWold /a /a/ /  1.0\n"
                              f"preinstall SUNWcore /a /a/ / yes {version}\npostinstall SUNWcore /a /a/ / yes {version}\n")
    entries = merge(at_b + [keep()])
    entries["/opt/shared/both"][0] = core_b.contents()["/opt/shared/both"]
    del entries["/opt/chosen/never"]
    for path, (fields, *_) in list(entries.items()):
        type, klass, mode, owner, group = (fields.split() + [""] * 5)[:5]
        if type in "ev" and os.path.exists(root + path):  # as it is on the disk
            data = pathlib.Path(root + path).read_bytes()
            entries[path][0] = f"{type} {klass} {mode} {owner} {group} {len(data)} {sysv_sum(data)}"
    write_contents(root, entries)


IGNORED = ("/var/sadm/system", "/var/sadm/install")


def describe(root, path):
    info = os.lstat(root + path)
    out = {"type": stat.S_IFMT(info.st_mode), "owner": (info.st_uid, info.st_gid)}
    if stat.S_ISLNK(info.st_mode):
        out["target"] = os.readlink(root + path)
        return out
    out["mode"] = oct(stat.S_IMODE(info.st_mode))
    if stat.S_ISREG(info.st_mode):
        lines = pathlib.Path(root + path).read_bytes().decode("utf8", "replace").splitlines()
        out["text"] = [line for line in lines if not line.startswith("INSTDATE=")]
        out["names"] = info.st_nlink
    return out


def tree(root):
    out = {}
    for place, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(place, name)[len(root):]
            if not path.startswith(IGNORED):
                out[path] = describe(root, path)
    return out


def lines_of(path):
    return pathlib.Path(path).read_text(encoding="utf8").splitlines()


def contents(root):
    out = {}
    for line in lines_of(root + "/var/sadm/install/contents"):
        if line.startswith("#"):
            continue
        words = line.split()
        attributes = {"s": 0, "l": 0, "d": 3, "x": 3, "p": 3}.get(words[1], 6)
        fields = words[1:3 + attributes]
        if words[1] in "ev":
            fields = fields[:-1]  # the time of an edit
        out[words[0]] = (fields, sorted(words[3 + attributes:]) if attributes < 6 or words[1] not in "ev"
                         else sorted(words[9:]))
    return out


def expected_contents(root):
    out = {}
    for line in lines_of(root + "/var/sadm/install/contents"):
        words = line.split()
        attributes = {"s": 0, "l": 0, "d": 3, "x": 3, "p": 3}.get(words[1], 6)
        if words[1] in "ev":
            attributes = len([word for word in words[3:] if not word.startswith("SUNW")])
        fields = words[1:3 + attributes]
        if words[1] in "ev":
            fields = fields[:7]
        out[words[0]] = (fields, sorted(words[3 + attributes:]))
    return out


def compare(zone, expected):
    differences = []
    for kind, have, want in (("file", tree(zone), tree(expected)), ("contents", contents(zone), expected_contents(expected))):
        for name in sorted(set(have) | set(want)):
            if have.get(name) != want.get(name):
                differences.append(f"{kind} {name}: is {have.get(name)}, must be {want.get(name)}")
    lines = [line for line in lines_of(zone + "/var/sadm/install/contents") if not line.startswith("#")]
    if lines != sorted(lines, key=lambda line: line.split()[0].split("=")[0]):
        differences.append("contents: not sorted by path")
    return differences


def main():
    if sys.argv[1] == "make":
        make(sys.argv[2])
        return 0
    differences = compare(sys.argv[2], sys.argv[3])
    print("\n".join(differences))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
