// Subvolumes and snapshots of btrfs: what the kernel offers, by held descriptors and single names.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/base/fd.h"

namespace zoneferry {

// Is this directory on btrfs at all?
bool is_on_btrfs(int fd);
// Is it the root of a subvolume?
bool is_subvolume(int fd);
// An empty one. name: one component that is free.
Status make_subvolume_at(int directory, const std::string& name);
// A directory that is made to be snapshotted: a subvolume where it lies on btrfs, if the kernel lets us.
Status make_tree_root_at(int directory, const std::string& name, mode_t mode);
// Of a subvolume as it is now, in one step; subvolumes in it are empty directories there. On the same file system.
Status make_snapshot_at(int subvolume, int directory, const std::string& name, bool is_read_only);
// With all that is in it, in one step. False: there is none of that name, or another one lies in it.
bool destroy_subvolume_at(int directory, const std::string& name);
// A read-only one becomes writable; true if it was read-only.
bool thaw_subvolume(int fd);

}  // namespace zoneferry
