// One digest of all that a tree holds, read from the disk: equal on both sides means the tree arrived.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/base/fd.h"

namespace zoneferry {

struct DigestOptions {
    std::vector<std::string> excluded;  // names directly below the root that do not count
    unsigned threads = 1;               // that read and hash files
    std::stop_token stop;
};

struct TreeDigest {
    Digest digest{};
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;  // of file content
};

// Over type, mode, owner, device numbers, mtime, link target, xattrs, hard-link groups and content of every entry, in
// the order of the walk. Not over inode numbers, ctime, atime, sizes of directories and where the holes are.
Result<TreeDigest> digest_tree(UniqueFd tree, const DigestOptions& options);

struct TreeTotals {
    std::uint64_t bytes = 0;            // sizes of regular files, each inode once
    std::uint64_t allocated_bytes = 0;  // on the disk, each inode once
    std::uint64_t entries = 0;
};
Result<TreeTotals> measure_tree(UniqueFd tree, const std::vector<std::string>& excluded);

}  // namespace zoneferry
