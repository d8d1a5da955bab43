"""Newer versions of a simulated host's packages: real package files made of what is installed, installed by real dpkg.

    new = Newer(host, "sed", "4.9-1+zf1")
    new.write("/usr/share/doc/sed/news-of-b", "B\\n")
    new.conffile("/etc/sed.conf", "level B\\n")
    new.script("postinst", "touch /var/lib/sed-was-configured")
    new.install()                 # on the host; keep=True leaves the file in the archive cache as apt would
"""
import os
import pathlib
import re
import shutil
import subprocess


def version_of(host, package, root="/"):
    return host.run(["dpkg-query", f"--admindir={root.rstrip('/')}/var/lib/dpkg", "-W", "-f", "${Version}", package]).stdout


def arch_name(host, package):
    """What info/ calls it."""
    info = host.path("/var/lib/dpkg/info")
    return package if (info / f"{package}.list").exists() else f"{package}:amd64"


class Newer:
    def __init__(self, host, package, version):
        self.host, self.package, self.version = host, package, version
        self.tree = host.path(f"/var/tmp/newer-{package}")
        shutil.rmtree(self.tree, ignore_errors=True)
        name = arch_name(host, package)
        info = host.path("/var/lib/dpkg/info")
        (self.tree / "DEBIAN").mkdir(parents=True)
        self.arch = host.run(["dpkg-query", "-W", "-f", "${Architecture}", package]).stdout
        control = host.run(["dpkg-query", "-s", package]).stdout
        control = re.sub(r"^(Status|Conffiles|Config-Version):.*\n(?: .*\n)*", "", control, flags=re.M)
        self.control = re.sub(r"^Version: .*$", f"Version: {version}", control, flags=re.M)
        for kind in ("preinst", "postinst", "prerm", "postrm", "triggers", "shlibs", "md5sums", "conffiles", "templates"):
            if (info / f"{name}.{kind}").exists():
                shutil.copy2(info / f"{name}.{kind}", self.tree / "DEBIAN" / kind)
        for path in (info / f"{name}.list").read_text().splitlines():
            self._take(path)
        self.md5sums = {}

    def _take(self, path):
        source, to = self.host.path(path), self.tree / path.lstrip("/")
        if path == "/." or not os.path.lexists(source):
            return
        if source.is_dir():
            to.mkdir(parents=True, exist_ok=True)
            shutil.copystat(source.resolve(), to)
        else:
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to, follow_symlinks=False)

    def write(self, path, text, mode=0o644):
        to = self.tree / path.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text)
        to.chmod(mode)

    def remove(self, path):
        (self.tree / path.lstrip("/")).unlink()

    def conffile(self, path, text, mode=0o644):
        self.write(path, text, mode)
        names = self.tree / "DEBIAN/conffiles"
        known = names.read_text().splitlines() if names.exists() else []
        names.write_text("\n".join(sorted({*known, path})) + "\n")

    def drop_conffile(self, path):
        self.remove(path)
        names = self.tree / "DEBIAN/conffiles"
        names.write_text("".join(f"{name}\n" for name in names.read_text().splitlines() if name != path))

    def script(self, kind, text):
        """Added to what the package has of that kind."""
        file = self.tree / "DEBIAN" / kind
        old = file.read_text() if file.exists() else "#!/bin/sh\nset -e\n"
        first, _, rest = old.partition("\n")
        file.write_text(f"{first}\n{text}\n{rest}")
        file.chmod(0o755)

    def depends(self, text):
        self.control = re.sub(r"^Depends: .*$", lambda m: f"{m[0]}, {text}", self.control, flags=re.M) \
            if re.search(r"^Depends: ", self.control, re.M) else self.control + f"Depends: {text}\n"

    def build(self):
        """The package file, as the host names it."""
        (self.tree / "DEBIAN/control").write_text(self.control)
        sums = self.tree / "DEBIAN/md5sums"
        conffiles = (self.tree / "DEBIAN/conffiles").read_text().splitlines() if (self.tree / "DEBIAN/conffiles").exists() else []
        files = [path for path in sorted(self.tree.rglob("*")) if path.is_file() and not path.is_symlink()
                 and "DEBIAN" not in path.relative_to(self.tree).parts and f"/{path.relative_to(self.tree)}" not in conffiles]
        text = subprocess.run(["md5sum", *[str(f.relative_to(self.tree)) for f in files]], cwd=self.tree,
                              capture_output=True, text=True, check=True).stdout if files else ""
        sums.write_text(text)
        self.deb = f"/var/cache/apt/archives/{self.package}_{self.version.replace(':', '%3a')}_{self.arch}.deb"
        self.host.path(self.deb).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", self.tree, self.host.path(self.deb)], check=True,
                       capture_output=True)
        return self.deb

    def install(self, keep=False):
        self.build()
        self.host.run(["dpkg", "-i", "--force-confold", self.deb], env={"DEBIAN_FRONTEND": "noninteractive"})
        if not keep:
            self.host.path(self.deb).unlink()
        shutil.rmtree(self.tree)


def fake_package(host, name, version, files, conffiles=()):
    """A small package of these files {path: text}, installed on the host by its dpkg; its name."""
    tree = host.path(f"/var/tmp/fake-{name}")
    for path, text in files.items():
        to = tree / path.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(f"Package: {name}\nVersion: {version}\nArchitecture: all\nSection: misc\nPriority: "
                                         f"optional\nMaintainer: Test <test@example.org>\nDescription: of a test\n")
    (tree / "DEBIAN/conffiles").write_text("".join(path + "\n" for path in conffiles))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, f"{tree}.deb"], check=True, capture_output=True)
    host.run(["dpkg", "-i", f"/var/tmp/fake-{name}.deb"])
    shutil.rmtree(tree)
    os.unlink(f"{tree}.deb")
    return name
