// The target of a rollback: the copy that the first move left at home is where its staging begins, so that only what
// the zone has changed since needs to travel. It is copied, not taken: until the rollback is finalized it stays what it
// is, a way back. Where the file system can (btrfs, xfs), the copy shares the blocks of its files, and costs neither
// time nor space.
#pragma once

#include "agent/context.h"
#include "agent/move/move_record.h"

namespace zoneferry {

// Is there such a copy?
bool has_copy_as_base(AgentContext& context, const MoveRecord& record);
// Fills an empty staging with it; otherwise does nothing. Cut off in the middle it is no harm: what is there is
// compared anyhow. Where it does not succeed (space, names too deep) staging is left empty.
Status take_copy_as_base(AgentContext& context, const MoveRecord& record);

}  // namespace zoneferry
