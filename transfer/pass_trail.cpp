#include "transfer/pass_trail.h"

#include <algorithm>

namespace zoneferry {

bool is_walked_before(std::string_view a, std::string_view b) {
    // No byte of a name is lower than what separates two names.
    const auto rank = [](char byte) { return byte == '/' ? 0 : static_cast<int>(static_cast<unsigned char>(byte)); };
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                        [&](char left, char right) { return rank(left) < rank(right); });
}

void PassTrail::note(const CatalogEntry& entry, const CatalogPosition& position) {
    if (entry.kind == CatalogKind::complete) return;
    if (entry.kind == CatalogKind::directory_end) {
        if (!path_.empty()) path_.pop_back();
        if (entry.again) note_doubtful(path_, true);
        const std::size_t slash = path_.rfind('/');
        path_.resize(slash == std::string::npos ? 0 : slash + 1);
        return;
    }
    if (entry.name.empty()) return;  // the root
    const std::uint64_t at = position.frame_at + position.in_body;
    if (at >= next_at_ && is_whole()) {
        next_at_ = at + kTrailBytesBetween;
        places_.push_back({path_ + entry.name, position});
        bytes_ += sizeof(Place) + places_.back().path.size();
    }
    if (entry.again) note_doubtful(path_ + entry.name, false);
    if (entry.kind == CatalogKind::directory) path_ += entry.name + "/";
}

void PassTrail::note_doubtful(std::string path, bool is_directory) {
    if (!is_whole()) return;
    bytes_ += sizeof(Doubtful) + path.size();
    doubtful_.push_back({std::move(path), is_directory});
}

const PassTrail::Place* PassTrail::find(std::string_view path) const {
    const auto behind = std::upper_bound(
        places_.begin(), places_.end(), path,
        [](std::string_view wanted, const Place& place) { return is_walked_before(wanted, place.path); });
    return behind == places_.begin() ? nullptr : &*std::prev(behind);
}

namespace {

std::size_t slashes_in(std::string_view path) {
    return static_cast<std::size_t>(std::count(path.begin(), path.end(), '/'));
}

// To the last known place that is not behind path, if that is further than where the cursor is.
Status jump_towards(CatalogCursor& cursor, const PassTrail& trail, const std::string& catalog_path,
                    std::string_view path) {
    const PassTrail::Place* place = trail.find(path);
    ZF_TRY(const CatalogEntry* entry, cursor.peek());
    if (place == nullptr || entry->position.frame_at >= place->position.frame_at) return {};
    ZF_TRY(CatalogReader reader, CatalogReader::open_at(catalog_path, place->position));
    cursor.jump(std::move(reader), slashes_in(place->path) + 1);
    return {};
}

// Until wanted says that the entry in front, in a directory of that depth, is the one.
template <class Wanted>
Status go_on(CatalogCursor& cursor, std::size_t depth, Wanted wanted) {
    while (true) {
        ZF_TRY(const CatalogEntry* entry, cursor.peek());
        if (entry->kind == CatalogKind::complete) {
            return Error(Errc::corrupt, "the catalog of the last pass ends early");
        }
        if (cursor.depth() > depth) {
            cursor.take();
            continue;
        }
        if (entry->kind == CatalogKind::directory_end || wanted(*entry)) return {};
        ZF_TRY_STATUS(cursor.skip());
    }
}

}  // namespace

Status go_to(CatalogCursor& cursor, const PassTrail& trail, const std::string& catalog_path, const std::string& path) {
    ZF_TRY_STATUS(jump_towards(cursor, trail, catalog_path, path));
    const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
    return go_on(cursor, slashes_in(path) + 1, [name](const CatalogEntry& entry) { return entry.name >= name; });
}

Status go_to_end(CatalogCursor& cursor, const PassTrail& trail, const std::string& catalog_path,
                 const std::string& directory) {
    const std::string behind_all = (directory.empty() ? "" : directory + "/") + std::string(256, '\xff');
    ZF_TRY_STATUS(jump_towards(cursor, trail, catalog_path, behind_all));
    return go_on(cursor, slashes_in(behind_all) + 1, [](const CatalogEntry&) { return false; });
}

}  // namespace zoneferry
