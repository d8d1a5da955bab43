// What the kernel announced as changed, by file handles, in bounded memory: pure. The handles are made paths of only
// when somebody asks (change_tracker.h).
//
// A name in a directory is what is announced, and beside it the object that lies (or lay) there. Both are kept: a file
// can be written through a descriptor that was opened under a name which it has no more, while it lives on under
// another one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/base/bytes.h"

namespace zoneferry {

constexpr std::size_t kDirtyNamesMax = 65'536;  // with up to 255 bytes each: some 25 MB
constexpr std::size_t kDirtyObjectsMax = 65'536;

// The bytes of a struct file_handle: the kernel's own name of an inode, which no other inode ever gets.
using FileHandle = std::string;

struct ChangeNews {
    std::uint64_t mask = 0;  // FAN_...
    FileHandle directory;    // empty: the object was announced without a name
    std::string name;        // ".": the directory itself
    FileHandle object;
};

// Takes one event from the front of what was read from a fanotify group. Nullopt: it is not one.
std::optional<ChangeNews> take_news(ConstBytes& from);

class DirtySet {
public:
    struct Name {
        bool is_listed = false;  // created, removed or renamed: the directory's list changed
        bool is_created = false;
        bool is_renamed = false;
    };
    struct Directory {
        bool is_itself = false;  // its own metadata changed
        std::map<std::string, Name> names;
    };

    void add(const ChangeNews& news);
    // The object only: of an event whose directory is no more.
    void add_object(const FileHandle& object);
    bool has_many_objects() const { return objects_.size() >= kDirtyObjectsMax; }
    // Keeps those of which it says true; gives up if that does not help.
    template <class IsAlive>
    void forget_dead_objects(IsAlive is_alive) {
        std::erase_if(objects_, [&](const FileHandle& object) { return !is_alive(object); });
        if (objects_.size() > kDirtyObjectsMax / 2) give_up("more files changed than are followed");
    }
    // Not everything is known any more: a sentence.
    void give_up(const std::string& why);
    const std::string& doubt() const { return doubt_; }  // empty: none

    const std::map<FileHandle, Directory>& directories() const { return directories_; }
    const std::set<FileHandle>& objects() const { return objects_; }

private:
    std::map<FileHandle, Directory> directories_;
    std::set<FileHandle> objects_;
    std::size_t names_ = 0;
    std::string doubt_;
};

}  // namespace zoneferry
