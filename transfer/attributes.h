// Reading and applying an entry's metadata through held descriptors.
//
// An entry is named by an open descriptor (regular files, directories) or, for what must not be opened (symlinks,
// fifos, sockets, devices), by a held directory and a component: never by a path that could be redirected.
#pragma once

#include <linux/stat.h>
#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "core/base/fd.h"
#include "core/base/file_flags.h"
#include "transfer/record.h"

namespace zoneferry {

// What statx tells, in the terms of this room.
struct EntryStat {
    std::uint32_t mode = 0;  // with the format bits
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t links = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::uint64_t allocated_bytes = 0;
    std::int64_t mtime_seconds = 0;
    std::uint32_t mtime_nanoseconds = 0;
    std::int64_t ctime_seconds = 0;
    std::uint32_t ctime_nanoseconds = 0;
    std::uint32_t device_major = 0;
    std::uint32_t device_minor = 0;
    bool is_mount_point = false;
};
// Never follows a link, never mounts anything; name "" means the descriptor itself.
Result<EntryStat> stat_entry(int directory, const std::string& name);

// Sorted by name; only those that travel (is_carried_xattr).
using OwnedXattrs = std::vector<std::pair<std::string, ByteVector>>;
// left_out, if given: becomes the name of one that does not travel, if there is any.
Result<OwnedXattrs> read_xattrs(int fd, std::string* left_out = nullptr);
Result<OwnedXattrs> read_xattrs_at(int directory, const std::string& name, std::string* left_out = nullptr);

// Removes those that do not travel. An error: one cannot be removed.
Status remove_foreign_xattrs(int fd);
Status remove_foreign_xattrs_at(int directory, const std::string& name);

// The views point into xattrs.
Metadata make_metadata(const EntryStat& stat, const OwnedXattrs& xattrs, const FileAttributes& attributes = {});

// Owner, xattrs, mode, times, file attributes, in the one order that works: chown drops capabilities and setuid, an ACL
// changes the mode, everything changes times, and nothing changes what is immutable. Xattrs and attributes that are
// there but not in metadata go away if may_have_some. Returns the attributes that the file system does not have.
Result<FileAttributes> apply_metadata(int fd, const Metadata& metadata, bool may_have_some);
// Of an empty file that shall be written in place: copy-on-write can be switched off only then.
Status make_uncopied(int fd, const Metadata& metadata);
Status set_mtime(int fd, const Metadata& metadata);
Status apply_metadata_at(int directory, const std::string& name, std::uint32_t format, const Metadata& metadata);

}  // namespace zoneferry
