// One digest of all that a tree holds, read from the disk: equal on both sides means the tree arrived.
//
// It may be computed twice: first while the zone still runs, which leaves the digest of every entry in a file of
// digests (a catalog: D name inode, F name identity digest, E identity digest; a second name of an inode is an F
// without a digest), then when nothing changes any more. The second time an entry is read only if its identity (inode,
// ctime, size, owner, mode) is not that of the first time; all entries are still looked at. So every byte was read
// after it was last written, if the kernel's change times are true. A file of digests of another boot is not used, nor
// what was written within a clock tick of the reading.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/digest.h"
#include "core/base/fd.h"
#include "transfer/pass_trail.h"
#include "transfer/tree_sum.h"

namespace zoneferry {

struct DigestOptions {
    std::vector<std::string> excluded;  // paths below the root that do not count: "a", "b/c"
    unsigned threads = 1;               // that read and hash files
    std::stop_token stop;
    std::string digests_path;       // of the file of digests, used and written again; empty: read everything
    bool tolerate_changes = false;  // what vanishes or changes is left out: only the file of digests is of use then
    bool contents = true;           // false: of a file its size and times count, its bytes are not read
};

struct TreeDigest {
    Digest digest{};
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;       // sizes of the files
    std::uint64_t bytes_read = 0;  // of them now; the others are known from the file of digests
    std::uint64_t looked_at = 0;   // entries, now
};

using LinkedNames = std::unordered_map<std::uint64_t, std::uint64_t>;  // inode -> names in the tree

// What is kept of a digest, so that it can be told again by what changed since.
struct DigestTrail {
    explicit DigestTrail(const Digest& key) : sum(key) {}
    TreeSum sum;
    TreeDigest result;   // its digest is that of the sum
    PassTrail places;    // in the file of digests; doubtful: files of which not all names were met
    LinkedNames linked;  // of inodes of several names
};

// Over type, mode, owner, device numbers, mtime, link target, xattrs, hard-link groups and content of every entry, in
// the order of the walk. Not over inode numbers, ctime, atime, sizes of directories and where the holes are. With a
// trail, which must be a fresh one: the keyed digest.
Result<TreeDigest> digest_tree(UniqueFd tree, const DigestOptions& options, DigestTrail* trail = nullptr);

struct TreeTotals {
    std::uint64_t bytes = 0;            // sizes of regular files, each inode once
    std::uint64_t allocated_bytes = 0;  // on the disk, each inode once
    std::uint64_t entries = 0;
    std::uint64_t longest_link_bytes = 0;  // of a symbolic link's target
    std::string longest_link;              // its path
};
Result<TreeTotals> measure_tree(UniqueFd tree, const std::vector<std::string>& excluded);

}  // namespace zoneferry
