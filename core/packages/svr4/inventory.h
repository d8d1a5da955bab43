// The dependent packages of an SVR4 host (rules: core/packages/inventory.h).
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/packages/package.h"
#include "core/packages/policy.h"
#include "core/packages/scope.h"
#include "core/packages/svr4/pkginfo.h"

namespace zoneferry {

// Reads /var/sadm/pkg/*/pkginfo, the contents file if anything is inherited, install/depend of what is dependent, and
// /var/sadm/install/gz-only-packages. A package that the last one names is never dependent by itself; one that a
// dependent package needs (a P line) is, as on Solaris.
Result<Inventory> take_svr4_inventory(int root, const ScopeMatcher& scope, const HostPolicy& policy);

// Every installed package, dependent or not, sorted by name.
struct Svr4Installed {
    std::string name;
    Svr4Package package;
    std::vector<std::string> needs;  // P lines of its install/depend
    bool global_only = false;        // gz-only-packages names it
};
Result<std::vector<Svr4Installed>> read_svr4_packages(int root);

// Drops every patch that another patch of the same inventory obsoletes. All packages are looked at before one
// is dropped, so their order does not matter. (Obsoletes name no revision: every revision goes.)
void drop_obsoleted_patches(std::vector<Package>& packages);

}  // namespace zoneferry
