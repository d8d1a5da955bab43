// What a complete pass leaves behind in memory, so that the next one need not read its catalog from the beginning:
// places in the catalog, one for every kTrailBytesBetween of it, and what must be looked at again whether a change of
// it is announced or not. A few hundred KiB for a tree of 10^6 entries; what would need more is not whole, and of no
// use.
//
// Paths are components joined by '/', from the root; that of the root is "".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "transfer/catalog.h"

namespace zoneferry {

constexpr std::uint64_t kTrailBytesBetween = 32 * 1024;
constexpr std::size_t kTrailBytesMax = 8 << 20;  // of paths; deep trees with long names reach it first

// Does a come before b in the order of the walk?
bool is_walked_before(std::string_view a, std::string_view b);

class PassTrail {
public:
    struct Place {
        std::string path;  // of the entry there, which has a name
        CatalogPosition position;
    };
    struct Doubtful {
        std::string path;
        bool is_directory = false;  // only its own metadata is in doubt
    };

    // Everything that is written to the catalog, in order, and where.
    void note(const CatalogEntry& entry, const CatalogPosition& position);
    // It is to be looked at again: a name of a file that can change through a name outside the tree.
    void note_doubtful(std::string path, bool is_directory);

    // The last place that is not behind path; null: the catalog's beginning.
    const Place* find(std::string_view path) const;
    const std::vector<Doubtful>& doubtful() const { return doubtful_; }
    bool is_whole() const { return bytes_ <= kTrailBytesMax; }

    std::string pass_id;  // of the catalog

private:
    std::string path_;  // of the directory at hand, each component with a '/' behind it
    std::vector<Place> places_;
    std::vector<Doubtful> doubtful_;
    std::uint64_t next_at_ = 0;
    std::size_t bytes_ = 0;
};

// In front of the cursor, which is in the directory of that path or was in one before it, is then the entry of the
// path, or what comes behind its place. It goes forward only; the trail shortens the way.
Status go_to(CatalogCursor& cursor, const PassTrail& trail, const std::string& catalog_path, const std::string& path);
// The same for the end of that directory, which the cursor has entered.
Status go_to_end(CatalogCursor& cursor, const PassTrail& trail, const std::string& catalog_path,
                 const std::string& directory);

}  // namespace zoneferry
