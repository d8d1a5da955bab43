#include "core/base/file_flags.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>

namespace zoneferry {
namespace {

struct Known {
    FileFlag flag;
    unsigned long bit;
};
constexpr std::array kKnown{
    Known{FileFlag::immutable, FS_IMMUTABLE_FL}, Known{FileFlag::append, FS_APPEND_FL},
    Known{FileFlag::no_dump, FS_NODUMP_FL},      Known{FileFlag::no_atime, FS_NOATIME_FL},
    Known{FileFlag::sync, FS_SYNC_FL},           Known{FileFlag::dir_sync, FS_DIRSYNC_FL},
    Known{FileFlag::no_cow, FS_NOCOW_FL},        Known{FileFlag::project_inherit, FS_PROJINHERIT_FL},
    Known{FileFlag::compress, FS_COMPR_FL},      Known{FileFlag::no_compress, FS_NOCOMP_FL},
};

bool has_none(int error) { return error == ENOTTY || error == EOPNOTSUPP || error == EINVAL || error == ENOSYS; }

unsigned bits_of(std::uint32_t flags) {
    unsigned bits = 0;
    for (const Known& known : kKnown) {
        if ((flags & static_cast<std::uint32_t>(known.flag)) != 0) bits |= static_cast<unsigned>(known.bit);
    }
    return bits;
}
std::uint32_t flags_of(unsigned bits) {
    std::uint32_t flags = 0;
    for (const Known& known : kKnown) {
        if ((bits & known.bit) != 0) flags |= static_cast<std::uint32_t>(known.flag);
    }
    return flags;
}

// Bits of the file system's own (extents, inline data, encryption) stay as they are.
bool set_bits(int fd, unsigned present, std::uint32_t flags) {
    unsigned wanted = (present & ~bits_of(kFileFlagsAll)) | bits_of(flags);
    return wanted == present || ::ioctl(fd, FS_IOC_SETFLAGS, &wanted) == 0;
}

}  // namespace

Result<FileAttributes> read_file_attributes(int fd) {
    FileAttributes attributes;
    unsigned bits = 0;
    if (::ioctl(fd, FS_IOC_GETFLAGS, &bits) != 0) {
        if (has_none(errno)) return attributes;
        return system_error("read the file flags", errno);
    }
    attributes.flags = flags_of(bits);
    fsxattr extended{};
    if (::ioctl(fd, FS_IOC_FSGETXATTR, &extended) == 0) attributes.project = extended.fsx_projid;
    return attributes;
}

Result<FileAttributes> apply_file_attributes(int fd, const FileAttributes& wanted) {
    FileAttributes left;
    unsigned present = 0;
    if (::ioctl(fd, FS_IOC_GETFLAGS, &present) != 0) {
        if (has_none(errno)) return wanted;
        return system_error("read the file flags", errno);
    }
    fsxattr extended{};
    if (::ioctl(fd, FS_IOC_FSGETXATTR, &extended) != 0) {
        left.project = wanted.project;
    } else if (extended.fsx_projid != wanted.project) {
        extended.fsx_projid = wanted.project;
        if (::ioctl(fd, FS_IOC_FSSETXATTR, &extended) != 0) left.project = wanted.project;
    }
    if (set_bits(fd, present, wanted.flags)) return left;
    // One by one: what this file system has, it gets.
    for (const Known& known : kKnown) {
        const auto flag = static_cast<std::uint32_t>(known.flag);
        const std::uint32_t now = flags_of(present);
        const std::uint32_t next = (now & ~flag) | (wanted.flags & flag);
        if (next == now) continue;
        if (set_bits(fd, present, next)) {
            present = (present & ~bits_of(kFileFlagsAll)) | bits_of(next);
        } else {
            left.flags |= wanted.flags & flag;
        }
    }
    return left;
}

bool is_derived_xattr(std::string_view name) {
    return name == "trusted.SGI_ACL_FILE" || name == "trusted.SGI_ACL_DEFAULT";
}

}  // namespace zoneferry
