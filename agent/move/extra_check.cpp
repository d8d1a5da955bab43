#include "agent/move/extra_check.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "agent/move/move_plan.h"
#include "agent/move/moved_tree.h"
#include "agent/move/preflight.h"
#include "agent/move/preflight_view.h"
#include "agent/move/storage_proof.h"
#include "core/attach/zone_tree.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/store.h"

namespace zoneferry {
namespace {

// The `fs` of the zone that mounts it; null: none does, or none that writes.
const FsResource* fs_of(const ZoneConfig& config, const std::string& path) {
    const auto found = std::find_if(config.filesystems.begin(), config.filesystems.end(),
                                    [&](const FsResource& fs) { return must_be_shared(fs) && fs.special == path; });
    return found == config.filesystems.end() ? nullptr : &*found;
}

// Why the tree may not be set aside from there, or put there; empty: it may.
std::string place_problem(const HostRoot& root, const ZoneConfig& config, const std::vector<ExtraTree>& trees,
                          const std::string& path) {
    std::string problem = zonepath_problem(root, path);
    if (!problem.empty()) return problem;
    if (overlap(path, config.zonepath)) return path + " overlaps the zonepath " + config.zonepath;
    for (const ExtraTree& other : trees) {
        if (other.path != path && overlap(path, other.path)) return path + " overlaps " + other.path;
    }
    struct stat info {};
    if (::lstat(root.at(path).c_str(), &info) != 0) return errno == ENOENT ? "" : system_error(path, errno).text();
    if (!S_ISDIR(info.st_mode)) return path + " is not a directory";
    if (!is_mount_point(root, path)) return {};
    return path + " is a mount point, which cannot be renamed: use a directory below it";
}

// Which zone of this host, or which move that brings one, uses what lies there, besides this zone.
Result<std::string> user_of(AgentContext& context, const ZoneConfig& config, const std::string& path,
                            const std::string& move_id) {
    const ZoneStore store(context.root);
    ZF_TRY(const std::vector<ZoneEntry> zones, store.list());
    for (const ZoneEntry& zone : zones) {
        if (zone.name.str() == config.name) continue;
        const auto other = store.config(zone.name);
        if (!other) continue;
        const bool mounts =
            std::any_of(other->filesystems.begin(), other->filesystems.end(),
                        [&](const FsResource& fs) { return fs.type == "lofs" && overlap(fs.special, path); });
        if (mounts || overlap(other->zonepath, path)) return "zone " + zone.name.str();
    }
    ZF_TRY(const std::vector<MoveRecord> moves, context.journal.all());
    for (const MoveRecord& move : moves) {
        if (move.role != Role::target || is_over(move) || move.id == move_id) continue;
        for (const MovedTree& tree : own_trees(move)) {
            if (overlap(tree.path, path)) return "move " + move.id + ", which brings zone " + move.zone;
        }
    }
    return std::string();
}

// The directory of extra_fs_roots that it lies in; empty: none.
std::string root_above(const Settings& settings, const std::string& path) {
    for (const std::string& root : settings.extra_fs_roots) {
        if (path != root && is_at_or_below(path, root)) return root;
    }
    return {};
}

std::string root_problem(const HostRoot& root, const std::string& path) {
    struct stat info {};
    if (::lstat(root.at(path).c_str(), &info) != 0) return path + " of extra_fs_roots is not there";
    if (S_ISDIR(info.st_mode) && info.st_uid == 0 && (info.st_mode & 0077U) == 0) return {};
    return path + " of extra_fs_roots can be entered by others than root";
}

Status look_at_space(const HostRoot& root, const std::vector<ExtraTree>& before, ExtraPlace& place) {
    const auto device_of = [&](const std::string& path) -> Result<dev_t> {
        struct stat info {};
        const std::string there = nearest_existing(root, parent_of(path));
        if (::stat(there.c_str(), &info) != 0) return system_error("looking at " + printable(there), errno);
        return info.st_dev;
    };
    ZF_TRY(const dev_t device, device_of(place.tree.path));
    for (const ExtraTree& other : before) {
        ZF_TRY(const dev_t others, device_of(other.path));
        if (others != device) continue;
        place.bytes_beside += other.bytes;
        place.entries_beside += other.entries;
    }
    ZF_TRY(const FreeSpace space, free_space(root, parent_of(place.tree.path)));
    place.file_system = space.file_system;
    place.free_bytes = space.bytes;
    place.free_inodes = space.inodes;
    return {};
}

Finding finding_of(const ExtraPlace& place, const char* code, Severity severity, std::string message,
                   std::string remedy) {
    Finding finding;
    finding.code = code;
    finding.side = place.side;
    finding.severity = severity;
    finding.subject = place.tree.path;
    finding.message = std::move(message);
    finding.remedy = std::move(remedy);
    return finding;
}

void judge_target_place(const ExtraPlace& place, std::vector<Finding>& out) {
    const std::string& path = place.tree.path;
    const auto block = [&](const char* code, const std::string& message, const std::string& remedy) {
        out.push_back(finding_of(place, code, Severity::block, message, remedy));
    };
    if (!place.is_allowed) {
        return block(
            "FS_NOT_ALLOWED",
            path + ", which the zone writes to, would have to be sent, and this host takes no tree there",
            "here: extra_fs_roots = [\"" + parent_of(path) +
                "\"] in /etc/zoneferry/agent.toml, chmod 0700 that directory, and restart zoneferryd; or put it on "
                "storage that both hosts have; or say that each host has its own: add options hostlocal to that fs "
                "resource with zonecfg");
    }
    if (place.is_taken) {
        block("FS_PLACE_TAKEN", path + " is not empty here",
              "move it out of the way; nothing that exists is overwritten");
    }
    if (lacks_id_mapping(place.file_system)) {
        block("FILE_SYSTEM", path + " would lie on " + place.file_system + ", which cannot be id-mapped",
              "put " + path + " on ext4, xfs or btrfs");
    }
    const std::uint64_t needed =
        space_needed_bytes(place.tree.bytes + place.bytes_beside, place.tree.entries + place.entries_beside);
    if (place.free_bytes < needed) {
        block("NO_SPACE", format_bytes(needed) + " are needed, " + format_bytes(place.free_bytes) + " are free",
              "free " + format_bytes(needed - place.free_bytes) + " below " + parent_of(path));
    }
    if (place.free_inodes != 0 && place.free_inodes < place.tree.entries + place.entries_beside) {
        block("NO_INODES",
              std::to_string(place.tree.entries + place.entries_beside) + " inodes are needed, " +
                  std::to_string(place.free_inodes) + " are free",
              "free inodes on that file system or make it with more of them");
    }
    out.push_back(finding_of(place, "FS_TRAVELS", Severity::info,
                             "fs " + place.directory + ": " + format_bytes(place.tree.bytes) + " are sent from " + path,
                             "nothing; it is put at the same path"));
}

void judge_source_place(const ExtraPlace& place, std::vector<Finding>& out) {
    for (const std::string& mount : place.mounts_inside) {
        out.push_back(finding_of(place, "MOUNTED_INSIDE", Severity::block,
                                 mount + " is mounted below " + place.tree.path + ": it would not be moved",
                                 "umount " + mount));
    }
}

}  // namespace

std::vector<Finding> judge_extra_place(const ExtraPlace& place) {
    std::vector<Finding> out;
    if (!place.problem.empty()) {
        out.push_back(finding_of(place, "FS_PLACE_UNSAFE", Severity::block, place.problem,
                                 "let the zone mount another directory, whose parents belong to root and are writable "
                                 "by root only; or say that each host has its own: add options hostlocal"));
        return out;
    }
    if (!place.user.empty()) {
        out.push_back(finding_of(place, "FS_IN_USE", Severity::block,
                                 place.tree.path + ", which would travel with the zone, is used by " + place.user,
                                 "give each zone a directory of its own"));
    }
    if (place.side == Side::target) {
        judge_target_place(place, out);
    } else {
        judge_source_place(place, out);
    }
    return out;
}

Status check_extra_trees(const ZoneConfig& config, const std::vector<ExtraTree>& trees) {
    std::vector<std::string> seen;
    for (const ExtraTree& tree : trees) {
        if (!is_plain_path(tree.path) || fs_of(config, tree.path) == nullptr) {
            return Error(Errc::protocol, "the zone mounts no " + printable(tree.path) + " that it writes to");
        }
        if (std::find(seen.begin(), seen.end(), tree.path) != seen.end()) {
            return Error(Errc::protocol, tree.path + " is to be sent twice");
        }
        seen.push_back(tree.path);
    }
    return {};
}

Result<TreeTotals> measure_running(const std::string& path, const std::vector<std::string>& excluded) {
    constexpr int kTries = 50;
    for (int tries = 1;; ++tries) {
        ZF_TRY(UniqueFd tree, open_directory(path));
        Result<TreeTotals> totals = measure_tree(std::move(tree), excluded);
        if (totals || totals.error().code() != Errc::not_found || tries == kTries) return totals;
    }
}

Result<std::vector<ExtraTree>> measure_extra_trees(AgentContext& context, const std::vector<std::string>& paths) {
    std::vector<ExtraTree> trees;
    for (const std::string& path : paths) {
        trees.emplace_back(path, 0, 0);
        ZF_TRY(const UniqueFd top, open_directory(context.root.at(path)));
        ZF_TRY(const std::vector<std::string> mounts, mounts_below(top.get()));
        if (!mounts.empty()) continue;  // it cannot be measured, and the findings say so
        ZF_TRY(const TreeTotals totals, measure_running(context.root.at(path), {}));
        trees.back().bytes = totals.allocated_bytes;
        trees.back().entries = totals.entries;
    }
    return trees;
}

Result<std::vector<ExtraPlace>> view_extra_sources(AgentContext& context, const ZoneConfig& config,
                                                   const std::vector<ExtraTree>& trees) {
    std::vector<ExtraPlace> places;
    for (const ExtraTree& tree : trees) {
        ExtraPlace place{.side = Side::source, .tree = tree};
        place.problem = place_problem(context.root, config, trees, tree.path);
        ZF_TRY(place.user, user_of(context, config, tree.path, {}));
        ZF_TRY(const UniqueFd top, open_directory(context.root.at(tree.path)));
        ZF_TRY(place.mounts_inside, mounts_below(top.get()));
        places.push_back(std::move(place));
    }
    return places;
}

Result<std::vector<ExtraPlace>> view_extra_places(AgentContext& context, const ZoneConfig& config,
                                                  const std::vector<ExtraTree>& trees, const ExtraTree& zonepath,
                                                  const std::string& move_id,
                                                  const std::vector<std::string>& replaced) {
    std::vector<ExtraPlace> places;
    std::vector<ExtraTree> before{zonepath};
    for (const ExtraTree& tree : trees) {
        ExtraPlace place{.tree = tree};
        const FsResource* fs = fs_of(config, tree.path);
        if (fs != nullptr) place.directory = fs->directory;
        const bool replaces = std::find(replaced.begin(), replaced.end(), tree.path) != replaced.end();
        const std::string root = root_above(context.settings, tree.path);
        place.is_allowed = replaces || !root.empty();
        if (!place.is_allowed) {  // and is not looked at
            places.push_back(std::move(place));
            continue;
        }
        place.problem = place_problem(context.root, config, trees, tree.path);
        if (place.problem.empty() && !replaces) place.problem = root_problem(context.root, root);
        ZF_TRY(place.user, user_of(context, config, tree.path, move_id));
        const auto present = list_directory(context.root.at(tree.path));
        place.is_taken = present && !present->empty() && !replaces;
        ZF_TRY_STATUS(look_at_space(context.root, before, place));
        before.push_back(tree);
        places.push_back(std::move(place));
    }
    return places;
}

}  // namespace zoneferry
