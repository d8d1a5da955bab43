#!/usr/bin/python3
"""What a pass of the stream may cost, counted rather than timed, so that it holds on every machine.

Of one full pass over 2,000 small files and one of 24 MB, and of one more with nothing changed, both sides together:
system calls per file (strace), instructions per file (callgrind), allocations per segment (operator new). The limits
are what was counted when they were set and a fifth more; who makes a pass cheaper lowers them.

    counted_work_test.py COUNTED_PASS       (the program of counted_pass.cpp; built as by the dev preset)
"""
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

FILES = 2000
LIMITS = {  # name: at most
    "full: system calls per file": 19,
    "unchanged: system calls per file": 1.5,
    "full: instructions per file": 62000,
    "unchanged: instructions per file": 10400,
    "full: allocations per segment": 124,
    "unchanged: allocations per file": 0.21,
}


def make_tree(place):
    chance = random.Random(1)
    words = [bytes(chance.randrange(97, 123) for _ in range(8)) for _ in range(200)]
    for number in range(FILES):
        directory = place / f"d{number % 20}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"f{number}").write_bytes(b" ".join(chance.choices(words, k=number % 400)))
    (place / "large").write_bytes(chance.randbytes(1 << 20) * 12 + b" ".join(chance.choices(words, k=1_400_000)))


def counted(program, source, scratch, passes, wrapper):
    """(lines of the program, what the wrapper wrote)"""
    scratch.mkdir()
    report = scratch / "report"
    done = subprocess.run([*(word.replace("REPORT", str(report)) for word in wrapper), program, source, scratch,
                           str(passes)], check=True, capture_output=True, text=True)
    return [list(map(int, line.split())) for line in done.stdout.splitlines()], (
        report.read_text() if report.exists() else "") + done.stderr


def system_calls(text):
    return sum(int(line.split()[3]) for line in text.splitlines() if re.match(r"^ *\d+\.\d+ ", line)
               and not line.endswith(" total"))


def instructions(text):
    return int(re.search(r"Collected : (\d+)", text).group(1))


def measure(program, source, scratch):
    figures = {}
    strace = ["strace", "-f", "-qq", "-c", "-U", "time-percent,total-time,avg-time,calls,name", "-o", "REPORT"]
    callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    for name, wrapper, count in (("system calls", strace, system_calls), ("instructions", callgrind, instructions)):
        one = count(counted(program, source, scratch / f"{name} 1", 1, wrapper)[1])
        two = count(counted(program, source, scratch / f"{name} 2", 2, wrapper)[1])
        figures[f"full: {name} per file"] = one / FILES
        figures[f"unchanged: {name} per file"] = (two - one) / FILES
    (full, unchanged), _ = counted(program, source, scratch / "allocations", 2, [])
    if full[0] < FILES or unchanged[0] != 0:
        raise RuntimeError(f"these were not the passes meant: {full[0]} and {unchanged[0]} entries sent")
    figures["full: allocations per segment"] = full[2] / full[1]
    figures["unchanged: allocations per file"] = unchanged[2] / FILES
    return figures


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="zf-work-", dir="/var/tmp") as scratch:
        source = pathlib.Path(scratch) / "source"
        source.mkdir()
        make_tree(source)
        time.sleep(0.1)  # what changed in the last moments before a pass is looked at again by the next
        figures = measure(program, source, pathlib.Path(scratch))
    for name, limit in LIMITS.items():
        print(f"{name:36} {figures[name]:12.2f}, at most {limit}" + ("" if figures[name] <= limit else "  TOO MUCH"))
    return any(figures[name] > limit for name, limit in LIMITS.items())


if __name__ == "__main__":
    sys.exit(main())
