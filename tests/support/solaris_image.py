"""A Solaris system as p2v gets it: the zone of svr4_world at level A as a physical machine of its own, with all that a
zone cannot use; and archives of it. The host is svr4_world's, at level B."""
import pathlib
import subprocess

import svr4_world
from svr4_world import put

RELEASE = "OS=Solaris\nVERSION={}\nREV=0\n"
SHADOW = "root:OLDROOTHASH:12345::::::\ndaemon:NP:6445::::::\n"
HOSTS = "127.0.0.1\tlocalhost\n192.0.2.17\tsol10\tloghost\n"
NIC = """<?xml version="1.0"?>
<service_bundle type='manifest' name='SUNWnic:nic'>
<service name='system/nic-setup' type='service' version='1'><create_default_instance enabled='true' /></service>
</service_bundle>
"""
SYSTEM = {
    "/etc/vfstab": "#device\tmount\nfd\t-\t/dev/fd\tfd\t-\tno\t-\n/dev/dsk/c0t0d0s0\t/dev/rdsk/c0t0d0s0\t/\tufs\t1\tno\t-\n"
                   "fs1:/home\t-\t/home\tnfs\t-\tyes\trw\n",
    "/etc/dfs/dfstab": "# share -F nfs /export\nshare -F nfs /export/home\n",
    "/etc/hostname.e1000g0": "sol10\n",
    "/etc/inet/hosts": HOSTS,
    "/etc/nodename": "sol10\n",
    "/etc/defaultrouter": "192.0.2.1\n",
    "/etc/nsswitch.files": "hosts: files\n",
    "/etc/nsswitch.conf": "hosts: nis\n",
    "/etc/TIMEZONE": "TZ=MET\n",
    "/etc/mnttab": "/dev/dsk/c0t0d0s0 / ufs rw 1\n",
    "/etc/.sysIDtool.state": "1\n",
    "/etc/zones/index": "global:installed:/\nz1:installed:/export/zones/z1:\n",
    "/etc/zones/z1.xml": "<zone/>\n",
    "/export/zones/z1/root/etc/passwd": "z1's\n",
    "/var/run/daemon.pid": "1\n",
    "/devices/pci@0/disk": "",
    "/sbin/sh": "", "/lib/libc.so": "", "/etc/svc/repository.db": "db", "/var/svc/seed": "",
}


def nic():
    """A hollow package with a service, the same on both: a global zone has its files."""
    return svr4_world.Package("SUNWnic", "1.0", SUNW_PKG_HOLLOW="true").file("/var/svc/manifest/nic.xml", NIC, mode=0o444)


def make(base):
    """BASE/host, BASE/zone (the image) and BASE/expected: the image's packages at the host's level."""
    svr4_world.make(base, sparse=False)
    for name in ("host", "zone", "expected"):
        root = f"{base}/{name}"
        put(root, "/var/sadm/pkg/SUNWnic/pkginfo", nic().installed_pkginfo())
        put(root, "/var/sadm/system/admin/INST_RELEASE", RELEASE.format(10))
        contents = pathlib.Path(root + "/var/sadm/install/contents")
        lines = [f"/var/svc/manifest/nic.xml f none 0444 root bin {len(NIC)} {svr4_world.sysv_sum(NIC.encode())} "
                 f"{svr4_world.TIME} SUNWnic\n"]
        contents.write_text("".join(sorted(contents.read_text().splitlines(keepends=True) + lines)))
    nic().on_host(f"{base}/host")
    image = f"{base}/zone"
    put(image, "/var/svc/manifest/nic.xml", NIC, 0o444)
    for path, text in SYSTEM.items():
        put(image, path, text)
    put(image, "/etc/shadow", SHADOW, 0o400)
    put(image, "/etc/ssh/ssh_host_rsa_key", "OLDKEY\n", 0o600)


def cpio(image, archive):
    """As a Solaris administrator makes it: find | cpio -oc."""
    names = subprocess.run(["find", ".", "-print0"], cwd=image, check=True, stdout=subprocess.PIPE).stdout
    with open(archive, "ab") as file:
        subprocess.run(["cpio", "--quiet", "-0", "-o", "-H", "odc"], cwd=image, input=names, stdout=file, check=True)


def flar(image, archive):
    pathlib.Path(archive).write_text("FlAsH-aRcHiVe-2.0\nsection_begin=identification\ncontent_name=sol10\n"
                                     "files_archived_method=cpio\nfiles_compressed_method=none\n"
                                     "section_end=identification\nsection_begin=archive\n")
    cpio(image, archive)
