"""A package repository on this machine's disk: real package files, made of what is installed here, with an index. No
network is needed. As a program: local_repository.py DIR PACKAGE...; the closure of the packages goes in, too."""
import concurrent.futures
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SUPPORT = pathlib.Path(__file__).resolve().parent
SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "triggers", "shlibs", "symbols", "conffiles", "templates", "config")


def _hostroot():
    loader = importlib.machinery.SourceFileLoader("hostroot", str(SUPPORT / "hostroot"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("hostroot", loader))
    loader.exec_module(module)
    return module


def _pack(name, stanza, output, scratch, aliased):
    tree = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    info = pathlib.Path("/var/lib/dpkg/info")
    known = name if (info / f"{name}.list").exists() else f"{name}:{re.search('^Architecture: (.*)$', stanza, re.M)[1]}"
    (tree / "DEBIAN").mkdir(mode=0o755)
    tree.chmod(0o755)
    control = re.sub(r"^(Status|Conffiles|Config-Version):.*\n(?: .*\n)*", "", stanza + "\n", flags=re.M)
    (tree / "DEBIAN/control").write_text(control)
    for script in SCRIPTS:
        if (info / f"{known}.{script}").exists():
            shutil.copy2(info / f"{known}.{script}", tree / "DEBIAN" / script)
    merged = {"/.", *(f"/{alias}" for alias in aliased)}  # links here, directories in the package
    paths = [path for path in (info / f"{known}.list").read_text().splitlines()
             if path not in merged and os.path.lexists(path)]
    names = b"\0".join(path.lstrip("/").encode() for path in paths)
    tar = subprocess.Popen(["tar", "-C", "/", "--no-recursion", "--null", "-T", "-", "-cf", "-"], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)
    unpack = subprocess.Popen(["tar", "-C", tree, "-xpf", "-"], stdin=tar.stdout)
    tar.stdin.write(names)
    tar.stdin.close()
    tar.stdout.close()
    if tar.wait() or unpack.wait():
        raise RuntimeError(f"{name} could not be packed")
    conffiles = tree / "DEBIAN/conffiles"
    if conffiles.exists():  # those that were deleted here
        lines = [line for line in conffiles.read_text().splitlines(keepends=True) if (tree / line.strip().lstrip("/")).exists()]
        conffiles.write_text("".join(lines))
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "-b", tree, output], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)


def make(directory, wanted):
    """Returns the names of the packages in it."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True)
    hostroot = _hostroot()
    packages, providers = hostroot.read_status()
    names = sorted(hostroot.closure([*wanted, *hostroot.ALWAYS], packages, providers))
    with tempfile.TemporaryDirectory(dir=directory) as scratch, concurrent.futures.ThreadPoolExecutor(2) as pool:
        done = [pool.submit(_pack, name, packages[name][1], directory, scratch, hostroot.ALIASED) for name in names]
        for each in done:
            each.result()
    with open(directory / "Packages", "wb") as index:
        subprocess.run(["dpkg-scanpackages", "-m", "."], cwd=directory, check=True, stdout=index, stderr=subprocess.DEVNULL)
    return names


if __name__ == "__main__":
    print(len(make(sys.argv[1], sys.argv[2:])), "packages")
