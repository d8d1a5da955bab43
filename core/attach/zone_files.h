// Files of a zone's tree, written by the host: below a held root, through directory descriptors, resolved as a chroot
// would see them (openat2 RESOLVE_IN_ROOT): a link that the zone planted leads into the zone or nowhere. Files appear
// whole: a temporary name first, then a rename. Nothing here is fsynced; sync_zone_files does it for all.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/fd.h"

namespace zoneferry {

struct ZoneFileAttributes {
    mode_t mode = 0644;
    uid_t uid = 0;
    gid_t gid = 0;
    std::int64_t modtime = -1;  // seconds; -1: now
};

class ZoneFiles {
public:
    explicit ZoneFiles(int root) : root_(root) {}  // the caller's

    // Of the last component itself, also of a link; nullopt if it is not there.
    Result<std::optional<struct stat>> find(const std::string& path) const;
    // Errc::corrupt for anything but a regular file.
    Result<UniqueFd> open_regular(const std::string& path) const;
    Result<std::string> read(const std::string& path, std::uint64_t bytes_max) const;

    // Missing parents are made, 0755 and root's. What is in the way and of another kind is Errc::conflict; a link to a
    // directory counts as one and is left alone.
    Status make_directory(const std::string& path, const ZoneFileAttributes& attributes) const;
    Status put_file(const std::string& path, int source, const ZoneFileAttributes& attributes) const;
    Status put_text(const std::string& path, std::string_view text, const ZoneFileAttributes& attributes) const;
    Status make_symlink(const std::string& path, const std::string& target) const;
    Status make_hard_link(const std::string& path, const std::string& target) const;
    Status make_fifo(const std::string& path, const ZoneFileAttributes& attributes) const;
    Status set_attributes(const std::string& path, const ZoneFileAttributes& attributes) const;  // of a regular file

    // Missing is no error, nor is a directory that is not empty: that stays.
    Status remove(const std::string& path) const;
    Status remove_tree(const std::string& path) const;
    Status sync() const;  // everything written, to the disk

private:
    struct Place {
        UniqueFd directory;
        std::string name;
    };
    Result<Place> place(const std::string& path, bool make) const;
    Status replace(const std::string& path, const std::function<Status(int, const std::string&)>& make) const;

    int root_;
};

// The System V sum of a contents file: all bytes added, folded twice to 16 bits.
Result<std::uint32_t> sysv_sum(int fd);

// Names of an /etc/passwd or /etc/group: "name:x:id:...".
using NameIds = std::map<std::string, std::uint32_t, std::less<>>;
NameIds parse_name_ids(std::string_view text);

}  // namespace zoneferry
