// /etc/zones/index: which zones a host has. One line a zone, "name:state:zonepath:uuid"; the path stands in double
// quotes if it holds a ':'; lines beginning with '#' are comments and are kept, as is every line that cannot be
// understood. Solaris skipped such lines in silence, and the zone was gone; here damage() names them, and the store
// (store.h) refuses whatever their content could change. An uuid that is none is read as empty. The line of the global
// zone, which Solaris writes, is kept and counts for nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/zone/name.h"
#include "core/zone/state.h"

namespace zoneferry {

struct ZoneEntry {
    ZoneName name;
    ZoneState state = ZoneState::configured;  // as stored: configured, incomplete or installed
    std::string zonepath;
    std::string uuid;  // empty: none
    bool operator==(const ZoneEntry&) const = default;
};

class ZoneIndex {
public:
    static ZoneIndex parse(std::string_view text);
    std::string text() const;

    std::vector<ZoneEntry> entries() const;
    const ZoneEntry* find(const ZoneName& name) const;
    // "line 3: is no zone", each line that is neither a zone, nor a comment, nor empty: a zone may be missing.
    const std::vector<std::string>& damage() const { return damage_; }

    Status add(const ZoneEntry& entry);     // Errc::conflict if the name is there
    Status modify(const ZoneEntry& entry);  // Errc::not_found if it is not
    void remove(const ZoneName& name);      // a missing one is no error

private:
    struct Line {
        std::string kept;              // a line that is no zone, as it was
        std::vector<ZoneEntry> entry;  // or exactly one zone
    };
    std::vector<Line> lines_;
    std::vector<std::string> damage_;
};

bool is_uuid(std::string_view text);
std::string new_uuid();  // random (version 4)

}  // namespace zoneferry
