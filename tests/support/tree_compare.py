#!/usr/bin/python3
"""Compares two trees in every respect and prints what differs; exit status 1 if anything does.

Independent of Zoneferry's own code on purpose. Compared: names, type, mode, owner, device numbers, mtime in ns, sizes,
link targets, every extended attribute (also ACLs and capabilities), hard-link groups, maps of holes, content.
Usage: tree_compare.py [--exclude NAME]... [--no-holes] A B     (excluded names: directly below the root)
"""
import argparse
import os
import stat
import sys


def read_xattrs(directory, name):
    path = b"/proc/self/fd/%d/%s" % (directory, name)
    try:
        return {key: os.getxattr(path, key, follow_symlinks=False)
                for key in os.listxattr(path, follow_symlinks=False)
                if not key.startswith("trusted.SGI_ACL_")}  # xfs shows its ACLs a second time
    except OSError as error:
        return {"error": str(error.errno)}


def hole_map(fd, size):
    regions = []
    position = 0
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError:
            break
        end = os.lseek(fd, start, os.SEEK_HOLE)
        regions.append((start, end))
        position = end
    return regions


def walk(directory, path, excluded, visit):
    for name in sorted(os.fsencode(entry) for entry in os.listdir(directory)):
        if not path and name in excluded:
            continue
        below = path + b"/" + name
        info = os.stat(name, dir_fd=directory, follow_symlinks=False)
        visit(directory, name, below, info)
        if stat.S_ISDIR(info.st_mode):
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            try:
                walk(fd, below, excluded, visit)
            finally:
                os.close(fd)


class Tree:
    def __init__(self, root, excluded, holes):
        self.entries = {}
        self.groups = {}
        self.contents = {}
        self.holes = holes
        self.root = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        self.visit(self.root, b".", b"", os.fstat(self.root))
        walk(self.root, b"", excluded, self.visit)

    def visit(self, directory, name, path, info):
        kind = stat.S_IFMT(info.st_mode)
        facts = {"type": kind, "mode": oct(stat.S_IMODE(info.st_mode)), "uid": info.st_uid, "gid": info.st_gid,
                 "mtime": info.st_mtime_ns, "xattrs": read_xattrs(directory, name)}
        if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
            facts["rdev"] = info.st_rdev
        if stat.S_ISLNK(info.st_mode):
            facts["target"] = os.readlink(name, dir_fd=directory)
        if not stat.S_ISDIR(info.st_mode) and info.st_nlink > 1:
            facts["linked to"] = self.groups.setdefault((info.st_dev, info.st_ino), path)
        if stat.S_ISREG(info.st_mode):
            facts["size"] = info.st_size
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
            try:
                regions = hole_map(fd, info.st_size)
                if self.holes:
                    facts["data at"] = regions
                facts["content"] = self.hash(fd, regions)
            finally:
                os.close(fd)
        self.entries[path] = facts

    @staticmethod
    def hash(fd, regions):
        """Over the bytes that are not zero, with their places: a block of zeros and a hole have the same content."""
        import hashlib
        digest = hashlib.blake2b()
        for start, end in regions:
            position = start
            while position < end:
                block = 4096 - position % 4096
                data = os.pread(fd, min(block, end - position), position)
                if not data:
                    break
                if data.strip(b"\0"):
                    digest.update(b"%d:" % position + data)
                position += len(data)
        return digest.hexdigest()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--exclude", action="append", default=[])
    parser.add_argument("--no-holes", action="store_true")
    parser.add_argument("a")
    parser.add_argument("b")
    options = parser.parse_args()
    excluded = {os.fsencode(name) for name in options.exclude}
    a, b = (Tree(root, excluded, not options.no_holes) for root in (options.a, options.b))
    differences = 0
    for path in sorted(set(a.entries) | set(b.entries)):
        one, other = a.entries.get(path), b.entries.get(path)
        if one is None or other is None:
            print("only in %s: %r" % ("B" if one is None else "A", path))
            differences += 1
            continue
        for fact in sorted(set(one) | set(other)):
            if one.get(fact) != other.get(fact):
                print("%r: %s: %r != %r" % (path, fact, one.get(fact), other.get(fact)))
                differences += 1
    print("%d entries, %d differences" % (len(a.entries), differences))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
