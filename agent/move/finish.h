// The endings of a move, shared by the two sides, by recovery and by the user's verbs. Each may be repeated.
#pragma once

#include "agent/context.h"
#include "agent/move/move_plan.h"
#include "core/zone/owner_record.h"
#include "core/zone/store.h"

namespace zoneferry {

// Writes the owner record of the move's zone, durably: in the state directory, and beside the tree if that is here.
Status set_owner(AgentContext& context, const MoveRecord& record, Ownership state, std::uint64_t epoch,
                 const std::string& holder);

// Before a move takes hold of a zone, and again before it lets it go: is the zone installed here, still ours at the
// record's epoch, and held by no other move? Errc::not_owner, Errc::conflict. Call it under the zone's lock.
Status check_still_ours(AgentContext& context, const MoveRecord& record, const ZoneName& name);

// Undo on the source before the release, first half: owned again. False, and nothing done, when the right to run the
// zone is not this move's to take back: a later move has it.
Result<bool> take_back(AgentContext& context, const MoveRecord& record, const ZoneLock& lock);
// The zone runs when this is done, whoever began to start it.
Status ensure_zone_runs(AgentContext& context, const ZoneLock& lock);
// Second half: booted again if it ran.
Status start_again(AgentContext& context, const MoveRecord& record, const ZoneLock& lock);

// The detached copy is attached again, as a person's word demands: packages are not compared, it ran here before.
Status attach_again(AgentContext& context, const MoveRecord& record, const ZoneLock& lock);

// A peer holds the zone under this higher epoch: it is halted here if it runs, cannot be booted any more, and nothing
// of it is deleted. Noted in the move's journal where its table allows that. Call it under the zone's lock.
Status park_zone(AgentContext& context, const MoveRecord& record, const ZoneLock& lock, std::uint64_t epoch,
                 const std::string& holder);

// Source: deletes the copy that was kept, after the target has said that it holds the zone. Errc::conflict when
// the zone is not healthy there.
Result<MoveRecord> finalize_move(AgentContext& context, const MoveRecord& record);

// Both sides: the move that `record` undoes is noted as returned; nothing if it undoes none.
void mark_returned(AgentContext& context, const MoveRecord& record);

// Target: removes staging, reservation and owner record of a move that will not come.
Result<MoveRecord> discard_incoming(AgentContext& context, const MoveRecord& record, const Error& why);

// What watchers are told last: exit code, outcome, and what to type next.
MoveNews end_news(const MoveRecord& record);

}  // namespace zoneferry
