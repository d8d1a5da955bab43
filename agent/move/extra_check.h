// The check of what travels beside the zonepath (moved_tree.h).
//
//     source   measures every directory that the zone mounts, writes to, and in which the source could leave its number
//     target   those in which it does not find that number travel; looks at the place of each, and judges it
//     source   looks at each of these, too: it will be set aside and deleted when the zone has left
//
// A peer names the places. A target takes them only strictly below directories that its own agent.toml names
// (extra_fs_roots) and that nobody but root can enter, so that no user of the host meets a foreign tree's set-uid
// files; or where a rollback finds the copy that it replaces.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/move/move_record.h"
#include "core/attach/finding.h"
#include "core/zone/config.h"
#include "transfer/tree_digest.h"
#include "wire/messages.h"

namespace zoneferry {

// What one host has at the place of an extra tree.
struct ExtraPlace {
    Side side = Side::target;
    ExtraTree tree;
    std::string directory;                   // inside the zone
    std::string problem;                     // a sentence, e.g. "/data is writable by others than root"; empty: sound
    std::string user;                        // "zone db01", which uses it, too
    std::vector<std::string> mounts_inside;  // source
    // target
    bool is_allowed = true;
    bool is_taken = false;  // something lies there
    std::string file_system;
    std::uint64_t free_bytes = 0;
    std::uint64_t free_inodes = 0;     // 0: the file system has no fixed number of them
    std::uint64_t bytes_beside = 0;    // of trees of this move that go to the same file system, too
    std::uint64_t entries_beside = 0;  // of these
};
// Purely.
std::vector<Finding> judge_extra_place(const ExtraPlace& place);

// Every one of them is a different `fs` of that zone, which it writes to. Errc::protocol. Purely.
Status check_extra_trees(const ZoneConfig& config, const std::vector<ExtraTree>& trees);

// Files of a running zone may vanish while they are counted: then it is counted again.
Result<TreeTotals> measure_running(const std::string& path, const std::vector<std::string>& excluded);
// Source: where its number lies, with the sizes.
Result<std::vector<ExtraTree>> measure_extra_trees(AgentContext& context, const std::vector<std::string>& paths);
// Source: what of these will travel.
Result<std::vector<ExtraPlace>> view_extra_sources(AgentContext& context, const ZoneConfig& config,
                                                   const std::vector<ExtraTree>& trees);

// Target: the zonepath, where its bytes travel as well, is `zonepath`. replaced: trees of the move that a rollback
// undoes, whose kept copies may lie there.
Result<std::vector<ExtraPlace>> view_extra_places(AgentContext& context, const ZoneConfig& config,
                                                  const std::vector<ExtraTree>& trees, const ExtraTree& zonepath,
                                                  const std::string& move_id, const std::vector<std::string>& replaced);

}  // namespace zoneferry
