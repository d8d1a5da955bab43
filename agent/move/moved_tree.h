// The trees of a move, as values: the zonepath, and the zone's own file systems outside it (`fs` of type lofs, written
// to by the zone, on storage that the target has not). Each is sent by passes of its own, with a catalog and a digest
// of its own, into a staging directory beside its place, and goes where the zonepath goes: the same step of the move
// renames, keeps or removes all of them.
//
//                number    beside its place          in the move's directory
//     zonepath   0         .zoneferry-KIND-ID        catalog, digests, their-digests
//     extra      1, 2 ..   .zoneferry-KIND.fsN-ID    catalog.fsN, ...
//
// KIND: incoming (staging), kept, trash; of the zonepath also snapshot and received. MoveRecord.extra_trees names the
// extras in the order of their numbers, a line each: "BYTES ENTRIES PATH". Here and in the whole file: purely.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/move/move_record.h"
#include "core/base/host_root.h"
#include "wire/messages.h"

namespace zoneferry {

struct MovedTree {
    std::uint32_t number = 0;
    std::string path;
    std::uint64_t bytes = 0;  // as the check measured it
    std::uint64_t entries = 0;

    bool is_zonepath() const { return number == 0; }
    bool operator==(const MovedTree&) const = default;
};

std::string extra_trees_text(const std::vector<ExtraTree>& trees);

MovedTree zonepath_tree(const MoveRecord& record);
// The extras, sent or not.
std::vector<MovedTree> extra_trees(const MoveRecord& record);
// Whose bytes travel: none with `uses_kept_copy`; not the zonepath on shared storage.
std::vector<MovedTree> sent_trees(const MoveRecord& record);
// The one of them with that number.
std::optional<MovedTree> sent_tree(const MoveRecord& record, std::uint32_t number);
// Of which each host has one of its own, so that it may be kept, set aside and deleted: a shared zonepath is not.
std::vector<MovedTree> own_trees(const MoveRecord& record);
// Is the zonepath among the trees that are sent?
bool sends_zonepath(const MoveRecord& record);

// Names directly below the tree that belong to a host and never travel.
const std::vector<std::string>& excluded_names(const MovedTree& tree);

// The hidden places of a move beside a tree, on the same file system so that one rename moves it.
std::string staging_path(const HostRoot& root, const MovedTree& tree, const std::string& move_id);
std::string kept_path(const HostRoot& root, const MovedTree& tree, const std::string& move_id);
std::string trash_path(const HostRoot& root, const MovedTree& tree, const std::string& move_id);
// Only while a file system's own transport is at work: the source's snapshot, and what the target receives.
std::string snapshot_path(const HostRoot& root, const MovedTree& tree, const std::string& move_id);
std::string received_path(const HostRoot& root, const MovedTree& tree, const std::string& move_id);
// "catalog" -> the move's own file of that name for the tree.
std::string move_file(const HostRoot& root, const MovedTree& tree, const std::string& move_id, const std::string& name);
// The file of digests of this side (tree_digest.h); another one where contents do not count.
std::string digests_path(const HostRoot& root, const MovedTree& tree, const std::string& move_id, bool contents);

}  // namespace zoneferry
