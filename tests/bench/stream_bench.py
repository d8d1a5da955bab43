#!/usr/bin/python3
"""How fast a tree gets from one host to the other: ours against rsync and tar, in the same run.

    cmake --preset release && cmake --build --preset release --target stream_bench
    sudo tests/bench/stream_bench.py [--quick] [--data root,small] [--links none,1G] [--peers ours,rsync-ssh] ...

Prints a table, the ratios against the targets, and writes JSON (--json). See tests/bench/README.md.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import bench_data  # noqa: E402
from bench_hosts import ADDRESS, LINKS, Ends, MemoryWatch, run  # noqa: E402
from bench_targets import print_targets  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
RSYNC = "rsync -aHAXS --numeric-ids"
TAR_OUT = "tar -C {source} --xattrs --xattrs-include=* --acls --numeric-owner -S -b 512 -cf - ."
TAR_IN = "tar -C {target} --xattrs --xattrs-include=* --acls --numeric-owner -b 512 -xpf -"
TLS_OUT = "socat -b 262144 -u STDIN OPENSSL:{address}:4433,cafile={keys}/tls.pem,commonname=bench"
TLS_IN = "socat -b 262144 -u OPENSSL-LISTEN:4433,bind={address},reuseaddr,cert={keys}/tls.pem,verify=0 STDOUT"


class Peers:
    """name -> what runs on the target first (None: nothing), and then on the source."""

    def __init__(self, ends, binaries, keys):
        self.ends, self.binaries, self.keys = ends, binaries, keys
        ssh = (f"ssh -p 2222 -i {keys}/id -F none -o UserKnownHostsFile={keys}/known -o StrictHostKeyChecking=no "
               "-o LogLevel=ERROR -o Compression=no")
        over_ssh = '{rsync} -e "' + ssh + '" {source}/ root@{address}:{target}/'
        self.sshd = f"/usr/sbin/sshd -D -e -f {keys}/sshd_config"
        rsyncd = f"rsync --daemon --no-detach --config={keys}/rsyncd.conf"
        ours = "{binaries}/stream_bench send {keys} {address} {source} {keys}/catalog"
        our_end = "{binaries}/stream_bench receive {keys} {address} {target}"
        tls = lambda out, into: (f"{TLS_IN} | {into}", f"{out} | {TLS_OUT}")  # noqa: E731
        self.commands = {
            "ours": (our_end, ours),
            "rsync-ssh": (self.sshd, over_ssh.replace("{rsync}", RSYNC)),
            "rsync-zstd1-ssh": (self.sshd, over_ssh.replace("{rsync}", f"{RSYNC} --zc=zstd --zl=1")),
            "rsync-zstd3-ssh": (self.sshd, over_ssh.replace("{rsync}", f"{RSYNC} --zc=zstd --zl=3")),
            "rsync-daemon": (rsyncd, RSYNC + " {source}/ rsync://{address}:8730/target/"),
            "tar-tls": tls(TAR_OUT, TAR_IN),
            "tar-zstd1-tls": tls(TAR_OUT + " | zstd -T0 -1 -q", f"zstd -dq | {TAR_IN}"),
            "tar-adapt-tls": tls(TAR_OUT + " | zstd -T0 --adapt -q", f"zstd -dq | {TAR_IN}"),
            "tar-tar": (None, f"{TAR_OUT} | {TAR_IN}"),
        }
        for level in ("0", "-1", "1", "3"):
            self.commands[f"ours-level{level}"] = (our_end, f"{ours} level={level}")
        for readers in ("0", "1", "2", "8"):
            self.commands[f"ours-readers{readers}"] = (our_end, f"{ours} readers={readers}")
        self.servers = {"rsync-ssh", "rsync-zstd1-ssh", "rsync-zstd3-ssh", "rsync-daemon"}  # they go on until ended

    def make_keys(self):
        keys = self.keys
        keys.mkdir(mode=0o700)
        run([self.binaries / "stream_bench", "keys", keys])
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench", "-keyout",
             keys / "key.pem", "-out", keys / "cert.pem"], stderr=subprocess.DEVNULL)
        (keys / "tls.pem").write_text((keys / "key.pem").read_text() + (keys / "cert.pem").read_text())
        for name in ("id", "host"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name])
        os.makedirs("/run/sshd", exist_ok=True)
        (keys / "sshd_config").write_text(
            f"Port 2222\nListenAddress {ADDRESS['target']}\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/id.pub\n"
            "PermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\nLogLevel ERROR\n")
        (keys / "rsyncd.conf").write_text(
            f"address = {ADDRESS['target']}\nport = 8730\nuse chroot = no\nreverse lookup = no\n[target]\n"
            f"path = {self.ends.directory['target']}/tree\nread only = no\nuid = root\ngid = root\n")


def wait_for_port(ends, port):
    """Until the target listens: asked of the kernel, which knows without a connection being made."""
    namespace = ends.name + ".target"
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        listening = subprocess.run(["ip", "netns", "exec", namespace, "ss", "-Hltn", f"sport = :{port}"],
                                   capture_output=True, text=True).stdout
        if listening.strip():
            return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")


def measure(ends, peers, name, source, cold):
    """One copy: dict of figures."""
    ends.fresh_target()
    if cold:
        ends.cool_source()
    target = ends.directory["target"] / "tree"
    target.mkdir(mode=0o700)
    for old in peers.keys.glob("catalog*"):
        old.unlink()
    words = {"source": source, "target": target, "address": ADDRESS["target"], "keys": peers.keys,
             "binaries": peers.binaries}
    at_target, at_source = peers.commands[name]
    cpu = {side: ends.cpu_seconds(side) for side in ADDRESS}
    link = ends.link_bytes()
    with MemoryWatch(ends) as memory, open(peers.keys / "log", "w+") as log:
        started = {}
        if at_target:
            started["target"] = ends.start("target", ["bash", "-c", "set -o pipefail; " + at_target.format(**words)],
                                           stdout=log, stderr=log)
            wait_for_port(ends, {"rsync-daemon": 8730}.get(name, 2222 if "ssh" in name else
                                                           7743 if "ours" in name else 4433))
        begin = time.monotonic()
        started["source"] = ends.start("source", ["bash", "-c", "set -o pipefail; " + at_source.format(**words)],
                                       stdout=log, stderr=log)
        status = started["source"].wait()
        if at_target and name not in peers.servers:
            status = started["target"].wait() or status
        done = time.monotonic() - begin
        run(["sync", "-f", ends.directory["target"]])
        durable = time.monotonic() - begin
        log.seek(0)
        if status != 0:
            raise RuntimeError(f"{name} ended with {status}: {log.read()}")
    ends.end_processes()
    for process in started.values():
        process.wait()
    return {"done_s": done, "durable_s": durable, "wire_mb": (ends.link_bytes() - link) / 1e6,
            "cpu_s": sum(ends.cpu_seconds(side) - cpu[side] for side in ADDRESS),
            "memory_source_mb": memory.peak_mb("source"), "memory_target_mb": memory.peak_mb("target")}


def shape_of(tree):
    """Entries and bytes of files: what a copy must have in common with its source."""
    lines = subprocess.run(["find", tree, "-mindepth", "1", "-type", "f", "-printf", "%s\n"], check=True,
                           capture_output=True, text=True).stdout.split()
    entries = len(subprocess.run(["find", tree, "-mindepth", "1", "-printf", "x"], check=True,
                                 capture_output=True).stdout)
    return entries, sum(map(int, lines))


def print_row(data, link, name, figures):
    print(f"{data:8} {link:9} {name:16} {figures['done_s']:8.2f} {figures['durable_s']:8.2f} "
          f"{figures['cpu_s']:7.2f} {figures['wire_mb']:9.1f} {figures['memory_source_mb']:7.0f} "
          f"{figures['memory_target_mb']:7.0f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="root,small,big,torture")
    parser.add_argument("--links", default="none,1G,1G+20ms,100M", help=", ".join(LINKS))
    parser.add_argument("--peers", default="", help="default: all that make sense on the link")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="size of the data, 1 as in the issue")
    parser.add_argument("--quick", action="store_true", help="scale 0.1, one repetition, links none and 1G")
    parser.add_argument("--cold", action="store_true", help="before each run, drop the source from the cache "
                        "(useful with a source image on a disk)")
    parser.add_argument("--images", default="/dev/shm", help="where the ext4 images lie (tmpfs: no disk is measured)")
    parser.add_argument("--source-image", help="kept and used again, so that the data is made once")
    parser.add_argument("--binaries", default=REPOSITORY / "build/release/tests/bench")
    parser.add_argument("--json", default="stream_bench.json")
    words = parser.parse_args()
    if words.quick:
        words.scale, words.repeat, words.links = 0.1, 1, "none,1G"
    results = []
    with Ends(words.images, int(5000 * max(words.scale, 0.1)), words.binaries, words.source_image) as ends:
        peers = Peers(ends, pathlib.Path(words.binaries).resolve(), ends.scratch / "keys")
        peers.make_keys()
        print(f"{'data':8} {'link':9} {'peer':16} {'done s':>8} {'synced s':>8} {'cpu s':>7} {'wire MB':>9} "
              f"{'src MB':>7} {'tgt MB':>7}")
        for data in words.data.split(","):
            source = bench_data.ensure(ends.directory["source"], data, words.scale)
            wanted = shape_of(source)
            if not words.cold:
                # Else the first peer reads a cold cache.
                run(["bash", "-c", f"tar -C {source} -cf - . | cat > /dev/null"])
            for link in words.links.split(","):
                ends.shape(link)
                names = words.peers.split(",") if words.peers else [
                    name for name in peers.commands
                    if not name.startswith("ours-") and (name != "tar-tar" or link == "none")]
                for name in names:
                    runs = [measure(ends, peers, name, source, words.cold) for _ in range(words.repeat)]
                    if shape_of(ends.directory["target"] / "tree") != wanted:
                        raise RuntimeError(f"{name}: the copy of {data} is not like its source")
                    figures = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
                    print_row(data, link, name, figures)
                    results.append({"data": data, "link": link, "peer": name, "runs": runs, **figures})
                ends.shape("none")
    print_targets(results)
    pathlib.Path(words.json).write_text(json.dumps({"scale": words.scale, "cpus": os.cpu_count(), "results": results},
                                                   indent=1))


if __name__ == "__main__":
    main()
