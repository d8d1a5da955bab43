// Attributes of files that are not permissions: immutable, append-only, no copy-on-write, quota project ... as far as a
// file system has them.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/result.h"

namespace zoneferry {

// As they travel; the numbers are ours.
enum class FileFlag : std::uint32_t {
    immutable = 1,
    append = 2,
    no_dump = 4,
    no_atime = 8,
    sync = 16,
    dir_sync = 32,
    no_cow = 64,
    project_inherit = 128,
    compress = 256,
    no_compress = 512,
};
constexpr std::uint32_t kFileFlagsAll = 1023;
// Nothing in or under an entry with one of these can be changed, even by root: set last, taken off first.
constexpr std::uint32_t kFileFlagsFreezing = 3;

struct FileAttributes {
    std::uint32_t flags = 0;
    std::uint32_t project = 0;
    bool operator==(const FileAttributes&) const = default;
};

// Of an open regular file or directory; a file system without attributes has none.
Result<FileAttributes> read_file_attributes(int fd);
// Makes them so. What the file system does not have is left out and returned.
Result<FileAttributes> apply_file_attributes(int fd, const FileAttributes& wanted);

// Extended attributes that say what others say already, in one file system's own form: xfs shows its ACLs twice. They
// are neither copied nor compared; another file system would keep them as something else.
bool is_derived_xattr(std::string_view name);

}  // namespace zoneferry
