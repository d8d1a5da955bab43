// zoneadm install: puts a system into a configured zone.
//
//   configured --(root/ is being written)--> incomplete --> installed
//        ^------------- any failure ------------'      root/ is removed, the zonepath is left empty
//
// A process that dies between leaves the state incomplete and a root/, which `zoneadm uninstall` removes.
#pragma once

#include <string>
#include <variant>

#include "core/image/progress.h"
#include "core/zone/store.h"

namespace zoneferry {

struct HostPackages {};  // the global zone's packages: sparse or whole root, as the zone is configured
struct ImageDirectory {
    std::string path;  // absolute, on the host as its HostRoot shows it
};
struct ImageArchive {
    std::string path;
};
// The tree of another zone of this host, checked by clone.h.
struct ZoneTree {
    std::string zonepath;
};
using InstallSource = std::variant<HostPackages, ImageDirectory, ImageArchive, ZoneTree>;

// Refused (Errc::conflict) unless the zone is configured and its zonepath is missing or empty (empty_zonepath.h): a
// root or a detached manifest that is there is never touched. lock: the zone's.
Result<InstallReport> install_zone(const ZoneStore& store, const ZoneLock& lock, const InstallSource& source,
                                   const InstallProgressCallback& progress = {});

}  // namespace zoneferry
