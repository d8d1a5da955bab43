// The directories of a dump, and from them the names of every inode.
//
// Memory: the directories' own data, 40 bytes a directory and 16 a name.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/image/dump_format.h"
#include "core/packages/package.h"

namespace zoneferry {

class DumpNames {
public:
    // system: as path_rules.h's is_volatile_path() wants it.
    explicit DumpNames(PackageSystem system = PackageSystem::dpkg) : system_(system) {}

    // A directory's inode and then its data. Errc::corrupt: twice, or too much.
    Status begin_directory(std::uint32_t inode, EntryMetadata metadata);
    Status add_data(ConstBytes bytes);
    void add_xattr(std::uint32_t inode, const ImageXattr& xattr);

    // All directories are there: gives make() each below the root, parents first, and the root as "". What lies in
    // the volatile directories (path_rules.h) is left out. Errc::corrupt: no root; Errc::invalid: a directory with two
    // parents, or a path that may not be.
    Status complete(const DumpParser& parser, const std::function<Status(const std::string&, EntryMetadata)>& make);
    bool is_complete() const { return is_complete_; }

    // The paths of a file's inode, in the order of the directories; they count as found from now on.
    std::vector<std::string> take(std::uint32_t inode);

    // Names whose inode never came.
    std::size_t left_count() const { return left_count_; }
    std::vector<std::string> left(std::size_t count_max) const;

private:
    struct Directory {
        std::uint32_t inode = 0;
        EntryMetadata metadata;
        std::size_t begin = 0;  // of its data
        std::size_t end = 0;
        std::string path;
        bool is_placed = false;
    };
    struct Name {
        std::uint32_t inode = 0;
        std::uint32_t directory = 0;  // index
        std::uint32_t begin = 0;      // in data_
        std::uint16_t bytes = 0;
        bool is_found = false;
    };

    std::string path_of(const Name& name) const;
    Status place(std::size_t index, const DumpParser& parser, std::vector<std::size_t>& next);

    PackageSystem system_;
    std::vector<Directory> directories_;
    std::unordered_map<std::uint32_t, std::size_t> index_;  // by inode
    ByteVector data_;
    std::vector<Name> names_;  // once complete: sorted by inode, then by place
    std::size_t left_count_ = 0;
    bool is_complete_ = false;
};

}  // namespace zoneferry
