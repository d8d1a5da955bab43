// Whether an image can become a zone on this host, judged before the zone is touched: by its own files, of a directory
// or of what a survey (core/image/image_survey.h) kept of an archive. The image is hostile.
//
//   a whole system   Debian family: etc, usr, var, bin, lib, os-release, an init, a dpkg database
//                    Solaris: etc, etc/svc, usr, sbin, lib, var, var/svc, INST_RELEASE, an svr4 database
//   of this host's kind: package system, distribution, architecture
//   not newer: release, and every package that both have (but those of a global zone alone)
#pragma once

#include <string>
#include <vector>

#include "core/attach/finding.h"
#include "core/base/host_root.h"
#include "core/packages/package_set.h"

namespace zoneferry {

// A system's release as it tells it: os-release's ID and VERSION_ID, or "solaris" and INST_RELEASE's VERSION.
struct OsRelease {
    std::string id;
    std::string version;  // empty: none given (Debian testing)
    std::string shown;    // for people, printable
};

struct ImageFacts {
    std::vector<std::string> missing;  // what a whole system has and this has not
    PackageSystem system = PackageSystem::dpkg;
    OsRelease release;
    std::string architecture;  // dpkg's; svr4: ARCH of SUNWcsr; empty: not told
    PackageSet packages;
};

// The package system that images for this host must have: the host's own. Errc::unsupported if it has none.
Result<PackageSystem> host_package_system(const HostRoot& root);

// root: an open directory of an image. Only missing is filled if anything is missing.
Result<ImageFacts> read_image_facts(int root, PackageSystem system);
// Of the host itself, which need not be whole (a global zone of which only the databases are here).
Result<ImageFacts> read_host_facts(const HostRoot& root, PackageSystem system);

// Pure: all that is against it. Codes: IMAGE_NO_SYSTEM, IMAGE_OS_DIFFERS, IMAGE_OS_NEWER, IMAGE_ARCHITECTURE,
// IMAGE_PACKAGE_NEWER (block).
std::vector<Finding> image_findings(const ImageFacts& image, const ImageFacts& host);

// The same as one Error (Errc::blocked) with the list, and its remedy.
Error image_refusal(const std::vector<Finding>& findings);

}  // namespace zoneferry
