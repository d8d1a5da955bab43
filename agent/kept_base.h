// The target of a rollback: the copy that the first move left at home is where its staging begins, so that only what
// the zone has changed since needs to travel. It is copied, not taken: until the rollback is finalized it stays what it
// is, a way back.
#pragma once

#include "agent/context.h"
#include "agent/move_record.h"

namespace zoneferry {

// Is there such a copy?
bool has_copy_as_base(AgentContext& context, const MoveRecord& record);
// Fills an empty staging with it; otherwise does nothing. Cut off in the middle it is no harm: what is there is
// compared anyhow.
Status take_copy_as_base(AgentContext& context, const MoveRecord& record);

}  // namespace zoneferry
