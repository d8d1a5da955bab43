"""Simulated hosts on one machine, from namespaces: for tests and for the demo. Root is needed, systemd is not.

    with Hosts(["host1", "host2"], programs="build/dev/bin") as hosts:
        hosts["host1"].run(["zoneadm", "list", "-cv"])
        agent = hosts["host1"].popen(["zoneferryd"])
        hosts["host1"].cut_link()
        poll = hosts.client_popen(["python3", "poller.py", "http://10.99.1.1/counter"])

Each host has its own mount, uts, ipc, net, pid and cgroup namespaces and, as root, a tree of its own, made by `hostroot`
(not an overlay: id-mapped mounts do not work on one), so `Host.path("/etc/zones")` names its files as seen from outside.
The trees lie on an ext4 of their own in one file, which goes in one deletion, and whose fsync only reaches the memory of
this machine: nothing here loses power (see power_cut_test.py). What measures asks for `real_disk=True`. The network:

    host1: san0 10.99.0.1/16 ----+
           br0 (zones) -- up0 ---+-- switch -- client 10.99.0.100/16, in a network namespace of its own
    host2: san0 10.99.0.2/16 ----+            (zones are given addresses in 10.99.1.0/24)
           br0 (zones) -- up0 ---+

Nothing outlives this process: each host is a pid namespace whose init dies with it (PR_SET_PDEATHSIG), links and all
mounts but that of the trees live only in namespaces held by such processes. The scratch directory, that mount and the
cgroups are removed by close(), at exit, or, after a SIGKILL, by the next start. Host and client processes must be
started from a thread that stays.
"""
import atexit
import ctypes
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time

SUPPORT = pathlib.Path(__file__).resolve().parent
HOST_PACKAGES = ("systemd-container", "iproute2", "nftables", "procps", "util-linux", "libcap2-bin", "passwd",
                 "python3-minimal", "python3", "nginx-light", "acl", "attr", "rsync")
PATH = "/opt/zoneferry/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CLIENT_ADDRESS = "10.99.0.100"
PREFIX_LENGTH = 16
SCRATCH_PREFIX = "zoneferry-hosts."
DISK_BYTES = 32 << 30  # sparse
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def cgroup2_mount():
    """Where the machine's cgroup2 tree lies: /sys/fs/cgroup, or below it on a hybrid machine."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        if after.split()[0] == "cgroup2":
            return pathlib.Path(before.split()[4])
    raise RuntimeError("no cgroup2 is mounted on this machine")


def remove_cgroup(group):
    """Kills what is left in the group, waits until it is empty (an event, no polling) and removes it."""
    if not group.exists():
        return
    try:
        _empty_and_remove(group)
    except OSError:
        if group.exists():
            raise  # else another test that begins now has removed the same leftover


def _empty_and_remove(group):
    (group / "cgroup.kill").write_text("1")
    with open(group / "cgroup.events", "rb", buffering=0) as events:
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        deadline = time.monotonic() + 20
        while b"populated 1" in os.pread(events.fileno(), 4096, 0):
            if time.monotonic() > deadline:
                raise RuntimeError(f"processes in {group} do not die")
            poll.poll(1000)
    for directory, _, _ in os.walk(group, topdown=False):
        os.rmdir(directory)


def is_alive(pid):
    """A zombie is not: in a container nobody may reap it."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def mount_image(image, size_bytes, place):
    """A new ext4 in a file, mounted there until it is unmounted everywhere."""
    with open(image, "wb") as file:
        os.truncate(file.fileno(), size_bytes)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-i", "65536", image], check=True)
    place.mkdir()
    subprocess.run(["mount", "-o", "loop,nobarrier,noinit_itable", image, place], check=True)


def remove_scratch(scratch):
    """What Hosts made in it, mounted or not."""
    disk = scratch / "disk"
    if os.path.ismount(disk):
        subprocess.run(["umount", "--lazy", disk], check=True)
    shutil.rmtree(scratch, ignore_errors=True)


def remove_leftovers(base):
    """Scratch directories and cgroups of earlier runs whose process is gone (it was killed hard)."""
    for place in (base, cgroup2_mount()):
        for entry in place.glob(SCRATCH_PREFIX + "*"):
            pid = entry.name[len(SCRATCH_PREFIX):].split(".")[0]
            if not pid.isdigit() or is_alive(int(pid)):
                continue
            if place == base:
                remove_scratch(entry)
            else:
                remove_cgroup(entry)


