// An ordinary install: the zone is made from the packages of the global zone (dpkg).
//
// The zone gets every installed package but those of the global zone alone: host policy (this-zone.d) and the shipped
// list kGlobalZoneOnly (kernels, boot loaders, firmware). Of these packages it gets
//   - whole root: all files; sparse: all files but those below an inherited directory, which stays empty
//   - /etc: the packages' files. A configuration file that the host's administrator changed is taken as it is if anyone
//     may read it, else left out; either way with a warning. Generated ones that every system needs (kGeneratedFiles)
//     are copied; nothing else of the host's /etc, above all no keys, shadow entries or machine-id
//   - the dpkg database with just their stanzas, info files, alternatives and triggers
// and then what maintainer scripts would have made: see zone_setup.h.
#pragma once

#include <string>
#include <vector>

#include "core/base/host_root.h"
#include "core/image/image_writer.h"
#include "core/image/progress.h"
#include "core/packages/dpkg/database.h"
#include "core/packages/policy.h"

namespace zoneferry {

struct HostPackagesPlan {
    std::vector<const DpkgPackage*> packages;                  // for the zone; of the database it was made from
    std::vector<std::string> left_out;                         // names
    std::vector<std::string> inherited_directories;            // "usr", "opt/big": relative
    std::vector<std::pair<std::string, std::string>> aliases;  // merged-usr: {"lib", "usr/lib"}
};

// Pure. inherited_directories: absolute, as configured.
HostPackagesPlan plan_host_packages(const DpkgDatabase& database, const HostPolicy& policy,
                                    const std::vector<std::string>& inherited_directories,
                                    std::vector<std::pair<std::string, std::string>> aliases);

// Where a path of a file list lies in the zone: relative, with merged-usr links resolved; "" for the root.
std::string zone_path(const HostPackagesPlan& plan, std::string_view listed);
// True for what the zone sees through an inherited directory.
bool is_inherited(const HostPackagesPlan& plan, std::string_view path);

// Writes everything but what zone_setup.h does.
Status copy_host_packages(int host_root, const DpkgDatabase& database, const HostPackagesPlan& plan,
                          ImageWriter& writer, InstallReport& report, const InstallProgressCallback& progress);

// The merged-usr links of a root: {"lib", "usr/lib"} for each top-level link into usr.
Result<std::vector<std::pair<std::string, std::string>>> read_aliases(int root);

}  // namespace zoneferry
