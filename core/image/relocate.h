// zoneadm move: a halted zone gets another zonepath on the same host, with everything that lies in it (the owner record
// travels with it). The state stays installed throughout.
//
// On one file system:      marker in OLD; rename OLD NEW; index and configuration; marker removed
// Between file systems:    marker in NEW; copy; compare every entry; sync; index and configuration; marker, OLD removed
//
// The marker says "zone=NAME from=OLD to=NEW" (a line each): .zoneferry-moving for a rename, .zoneferry-copying for a
// copy. A move that broke off after the rename left it in NEW, and the same command again ends that move. One that
// broke off while copying left OLD as it was and a part in NEW, which the same command again clears away and copies
// anew; one that broke off while removing left a rest in OLD.
#pragma once

#include <string>
#include <vector>

#include "core/image/progress.h"
#include "core/zone/store.h"

namespace zoneferry {

struct Relocation {
    bool copied = false;             // false: renamed
    std::vector<std::string> notes;  // one sentence each
};

// The zone is locked and does not run. Errc::conflict: its state, a mount below the zonepath, a new zonepath that holds
// something, is below the old one or overlaps another zone's. Errc::not_owner; Errc::verify_failed: the copy differed
// and was removed again. On error the zone is as it was.
Result<Relocation> relocate_zone(const ZoneStore& store, const ZoneLock& lock, const std::string& zonepath,
                                 const InstallProgressCallback& progress = {});

}  // namespace zoneferry
