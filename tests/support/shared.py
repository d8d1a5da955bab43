"""Storage that two simulated hosts have in common: one directory of the machine in both (as a cluster file system or
NFS is), or one image behind a loop device of each host (as a LUN is, on a storage network).

    case = SharedDirectory(); hosts = Hosts([...], binds=case.binds)
    case = Lun("ext4");       hosts = Hosts([...], binds=case.binds)
    case.make_zone(host, "web01")           # its zonepath lies there
    case.close()
"""
import pathlib
import shutil
import subprocess
import tempfile

from ferry import ZONES, zone_commands, zone_path
from hosts import install_web_service

IMAGE_MEGABYTES = 320  # xfs wants 300


def scratch():
    return pathlib.Path(tempfile.mkdtemp(prefix="zf-shared-test.", dir="/var/tmp"))


def configure(host, name, address=None):
    host.run(["zonecfg", "-z", name, "-f", "/dev/stdin"], input=zone_commands(name, address, sparse=True))


class SharedDirectory:
    """ZONES of every host is one directory."""
    kind = "directory"

    def __init__(self):
        self.directory = scratch()
        (self.directory / "zones").mkdir(mode=0o755)

    def binds(self, hosts):
        return {host.name: {ZONES: self.directory / "zones"} for host in hosts}

    def prepare(self, host, name):
        pass

    def tree(self, host, name):
        """The zonepath as seen from outside."""
        return self.directory / "zones" / name

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class Lun:
    """An image with a file system, and a loop device for each host; mounted by nobody at first."""
    kind = "lun"

    def __init__(self, file_system="ext4", options=()):
        self.directory = scratch()
        self.file_system = file_system
        self.image = self.directory / "lun.img"
        self.devices = {}
        with open(self.image, "wb") as image:
            image.truncate(IMAGE_MEGABYTES << 20)
        quiet = ["-q"] if file_system != "btrfs" else ["-q", "-f"]
        subprocess.run([f"mkfs.{file_system}", *quiet, *options, str(self.image)], check=True)

    def attach(self, image):
        done = subprocess.run(["losetup", "-f", "--show", str(image)], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def detach(self, device):
        subprocess.run(["losetup", "-d", device], check=False)

    def binds(self, hosts):
        places = {}
        for host in hosts:
            device = self.attach(self.image)
            self.devices[host.name] = device
            places[host.name] = {device: device}
        return places

    def prepare(self, host, name):
        """Mounted at the zonepath of this host."""
        host.run(["mkdir", "-p", zone_path(name)])
        host.run(["mount", self.devices[host.name], zone_path(name)])
        host.run(["chmod", "0700", zone_path(name)])
        host.run(["rm", "-rf", zone_path(name) + "/lost+found"])

    def tree(self, host, name):
        return pathlib.Path(f"/proc/{host.pid}/root{zone_path(name)}")

    def close(self):
        for device in self.devices.values():
            self.detach(device)
        shutil.rmtree(self.directory, ignore_errors=True)


def make_shared_zone(case, host, name, address=None, service=True):
    """A sparse zone on the shared storage; with the counter service, booted."""
    case.prepare(host, name)
    configure(host, name, address)
    host.run(["zoneadm", "-z", name, "install"], timeout=120)
    if service:
        install_web_service(case.tree(host, name) / "root")
        host.run(["zoneadm", "-z", name, "boot"], timeout=120)


def counter(case, host, name):
    """The number that the zone's service has made durable last."""
    value = case.tree(host, name) / "root/var/lib/counter/value"
    return int(value.read_text() or 0) if value.exists() else 0
