#include "agent/move/preflight_view.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "agent/move/extra_check.h"
#include "agent/move/moved_tree.h"
#include "agent/move/staging_update.h"
#include "agent/move/storage_proof.h"
#include "core/attach/attach.h"
#include "core/attach/detach.h"
#include "core/attach/zone_tree.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/packages/inventory.h"
#include "core/zone/address_probe.h"
#include "core/zone/owner_record.h"
#include "core/zone/runtime.h"
#include "core/zone/storage.h"
#include "core/zone/store.h"
#include "transfer/attributes.h"

namespace zoneferry {

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string nearest_existing(const HostRoot& root, std::string path) {
    while (path != "/" && !path_exists(root.at(path))) path = parent_of(path);
    return root.at(path);
}

bool is_mount_point(const HostRoot& root, const std::string& path) {
    const auto parent = open_directory(root.at(parent_of(path)));
    const auto info =
        parent ? stat_entry(parent->get(), path.substr(path.rfind('/') + 1)) : Result<EntryStat>(parent.error());
    return info && info->is_mount_point;
}

bool overlap(const std::string& one, const std::string& other) {
    return is_at_or_below(one, other) || is_at_or_below(other, one);
}

namespace {

std::string file_system_name(long type) {
    constexpr std::array kNames{
        std::pair{0xEF53L, "ext4"},      std::pair{0x58465342L, "xfs"},     std::pair{0x9123683EL, "btrfs"},
        std::pair{0x01021994L, "tmpfs"}, std::pair{0x794c7630L, "overlay"}, std::pair{0x6969L, "nfs"},
        std::pair{0x65735546L, "fuse"},
    };
    for (const auto& [magic, name] : kNames) {
        if (magic == type) return name;
    }
    return "type " + std::to_string(type);
}

}  // namespace

Result<FreeSpace> free_space(const HostRoot& root, const std::string& directory) {
    const std::string place = nearest_existing(root, directory);
    struct statfs info {};
    if (::statfs(place.c_str(), &info) != 0) return system_error("looking at " + printable(place), errno);
    FreeSpace space;
    space.file_system = file_system_name(static_cast<long>(info.f_type));
    space.bytes = static_cast<std::uint64_t>(info.f_bavail) * static_cast<std::uint64_t>(info.f_bsize);
    space.inodes = info.f_files == 0 ? 0 : static_cast<std::uint64_t>(info.f_ffree);
    return space;
}

namespace {

std::string_view without_prefix_length(std::string_view address) { return address.substr(0, address.find('/')); }

std::vector<std::string> addresses_of_this_host() {
    std::vector<std::string> texts;
    ifaddrs* raw = nullptr;
    if (::getifaddrs(&raw) != 0) return texts;
    const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> list(raw, &::freeifaddrs);
    for (const ifaddrs* item = raw; item != nullptr; item = item->ifa_next) {
        if (item->ifa_addr == nullptr) continue;
        std::array<char, INET6_ADDRSTRLEN> text{};
        const void* address = nullptr;
        if (item->ifa_addr->sa_family == AF_INET) {
            address = &reinterpret_cast<const sockaddr_in*>(item->ifa_addr)->sin_addr;
        } else if (item->ifa_addr->sa_family == AF_INET6) {
            address = &reinterpret_cast<const sockaddr_in6*>(item->ifa_addr)->sin6_addr;
        } else {
            continue;
        }
        if (::inet_ntop(item->ifa_addr->sa_family, address, text.data(), text.size()) != nullptr) {
            texts.emplace_back(text.data());
        }
    }
    return texts;
}

// Who on this host, or on its wire, holds an address that the zone wants.
void find_address_conflicts(const HostRoot& root, const MoveDemand& demand, TargetView& view) {
    const std::vector<std::string> own = addresses_of_this_host();
    const ZoneStore store(root);
    const auto zones = store.list();
    for (std::size_t index = 0; index < demand.config.nets.size(); ++index) {
        const NetResource& net = demand.config.nets[index];
        if (net.address.empty()) continue;
        const std::string wanted(without_prefix_length(net.address));
        if (std::find(own.begin(), own.end(), wanted) != own.end()) {
            view.address_conflicts.push_back({wanted, "this host itself"});
        }
        for (const ZoneEntry& zone : zones ? *zones : std::vector<ZoneEntry>()) {
            if (zone.name.str() == demand.config.name) continue;
            const auto config = store.config(zone.name);
            if (!config) continue;
            for (const NetResource& other : config->nets) {
                if (without_prefix_length(other.address) == wanted) {
                    view.address_conflicts.push_back({wanted, "zone " + zone.name.str()});
                }
            }
        }
        if (const auto holder = foreign_holder(demand.config, index)) {
            view.address_conflicts.push_back({wanted, "the machine with address " + *holder});
        }
    }
}

void look_for_resources(const HostRoot& root, const MoveDemand& demand, TargetView& view) {
    for (const std::string& directory : demand.config.inherited_directories) {
        if (!path_exists(root.at(directory))) view.missing_inherited.push_back(directory);
    }
    for (const FsResource& fs : demand.config.filesystems) {
        const bool is_here = is_plain_path(fs.special) && path_exists(root.at(fs.special));
        if (!is_here && !travels(demand, fs.special)) view.missing_sources.push_back(fs.special);
    }
    for (const NetResource& net : demand.config.nets) {
        if (!net.physical.empty() && ::if_nametoindex(net.physical.c_str()) == 0) {
            view.missing_interfaces.push_back(net.physical);
        }
    }
}

Status look_at_name(AgentContext& context, const MoveDemand& demand, const std::string& move_id,
                    const std::string& return_of, TargetView& view) {
    ZF_TRY(const ZoneName name, ZoneName::create(demand.config.name));
    const ZoneStore store(context.root);
    if (const auto entry = store.find(name)) view.zone_state = state_name(entry->state);
    if (!return_of.empty()) {
        ZF_TRY(const std::optional<MoveRecord> first, context.journal.find(return_of));
        view.is_kept_copy = first && first->role == Role::source && first->zone == demand.config.name &&
                            first->phase == Phase::activated && view.zone_state == "configured";
    }
    ZF_TRY(const std::vector<MoveRecord> moves, context.journal.all());
    for (const MoveRecord& move : moves) {
        const bool left_copy = move.role == Role::source && move.phase == Phase::activated;
        if (left_copy && move.zone == demand.config.name) view.kept_by_move = move.id;
        const bool coming = move.role == Role::target && !is_over(move);
        if (coming && move.zone == demand.config.name && move.id != move_id) view.incoming_move = move.id;
    }
    return {};
}

// The extra trees of the move that a rollback undoes: their kept copies lie here.
Result<std::vector<std::string>> replaced_extras(AgentContext& context, bool is_kept_copy,
                                                 const std::string& return_of) {
    std::vector<std::string> paths;
    if (!is_kept_copy) return paths;
    ZF_TRY(const std::optional<MoveRecord> first, context.journal.find(return_of));
    for (const MovedTree& tree : first ? extra_trees(*first) : std::vector<MovedTree>()) paths.push_back(tree.path);
    return paths;
}

// Whose zonepath, present or promised, contains this one or lies within it: that zone could reach into this one's
// tree, or two zones would be put at one place. Empty: nobody's.
Result<std::string> overlap_problem(AgentContext& context, const ZoneConfig& wanted, const std::string& move_id) {
    const ZoneStore store(context.root);
    ZF_TRY(const std::vector<ZoneEntry> zones, store.list());
    for (const ZoneEntry& zone : zones) {
        if (zone.name.str() == wanted.name) continue;
        const auto config = store.config(zone.name);
        if (config && overlap(config->zonepath, wanted.zonepath)) {
            return wanted.zonepath + " overlaps " + config->zonepath + " of zone " + zone.name.str();
        }
    }
    ZF_TRY(const std::vector<MoveRecord> moves, context.journal.all());
    for (const MoveRecord& move : moves) {
        const bool coming = move.role == Role::target && !is_over(move) && move.id != move_id;
        if (coming && overlap(move.zonepath, wanted.zonepath)) {
            return wanted.zonepath + " overlaps " + move.zonepath + ", where move " + move.id + " brings a zone";
        }
    }
    return std::string();
}

// A peer chooses the path and what lies in it: below these a name alone can make the host run it (a unit's drop-in,
// a boot script, a package's maintainer script).
bool is_system_directory(const std::string& path) {
    constexpr std::array kSystem{"/bin",      "/boot",    "/dev",      "/etc",       "/lib",     "/lib32",
                                 "/lib64",    "/libx32",  "/proc",     "/root",      "/run",     "/sbin",
                                 "/sys",      "/usr",     "/var/adm",  "/var/cache", "/var/lib", "/var/log",
                                 "/var/mail", "/var/run", "/var/sadm", "/var/spool", "/var/svc"};
    constexpr std::array kForZones{"/var/lib/machines", "/var/lib/zones"};
    const auto contains = [&](const char* directory) { return is_at_or_below(path, directory); };
    return std::any_of(kSystem.begin(), kSystem.end(), contains) &&
           std::none_of(kForZones.begin(), kForZones.end(), contains);
}

}  // namespace

std::string zonepath_problem(const HostRoot& root, const std::string& zonepath) {
    if (!is_plain_path(zonepath) || zonepath == "/") return zonepath + " is not a plain absolute path";
    if (is_system_directory(zonepath)) return zonepath + " is among the host's own system directories";
    std::string path;
    const std::string parent = parent_of(zonepath);
    for (const std::string_view part : split(std::string_view(parent).substr(1), '/')) {
        if (part.empty()) continue;
        path += "/" + std::string(part);
        struct stat info {};
        if (::lstat(root.at(path).c_str(), &info) != 0) return "the directory " + path + " does not exist";
        if (S_ISLNK(info.st_mode)) return path + " is a symbolic link";
        if (!S_ISDIR(info.st_mode)) return path + " is not a directory";
        if (info.st_uid != 0) return path + " does not belong to root";
        const bool sticky = (info.st_mode & S_ISVTX) != 0;
        if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky) return path + " is writable by others than root";
    }
    return {};
}

