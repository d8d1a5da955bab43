// The system calls that are refused in a scratch zone, as a program for the kernel. A list of what is refused, not of
// what is allowed: package scripts run any program of the zone.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "core/base/result.h"

namespace zoneferry {

// Calls of another machine's word size (i386 on amd64, x32) are all refused.
Result<std::vector<sock_filter>> scratch_filter();

}  // namespace zoneferry
