// The look at the copy that a move leaves behind. A tracked last pass goes by what the kernel announces, and it does
// not announce file attributes that change alone (transfer/late_changes.h). So when the target has the zone, and before
// the copy may be deleted, all of it is compared with what was sent.
//
// Once for each move whose last pass was tracked: the event `looked-back` in its journal says that it was done. Its
// text is empty if target and copy are the same; else it says what differs, or why that could not be seen, and the copy
// is not deleted before a person says so.
#pragma once

#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/journal.h"
#include "agent/move/move_plan.h"
#include "transfer/late_changes.h"

namespace zoneferry {

// By the events of a move.
bool wants_look_back(const std::vector<JournalEntry>& events);

// "+i -aAcCdDmPS": what makes the attributes of any file so; with a quota project "-p 7" in front.
std::string chattr_words(const FileAttributes& attributes);
// The event; its text names zone, hosts, the first paths, and what to type on the target.
MoveEvent looked_back_event(const MoveRecord& record, const LateChanges& found);

// Looks, if that is still wanted, and notes it; the record after that. Watchers are told what differs. Errc::cancelled:
// the agent stops; Errc::conflict: the move is not `activated` any more.
Result<MoveRecord> look_back(AgentContext& context, const MoveRecord& record);

}  // namespace zoneferry
