// The host's installed version of a package as a package file, for dpkg in the scratch zone.
//
// First choice: the very file in the host's archive cache, /var/cache/apt/archives. Else it is made from what is
// installed: the host's stanza, its info files, and every path of its list, where diversions put it. Rules for that:
//
//   - names that are links on the host and have something listed below them (merged /usr: /lib) become directories
//   - paths that the zone sees through an inherited directory keep name, type and owner, but not their bytes: dpkg is
//     told to leave them out, and only their names count
//   - a configuration file is only packed with the content that the package shipped (dpkg's record of its MD5). If the
//     host's copy was changed, that content is looked for beside it (.dpkg-dist, .dpkg-new) and in the zone; if it is
//     nowhere, the file is left out, and told
//   - another file that differs from its record in md5sums is packed, and told
//   - owners go by name, so that dpkg finds the zone's own numbers for them
#pragma once

#include <string>
#include <vector>

#include "core/base/fd.h"
#include "core/packages/dpkg/database.h"
#include "core/packages/scope.h"

namespace zoneferry {

struct RepackSource {
    int host_root;
    int zone_root;  // only asked for pristine configuration files; hostile
    const DpkgDatabase& host;
    const ScopeMatcher& inherited;
    std::string host_path;  // of host_root, for dpkg-deb
};

struct PackedDeb {
    bool from_archive = false;
    std::uint64_t files = 0;
    std::vector<std::string> notes;  // one sentence each
};

// Writes the package to `to`, a new file of ours.
Result<PackedDeb> pack_deb(const RepackSource& source, const DpkgPackage& package, const UniqueFd& to);

// "sed_4.9-1_amd64.deb", as apt names it.
std::string deb_file_name(const DpkgPackage& package);
// The stanza without what only an installed package has: Status, Conffiles, Config-Version, Triggers-*.
std::string control_from_stanza(std::string_view stanza);

}  // namespace zoneferry
