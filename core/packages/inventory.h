// Taking the inventory of a host: the packages of its global zone that a zone with this scope depends on.
//
// A package is dependent when policy or the package itself marks it as all-zones, or when it delivers a path
// in scope; one marked this-zone never is. A whole-root zone inherits nothing: only all-zones packages count.
// SVR4 packages also bring in what they need (install/depend, `P` lines). A damaged database is an error that
// names file and line, never an empty inventory.
#pragma once

#include "core/base/host_root.h"
#include "core/base/result.h"
#include "core/packages/package.h"
#include "core/packages/scope.h"

namespace zoneferry {

// By what the root holds: /var/lib/dpkg/status or /var/sadm/install/contents. Both or none is an error.
Result<PackageSystem> find_package_system(int root);

Result<Inventory> take_inventory(int root, const DependencyScope& scope);
Result<Inventory> take_inventory(const HostRoot& root, const DependencyScope& scope);

// dpkg's architecture of a root ("amd64"); empty for svr4.
Result<std::string> find_package_architecture(int root);

}  // namespace zoneferry
