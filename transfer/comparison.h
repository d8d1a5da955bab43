// Two trees compared by their files of digests (tree_digest.h), entry by entry: what differs is named, and what the
// target already has becomes the base of the next pass. So a lost catalog, a kept copy of an earlier move or a tree
// that was damaged on a disk costs only what differs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

constexpr std::size_t kLargeDifferencesMax = 100'000;  // held in memory; of more, all of their bytes are sent

// A large file that both sides have and that is not the same: most of its blocks may be (block_list.h).
struct LargeDifference {
    std::string path;
    std::uint64_t bytes_there = 0;
    unsigned block_log = 0;  // of the blocks to compare
};

struct TreeComparison {
    std::uint64_t equal = 0;             // entries
    std::uint64_t differing = 0;         // on both sides, but not the same
    std::uint64_t missing = 0;           // not on the target (with all below it)
    std::uint64_t extra = 0;             // only on the target (with all below it)
    std::vector<std::string> first;      // paths of some that are not equal
    std::vector<LargeDifference> large;  // in the order of the trees, at most kLargeDifferencesMax
    bool is_equal() const { return differing + missing + extra == 0; }
};

enum class Unequal { differs, missing, extra };  // as TreeComparison counts them

// here: our own file of digests, of this boot; there: the target's, which may be anything. The catalogs of this prefix
// (sender.h) tell afterwards what the target has: an entry counts as unchanged while it stays as it was when its digest
// was taken here. each: told of every path that is not equal, unless it is empty; names of the target's, printable or
// not. doubts: asked of every file and directory that is equal, unless it is empty; true: it counts as differing.
// Errc::protocol: the target's is not such a file.
Result<TreeComparison> adopt_comparison(const std::string& here, const std::string& there,
                                        const std::string& catalog_path_prefix,
                                        const std::function<void(Unequal, const std::string& path)>& each = {},
                                        const std::function<bool(const std::string& path)>& doubts = {});

// For `doubts`, where the target's tree came without file attributes (bulk_transport.h), of which digests say nothing:
// has this file or directory of our tree some, or can that not be told? The tree outlives the function.
std::function<bool(const std::string& path)> has_file_attributes(int tree);

}  // namespace zoneferry
