#include "core/attach/host_check.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "core/attach/zone_tree.h"
#include "core/base/text.h"
#include "core/zone/zonepath.h"

namespace zoneferry {
namespace {

void check_zonepath(const HostRoot& root, const std::string& path, HostCheck& out) {
    const auto zonepath = open_zonepath(root, path);
    if (!zonepath) {
        if (zonepath.error().code() != Errc::not_found) out.problems.push_back(zonepath.error().text());
        return;
    }
    if (const Status parent = check_zonepath_parent(zonepath->get(), path); !parent)
        out.problems.push_back(parent.error().text());
    struct statvfs flags {};
    struct statfs kind {};
    if (::fstatvfs(zonepath->get(), &flags) != 0 || ::fstatfs(zonepath->get(), &kind) != 0) {
        out.problems.push_back(system_error("look at the file system of zonepath " + path, errno).text());
        return;
    }
    const auto refuse = [&](unsigned long flag, const char* option) {
        if ((flags.f_flag & flag) != 0)
            out.problems.push_back("the file system of zonepath " + path + " is mounted " + option);
    };
    refuse(ST_NOSUID, "nosuid: set-uid programs of the zone would not work");
    refuse(ST_NOEXEC, "noexec: no program of the zone could run");
    refuse(ST_RDONLY, "read-only");
    if (kind.f_type == TMPFS_MAGIC || kind.f_type == RAMFS_MAGIC)
        out.notes.push_back("zonepath " + path + " lies in memory: the zone is gone when this host reboots");
    if (kind.f_type == NFS_SUPER_MAGIC)
        out.notes.push_back("zonepath " + path + " lies on NFS: the server can change everything in the zone");
}

bool is_directory_here(const UniqueFd& top, const std::string& path) {
    return open_in_root(top.get(), path, O_PATH | O_DIRECTORY).has_value();
}

}  // namespace

HostCheck check_host(const HostRoot& root, const ZoneConfig& config) {
    HostCheck out;
    const auto top = open_directory(root.directory());
    if (!top) {
        out.problems.push_back(top.error().text());
        return out;
    }
    check_zonepath(root, config.zonepath, out);
    for (const NetResource& net : config.nets) {
        if (::if_nametoindex(net.physical.c_str()) == 0)
            out.problems.push_back("net: this host has no interface " + printable(net.physical));
    }
    for (const FsResource& fs : config.filesystems) {
        if (fs.type == "lofs" && !open_in_root(top->get(), fs.special, O_PATH)) {
            out.problems.push_back("fs: this host has no " + printable(fs.special) + " to mount as " +
                                   printable(fs.directory));
        }
    }
    for (const std::string& directory : config.inherited_directories) {
        if (!is_directory_here(*top, directory))
            out.problems.push_back("inherit-pkg-dir: this host has no directory " + printable(directory));
    }
    return out;
}

Status require_host(const HostRoot& root, const ZoneConfig& config) {
    const HostCheck check = check_host(root, config);
    if (check.problems.empty()) return {};
    return Error(Errc::invalid, join(check.problems, "; ") + "; nothing was changed")
        .remedy("mend it here, or change the configuration (zonecfg -z " + config.name + "); zoneadm -z " +
                config.name + " verify tells when it is right");
}

}  // namespace zoneferry
