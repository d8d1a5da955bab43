"""The system of a physical machine, as p2v gets it: bootable, with a web service and sshd, and with all that a zone
cannot use. As a directory, and from it as each kind of archive.

Some units are stand-ins for packages that the test machine lacks: they would fail if they were started, so that a
forgotten one is seen in `systemctl --failed`.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess

import hosts as harness

PACKAGES = ("nginx-light", "python3-minimal", "iproute2", "procps", "passwd", "openssh-server")
ROOT_HASH = "$6$oldsalt$OLDROOTHASH0123456789"
MACHINE_ID = "0123456789abcdef0123456789abcdef\n"
# What -p must leave as it is, byte for byte.
IDENTITY = ("etc/hostname", "etc/hosts", "etc/machine-id", "etc/shadow", "etc/resolv.conf", "etc/ssh/ssh_host_ed25519_key",
            "etc/ssh/ssh_host_ed25519_key.pub", "var/lib/systemd/random-seed")
FSTAB = """\
# <file system> <mount point> <type> <options> <dump> <pass>
UUID=0b44b9a3-34a5-4b5c-8ec4-0f9d6ef4c2a1 / ext4 errors=remount-ro 0 1
/dev/sda2 none swap sw 0 0
LABEL=data /srv/data xfs defaults 0 2
tmpfs /srv/scratch tmpfs size=1m 0 0
"""
EXPORTS = "/srv/data 10.99.0.0/16(rw,sync) \\\n    192.0.2.0/24(ro)\n"
INTERFACES = "auto lo enp3s0\niface lo inet loopback\niface enp3s0 inet static\n    address {address}/16\n"
NETWORK = "[Match]\nName=enp3s0\n\n[Network]\nAddress={address}/16\nIPv6AcceptRA=no\nLinkLocalAddressing=no\nDNS=192.0.2.53\n"
MASKED = ("smartd.service", "chrony.service", "nfs-server.service", "systemd-nspawn@.service", "serial-getty@.service",
          "kmod-static-nodes.service", "docker.service")
FAILING = "[Service]\nType=oneshot\nExecStart=/bin/false\n"
NGINX_CONF = "user www-data;\npid /run/nginx.pid;\nevents {}\nhttp { include /etc/nginx/sites-enabled/*; }\n"


def _write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _enable(root, unit, template=None, target="multi-user.target"):
    wants = root / f"etc/systemd/system/{target}.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / unit).symlink_to(f"/lib/systemd/system/{template or unit}")


def make(root, address):
    """A directory with the system; address: its static one."""
    root = pathlib.Path(root)
    subprocess.run([harness.SUPPORT / "hostroot", root, *PACKAGES], check=True)
    for bulk in ("doc", "locale", "man", "i18n", "info", "perl", "gdb", "bash-completion", "zoneinfo"):
        shutil.rmtree(root / "usr/share" / bulk, ignore_errors=True)
    _write(root / "etc/nginx/nginx.conf", NGINX_CONF)
    harness.install_web_service(root)
    _identity(root)
    _network(root, address)
    _hardware(root)
    _containers(root)


def _identity(root):
    _write(root / "etc/hostname", "oldbox\n")
    _write(root / "etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\toldbox.example.org oldbox\n")
    _write(root / "etc/machine-id", MACHINE_ID, 0o444)
    _write(root / "etc/resolv.conf", "nameserver 192.0.2.53\n")
    _write(root / "var/lib/systemd/random-seed", "OLDSEED" * 64, 0o600)
    _write(root / "etc/ssh/sshd_config", "UsePAM yes\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "root@oldbox", "-f",
                    root / "etc/ssh/ssh_host_ed25519_key"], check=True)
    _enable(root, "ssh.service")
    shadow = (root / "etc/shadow").read_text().splitlines(keepends=True)
    changed = [f"root:{ROOT_HASH}:19000:0:99999:7:::\n" if line.startswith("root:") else line for line in shadow]
    _write(root / "etc/shadow", "".join(changed), 0o640)


def _network(root, address):
    _write(root / "etc/network/interfaces", INTERFACES.format(address=address))
    _write(root / "etc/systemd/network/10-enp3s0.network", NETWORK.format(address=address))
    _write(root / "etc/systemd/network/10-enp3s0.link", "[Match]\nMACAddress=52:54:00:12:34:56\n[Link]\nName=enp3s0\n")
    _enable(root, "systemd-networkd.service")
    _enable(root, "systemd-networkd-wait-online.service", target="network-online.target")


def _hardware(root):
    _write(root / "etc/fstab", FSTAB)
    _write(root / "etc/exports", EXPORTS)
    for unit in ("smartd.service", "chrony.service", "nfs-server.service", "docker.service"):
        _write(root / "usr/lib/systemd/system" / unit, FAILING)
        _enable(root, unit)
    _enable(root, "serial-getty@ttyS0.service", "serial-getty@.service", "getty.target")


def _containers(root):
    _write(root / "var/lib/machines/box/etc/os-release", "ID=box\n")
    _write(root / "usr/lib/systemd/system/systemd-nspawn@.service", FAILING)
    _enable(root, "systemd-nspawn@box.service", "systemd-nspawn@.service")
    _write(root / "etc/zones/index", "global:installed:/\ninner:installed:/export/zones/inner:\n")
    _write(root / "etc/zones/inner.xml", "<zone name='inner' zonepath='/export/zones/inner'/>\n")
    _write(root / "export/zones/inner/root/etc/hostname", "inner\n")


def _pipe(directory, commands, output):
    """find in the directory, through the commands, into the file."""
    with open(output, "ab") as file:
        processes = [subprocess.Popen(["find", ".", "-print0"], cwd=directory, stdout=subprocess.PIPE)]
        for index, command in enumerate(commands):
            last = index == len(commands) - 1
            processes.append(subprocess.Popen(command, cwd=directory, stdin=processes[-1].stdout, stderr=subprocess.DEVNULL,
                                              stdout=file if last else subprocess.PIPE))
            processes[-2].stdout.close()
        if any([process.wait() for process in processes]):
            raise RuntimeError(f"{commands} failed")


def cpio_gz(directory, output):
    _pipe(directory, [["cpio", "--quiet", "-0", "-o", "-H", "newc"], ["gzip", "-1"]], output)


def pax(directory, output):
    subprocess.run(["tar", "-C", directory, "--format=posix", "--xattrs", "--acls", "--sort=name", "-cf", output, "."], check=True)


def flar(directory, output):
    pathlib.Path(output).write_text("FlAsH-aRcHiVe-2.0\nsection_begin=identification\ncontent_name=oldbox\n"
                                    "files_archived_method=cpio\nfiles_compressed_method=none\nsection_end=identification\n"
                                    "section_begin=archive\n")
    _pipe(directory, [["cpio", "--quiet", "-0", "-o", "-H", "odc"]], output)


@contextlib.contextmanager
def _loop_device(file):
    device = subprocess.run(["losetup", "-r", "-f", "--show", file], check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def dump(directory, output):
    """By the real dump(8), of a real file system that holds the directory."""
    disk = f"{output}.disk"
    try:
        with open(disk, "wb") as file:
            os.truncate(file.fileno(), 1 << 30)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-d", directory, disk], check=True)
        with _loop_device(disk) as device:
            subprocess.run(["dump", "-0", "-q", "-f", output, device], check=True, capture_output=True)
    finally:
        os.unlink(disk)
