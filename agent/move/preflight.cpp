#include "agent/move/preflight.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::int64_t kClockSkewWarnMs = 60'000;

class Findings {
public:
    explicit Findings(Side side) : side_(side) {}
    void block(std::string code, std::string subject, std::string message, std::string remedy) {
        add(Severity::block, std::move(code), std::move(subject), std::move(message), std::move(remedy));
    }
    void warn(std::string code, std::string subject, std::string message, std::string remedy) {
        add(Severity::warn, std::move(code), std::move(subject), std::move(message), std::move(remedy));
    }
    std::vector<Finding> take() { return std::move(list_); }

private:
    void add(Severity severity, std::string code, std::string subject, std::string message, std::string remedy) {
        Finding finding;
        finding.code = std::move(code);
        finding.side = side_;
        finding.severity = severity;
        finding.subject = std::move(subject);
        finding.message = std::move(message);
        finding.remedy = std::move(remedy);
        list_.push_back(std::move(finding));
    }
    Side side_;
    std::vector<Finding> list_;
};

// The first number of "6.1.0-18-amd64" and the second: 6, 1.
std::pair<int, int> kernel_version(std::string_view release) {
    const auto parts = split(release, '.');
    if (parts.size() < 2) return {0, 0};
    const std::string_view minor = parts[1].substr(0, parts[1].find_first_not_of("0123456789"));
    return {parse_number<int>(parts[0]).value_or(0), parse_number<int>(minor).value_or(0)};
}

void judge_kernel(const MoveDemand& demand, const TargetView& view, Findings& out) {
    constexpr std::pair kIdMappedMounts{5, 12};
    const auto target = kernel_version(view.host.kernel_release);
    if (target < kIdMappedMounts) {
        out.block("KERNEL_TOO_OLD", view.host.kernel_release,
                  "kernel " + view.host.kernel_release + " has no id-mapped mounts, which every zone needs",
                  "use a kernel of version 5.12 or later on " + view.host.host);
    } else if (target < kernel_version(demand.source.kernel_release)) {
        out.warn("KERNEL_OLDER", view.host.kernel_release,
                 "kernel " + view.host.kernel_release + " is older than the source's " + demand.source.kernel_release,
                 "make sure that nothing in the zone needs the newer kernel");
    }
}

void judge_name_and_place(const MoveDemand& demand, const TargetView& view, Findings& out) {
    const std::string& name = demand.config.name;
    const bool replaces_kept_copy = demand.is_return && view.is_kept_copy;
    if (!view.zone_state.empty() && !view.kept_by_move.empty() && !replaces_kept_copy) {
        const std::string& move = view.kept_by_move;
        out.block("NAME_TAKEN", name, "the copy of zone " + name + " that move " + move + " left is still here",
                  "bring the zone back with: zoneferry rollback " + move + "; or delete the copy: zoneferry finalize " +
                      move);
    } else if (!view.zone_state.empty() && !replaces_kept_copy) {
        out.block("NAME_TAKEN", name, "a zone named " + name + " exists already (" + view.zone_state + ")",
                  "delete or rename it: zonecfg -z " + name + " delete");
    }
    if (!view.incoming_move.empty()) {
        out.block("NAME_RESERVED", name, "move " + view.incoming_move + " is bringing a zone of this name",
                  "zoneferry status " + view.incoming_move);
    }
    if (view.zonepath_exists && !replaces_kept_copy && demand.shared == SharedKind::none) {
        out.block("ZONEPATH_EXISTS", demand.config.zonepath, demand.config.zonepath + " exists already",
                  "move it out of the way; nothing that exists is overwritten");
    }
    if (replaces_kept_copy && view.zonepath_mounted && demand.shared == SharedKind::none && !demand.use_kept_copy) {
        out.block("ZONEPATH_MOUNTED", demand.config.zonepath,
                  demand.config.zonepath + " is a mount point: the copy kept there cannot be set aside",
                  "umount " + demand.config.zonepath +
                      " (the older copy stays on that storage), then roll back; or take that copy: rollback --discard");
    }
    if (!view.zonepath_problem.empty()) {
        out.block("ZONEPATH_UNSAFE", demand.config.zonepath, view.zonepath_problem,
                  "the directories above a zonepath belong to root and are writable by root only");
    }
    if (lacks_id_mapping(view.file_system)) {
        out.block("FILE_SYSTEM", demand.config.zonepath,
                  "the zonepath would lie on " + view.file_system + ", which cannot be id-mapped",
                  "put " + demand.config.zonepath + " on ext4, xfs or btrfs");
    }
    if (view.file_system == "xfs" && !demand.long_link.empty() && demand.shared == SharedKind::none) {
        out.block("LINK_TOO_LONG", demand.long_link,
                  "the symbolic link " + demand.long_link + " has more than " + std::to_string(kEveryLinkBytesMax) +
                      " bytes, which xfs cannot hold",
                  "make it shorter, or put " + demand.config.zonepath + " on ext4 or btrfs");
    }
}

