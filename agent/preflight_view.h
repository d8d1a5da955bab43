// Gathers what preflight.h judges: looks at this host, changes nothing.
#pragma once

#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/preflight.h"
#include "core/attach/manifest.h"

namespace zoneferry {

// `move_id`: the move that asks, whose own reservation is no conflict; `return_of` as in CheckRequest.
Result<TargetView> view_target(AgentContext& context, const MoveDemand& demand, const std::string& move_id,
                               const std::string& return_of);
Result<SourceView> view_source(AgentContext& context, const ZoneConfig& config);

// Packages, machine and brand: what an attach of this zone would ask here.
Result<std::vector<Finding>> check_packages(AgentContext& context, const Manifest& manifest, bool force);

// All that the target finds: packages, machine and brand (core/attach), then the host itself.
Result<std::vector<Finding>> check_target(AgentContext& context, const Manifest& manifest, const MoveDemand& demand,
                                          const std::string& move_id, const std::string& return_of, bool force);

// Why a zone must not be put at this zonepath: its parents must exist, belong to root, be no links and not be
// writable by others, and it lies in no system directory. Empty: sound.
std::string zonepath_problem(const HostRoot& root, const std::string& zonepath);

}  // namespace zoneferry
