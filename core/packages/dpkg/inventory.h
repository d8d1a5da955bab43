// The dependent packages of a dpkg host (rules: core/packages/inventory.h).
#pragma once

#include "core/base/result.h"
#include "core/packages/package.h"
#include "core/packages/policy.h"
#include "core/packages/scope.h"

namespace zoneferry {

// A package in a broken state (half-installed, or to be reinstalled) is an error when it is dependent: what
// the host really holds is then unknown. One that is only not configured counts, with a warning.
Result<Inventory> take_dpkg_inventory(int root, const ScopeMatcher& scope, const HostPolicy& policy);

}  // namespace zoneferry
