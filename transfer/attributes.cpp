#include "transfer/attributes.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/text.h"

namespace zoneferry {
namespace {

// "/proc/self/fd/N/name": N is a descriptor we hold and the l*xattr calls do not follow the last component.
std::string held_path(int directory, const std::string& name) {
    return "/proc/self/fd/" + std::to_string(directory) + "/" + name;
}

// One entry's xattrs, by descriptor or by held directory and name.
struct XattrDoor {
    int fd = -1;
    std::string path;

    ssize_t list(char* into, std::size_t size) const {
        return path.empty() ? ::flistxattr(fd, into, size) : ::llistxattr(path.c_str(), into, size);
    }
    ssize_t get(const char* name, void* into, std::size_t size) const {
        return path.empty() ? ::fgetxattr(fd, name, into, size) : ::lgetxattr(path.c_str(), name, into, size);
    }
    int set(const char* name, ConstBytes value) const {
        return path.empty() ? ::fsetxattr(fd, name, value.data(), value.size(), 0)
                            : ::lsetxattr(path.c_str(), name, value.data(), value.size(), 0);
    }
    int drop(const char* name) const {
        return path.empty() ? ::fremovexattr(fd, name) : ::lremovexattr(path.c_str(), name);
    }
};

Result<std::vector<std::string>> list_xattrs(const XattrDoor& door, std::string* left_out = nullptr) {
    std::vector<std::string> names;
    std::array<char, 1024> few{};
    std::vector<char> many;
    std::string_view list;
    const ssize_t got = door.list(few.data(), few.size());
    if (got >= 0) {
        list = {few.data(), static_cast<std::size_t>(got)};
    } else if (errno == ENOTSUP) {
        return names;
    } else if (errno != ERANGE) {
        return system_error("list extended attributes", errno);
    } else {
        many.resize(XATTR_LIST_MAX);
        const ssize_t again = door.list(many.data(), many.size());
        if (again < 0) return system_error("list extended attributes", errno);
        list = {many.data(), static_cast<std::size_t>(again)};
    }
    while (!list.empty()) {
        const std::string_view name = list.substr(0, list.find('\0'));
        if (is_derived_xattr(name)) {
            // said by another one
        } else if (is_carried_xattr(name)) {
            names.emplace_back(name);
        } else if (left_out != nullptr) {
            *left_out = name;
        }
        list.remove_prefix(std::min(list.size(), name.size() + 1));
    }
    std::sort(names.begin(), names.end());
    return names;
}

Result<OwnedXattrs> read_through(const XattrDoor& door, std::string* left_out) {
    OwnedXattrs xattrs;
    ZF_TRY(const std::vector<std::string> names, list_xattrs(door, left_out));
    if (names.size() > kXattrCountMax) return Error(Errc::unsupported, "has more extended attributes than can be sent");
    std::size_t total = 0;
    for (const std::string& name : names) {
        ByteVector value(256);
        ssize_t got = door.get(name.c_str(), value.data(), value.size());
        if (got < 0 && errno == ERANGE) {
            value.resize(kXattrValueBytesMax);
            got = door.get(name.c_str(), value.data(), value.size());
        }
        if (got < 0 && errno == ENODATA) continue;  // went away meanwhile: ctime tells
        if (got < 0) return system_error("read extended attribute " + printable(name), errno);
        value.resize(static_cast<std::size_t>(got));
        total += name.size() + value.size();
        if (total > kXattrsBytesMax) return Error(Errc::unsupported, "has more extended attributes than can be sent");
        xattrs.emplace_back(name, std::move(value));
    }
    return xattrs;
}

Status remove_foreign(const XattrDoor& door) {
    while (true) {
        std::string foreign;
        ZF_TRY_STATUS(list_xattrs(door, &foreign));
        if (foreign.empty()) return {};
        if (door.drop(foreign.c_str()) != 0) return system_error("remove " + printable(foreign), errno);
    }
}

Status set_xattrs(const XattrDoor& door, const Metadata& metadata, bool may_have_xattrs) {
    if (may_have_xattrs) {
        ZF_TRY(const std::vector<std::string> present, list_xattrs(door));
        for (const std::string& name : present) {
            const auto is_it = [&](const XattrView& xattr) { return xattr.name == name; };
            if (std::any_of(metadata.xattrs.begin(), metadata.xattrs.end(), is_it)) continue;
            if (door.drop(name.c_str()) != 0 && errno != ENODATA) {
                return system_error("remove extended attribute " + printable(name), errno);
            }
        }
    }
    for (const XattrView& xattr : metadata.xattrs) {
        if (door.set(std::string(xattr.name).c_str(), xattr.value) != 0) {
            return system_error("set extended attribute " + printable(xattr.name), errno);
        }
    }
    return {};
}

std::array<timespec, 2> times_of(const Metadata& metadata) {
    std::array<timespec, 2> times{};
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = metadata.mtime_seconds;
    times[1].tv_nsec = metadata.mtime_nanoseconds;
    return times;
}

// Subvolumes of btrfs number their inodes each for itself: the same number in two of them is not the same file. They
// have device numbers of their own, without a major number.
std::uint64_t inode_of(const struct statx& raw) {
    if (raw.stx_dev_major != 0) return raw.stx_ino;
    std::uint64_t mixed = raw.stx_dev_minor * 0x9E3779B97F4A7C15U;
    mixed ^= mixed >> 32U;
    return raw.stx_ino ^ (mixed << 1U);
}

}  // namespace

Result<EntryStat> stat_entry(int directory, const std::string& name) {
    struct statx raw {};
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name.empty() ? AT_EMPTY_PATH : 0);
    if (::statx(directory, name.c_str(), flags, STATX_BASIC_STATS, &raw) != 0) {
        return system_error("stat " + printable(name), errno);
    }
    EntryStat stat;
    stat.mode = raw.stx_mode;
    stat.uid = raw.stx_uid;
    stat.gid = raw.stx_gid;
    stat.links = raw.stx_nlink;
    stat.inode = inode_of(raw);
    stat.size = raw.stx_size;
    stat.allocated_bytes = raw.stx_blocks * 512;
    stat.mtime_seconds = raw.stx_mtime.tv_sec;
    stat.mtime_nanoseconds = raw.stx_mtime.tv_nsec;
    stat.ctime_seconds = raw.stx_ctime.tv_sec;
    stat.ctime_nanoseconds = raw.stx_ctime.tv_nsec;
    stat.device_major = raw.stx_rdev_major;
    stat.device_minor = raw.stx_rdev_minor;
    stat.is_mount_point = (raw.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    return stat;
}

Result<OwnedXattrs> read_xattrs(int fd, std::string* left_out) { return read_through({fd, {}}, left_out); }
Result<OwnedXattrs> read_xattrs_at(int directory, const std::string& name, std::string* left_out) {
    return read_through({-1, held_path(directory, name)}, left_out);
}

Status remove_foreign_xattrs(int fd) { return remove_foreign({fd, {}}); }
Status remove_foreign_xattrs_at(int directory, const std::string& name) {
    return remove_foreign({-1, held_path(directory, name)});
}

Metadata make_metadata(const EntryStat& stat, const OwnedXattrs& xattrs, const FileAttributes& attributes) {
    Metadata metadata;
    metadata.flags = attributes.flags;
    metadata.project = attributes.project;
    metadata.mode = stat.mode & 07777U;
    metadata.uid = stat.uid;
    metadata.gid = stat.gid;
    metadata.mtime_seconds = stat.mtime_seconds;
    metadata.mtime_nanoseconds = stat.mtime_nanoseconds;
    for (const auto& [name, value] : xattrs) metadata.xattrs.push_back({name, value});
    return metadata;
}

Result<FileAttributes> apply_metadata(int fd, const Metadata& metadata, bool may_have_some) {
    if (::fchown(fd, metadata.uid, metadata.gid) != 0) return system_error("change the owner", errno);
    ZF_TRY_STATUS(set_xattrs({fd, {}}, metadata, may_have_some));
    if (::fchmod(fd, metadata.mode) != 0) return system_error("change the mode", errno);
    ZF_TRY_STATUS(set_mtime(fd, metadata));
    const FileAttributes wanted{metadata.flags, metadata.project};
    if (!may_have_some && wanted == FileAttributes{}) return wanted;
    return apply_file_attributes(fd, wanted);
}

Status make_uncopied(int fd, const Metadata& metadata) {
    constexpr auto kNoCow = static_cast<std::uint32_t>(FileFlag::no_cow);
    if ((metadata.flags & kNoCow) == 0) return {};
    ZF_TRY([[maybe_unused]] const FileAttributes left, apply_file_attributes(fd, {kNoCow, 0}));
    return {};
}

Status set_mtime(int fd, const Metadata& metadata) {
    if (::futimens(fd, times_of(metadata).data()) != 0) return system_error("set the times", errno);
    return {};
}

Status apply_metadata_at(int directory, const std::string& name, std::uint32_t format, const Metadata& metadata) {
    if (::fchownat(directory, name.c_str(), metadata.uid, metadata.gid, AT_SYMLINK_NOFOLLOW) != 0) {
        return system_error("change the owner", errno);
    }
    // A special file made in a directory with a default ACL has inherited one.
    ZF_TRY_STATUS(set_xattrs({-1, held_path(directory, name)}, metadata, !S_ISLNK(format)));
    // glibc does this through an O_PATH descriptor, so that a link put there meanwhile is not followed.
    if (!S_ISLNK(format) && ::fchmodat(directory, name.c_str(), metadata.mode, AT_SYMLINK_NOFOLLOW) != 0) {
        return system_error("change the mode", errno);
    }
    if (::utimensat(directory, name.c_str(), times_of(metadata).data(), AT_SYMLINK_NOFOLLOW) != 0) {
        return system_error("set the times", errno);
    }
    return {};
}

}  // namespace zoneferry
