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

}  // namespace zoneferry
