#include "core/base/subvolume.h"

#include <linux/btrfs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr ino_t kSubvolumeInode = 256;  // of the root of each

Status put_name(const std::string& name, char* to, std::size_t bytes_max) {
    if (name.empty() || name.size() > bytes_max || name.find('/') != std::string::npos) {
        return Error(Errc::invalid, printable(name) + " cannot be the name of a subvolume");
    }
    std::memcpy(to, name.data(), name.size());
    return {};
}

}  // namespace

bool is_on_btrfs(int fd) {
    struct statfs info {};
    return ::fstatfs(fd, &info) == 0 && info.f_type == static_cast<decltype(info.f_type)>(BTRFS_SUPER_MAGIC);
}

bool is_subvolume(int fd) {
    struct stat info {};
    return ::fstat(fd, &info) == 0 && S_ISDIR(info.st_mode) && info.st_ino == kSubvolumeInode && is_on_btrfs(fd);
}

Status make_subvolume_at(int directory, const std::string& name) {
    btrfs_ioctl_vol_args words{};
    ZF_TRY_STATUS(put_name(name, words.name, BTRFS_PATH_NAME_MAX));
    if (::ioctl(directory, BTRFS_IOC_SUBVOL_CREATE, &words) == 0) return {};
    return system_error("make the subvolume " + printable(name), errno);
}

Status make_tree_root_at(int directory, const std::string& name, mode_t mode) {
    if (!is_on_btrfs(directory) || !make_subvolume_at(directory, name)) {
        if (::mkdirat(directory, name.c_str(), mode) == 0) return {};
        return system_error("make " + printable(name), errno);
    }
    if (::fchmodat(directory, name.c_str(), mode, 0) == 0) return {};
    return system_error("set the mode of " + printable(name), errno);
}

Status make_snapshot_at(int subvolume, int directory, const std::string& name, bool is_read_only) {
    btrfs_ioctl_vol_args_v2 words{};
    ZF_TRY_STATUS(put_name(name, words.name, BTRFS_SUBVOL_NAME_MAX));
    words.fd = subvolume;
    words.flags = is_read_only ? BTRFS_SUBVOL_RDONLY : 0;
    if (::ioctl(directory, BTRFS_IOC_SNAP_CREATE_V2, &words) == 0) return {};
    return system_error("make the snapshot " + printable(name), errno);
}

bool destroy_subvolume_at(int directory, const std::string& name) {
    btrfs_ioctl_vol_args words{};
    if (!put_name(name, words.name, BTRFS_PATH_NAME_MAX)) return false;
    return ::ioctl(directory, BTRFS_IOC_SNAP_DESTROY, &words) == 0;
}

bool thaw_subvolume(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0 || info.st_ino != kSubvolumeInode) return false;
    std::uint64_t flags = 0;
    if (::ioctl(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags) != 0 || (flags & BTRFS_SUBVOL_RDONLY) == 0) return false;
    flags &= ~std::uint64_t{BTRFS_SUBVOL_RDONLY};
    return ::ioctl(fd, BTRFS_IOC_SUBVOL_SETFLAGS, &flags) == 0;
}

}  // namespace zoneferry
