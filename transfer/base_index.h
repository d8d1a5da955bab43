// Finds again, by inode, what the base catalog has in another place: directories, and files with a block map. Built
// only when a pass meets something that may have been moved; at most kIndexEntriesMax entries, so that memory stays
// bounded (what is not in it is sent again).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "transfer/catalog.h"

namespace zoneferry {

constexpr std::size_t kIndexEntriesMax = 400'000;

class BaseIndex {
public:
    static Result<BaseIndex> build(const std::string& catalog_path);

    struct Found {
        std::vector<std::string> path;  // components from the root
        CatalogPosition position;
    };
    // Null if the base has no such inode, or something above it lies in a place that is gone.
    std::optional<Found> directory(std::uint64_t inode, const std::set<CatalogPosition>& gone) const;
    std::optional<Found> file(std::uint64_t inode, const std::set<CatalogPosition>& gone) const;

private:
    struct Node {
        std::uint32_t parent = 0;  // itself: the root
        std::uint32_t name_at = 0;
        std::uint8_t name_bytes = 0;
        CatalogPosition position;
    };
    std::uint32_t add(const CatalogEntry& entry, std::uint32_t parent);
    std::optional<Found> found(const std::unordered_map<std::uint64_t, std::uint32_t>& in, std::uint64_t inode,
                               const std::set<CatalogPosition>& gone) const;

    std::vector<Node> nodes_;
    std::string names_;
    std::unordered_map<std::uint64_t, std::uint32_t> directories_;
    std::unordered_map<std::uint64_t, std::uint32_t> files_;
};

}  // namespace zoneferry
