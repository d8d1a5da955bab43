// Follows what changes in a tree while other work goes on, by the kernel's announcements (fanotify). With it a pass
// costs by what changed since a complete walk, not by the size of the tree.
//
// What guarantees that nothing is missed:
//   - The group marks the whole file system, before the complete walk begins: in whatever namespace and through
//     whatever mount the zone changes its tree, the kernel queues the event before the call returns.
//   - Stores into a shared mapping are not announced. But a mapping holds its file open, and the last close of a file
//     that was open for writing is: at the latest when the zone's last process has ended, before its cgroup is empty.
//     So whoever asks after the halt gets to know all.
//   - Only names in directories below the root are kept. A directory that lies outside and comes in later is announced
//     by its new parent, and all below it is looked at then, so what was dropped before does not matter. If one of the
//     tree's directories lies outside at the end, names of its files may have been written there: a doubt.
//   - Beside the name the object is kept, see dirty_set.h.
//   - What is in doubt is an error of finish(), and then the whole tree is walked: the queue overflowed, more changed
//     than is followed, something is mounted below the root, a handle cannot be opened.
// Not announced by the kernel (seen on 6.18), and so found only afterwards (late_changes.h): file attributes (chattr).
// And what a process outside the zone writes through a mapping or a descriptor of its own that it keeps over the end of
// the last pass, if it was opened under a name outside the tree.
//
// ext4 and xfs only: other file systems share inode numbers between subvolumes (btrfs), change on other hosts (NFS) or
// have handles that cannot be opened (overlayfs).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/fd.h"

namespace zoneferry {

// What was announced, as paths from the root ("a/b"; the root is "") as they are now.
struct Changes {
    struct Name {
        std::string path;
        bool is_listed = false;  // created, removed or renamed; else: written or its metadata changed
        bool is_new = false;     // created in this time, and it did not come by a rename
    };
    struct File {
        std::uint64_t inode = 0;
        std::uint64_t links = 0;
    };
    std::vector<Name> names;
    std::vector<std::string> directories;  // whose own metadata changed
    std::vector<File> files;               // that were announced and exist, wherever
};

class ChangeTracker {
public:
    // From when it returns, nothing is missed below this directory. Needs CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH.
    static Result<std::unique_ptr<ChangeTracker>> start(const std::string& directory);
    ~ChangeTracker();

    // Once: all that was announced until now. An error says why not everything is known.
    Result<Changes> finish();

private:
    ChangeTracker();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace zoneferry