void judge_space(const MoveDemand& demand, const TargetView& view, Findings& out) {
    if (demand.shared != SharedKind::none && !demand.updates) return;
    const std::uint64_t needed = space_needed_bytes(demand.tree_bytes, demand.tree_entries);
    if (view.zonepath_problem.empty() && view.free_bytes < needed) {
        out.block("NO_SPACE", demand.config.zonepath,
                  format_bytes(needed) + " are needed, " + format_bytes(view.free_bytes) + " are free",
                  "free " + format_bytes(needed - view.free_bytes) + " below " + demand.config.zonepath);
    }
    if (view.free_inodes != 0 && view.free_inodes < demand.tree_entries) {
        out.block("NO_INODES", demand.config.zonepath,
                  std::to_string(demand.tree_entries) + " inodes are needed, " + std::to_string(view.free_inodes) +
                      " are free",
                  "free inodes on that file system or make it with more of them");
    }
}

bool holds(const std::vector<ExtraTree>& trees, const std::string& path) {
    return std::any_of(trees.begin(), trees.end(), [&](const ExtraTree& tree) { return tree.path == path; });
}

// Places of the host that a zone which comes from elsewhere may not reach: bound into the zone, its root user would
// read the host's secrets there, or write them (id-mapped binds keep uid 0 as uid 0). Also what lies above them.
bool is_private_place(std::string_view path) {
    constexpr std::array<std::string_view, 11> kPrivate{
        "/boot",    "/dev",      "/etc", "/proc", "/root", "/run", "/sys", "/var/lib/dpkg", "/var/lib/zoneferry",
        "/var/log", "/var/spool"};
    return std::any_of(kPrivate.begin(), kPrivate.end(), [&](std::string_view place) {
        return is_at_or_below(path, place) || is_at_or_below(place, path);
    });
}

// Programs and libraries: every user of the host may read them, nobody may write them.
bool is_program_place(std::string_view path) {
    constexpr std::array<std::string_view, 6> kPrograms{"/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt"};
    return std::any_of(kPrograms.begin(), kPrograms.end(),
                       [&](std::string_view place) { return is_at_or_below(path, place); });
}

void add_reach(const ZoneConfig& config, const std::vector<ExtraTree>& travelling, Findings& out) {
    for (const std::string& directory : config.inherited_directories) {
        if (!is_private_place(directory)) continue;
        out.block("INHERITED_DIR_UNSAFE", directory, "the zone would see the host's " + directory,
                  "remove that inherit-pkg-dir from the zone before it moves");
    }
    for (const FsResource& fs : config.filesystems) {
        if (fs.type != "lofs") continue;
        const bool read_only = std::find(fs.options.begin(), fs.options.end(), "ro") != fs.options.end();
        if (is_private_place(fs.special) || (!read_only && is_program_place(fs.special))) {
            out.block("FS_SOURCE_UNSAFE", fs.special,
                      "the zone would reach the host's " + fs.special + (read_only ? "" : " and could change it"),
                      "remove that fs resource from the zone, or put what it needs below a directory of its own");
        } else if (!read_only && !holds(travelling, fs.special)) {
            out.warn("FS_SOURCE_WRITABLE", fs.special, "the zone writes to the host's " + fs.special,
                     "make sure that it is meant for this zone; it is not moved with it");
        }
    }
}

void judge_resources(const TargetView& view, Findings& out) {
    for (const std::string& directory : view.missing_inherited) {
        out.block("INHERITED_DIR_MISSING", directory, "the inherited directory " + directory + " is not on this host",
                  "install what provides it, or move a whole-root zone");
    }
    for (const std::string& special : view.missing_sources) {
        out.block("FS_SOURCE_MISSING", special, special + ", which the zone mounts, is not on this host",
                  "create or mount " + special + ", or remove the fs resource from the zone");
    }
    for (const std::string& special : view.different_sources) {
        out.block("FS_NOT_SHARED", special,
                  special +
                      ", which the zone writes to, is another directory here: what the zone has written would be "
                      "left behind",
                  "put it on storage that both hosts have; or copy it while the zone is halted, and say that each host "
                  "has its own: add options hostlocal to that fs resource with zonecfg");
    }
    for (const std::string& interface : view.missing_interfaces) {
        out.block("INTERFACE_MISSING", interface, "there is no network interface " + interface,
                  "create it: ip link add " + interface + " type bridge");
    }
    for (const AddressConflict& conflict : view.address_conflicts) {
        out.block("ADDRESS_IN_USE", conflict.address, conflict.address + " is in use by " + conflict.holder,
                  "free the address or change the zone's net resource");
    }
}

}  // namespace

