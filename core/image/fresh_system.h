// A fresh system by the distribution's own means: mmdebstrap, from the package sources of this host.
//
//     1. with the host's package lists, and what its cache (/var/cache/apt/archives) holds: only what is not there is
//        fetched; nothing is if all is
//     2. with new lists, from the sources
//
// mmdebstrap runs with mounts and processes of its own that end when it ends or when we do. The scripts of the packages
// run as root below the zone's root, as they would on the host: they come from the host's own sources. The cache is
// used where it lies on the file system of the zonepath (its files get a second name for a while).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/host_root.h"
#include "core/base/result.h"
#include "core/image/progress.h"

namespace zoneferry {

// zone_root: an empty directory, as the system sees it; after an error it is empty again. Errc::not_found: there is no
// mmdebstrap, or no source. packages: besides the minimum and an init. Returns how many packages it has.
Result<std::size_t> make_fresh_system(const HostRoot& root, const std::string& zone_root, const std::string& zone_name,
                                      const std::vector<std::string>& packages,
                                      const InstallProgressCallback& progress);

// Pure: what is run. sources: files. The zone's /bin is a link into /usr, as of every system since Debian 12.
std::vector<std::string> bootstrap_command(const std::vector<std::string>& sources, const std::string& zone_root,
                                           const std::vector<std::string>& packages, bool fetches_lists);
// A package's name as Debian's policy has it; also with an architecture.
bool is_package_word(std::string_view word);

}  // namespace zoneferry
