// Writes a tree below one directory descriptor, whatever the names and links say.
//
// Every path is one that image_path() accepted. Parents are opened beneath the root without following a link, names
// are created exclusively, so an entry can neither lead out of the tree, nor through a link, nor replace another one.
// Missing parents are made (0755, root). Directories get their mode and times in finish(), when nothing more changes
// in them, and files that are to be immutable or append-only become so there. Data beyond the space that the file
// system had free (less a reserve) is refused.
#pragma once

#include <sys/stat.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/fd.h"
#include "core/base/file_flags.h"

namespace zoneferry {

struct ImageXattr {
    std::string name;
    std::string value;
};

struct EntryMetadata {
    mode_t permissions = 0755;  // the low twelve bits
    uid_t uid = 0;
    gid_t gid = 0;
    timespec modified = {};
    std::vector<ImageXattr> xattrs;
    FileAttributes attributes;  // of files and directories
};

class ImageWriter {
public:
    // root: an open directory, empty or with what the caller put there. The space budget is measured now.
    static Result<ImageWriter> create(UniqueFd root);

    // A directory may come after entries below it, but only once. "" is the root.
    Status directory(const std::string& path, EntryMetadata metadata);
    // Opens a new file for writing; give it back to finish_file().
    Result<UniqueFd> begin_file(const std::string& path);
    // For an image that gives a file's data with its last name: opens a file made by begin_file() that is still empty,
    // to be given back to finish_file(). None if it holds data already.
    Result<UniqueFd> reopen_empty_file(const std::string& path);
    // Counts bytes that the caller is about to write against the budget (Errc::no_space).
    Status spend(const std::string& path, std::uint64_t bytes);
    Status finish_file(const std::string& path, UniqueFd file, const EntryMetadata& metadata);
    Status symlink(const std::string& path, const std::string& target, const EntryMetadata& metadata);
    // Another name for an entry that was written before; a directory or a missing one is refused.
    Status hard_link(const std::string& path, const std::string& existing);
    Status fifo(const std::string& path, const EntryMetadata& metadata);
    // A device or socket: only for a tree that is trusted as a whole (a zone that moves to another place here).
    Status special(const std::string& path, mode_t type, dev_t device, const EntryMetadata& metadata);
    bool contains(const std::string& path) const;  // an entry with that name is there

    // A small file of our own making, with the parents it needs; replaces none.
    Status text_file(const std::string& path, std::string_view content, mode_t permissions);

    // Adds or replaces an attribute of an entry that was written before.
    Status set_xattr(const std::string& path, const ImageXattr& xattr);

    // Sets what directories must have. The tree is not durable before sync().
    Status finish();
    Status sync() const;

    std::uint64_t files() const { return files_; }
    std::uint64_t bytes() const { return bytes_; }
    int root() const { return root_.get(); }

private:
    ImageWriter(UniqueFd root, std::uint64_t budget_bytes) : root_(std::move(root)), budget_bytes_(budget_bytes) {}
    Result<int> parent_of(const std::string& path);
    Result<UniqueFd> open_or_make_directory(const std::string& path);
    Status freeze_files();
    Status count_entry(const std::string& path);
    Status keep(const std::string& path, std::size_t bytes);  // in memory, until finish()
    Error refused(const std::string& path, std::string_view doing, int error_number) const;

    struct DirectoryRecord {
        EntryMetadata metadata;
        bool given = false;  // false: only made because something below it came
    };

    UniqueFd root_;
    UniqueFd parent_;  // of the last entry
    std::string parent_path_;
    std::map<std::string, DirectoryRecord> directories_;
    std::vector<std::pair<std::string, FileAttributes>> to_freeze_;  // files
    std::size_t kept_bytes_ = 0;
    std::uint64_t budget_bytes_ = 0;
    std::uint64_t files_ = 0;
    std::uint64_t bytes_ = 0;
};

}  // namespace zoneferry
