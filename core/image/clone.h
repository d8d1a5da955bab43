// zoneadm clone: a new zone with a copy of another zone's system.
//
// The source is installed and halted and stays as it is; the target goes the way of an install (install.h): configured,
// incomplete while it is written, installed. The tree is copied as `install -d` copies one (directory_source.h), then
// it gets an identity of its own (identity.h).
#pragma once

#include "core/image/install.h"

namespace zoneferry {

// Both zones are locked and neither runs. Errc::conflict: a state, something mounted in the source, a target that is
// not empty (also: a detached zone), another brand or other inherited directories than the source's. Errc::not_owner:
// the right to run one of them is elsewhere.
Result<InstallReport> clone_zone(const ZoneStore& store, const ZoneLock& target, const ZoneLock& source,
                                 const InstallProgressCallback& progress = {});

}  // namespace zoneferry
