"""Two ends for the benchmarks: network namespaces joined by a shaped link, an ext4 image on each side, a cgroup each.

Everything is named after this process and goes away with close(), also after a failure; a run that was killed hard is
cleaned up by the next. Needs root.
"""
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from hosts import cgroup2_mount, remove_cgroup  # noqa: E402

PREFIX = "zf-bench."
ADDRESS = {"source": "10.98.0.1", "target": "10.98.0.2"}
# Mbit/s and milliseconds each way. Without delay tbf does it; with delay our own delay_link (many kernels lack netem).
LINKS = {"none": None, "1G": (1000, 0), "100M": (100, 0), "1G+20ms": (1000, 10), "1G+100ms": (1000, 50)}
MKFS = ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-i"]
_libc = ctypes.CDLL(None, use_errno=True)


def run(argv, **options):
    return subprocess.run([str(word) for word in argv], check=True, **options)


def _alive(pid):
    return pathlib.Path(f"/proc/{pid}").exists()


class Ends:
    """with Ends(images) as ends: ends.start("source", [...]); ends.directory["target"]; ends.shape("1G")"""

    def __init__(self, images, target_mb, binaries, source_image=None, source_mb=8192, bytes_per_inode=16384):
        self._delay_link = pathlib.Path(binaries) / "delay_link"
        self._delay = None
        self._device = "link0"
        self.images = pathlib.Path(images)
        self._namespaces = []
        self._remove_leftovers()
        self.name = f"{PREFIX}{os.getpid()}"
        self.scratch = self.images / self.name
        self.scratch.mkdir()
        self.cgroup = cgroup2_mount() / self.name
        self.directory = {}
        self._namespaces = []
        self._target_image = self.scratch / "target.img"
        self._target_mb = target_mb
        self._bytes_per_inode = bytes_per_inode
        try:
            self._make_network()
            for side in ADDRESS:
                (self.cgroup / side).mkdir(parents=True)
            self._mount_source(pathlib.Path(source_image) if source_image else self.scratch / "source.img", source_mb)
            self.fresh_target()
        except BaseException:
            self.close()
            raise

    def _remove_leftovers(self):
        for old in self.images.glob(PREFIX + "*"):
            if not _alive(old.name[len(PREFIX):]):
                self.name, self.scratch, self.cgroup = old.name, old, cgroup2_mount() / old.name
                self._namespaces = [f"{old.name}.{side}" for side in ADDRESS]
                self.close()

    def _make_network(self):
        for side in ADDRESS:
            namespace = f"{self.name}.{side}"
            run(["ip", "netns", "add", namespace])
            self._namespaces.append(namespace)
        run(["ip", "link", "add", "link0", "netns", self._namespaces[0], "type", "veth", "peer", "name", "link0",
             "netns", self._namespaces[1]])
        for namespace in self._namespaces:
            run(["ip", "-n", namespace, "link", "set", "lo", "up"])
        self._move_addresses("link0")

    def _mount(self, image, side, megabytes):
        if not image.exists():
            with open(image, "wb") as file:
                file.truncate(megabytes << 20)
            run([*MKFS, str(self._bytes_per_inode), image])
        place = self.scratch / side
        place.mkdir(exist_ok=True)
        run(["mount", "-o", "loop", image, place])
        self.directory[side] = place

    def _mount_source(self, image, megabytes):
        self._source = image, megabytes
        self._mount(image, "source", megabytes)

    def cool_source(self):
        """The source's file system as after a start of its host: nothing of it in the cache."""
        run(["umount", self.directory["source"]])
        run(["sync"])
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
        self._mount(self._source[0], "source", self._source[1])
        device = subprocess.run(["findmnt", "-no", "SOURCE", self.directory["source"]], check=True,
                                capture_output=True, text=True).stdout.strip()
        run(["losetup", "--direct-io=on", device])  # else a loop device reads one block after the other

    def fresh_target(self):
        """An empty target file system, so that every run begins alike."""
        if "target" in self.directory:
            run(["umount", self.directory.pop("target")])
        self._target_image.unlink(missing_ok=True)
        self._mount(self._target_image, "target", self._target_mb)

    def shape(self, link):
        """The link that the addresses lie on from now on."""
        self._end_delay()
        for namespace in self._namespaces:
            subprocess.run(["tc", "-n", namespace, "qdisc", "del", "dev", "link0", "root"], stderr=subprocess.DEVNULL)
        megabits, delay_ms = LINKS[link] or (0, 0)
        if delay_ms:
            self._delay = subprocess.Popen([self._delay_link, *self._namespaces, str(delay_ms), str(megabits)],
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            if self._delay.stdout.readline() != b"ready\n":
                raise RuntimeError("delay_link did not start")
        elif megabits:
            for namespace in self._namespaces:
                run(["tc", "-n", namespace, "qdisc", "add", "dev", "link0", "root", "tbf", "rate", f"{megabits}mbit",
                     "burst", "256kb", "latency", "50ms"])
        self._move_addresses("wan0" if delay_ms else "link0")

    def _move_addresses(self, device):
        for namespace, address in zip(self._namespaces, ADDRESS.values()):
            for other in ("link0", "wan0"):
                subprocess.run(["ip", "-n", namespace, "addr", "flush", "dev", other], stderr=subprocess.DEVNULL)
            mtu = ["mtu", "65000"] if device == "wan0" else []
            run(["ip", "-n", namespace, "link", "set", device, *mtu, "up"])
            run(["ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", device])
        self._device = device

    def _end_delay(self):
        if self._delay is not None:
            self._delay.communicate()
            self._delay = None

    def start(self, side, argv, **options):
        """Starts a program on that side; it dies with this process."""
        namespace = self._namespaces[list(ADDRESS).index(side)]

        def prepare():
            _libc.prctl(1, signal.SIGKILL, 0, 0, 0)
            (self.cgroup / side / "cgroup.procs").write_text(str(os.getpid()))

        return subprocess.Popen(["ip", "netns", "exec", namespace, *map(str, argv)], preexec_fn=prepare, **options)

    def link_bytes(self):
        """Both directions, with all headers."""
        text = subprocess.run(["ip", "netns", "exec", self._namespaces[0], "cat",
                               *(f"/sys/class/net/{self._device}/statistics/{way}_bytes" for way in ("tx", "rx"))],
                              check=True, capture_output=True, text=True).stdout
        return sum(map(int, text.split()))

    def cpu_seconds(self, side):
        for line in (self.cgroup / side / "cpu.stat").read_text().splitlines():
            if line.startswith("usage_usec"):
                return int(line.split()[1]) / 1e6
        return 0.0

    def end_processes(self):
        for side in ADDRESS:
            (self.cgroup / side / "cgroup.kill").write_text("1")

    def close(self):
        self._end_delay()
        if self.cgroup.exists():
            remove_cgroup(self.cgroup)
        for side in ADDRESS:
            subprocess.run(["umount", self.scratch / side], stderr=subprocess.DEVNULL)
        for namespace in self._namespaces:
            subprocess.run(["ip", "netns", "del", namespace], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


class MemoryWatch:
    """The highest VmHWM of each process of each side, added up: an upper bound of what the side held at once."""

    def __init__(self, ends, every_s=0.1):
        self._ends = ends
        self._every_s = every_s
        self._peak_kb = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _look(self):
        for side in ADDRESS:
            for pid in (self._ends.cgroup / side / "cgroup.procs").read_text().split():
                try:
                    status = pathlib.Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                for line in status.splitlines():
                    if line.startswith("VmHWM:"):
                        self._peak_kb[side, pid] = int(line.split()[1])

    def _watch(self):
        while not self._done.wait(self._every_s):
            self._look()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._done.set()
        self._thread.join()

    def peak_mb(self, side):
        return sum(kb for (where, _), kb in self._peak_kb.items() if where == side) / 1024
