// The target's side of a move, apart from the conversation: reserve, promise, take over. Every function may be
// repeated, also after a crash in its middle, and then ends where it would have ended at once.
//
//   reserve   name (owner record `incoming`) and staging; journaled INCOMING
//   promise   manifest checked and written into staging, all of it on disk; journaled READY
//   own       journaled OWNED: the zone is ours, whoever is listening
//   activate  staging becomes the zonepath, configuration, attach, boot; journaled ACTIVATED
#pragma once

#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/move/move_plan.h"
#include "core/attach/finding.h"
#include "wire/messages.h"

namespace zoneferry {

struct Reservation {
    MoveRecord record;
    bool staging_is_fresh = true;
};
Result<Reservation> reserve_move(AgentContext& context, const PrepareRequest& request, const std::string& peer,
                                 const std::string& peer_address);

// nonce: of shared storage, see shared_move.h. Not ready: the findings that forbid it. Ready: none, and the promise is
// durable.
Result<std::vector<Finding>> promise_move(AgentContext& context, const MoveRecord& record, const std::string& manifest,
                                          const std::string& nonce = {});

Result<MoveRecord> own_move(AgentContext& context, const MoveRecord& record, const Grant& grant);

// A problem after the take-over is part of the answer, not an Error: the zone is ours either way.
Result<Activated> activate_move(AgentContext& context, const MoveRecord& record);

// Runs the probe that the source asked for and notes what it said; tells watchers how the move ended.
Status probe_move(AgentContext& context, const MoveRecord& record);

// Tells log and watchers that the take-over has to be tried again: the janitor does, and every start of the agent.
void tell_activation_failed(AgentContext& context, const MoveRecord& record, const Error& error);

// The source has deleted its copy: what was kept here for a way back goes as well.
Status forget_way_back(AgentContext& context, const MoveRecord& record);

// An Error is not "unknown": who asks must not take it for one.
Result<StatusReply> status_of_move(AgentContext& context, const std::string& move_id, const std::string& asking_host);

// Move ids become parts of file names: lower-case hexadecimal digits only.
bool is_move_id(std::string_view text);

}  // namespace zoneferry
