// zoneadm install: puts a system into a configured zone.
//
//   configured --(root/ is being written)--> incomplete --> installed
//        ^------------- any failure ------------'      root/ is removed, the zonepath is left empty
//
// A process that dies between leaves the state incomplete and a root/, which `zoneadm uninstall` removes.
//
// An image that lies at the zonepath already (ImageInPlace) is the user's only copy: after a failure it is left there.
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "core/image/image_sink.h"
#include "core/image/progress.h"
#include "core/zone/store.h"

namespace zoneferry {

struct HostPackages {};  // the global zone's packages: sparse or whole root, as the zone is configured
// A fresh system from the host's package sources (fresh_system.h); where that fails and no package was named, the
// host's packages.
struct FreshSystem {
    std::vector<std::string> packages;  // besides the minimum
};
struct ImageDirectory {
    std::string path;  // absolute, on the host as its HostRoot shows it
};
struct ImageArchive {
    std::string path;
};
// An archive that comes through an open pipe.
struct ImageStream {
    int fd = -1;
};
// The image is ZONEPATH/root.
struct ImageInPlace {};
// The tree of another zone of this host, checked by clone.h.
struct ZoneTree {
    std::string zonepath;
};
using InstallSource =
    std::variant<HostPackages, FreshSystem, ImageDirectory, ImageArchive, ImageStream, ImageInPlace, ZoneTree>;
bool is_image(const InstallSource& source);

// What is done around the writing. Any may be empty.
struct InstallSteps {
    InstallProgressCallback progress;
    // The zonepath is there and open, nothing else was touched: an error refuses the install.
    std::function<Status(int zonepath)> before;
    // All is written below root; an error fails the install.
    std::function<Status(int root)> after;
    PackageSystem system = PackageSystem::dpkg;  // what an image must be
};

// Refused (Errc::conflict) unless the zone is configured and its zonepath is missing or empty (empty_zonepath.h): a
// root or a detached manifest that is there is never touched (for ImageInPlace root/ must be all that is there). lock:
// the zone's.
Result<InstallReport> install_zone(const ZoneStore& store, const ZoneLock& lock, const InstallSource& source,
                                   const InstallSteps& steps = {});

}  // namespace zoneferry
