// zoneferry p2v scan, which needs no agent.
#pragma once

#include <string>

#include "core/base/result.h"

namespace zoneferry {

// Prints findings and the zone's template (core/p2v/scan.h), as text or as JSON lines, and gives the exit status:
// kExitBlocked if the machine cannot become a zone at all.
//   {"v":1, "type":"finding", ...}
//   {"v":1, "type":"p2v-scan", system, zone, zonecfg, mounts[], networks[]}
//   {"v":1, "type":"end", ...}
Result<int> run_p2v_scan(const std::string& root, bool as_json);

}  // namespace zoneferry