def needed_packages(programs):
    """The packages that hold the shared libraries of our own programs."""
    libraries = set()
    for program in sorted(pathlib.Path(programs).iterdir()) if programs else []:
        if program.is_file() and os.access(program, os.X_OK):
            for line in subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout.splitlines():
                library = line.split("=>")[-1].split("(")[0].strip()
                if library.startswith("/"):
                    libraries.add(os.path.realpath(library))
    names = {name for library in libraries for name in (library, library.removeprefix("/usr"))}  # dpkg: /lib/...
    found = subprocess.run(["dpkg", "-S", *sorted(names)], capture_output=True, text=True).stdout if names else ""
    return sorted({line.split(":")[0].split(",")[0] for line in found.splitlines()})


class HostProcess(subprocess.Popen):
    """A process inside a host. Signals go to it, not to the nsenter that waits for it; its output and exit status
    (negative: killed by that signal) come as from any Popen."""

    @property
    def inner_pid(self):
        """Its pid as seen from outside, once nsenter has started it."""
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children")
        deadline = time.monotonic() + 60
        while self.poll() is None and time.monotonic() < deadline:
            try:
                pids = children.read_text().split()
            except FileNotFoundError:
                break
            if pids:
                return int(pids[0])
            time.sleep(0.002)
        return None

    def send_signal(self, sig):
        pid = self.inner_pid
        if pid is not None:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass


class Host:
    """One simulated host; made by Hosts."""

    def __init__(self, hosts, name, number):
        self._hosts = hosts
        self.name = name
        self.address = f"10.99.0.{number}"
        self.root = hosts.directory / name
        self._cgroup = hosts.cgroup / name
        self._number = number
        self._unshare = None
        self.pid = None  # of its init, seen from outside
        self.binds = {}  # {inside: outside}: directories and device nodes of the machine, from the next start on

    def path(self, inside):
        """A path of the host as seen from outside. Not for what the host has mounted itself (/run, /tmp, /dev)."""
        for place, outside in self.binds.items():
            if f"{inside}/".startswith(f"{place}/"):
                return pathlib.Path(outside) / str(inside)[len(place):].lstrip("/")
        return self.root / str(inside).lstrip("/")

    def start(self):
        """Boots the host; its disk is as it was left."""
        self._cgroup.mkdir(parents=True)
        ready, writer = os.pipe()

        def prepare():
            _die_with_parent()
            (self._cgroup / "cgroup.procs").write_text(str(os.getpid()))

        log = open(self._hosts.directory / f"{self.name}.log", "w+", encoding="utf8")
        self._unshare = subprocess.Popen(
            ["setsid", "unshare", "--mount", "--propagation", "private", "--uts", "--ipc", "--net", "--pid", "--cgroup",
             "--fork", "--kill-child=KILL", str(SUPPORT / "host-init"), self.name, str(self.root),
             self._hosts.programs or "", str(writer),
             *(str(word) for inside, outside in self.binds.items() for word in (outside, inside))],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[writer], preexec_fn=prepare)
        os.close(writer)
        with log, os.fdopen(ready) as answer:
            if answer.readline() != "ready\n":
                log.seek(0)
                raise RuntimeError(f"the simulated host {self.name} did not start: {log.read()}")
        children = pathlib.Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        self.pid = int(children.read_text().split()[0])
        self._connect()

    def _connect(self):
        for inside, port in (("san0", f"san-{self.name}"), ("up0", f"up-{self.name}")):
            self._hosts.client_run(["ip", "link", "del", port], check=False, capture_output=True)
            subprocess.run(["ip", "link", "add", inside, "netns", str(self.pid), "type", "veth", "peer", "name", port,
                            "netns", str(self._hosts.client_pid)], check=True)
            self._hosts.client_run(["ip", "link", "set", port, "master", "switch", "up"])
        for command in (f"link set san0 address 02:5a:46:00:00:{self._number:02x}",  # the same after a reboot
                        f"link set up0 address 02:5a:46:00:01:{self._number:02x}",  # and br0, which takes it from up0
                        f"addr add {self.address}/{PREFIX_LENGTH} dev san0", "link set san0 up",
                        "link add br0 type bridge forward_delay 0", "link set up0 master br0 up", "link set br0 up"):
            self.run(["ip", *command.split()])

    def _command(self, argv):
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "--",
                "setpriv", "--pdeathsig", "KILL", "--", *map(str, argv)]

    def popen(self, argv, env=None, **options):
        """Starts a program inside the host; it dies with this process and with the host."""
        if self.pid is None:
            raise RuntimeError(f"the simulated host {self.name} is down")

        def prepare():
            _die_with_parent()
            (self._cgroup / "init/cgroup.procs").write_text(str(os.getpid()))

        environment = {"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "TERM": "dumb", **(env or {})}
        options.setdefault("stdin", subprocess.DEVNULL)
        return HostProcess(self._command(argv), env=environment, preexec_fn=prepare, **options)

    def run(self, argv, check=True, timeout=60, input=None, env=None):
        """Runs a program inside the host to its end: CompletedProcess with text in stdout and stderr."""
        process = self.popen(argv, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             stdin=subprocess.DEVNULL if input is None else subprocess.PIPE)
        try:
            stdout, stderr = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            raise RuntimeError(f"{self.name}: {argv} still runs after {timeout} s\n{stdout}{stderr}") from None
        result = subprocess.CompletedProcess(argv, process.returncode, stdout, stderr)
        if check and process.returncode != 0:
            raise RuntimeError(f"{self.name}: {argv} ended with {process.returncode}\n{stdout}{stderr}")
        return result

    def mount_disk(self, inside, size_bytes=4 << 30, file_system="ext4"):
        """Mounts an empty file system of its own there, kept in one file: many files on it go in one deletion. Returns
        the directory as seen from outside, which is valid while the host runs."""
        disk = self._hosts.scratch / f"{self.name}{str(inside).replace('/', '-')}.disk"
        with open(disk, "wb") as file:
            os.truncate(file.fileno(), size_bytes)
        options = {"ext4": ["-F", "-O", "^has_journal"], "xfs": ["-f"], "btrfs": ["-f"]}[file_system]
        subprocess.run([f"mkfs.{file_system}", "-q", *options, disk], check=True, stdout=subprocess.DEVNULL)
        device = subprocess.run(["losetup", "-f", "--show", disk], check=True, capture_output=True, text=True).stdout.strip()
        try:
            number = os.minor(os.stat(device).st_rdev)
            self.run(["mknod", device, "b", "7", str(number)])
            self.run(["mount", "--mkdir", device, inside])
        finally:
            subprocess.run(["losetup", "-d", device], check=True)  # as soon as it is unmounted, with the host
        return pathlib.Path(f"/proc/{self.pid}/root{inside}")

    def crash(self):
        """Every process of the host dies at once; what it had written stays, what it had mounted is gone."""
        if self.pid is None:
            return
        os.kill(self.pid, signal.SIGKILL)
        self._unshare.wait()
        self.pid = None
        remove_cgroup(self._cgroup)

    def restart(self):
        """crash(), then boots it again from the same disk."""
        self.crash()
        self.start()

    def cut_link(self, zones_too=False):
        """Its san0 (and the zones' uplink) goes dead at the switch; established connections hear nothing."""
        self._set_links("down", zones_too)

    def heal_link(self):
        self._set_links("up", True)

    def _set_links(self, state, zones_too):
        for port in ("san", "up") if zones_too else ("san",):
            self._hosts.client_run(["ip", "link", "set", f"{port}-{self.name}", state])


class Hosts:
    """The hosts, their switch and the client. programs: the directory of our built programs, bound at
    /opt/zoneferry/bin of every host. packages: more Debian packages for the hosts' roots. binds(hosts): called before
    the hosts start; returns {name of a host: its binds}, for storage that they share. real_disk: their trees lie on the
    machine's own file system, and have documentation and translations, too. directory: where the trees lie; scratch: for images."""

    def __init__(self, names=("host1", "host2"), programs=None, packages=(), binds=None, real_disk=False):
        if os.geteuid() != 0:
            raise PermissionError("simulated hosts need root")
        base = pathlib.Path(os.environ.get("ZONEFERRY_TEST_DIR", "/var/tmp"))
        remove_leftovers(base)
        self.programs = str(pathlib.Path(programs).resolve()) if programs else None
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix=f"{SCRATCH_PREFIX}{os.getpid()}.", dir=base))
        self.directory = self.scratch if real_disk else self.scratch / "disk"
        self.cgroup = cgroup2_mount() / self.scratch.name
        self._client = None
        self._hosts = {}
        atexit.register(self.close)
        try:
            if not real_disk:
                mount_image(self.scratch / "image", DISK_BYTES, self.directory)
            self._start(list(names), packages, binds)
        except BaseException:
            self.close()
            raise

    def _start(self, names, packages, binds):
        self._client = subprocess.Popen(["unshare", "--net", "--uts", "sh", "-c",
                                         "hostname client; ip link set lo up; echo ready; exec sleep infinity"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=_die_with_parent)
        if self._client.stdout.readline() != b"ready\n":
            raise RuntimeError("the client's network namespace could not be made")
        for command in ("link add switch type bridge forward_delay 0", "link set switch up",
                        f"addr add {CLIENT_ADDRESS}/{PREFIX_LENGTH} dev switch"):
            self.client_run(["ip", *command.split()])
        for number, name in enumerate(names, 1):
            self._hosts[name] = Host(self, name, number)
            if number == 1:
                wanted = sorted({*HOST_PACKAGES, *packages, *needed_packages(self.programs)})
                slim = [] if self.directory == self.scratch else ["--slim"]
                subprocess.run([str(SUPPORT / "hostroot"), *slim, str(self._hosts[name].root), *wanted], check=True)
            else:
                subprocess.run(["cp", "-a", "--reflink=auto", str(self._hosts[names[0]].root),
                                str(self._hosts[name].root)], check=True)
        for number, host in enumerate(self._hosts.values(), 1):
            self._personalise(host, number)
        for name, places in (binds(self) if binds else {}).items():
            self._hosts[name].binds = places
        for host in self._hosts.values():
            host.start()

    def _personalise(self, host, number):
        host.path("/etc/hostname").write_text(host.name + "\n")
        host.path("/etc/machine-id").write_text(f"{os.urandom(16).hex()}\n")
        lines = ["127.0.0.1 localhost", f"{CLIENT_ADDRESS} client"]
        lines += [f"{other.address} {other.name}" for other in self._hosts.values()]
        host.path("/etc/hosts").write_text("\n".join(lines) + "\n")

    def __getitem__(self, name):
        return self._hosts[name]

    def __iter__(self):
        return iter(self._hosts.values())

    @property
    def client_pid(self):
        return self._client.pid

    def _client_command(self, argv):
        return ["nsenter", "-t", str(self._client.pid), "-n", "-u", "--", *map(str, argv)]

    def client_run(self, argv, check=True, **options):
        """Runs a program of the machine in the client's network namespace."""
        return subprocess.run(self._client_command(argv), check=check, **options)

    def client_popen(self, argv, **options):
        """Starts one; it dies with this process. Signals reach it directly."""
        return subprocess.Popen(self._client_command(argv), preexec_fn=_die_with_parent, **options)

    def close(self):
        """Ends and removes everything; may be called twice."""
        atexit.unregister(self.close)
        for host in self._hosts.values():
            host.crash()
        if self._client is not None:
            self._client.kill()
            self._client.wait()
            self._client.stdout.close()
            self._client = None
        remove_cgroup(self.cgroup)
        remove_scratch(self.scratch)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def _write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _link(path, target):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    path.symlink_to(target)


WRITER_UNIT = """\
[Unit]
Description=Counts durably, for measuring a move

[Service]
ExecStart=/etc/zone-counter/counter-writer
Restart=always

[Install]
WantedBy=multi-user.target
"""
NGINX_SITE = """\
server {
    listen 80 default_server;
    root /run/counter;
    default_type text/plain;
    location = /counter { add_header Cache-Control no-store; }
}
"""


def install_web_service(zone_root):
    """Puts the counter and nginx that serves it at http://ZONE/counter into the root of a halted zone that has
    nginx-light and python3-minimal. Nothing goes below /usr, so a sparse zone will do as well."""
    root = pathlib.Path(zone_root)
    _write(root / "etc/zone-counter/counter-writer", (SUPPORT / "counter-writer").read_text(), 0o755)
    _write(root / "etc/systemd/system/counter-writer.service", WRITER_UNIT)
    _write(root / "etc/nginx/sites-available/counter", NGINX_SITE)
    _link(root / "etc/nginx/sites-enabled/counter", "/etc/nginx/sites-available/counter")
    default = root / "etc/nginx/sites-enabled/default"
    if default.is_symlink():
        default.unlink()
    wants = root / "etc/systemd/system/multi-user.target.wants"
    _link(wants / "counter-writer.service", "/etc/systemd/system/counter-writer.service")
    _link(wants / "nginx.service", "/lib/systemd/system/nginx.service")
    (root / "var/log/nginx").mkdir(parents=True, exist_ok=True)
