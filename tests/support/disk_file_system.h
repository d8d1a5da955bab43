// What a test may ask of the file system that its directory lies on.
#pragma once

#include <linux/magic.h>
#include <sys/vfs.h>

#include <string>

namespace zoneferry {

// Whether path lies on ext4, xfs or btrfs. What these can do may be missing elsewhere only: there a test is skipped,
// here it fails.
inline bool is_disk_file_system(const std::string& path) {
    struct statfs system {};
    if (::statfs(path.c_str(), &system) != 0) return false;
    const auto is = [&](unsigned long magic) { return static_cast<unsigned long>(system.f_type) == magic; };
    return is(EXT4_SUPER_MAGIC) || is(XFS_SUPER_MAGIC) || is(BTRFS_SUPER_MAGIC);
}

}  // namespace zoneferry