std::uint64_t space_needed_bytes(std::uint64_t tree_bytes, std::uint64_t tree_entries) {
    constexpr std::uint64_t kPerEntry = 1024;         // inode, directory entry, short xattrs
    constexpr std::uint64_t kReserve = 64ULL << 20U;  // what the host keeps
    return tree_bytes + tree_bytes / 50 + tree_entries * kPerEntry + kReserve;
}

bool travels(const MoveDemand& demand, const std::string& special) { return holds(demand.extra_trees, special); }

// nspawn cannot id-map a tree on these.
bool lacks_id_mapping(const std::string& file_system) {
    return file_system == "overlay" || file_system == "nfs" || file_system == "nfs4" || file_system == "fuse";
}

std::vector<Finding> judge_reach(const ZoneConfig& config) {
    Findings out(Side::target);
    add_reach(config, {}, out);
    return out.take();
}

std::vector<Finding> judge_target(const MoveDemand& demand, const TargetView& view) {
    Findings out(Side::target);
    if (view.host.runtime.empty()) {
        out.block("RUNTIME_MISSING", "systemd-nspawn", "systemd-nspawn is not installed, zones cannot run",
                  "apt-get install systemd-container");
    }
    if (view.host.host_id == demand.source.host_id) {
        out.block("SAME_HOST", view.host.host, "source and target have the same host id " + view.host.host_id,
                  "one is a clone of the other: give it an own /etc/machine-id");
    }
    judge_kernel(demand, view, out);
    judge_name_and_place(demand, view, out);
    judge_space(demand, view, out);
    add_reach(demand.config, demand.extra_trees, out);
    judge_resources(view, out);
    if (view.clock_skew_ms > kClockSkewWarnMs || view.clock_skew_ms < -kClockSkewWarnMs) {
        out.warn("CLOCK_SKEW", view.host.host,
                 "the clocks differ by " + std::to_string(view.clock_skew_ms / 1000) + " s",
                 "set the clocks: certificates depend on them");
    }
    for (const std::string& device : demand.config.devices) {
        out.warn("DEVICE", device, "the zone asks for the device " + device + " of the host",
                 "make sure that it is the same thing here");
    }
    std::vector<Finding> findings = out.take();
    for (const ExtraPlace& place : view.extra_places) {
        for (Finding& finding : judge_extra_place(place)) findings.push_back(std::move(finding));
    }
    return findings;
}

std::vector<Finding> judge_source(const MoveDemand& demand, const SourceView& view) {
    const std::string& name = demand.config.name;
    Findings out(Side::source);
    if (view.state != "installed" && view.state != "running" && view.state != "ready") {
        out.block("ZONE_STATE", name, "zone " + name + " is " + view.state + ", only an installed zone can move",
                  "zoneadm -z " + name + " list -v");
    }
    if (view.root_missing) {
        out.block("ZONE_ROOT_MISSING", demand.config.zonepath, "there is no root in " + demand.config.zonepath,
                  "mount the zone's storage: findmnt -T " + demand.config.zonepath);
    }
    if (!view.storage_problem.empty()) {
        out.block("STORAGE_DIFFERS", demand.config.zonepath, view.storage_problem,
                  "mend the zone's storage with zonecfg -z " + name + ", or mount what it declares");
    }
    if (!view.owner_problem.empty()) {
        out.block("NOT_OWNER", name, view.owner_problem, "zoneferry list");
    }
    if (!view.busy_move.empty()) {
        out.block("MOVE_IN_PROGRESS", name, "move " + view.busy_move + " of this zone is under way",
                  "zoneferry status " + view.busy_move);
    }
    for (const std::string& mount : view.mounts_inside) {
        out.block("MOUNTED_INSIDE", mount, mount + " is mounted below the zonepath: it would not be moved",
                  "umount " + mount);
    }
    if (!view.runtime_present) {
        out.warn("RUNTIME_MISSING", "systemd-nspawn", "systemd-nspawn is not installed: the zone could not come back",
                 "apt-get install systemd-container");
    }
    return out.take();
}

}  // namespace zoneferry
