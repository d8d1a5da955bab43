"""A tree that is hard to copy, made by hand and not by our own code: torture(directory). Root is needed."""
import os
import stat
import subprocess

NAMES = [b"plain", b"with blank", b"new\nline", b"tab\there", b"-rf", b"*", b"$(reboot)", b"caf\xc3\xa9", b"bad\xff\xfe",
         b"\x1b[31m", b"." * 3, b"x" * 255, b"a\\b", b"'\""]


def _write(path, data, mode=0o644, uid=0, gid=0):
    with open(path, "wb") as file:
        file.write(data)
    os.chown(path, uid, gid)
    os.chmod(path, mode)


def _names(top):
    for number, name in enumerate(NAMES):
        _write(os.path.join(top, name), name * number, 0o600 + number % 8, number, 1000 + number)
    deep = top
    for _ in range(60):
        deep = os.path.join(deep, b"deep")
        os.mkdir(deep)
    os.mkdir(os.path.join(top, b"empty"), 0o1777)


def _holes(top):
    for name, size, pieces in ((b"start", 1 << 20, [(1 << 19, 4096)]), (b"middle", 1 << 20, [(0, 10), (900_000, 5)]),
                               (b"end", 1 << 22, [(0, 4096)]), (b"all", 8 << 20, []), (b"one-byte", 1, [(0, 1)])):
        with open(os.path.join(top, b"hole-" + name), "wb") as file:
            file.truncate(size)
            for offset, count in pieces:
                file.seek(offset)
                file.write(os.urandom(count))
    _write(os.path.join(top, b"random"), os.urandom(5 << 20))
    _write(os.path.join(top, b"text"), b"the same line again and again\n" * 100_000)
    _write(os.path.join(top, b"nothing"), b"")


def _links(top, longest):
    _write(os.path.join(top, b"linked"), b"three names", 0o640, 7, 8)
    os.link(os.path.join(top, b"linked"), os.path.join(top, b"linked-2"))
    os.link(os.path.join(top, b"linked"), os.path.join(top, b"empty", b"linked-3"))
    for name, target in ((b"to-file", b"linked"), (b"dangling", b"/no/such/place"), (b"outside", b"/etc/passwd"),
                         (b"up", b"../../.."), (b"long", b"y" * longest)):
        os.symlink(target, os.path.join(top, b"link-" + name))
    os.lchown(os.path.join(top, b"link-to-file"), 5, 6)
    os.link(os.path.join(top, b"link-dangling"), os.path.join(top, b"link-dangling-2"), follow_symlinks=False)


def _special(top):
    os.mkfifo(os.path.join(top, b"fifo"), 0o620)
    os.mknod(os.path.join(top, b"null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(os.path.join(top, b"socket"), 0o600 | stat.S_IFSOCK)
    _write(os.path.join(top, b"setuid"), b"#!/bin/false\n", 0o4755, 0, 0)
    _write(os.path.join(top, b"setgid"), b"", 0o2711, 33, 33)
    os.mkdir(os.path.join(top, b"sticky"))
    os.chmod(os.path.join(top, b"sticky"), 0o3770)
    os.chown(os.path.join(top, b"sticky"), 12, 65533)


def _attributes(top):
    path = os.path.join(top, b"attributes")
    _write(path, b"x")
    os.setxattr(path, b"user.note", b"\x00\xff binary")
    os.setxattr(path, b"user.empty", b"")
    os.setxattr(path, b"trusted.secret", b"y" * 1000)
    subprocess.run(["setfacl", "-m", "u:1234:rw,g:77:r", path], check=True)
    subprocess.run(["setfacl", "-d", "-m", "u:99:rwx", os.path.join(top, b"empty")], check=True)
    capable = os.path.join(top, b"capable")
    _write(capable, b"\x7fELF", 0o755)
    subprocess.run(["setcap", "cap_net_raw+ep", capable], check=True)
    os.setxattr(os.path.join(top, b"link-dangling"), b"trusted.on-a-link", b"1", follow_symlinks=False)


def _times(top):
    for number, (name, ns) in enumerate(((b"old", -1_234_567_891), (b"nanoseconds", 1_600_000_000_123_456_789),
                                         (b"future", 4_000_000_000_000_000_001))):
        path = os.path.join(top, b"time-" + name)
        _write(path, b"t" * number)
        os.utime(path, ns=(ns, ns))
    os.utime(os.path.join(top, b"link-outside"), ns=(1, 987_654_321), follow_symlinks=False)
    os.utime(os.path.join(top, b"fifo"), ns=(1, 111_222_333))
    os.utime(os.path.join(top, b"sticky"), ns=(1, 1_000_000_000_000_000_007))


def torture(directory, longest_link_bytes=4000):
    """longest_link_bytes: xfs takes 1023."""
    top = os.fsencode(directory)
    os.makedirs(top)
    _names(top)
    _holes(top)
    _links(top, longest_link_bytes)
    for make in (_special, _attributes, _times):
        make(top)
