// The zonepath on disk: what it must be before anything in it is trusted.
#pragma once

#include <string>

#include "core/base/fd.h"
#include "core/base/host_root.h"

namespace zoneferry {

// Opens the directory zonepath (as configured, looked up below root). Refused, with a remedy: a symbolic link anywhere
// in it, an owner other than root, and any mode but 0700 (else users of the host could reach set-uid programs of the
// zone).
Result<UniqueFd> open_zonepath(const HostRoot& root, const std::string& zonepath);
// The zone's root below it, never through a link.
Result<UniqueFd> open_zone_root(const HostRoot& root, const std::string& zonepath);
// What to type about a zone that is incomplete: "zoneadm -z ZONE attach --undo" while an update that broke off has its
// journal (lu/journal) below the zonepath, else "zoneadm -z ZONE uninstall".
std::string incomplete_remedy(const HostRoot& root, const std::string& zone, const std::string& zonepath);

}  // namespace zoneferry
