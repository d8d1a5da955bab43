// Update on attach as part of a move (-u, -U): the target judges it at the check and does it in the stage phase, on
// staging, before it promises anything (READY). What is asked for travels in the manifest (core/attach/manifest.h).
//
// The source still has the zone as it was, so there is no copy to undo with: staging that was only updated in part is
// never used. A marker, <state>/moves/ID/updating, says so: a failure ends the move at its source, and after a crash
// the staging is thrown away and the source learns that the target has lost it.
#pragma once

#include <string>
#include <vector>

#include "agent/context.h"
#include "core/attach/manifest.h"

namespace zoneferry {

// Puts the wish and what the zone holds into the manifest that the source sends. scope none: leaves it as it is.
Status add_update(const HostRoot& root, UpdateScope scope, Manifest& manifest);
// A manifest of this zone as it is now, with the wish of an earlier text; empty: none.
Result<Manifest> make_move_manifest(const HostRoot& root, const ZoneConfig& config, const std::string& earlier);

// What the target would do, or why not.
Result<std::vector<Finding>> judge_update(const HostRoot& root, const Manifest& manifest);
// Does it. Findings: it was refused. Errors: staging is in no known state.
Result<std::vector<Finding>> update_staging(AgentContext& context, const MoveRecord& record, const Manifest& manifest);
// True if staging was left half updated; it is gone then.
Result<bool> discard_half_updated(AgentContext& context, const MoveRecord& record);
// Staging is promised: it is whole.
Status forget_updating(AgentContext& context, const MoveRecord& record);

}  // namespace zoneferry