Result<TargetView> view_target(AgentContext& context, const MoveDemand& demand, const std::string& move_id,
                               const std::string& return_of) {
    TargetView view;
    view.clock_skew_ms = demand.clock_skew_ms;
    ZF_TRY(view.host, gather_host_facts(context.root));
    ZF_TRY_STATUS(look_at_name(context, demand, move_id, return_of, view));
    // The directories between a LUN's mount point and the zonepath are on the LUN.
    const auto lun = parse_lun(demand.storage);
    const bool is_lun_move = demand.shared == SharedKind::lun && lun;
    view.zonepath_problem = zonepath_problem(context.root, is_lun_move ? lun->mount_point : demand.config.zonepath);
    if (view.zonepath_problem.empty()) {
        ZF_TRY(view.zonepath_problem, overlap_problem(context, demand.config, move_id));
    }
    if (is_lun_move && view.zonepath_problem.empty()) {
        const auto hidden = list_directory(context.root.at(lun->mount_point));
        if (hidden && !hidden->empty()) {
            view.zonepath_problem = lun->mount_point + " is not empty: the LUN would hide what lies there";
        }
    }
    if (view.zonepath_problem.empty()) {
        view.zonepath_exists = path_exists(context.root.at(demand.config.zonepath));
        view.zonepath_mounted = is_mount_point(context.root, demand.config.zonepath);
    }
    const bool lies_there = demand.shared == SharedKind::directory;
    ZF_TRY(const FreeSpace space,
           free_space(context.root, lies_there ? demand.config.zonepath : parent_of(demand.config.zonepath)));
    view.file_system = space.file_system;
    view.free_bytes = space.bytes;
    view.free_inodes = space.inodes;
    look_for_resources(context.root, demand, view);
    for (const FsResource& fs : demand.config.filesystems) {
        if (!demand.has_fs_proofs || !must_be_shared(fs) || !is_plain_path(fs.special)) continue;
        const bool is_here = path_exists(context.root.at(fs.special));
        if (!is_here || travels(demand, fs.special)) continue;
        if (!has_fs_proof(context, fs.special, move_id)) view.different_sources.push_back(fs.special);
    }
    ZF_TRY(const std::vector<std::string> replaced, replaced_extras(context, view.is_kept_copy, return_of));
    const bool sends_zonepath = demand.shared == SharedKind::none;
    const ExtraTree zonepath(demand.config.zonepath, sends_zonepath ? demand.tree_bytes : 0,
                             sends_zonepath ? demand.tree_entries : 0);
    ZF_TRY(view.extra_places,
           view_extra_places(context, demand.config, demand.extra_trees, zonepath, move_id, replaced));
    find_address_conflicts(context.root, demand, view);
    return view;
}

