// The keyed digest of a tree, wanted twice: while it may still change, and when nothing changes any more. In between
// the kernel announces what changes (change_tracker.h), so that the second time only that is looked at: it costs by
// what changed and not by the size of the tree.
//
// What it guarantees: the second digest is that of the tree as it was read the first time, with all that was announced
// since read again. So a change is found that came through the kernel's file system calls, by whomever. Bytes that the
// disk itself turned to others behind the first reading are not found: nor does a walk of the whole tree find them
// (tree_digest.h).
//
// Of a file of several names that changed all names are looked at (change_plan.h).
//
// Any doubt means the whole tree: no tracking on this file system, too much changed, a file has names outside the tree,
// another key, or anything went wrong.
#pragma once

#include <memory>
#include <string>

#include "transfer/tree_digest.h"

namespace zoneferry {

class FollowedDigest {
public:
    FollowedDigest();
    ~FollowedDigest();

    // Of the directory's tree, whole; with `follows` its changes are announced to us from before that. An error of the
    // announcing is none of this: why_whole() tells it later.
    Result<TreeDigest> whole(const std::string& directory, const DigestOptions& options, const Digest& key,
                             bool follows);
    // By what changed since whole(), once; or whole again. Nothing may change the tree meanwhile.
    Result<TreeDigest> again(const std::string& directory, const DigestOptions& options, const Digest& key);
    // Of the last again(): empty if it was told by what changed.
    const std::string& why_whole() const { return why_whole_; }

private:
    struct First;
    Result<TreeDigest> by_changes(const std::string& directory, const DigestOptions& options, const Digest& key);
    std::unique_ptr<First> first_;
    std::string why_whole_ = "it was not read while the zone ran";
};

}  // namespace zoneferry
