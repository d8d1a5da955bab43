// The hands of all adjustments: looks at and changes an image's tree, and writes down what was changed.
//
// Paths are ours, relative to the root ("etc/fstab"); names found in the image become part of one only after
// is_plain_name(). No symbolic link is followed, neither on the way nor at the end; what stands behind one, is no
// regular file, or is larger than anything sensible is left alone, with a warning. A change replaces the file (a new
// inode: hard links of the old one are not written through) and keeps its owner, mode and extended attributes.
//
// One that only looks (Hands::none) changes nothing, but says the same as one that works: what it would have changed it
// keeps in memory, and shows that to whoever looks again. So what is foreseen is what the very same units do.
//
// The original goes to kBackupDirectory, a directory tree like the image's own that only root can read. The first
// backup of a file is the one that stays, however often the image is adjusted. With `keeps_identity` off (-u) nothing
// is kept of the kinds network and identity: what names the old system, its keys and its passwords are to be gone, and
// the image that it was installed from is the backup.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/adjust/adjust.h"
#include "core/base/fd.h"

namespace zoneferry {

inline constexpr const char* kBackupDirectory = "var/lib/zoneferry-p2v";

class ImageEditor {
public:
    // root stays open as long as the editor is used.
    enum class Hands { work, none };
    ImageEditor(int root, std::string date, bool keeps_identity, Hands hands = Hands::work)
        : root_(root), date_(std::move(date)), keeps_identity_(keeps_identity), looks_only_(hands == Hands::none) {}

    // --- looking
    int root() const { return root_; }
    const std::string& date() const { return date_; }
    // An entry of any kind has that name: also a dangling link.
    bool exists(const std::string& path) const;
    bool is_directory(const std::string& path) const;
    // What a symbolic link says; nullopt if path is none.
    std::optional<std::string> link_target(const std::string& path) const;
    // The content of a regular file. nullopt: there is none, or it was left alone with a warning.
    Result<std::optional<std::string>> text(const std::string& path, std::uint64_t bytes_max);
    Result<std::optional<std::string>> text(const std::string& path);  // at most kAdjustFileBytesMax
    // The plain names in a directory, sorted; none if it is not there or was left alone with a warning.
    Result<std::vector<std::string>> names(const std::string& directory);

    // --- changing; each adds a Change, unless all is as wanted already
    // New content for a file that text() gave.
    Status edit(AdjustmentKind kind, const std::string& path, std::string_view content, const std::string& done);
    // A file of ours, with the directories it needs; what stood there under its name is put aside.
    Status write(AdjustmentKind kind, const std::string& path, std::string_view content, mode_t mode,
                 const std::string& done);
    Status link(AdjustmentKind kind, const std::string& path, const std::string& target, const std::string& done);
    // Moved to the backups.
    Status put_aside(AdjustmentKind kind, const std::string& path, const std::string& done);
    // Another name in the same directory, which must be free.
    Status rename(AdjustmentKind kind, const std::string& path, const std::string& new_name, const std::string& done);
    // Gone for good: what may not be kept (secrets), or is too large to be. A missing one is no change.
    Status erase(AdjustmentKind kind, const std::string& path, const std::string& done);
    // An empty directory with this mode.
    Status directory(AdjustmentKind kind, const std::string& path, mode_t mode);

    void note(AdjustmentKind kind, const std::string& path, const std::string& done, const std::string& backup = "");
    void warn(std::string sentence) { warnings_.push_back(std::move(sentence)); }
    std::vector<Change> take_changes() { return std::move(changes_); }
    std::vector<std::string> take_warnings() { return std::move(warnings_); }

private:
    // What would stand there by now.
    struct Foreseen {
        bool exists = false;
        bool is_directory = false;
        std::optional<std::string> text;
        std::optional<std::string> link;
    };
    // Of the path, or that it is gone with a directory above it; null: as on the disk.
    const Foreseen* foreseen(const std::string& path) const;
    void foresee(const std::string& path, Foreseen what);
    void change_as_foreseen(const std::string& directory, std::vector<std::string>& names) const;
    Status take_away(AdjustmentKind kind, const std::string& path, const std::string& done);
    Result<std::optional<UniqueFd>> open_file_in(const std::string& path, std::uint64_t bytes_max);
    // The directory of path, and the directories on the way if make is set.
    Result<UniqueFd> parent(const std::string& path, bool make);
    bool keeps(AdjustmentKind kind) const;
    // The original linked or moved to the backups, or not kept: then ("") it is left, or removed.
    Result<std::string> back_up(AdjustmentKind kind, const std::string& path);
    Result<std::string> move_away(AdjustmentKind kind, const std::string& path);
    Status put_new_file(const std::string& path, std::string_view content, int like, mode_t mode);

    int root_;
    std::string date_;
    bool keeps_identity_;
    bool looks_only_;
    std::map<std::string, Foreseen, std::less<>> foreseen_;
    std::vector<Change> changes_;
    std::vector<std::string> warnings_;
};

// A name that may become part of a path: not empty, "." or "..", no slash, no NUL, at most 255 bytes.
bool is_plain_name(std::string_view name);

}  // namespace zoneferry
