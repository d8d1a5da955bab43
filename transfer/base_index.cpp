#include "transfer/base_index.h"

#include <algorithm>

namespace zoneferry {

Result<BaseIndex> BaseIndex::build(const std::string& catalog_path) {
    BaseIndex index;
    ZF_TRY(CatalogReader reader, CatalogReader::open(catalog_path));
    std::vector<std::uint32_t> stack;
    while (index.nodes_.size() < kIndexEntriesMax) {
        ZF_TRY(const std::optional<CatalogEntry> entry, reader.next());
        if (!entry || entry->kind == CatalogKind::complete) break;
        if (entry->kind == CatalogKind::directory_end) {
            if (stack.empty()) return Error(Errc::corrupt, "the catalog of the last pass is damaged");
            stack.pop_back();
            continue;
        }
        const bool is_directory = entry->kind == CatalogKind::directory;
        if (!is_directory && (!entry->blocks || stack.empty())) continue;
        const std::uint32_t node = index.add(*entry, stack.empty() ? 0 : stack.back());
        if (is_directory) {
            if (!stack.empty()) index.directories_[entry->identity.inode] = node;
            stack.push_back(node);
        } else {
            index.files_[entry->identity.inode] = node;  // of several names the last
        }
    }
    return index;
}

std::uint32_t BaseIndex::add(const CatalogEntry& entry, std::uint32_t parent) {
    Node node;
    node.parent = parent;
    node.name_at = static_cast<std::uint32_t>(names_.size());
    node.name_bytes = static_cast<std::uint8_t>(entry.name.size());
    node.position = entry.position;
    names_ += entry.name;
    nodes_.push_back(node);
    return static_cast<std::uint32_t>(nodes_.size() - 1);
}

std::optional<BaseIndex::Found> BaseIndex::directory(std::uint64_t inode, const std::set<CatalogPosition>& gone) const {
    return found(directories_, inode, gone);
}
std::optional<BaseIndex::Found> BaseIndex::file(std::uint64_t inode, const std::set<CatalogPosition>& gone) const {
    return found(files_, inode, gone);
}

std::optional<BaseIndex::Found> BaseIndex::found(const std::unordered_map<std::uint64_t, std::uint32_t>& in,
                                                 std::uint64_t inode, const std::set<CatalogPosition>& gone) const {
    const auto known = in.find(inode);
    if (known == in.end()) return std::nullopt;
    Found result;
    result.position = nodes_[known->second].position;
    for (std::uint32_t at = known->second; at != 0; at = nodes_[at].parent) {
        const Node& node = nodes_[at];
        if (gone.contains(node.position)) return std::nullopt;
        result.path.push_back(names_.substr(node.name_at, node.name_bytes));
    }
    std::reverse(result.path.begin(), result.path.end());
    return result;
}

}  // namespace zoneferry
