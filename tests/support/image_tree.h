// A system's tree with every kind of entry, and what another program (python) sees of it, as scripts for python3 -c.
#pragma once

namespace zoneferry {

// Makes a tree with every kind of entry in the directory argv[1].
inline constexpr const char* kMakeImageTree = R"(
import os, sys
os.chdir(sys.argv[1])
for d in ("etc", "usr/bin", "dev", "tmp", "var/odd"): os.makedirs(d)
open("etc/os-release", "w").write("ID=test\n")
open("etc/passwd", "w").write("root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n")
open("dev/null", "w"); open("tmp/gone", "w")
with open("var/sparse", "wb") as f:
    f.truncate(64 << 20); f.seek(1 << 20); f.write(b"a" * 70000); f.seek(40 << 20); f.write(b"b" * 5000)
open("usr/bin/tool", "w").write("tool"); os.link("usr/bin/tool", "var/tool")
os.chmod("usr/bin/tool", 0o4755); os.setxattr("usr/bin/tool", "user.note", b"x\0y")
os.setxattr("usr/bin/tool", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
os.symlink("../bin/tool", "usr/link"); os.link("usr/link", "usr/link2", follow_symlinks=False)
os.mkfifo("var/pipe", 0o620); os.chown("var/pipe", 33, 4); os.lchown("usr/link", 7, 8)
for n in (b"\xff\xfe", b"new\nline", b" ", b"-rf", "\u00e9".encode(), b"x" * 255): open(b"var/odd/" + n, "w").write("o")
open("var/empty", "w"); os.chmod("var/odd", 0o1730); os.chown("var/odd", 1234, 4321)
acl = bytes.fromhex("02000000" "01000700ffffffff" "0200050021000000" "04000500ffffffff" "10000500ffffffff" "20000000ffffffff")
os.setxattr("etc", "system.posix_acl_access", acl); os.setxattr("etc", "system.posix_acl_default", acl)
for root, dirs, files in os.walk(".", topdown=False):
    for n in files + dirs: os.utime(os.path.join(root, n), ns=(1, 1600000000123456789 + len(n)), follow_symlinks=False)
os.utime(".", ns=(1, 1500000000000000001))
)";
// Prints what argv[1] holds, one line an entry, without the directories that no zone takes over. argv[2]: "all";
// "seconds": times in seconds and no holes; "plain": without extended attributes, too.
inline constexpr const char* kDescribeImageTree = R"(
import os, sys, hashlib, stat
os.chdir(sys.argv[1]); first = {}; names = ["."]
for root, dirs, files in os.walk("."): names += [os.path.join(root, n) for n in files + dirs]
def holes(fd, size):
    out, at = [], 0
    while at < size:
        try: d = os.lseek(fd, at, os.SEEK_DATA)
        except OSError: break
        at = os.lseek(fd, d, os.SEEK_HOLE); out.append((d, at))
    return out
for n in sorted(names):
    top = n.split("/")[1] if "/" in n else ""
    if top in ("dev", "proc", "sys", "run", "tmp"): continue
    s = os.lstat(n); x = [] if sys.argv[2] == "plain" else [(a, os.getxattr(n, a, follow_symlinks=False)) for a in sorted(os.listxattr(n, follow_symlinks=False))]
    same = first.setdefault(s.st_ino, n) if not stat.S_ISDIR(s.st_mode) else n
    more = ""
    if stat.S_ISREG(s.st_mode):
        with open(n, "rb") as f: more = (s.st_size, hashlib.sha256(f.read()).hexdigest(), holes(f.fileno(), s.st_size) if sys.argv[2] == "all" else 0)
    if stat.S_ISLNK(s.st_mode): more = os.readlink(n)
    mtime = s.st_mtime_ns if sys.argv[2] == "all" else s.st_mtime_ns // 10**9
    print(ascii((n, oct(s.st_mode), s.st_uid, s.st_gid, mtime, x, same, more)))
)";

}  // namespace zoneferry
