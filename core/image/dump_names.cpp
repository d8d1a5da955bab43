#include "core/image/dump_names.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/image/dump_source.h"
#include "core/image/limits.h"
#include "core/image/path_rules.h"

namespace zoneferry {
namespace {

Error damaged(const std::string& why) {
    return Error(Errc::corrupt, "the dump cannot be read: " + why)
        .remedy("check that the archive is complete; nothing of it was kept");
}

std::string below(const std::string& directory, std::string_view name) {
    return directory.empty() ? std::string(name) : directory + "/" + std::string(name);
}

}  // namespace

Status DumpNames::begin_directory(std::uint32_t inode, EntryMetadata metadata) {
    if (directories_.size() >= kImageDirectoriesMax) return Error(Errc::invalid, "the dump has too many directories");
    if (!index_.try_emplace(inode, directories_.size()).second) return damaged("a directory comes twice");
    directories_.push_back({inode, std::move(metadata), data_.size(), data_.size(), "", false});
    return {};
}

Status DumpNames::add_data(ConstBytes bytes) {
    if (bytes.size() > kDumpDirectoryBytesMax - data_.size())
        return Error(Errc::unsupported, "the dump's directories are larger than 256 MiB");
    append_bytes(data_, bytes);
    directories_.back().end = data_.size();
    return {};
}

void DumpNames::add_xattr(std::uint32_t inode, const ImageXattr& xattr) {
    const auto found = index_.find(inode);
    if (found == index_.end()) return;
    std::vector<ImageXattr>& kept = directories_[found->second].metadata.xattrs;
    if (kept.size() < kImageXattrsMax) kept.push_back(xattr);
}

// Puts a directory's entries in their places: directories to be looked into next, all others as names.
Status DumpNames::place(std::size_t index, const DumpParser& parser, std::vector<std::size_t>& next) {
    const Directory& directory = directories_[index];
    const ConstBytes bytes = ConstBytes(data_).subspan(directory.begin, directory.end - directory.begin);
    ZF_TRY(const std::vector<DumpParser::Entry> entries, parser.entries(bytes));
    for (const DumpParser::Entry& entry : entries) {
        ZF_TRY(std::string path, image_path(below(directory.path, entry.name)));
        if (is_volatile_path(path, system_)) continue;
        if (const auto found = index_.find(entry.inode); found != index_.end()) {
            Directory& child = directories_[found->second];
            if (child.is_placed)
                return Error(Errc::invalid, "the dump's directory \"" + printable(path) + "\" has two places: refused");
            child.is_placed = true;
            child.path = std::move(path);
            next.push_back(found->second);
        } else {
            const auto begin = entry.name.data() - as_text(data_).data();
            names_.push_back({entry.inode, static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(begin),
                              static_cast<std::uint16_t>(entry.name.size()), false});
        }
    }
    return {};
}

Status DumpNames::complete(const DumpParser& parser,
                           const std::function<Status(const std::string&, EntryMetadata)>& make) {
    is_complete_ = true;
    const auto root = index_.find(kDumpRootInode);
    if (root == index_.end()) return damaged("it has no root directory");
    directories_[root->second].is_placed = true;
    std::vector<std::size_t> next{root->second};
    while (!next.empty()) {
        const std::size_t index = next.back();
        next.pop_back();
        ZF_TRY_STATUS(make(directories_[index].path, std::move(directories_[index].metadata)));
        ZF_TRY_STATUS(place(index, parser, next));
    }
    std::stable_sort(names_.begin(), names_.end(), [](const Name& a, const Name& b) { return a.inode < b.inode; });
    left_count_ = names_.size();
    return {};
}

std::string DumpNames::path_of(const Name& name) const {
    return below(directories_[name.directory].path, as_text(data_).substr(name.begin, name.bytes));
}

std::vector<std::string> DumpNames::take(std::uint32_t inode) {
    std::vector<std::string> paths;
    auto at = std::lower_bound(names_.begin(), names_.end(), inode,
                               [](const Name& name, std::uint32_t wanted) { return name.inode < wanted; });
    for (; at != names_.end() && at->inode == inode; ++at) {
        if (std::exchange(at->is_found, true)) continue;
        --left_count_;
        paths.push_back(path_of(*at));
    }
    return paths;
}

std::vector<std::string> DumpNames::left(std::size_t count_max) const {
    std::vector<std::string> paths;
    for (const Name& name : names_) {
        if (paths.size() >= count_max) break;
        if (!name.is_found) paths.push_back(path_of(name));
    }
    return paths;
}

}  // namespace zoneferry