namespace {

// Empty: the zonepath lies on the LUN that is declared, or none is.
std::string declared_problem(const ZoneConfig& config) {
    const auto declared = declared_lun(config);
    if (!declared) return {};
    const auto at = mounted_at(config.zonepath);
    if (!at) return at.error().text();
    if (at->storage.mount_point == declared->mount_point && is_lun_on(*declared, at->storage)) return {};
    return config.zonepath + " lies on " + (at->device.empty() ? at->storage.file_system : at->device) +
           ", mounted at " + at->storage.mount_point + ", and not on the LUN " + declared->uuid +
           " that the zone's configuration declares";
}

}  // namespace

Result<SourceView> view_source(AgentContext& context, const ZoneConfig& config) {
    SourceView view;
    ZF_TRY(const ZoneName name, ZoneName::create(config.name));
    const ZoneStore store(context.root);
    ZF_TRY(const ZoneEntry entry, store.find(name));
    ZF_TRY(const RuntimeStatus status, Runtime(context.root).status(name));
    view.state = state_name(entry.state == ZoneState::installed ? status.state : entry.state);
    if (const Status may = may_boot(context.root, name, config.zonepath); !may) view.owner_problem = may.error().text();
    ZF_TRY(const std::vector<MoveRecord> moves, context.journal.all());
    for (const MoveRecord& move : moves) {
        if (move.role == Role::source && move.zone == config.name && !is_over(move)) view.busy_move = move.id;
    }
    if (!view.busy_move.empty()) view.owner_problem.clear();  // frozen by that very move
    if (const auto tree = open_directory(context.root.at(config.zonepath))) {
        ZF_TRY(view.mounts_inside, mounts_below(tree->get()));
        view.root_missing = !open_beneath(tree->get(), "root", O_PATH | O_DIRECTORY | O_NOFOLLOW);
    }
    if (context.root.is_real()) view.storage_problem = declared_problem(config);
    ZF_TRY(const HostFacts facts, gather_host_facts(context.root));
    view.runtime_present = !facts.runtime.empty();
    return view;
}

Result<std::vector<Finding>> check_packages(AgentContext& context, const Manifest& manifest, bool force) {
    ZF_TRY_STATUS(verify_config(manifest.config));
    ZF_TRY(const HostFacts facts, gather_host_facts(context.root));
    ZF_TRY(const Inventory local, take_inventory(context.root, dependency_scope(manifest.config)));
    if (force) return host_findings(manifest, local, facts);
    if (!manifest.update) return attach_findings(manifest, local, facts);
    std::vector<Finding> findings = host_findings(manifest, local, facts);
    if (is_blocked(findings)) return findings;
    ZF_TRY(std::vector<Finding> planned, judge_update(context.root, manifest));
    findings.insert(findings.end(), planned.begin(), planned.end());
    return findings;
}

Result<std::vector<Finding>> check_target(AgentContext& context, const Manifest& manifest, const MoveDemand& demand,
                                          const std::string& move_id, const std::string& return_of, bool force) {
    ZF_TRY(std::vector<Finding> findings, check_packages(context, manifest, force));
    ZF_TRY(const TargetView view, view_target(context, demand, move_id, return_of));
    for (Finding& finding : judge_target(demand, view)) findings.push_back(std::move(finding));
    return findings;
}

}  // namespace zoneferry
