"""The trees that are copied: made once per source image, alike on every machine but for `root`, a copy of /usr."""
import os
import pathlib
import random
import subprocess

WORDS = ("zone", "migration", "target", "source", "package", "manifest", "segment", "detach", "attach", "update",
         "host", "global", "stream", "digest", "release", "journal", "the", "of", "and", "is", "a", "to", "in",
         "not", "when")


def make_root(place, scale):
    """A Debian root: /usr, its largest directories of libraries left out until about 1.2 GB (times scale) remain."""
    limit = int(1.25e9 * scale)
    total = 0
    for directory in ("bin", "sbin", "lib", "share", "include", "libexec"):
        for entry in sorted(pathlib.Path("/usr", directory).iterdir()):
            size = int(subprocess.run(["du", "-sxB1", entry], capture_output=True, text=True).stdout.split()[0])
            if total + size > limit:
                continue
            total += size
            (place / directory).mkdir(exist_ok=True)
            subprocess.run(["cp", "-a", entry, place / directory], check=True)


def make_small(place, scale):
    """100,000 files of 1 to 8 KB in 1,000 directories: sentences, with some numbers, as configuration files are."""
    chance = random.Random(1)
    text = " ".join(chance.choice(WORDS) for _ in range(40_000)).encode()
    for number in range(int(100_000 * scale)):
        if number % 100 == 0:
            directory = place / f"d{number // 10_000:02}" / f"e{number // 100:04}"
            directory.mkdir(parents=True)
        size = chance.randrange(1_000, 8_000)
        start = chance.randrange(0, len(text) - size)
        body = f"[file {number}]\nid = {chance.getrandbits(256):x}\n".encode() + text[start:start + size // 2]
        body += chance.randbytes(size // 4).hex().encode()[:size - len(body)] if len(body) < size else b""
        (directory / f"f{number:06}.conf").write_bytes(body)


def make_big(place, scale):
    """Four files of 512 MB: incompressible, text, 90 % holes, pages of a database."""
    chance = random.Random(2)
    size = int(512e6 * scale) // 65_536 * 65_536
    with open(place / "random.bin", "wb") as file:
        for _ in range(size // 65_536):
            file.write(chance.randbytes(65_536))
    with open(place / "text.log", "wb") as file:
        while file.tell() < size:
            lines = (f"2026-11-{chance.randrange(1, 31):02} {chance.randrange(10**6):06} {chance.choice(WORDS)} "
                     f"{chance.choice(WORDS)} {chance.choice(WORDS)} took {chance.random():.6f} s\n"
                     for _ in range(2000))
            file.write("".join(lines).encode())
        file.truncate(size)
    with open(place / "sparse.img", "wb") as file:
        for block in range(0, size, 1 << 20):
            file.seek(block)
            file.write(chance.randbytes(50_000) + bytes(50_000))
        file.truncate(size)
    with open(place / "pages.db", "wb") as file:
        for page in range(size // 8192):
            rows = b"".join(b"\x01%08d%s" % (chance.randrange(10**8), chance.choice(WORDS).encode()) * 2
                            for _ in range(120))[:5000]
            file.write(page.to_bytes(8, "little") + bytes(8184 - len(rows)) + rows)


def make_torture(place, scale):
    """Metadata rather than data: links, xattrs, ACL-free modes, owners, odd names, deep and wide directories."""
    chance = random.Random(3)
    for number in range(int(4000 * scale)):
        directory = place / f"{number % 40:02}" / f"n{number % 7}\n{number % 3}"
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / f"f{number}\xff"
        file.write_bytes(chance.randbytes(number % 300))
        for name in range(number % 4):
            os.setxattr(file, f"user.bench{name}", chance.randbytes(40))
        os.link(file, directory / f"link{number}")
        os.symlink(f"f{number}", directory / f"symlink{number}")
        os.chown(file, number % 1000, number % 100)
        os.chmod(file, number % 0o7777)
        os.utime(file, ns=(0, number * 1_000_003))
        if number % 50 == 0:
            os.mkfifo(directory / f"fifo{number}")


DATA = {"root": make_root, "small": make_small, "big": make_big, "torture": make_torture}


def ensure(source, name, scale):
    """The tree of that name below source; made if it is not there yet."""
    place = source / f"{name}-{scale:g}"
    done = source / f"{name}-{scale:g}.done"
    if not done.exists():
        subprocess.run(["rm", "-rf", place], check=True)
        place.mkdir()
        DATA[name](place, scale)
        done.touch()
        subprocess.run(["sync", "-f", source], check=True)
    return place
