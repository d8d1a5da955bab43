// Where the dependent packages of two hosts differ: source is the host a zone comes from, local the one that
// should take it. Pure. Both directions are listed, in the four sections of the 2006 proposal:
//
//     source host packages inconsistent with local host
//     	SUNWudaplr (11.11,REV=2005.12.13.01.06) version mismatch (11.11,REV=2006.01.03.00.45)
//     	SUNWradpu320 (11.10.0,REV=2005.01.21.16.34) is not installed
//     local host packages inconsistent with source host
//     	SUNWsmcmd (1.0,REV=2005.12.14.01.53) was not installed
//     source host patches inconsistent with local host
//     	118844-20 is not installed
//     	118833 (36) version mismatch (33)
//     local host patches inconsistent with source host
//     	118669-10 was not installed
//
// A section without an entry is left out; entries are sorted by name. Patches are pooled over all packages,
// the highest revision of each counts. A source patch is not missed where a patch of the same-named local
// package obsoletes it; nothing of the kind holds for local patches.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "core/attach/finding.h"
#include "core/packages/package.h"

namespace zoneferry {

// One entry; the side that lacks the thing has an empty version.
struct Difference {
    std::string name;  // of the package; of a patch its base number
    std::string source_version;
    std::string local_version;
    bool missing = false;  // the other side does not have it at all; else the versions differ

    bool operator==(const Difference&) const = default;
};

struct Differences {
    std::vector<Difference> source_packages;  // missing or different here
    std::vector<Difference> local_packages;   // missing at the source
    std::vector<Difference> source_patches;
    std::vector<Difference> local_patches;

    bool empty() const {
        return source_packages.empty() && local_packages.empty() && source_patches.empty() && local_patches.empty();
    }
    std::size_t count() const {
        return source_packages.size() + local_packages.size() + source_patches.size() + local_patches.size();
    }
    bool operator==(const Differences&) const = default;
};

// The two must be of one package system; who calls checks that first.
Differences compare(const Inventory& source, const Inventory& local);

// By the rules of that package system.
std::weak_ordering compare_versions(PackageSystem system, std::string_view a, std::string_view b);

// The four sections; empty if there is no difference. Names and versions are made printable.
std::string differences_text(const Differences& differences);

// One finding for each entry, in the sections' order: PKG_VERSION_MISMATCH, PKG_NOT_INSTALLED,
// PKG_WAS_NOT_INSTALLED, PATCH_VERSION_MISMATCH, PATCH_NOT_INSTALLED, PATCH_WAS_NOT_INSTALLED.
std::vector<Finding> differences_findings(const Differences& differences, PackageSystem system);

}  // namespace zoneferry
