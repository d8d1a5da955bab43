#!/usr/bin/python3
"""How fast an image is installed, against bsdtar that extracts the same archive: plain and compressed tar.

    ZONEFERRY_BIN=build/release/bin PYTHONPATH=tests/support python3 tests/bench/image_bench.py [--runs N]

Both write to the same file system and end with a sync of it. An install also reads the archive twice (the first pass
judges it), checks every name, compares packages, adjusts and logs. Needs root; prints the best of N runs each.
"""
import argparse
import os
import shutil
import subprocess
import time

import ferry
import hosts as harness


def timed(run):
    began = time.monotonic()
    run()
    return time.monotonic() - began


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=3)
    runs = options.parse_args().runs
    with harness.Hosts(["host1"], programs=os.environ["ZONEFERRY_BIN"]) as hosts:
        host = hosts["host1"]
        image = host.path("/srv/image")
        subprocess.run([harness.SUPPORT / "hostroot", image, "nginx-light", "python3", "perl"], check=True)
        size = int(subprocess.run(["du", "-sb", image], capture_output=True, text=True, check=True).stdout.split()[0])
        files = int(subprocess.run(f"find {image} | wc -l", shell=True, capture_output=True, text=True).stdout)
        print(f"image: {size / 1e6:.0f} MB, {files} entries")
        host.run(["zonecfg", "-z", "bench", "-f", "/dev/stdin"], input=ferry.zone_commands("bench"))
        for name, filters in (("tar", "cat"), ("tar.gz", "gzip -1"), ("tar.zst", "zstd -q -3")):
            archive = host.path(f"/srv/image.{name}")
            subprocess.run(f"tar -C {image} --xattrs --acls -cf - . | {filters} > {archive}", shell=True, check=True)
            ours, theirs = [], []
            for _ in range(runs):
                place = host.path("/srv/extracted")
                place.mkdir()
                theirs.append(timed(lambda: subprocess.run(
                    f"bsdtar -C {place} -xpf {archive} && sync -f {place}", shell=True, check=True)))
                shutil.rmtree(place)
                ours.append(timed(lambda: host.run(["zoneadm", "-z", "bench", "install", "-a", f"/srv/image.{name}",
                                                    "-p", "-s"], timeout=300)))
                log = host.path("/var/log/zoneferry/zones/bench.install.log").read_text().splitlines()
                host.run(["zoneadm", "-z", "bench", "uninstall", "-F"], timeout=120)
            print(f"{name:8} install {min(ours):5.2f} s {size / min(ours) / 1e6:6.0f} MB/s   "
                  f"bsdtar {min(theirs):5.2f} s {size / min(theirs) / 1e6:6.0f} MB/s   "
                  f"{100 * min(theirs) / min(ours):.0f} %")
        print("\n".join(log[-12:]))


if __name__ == "__main__":
    main()
