// zoneadm attach -u|-U [-n] [--no-undo] and attach --undo, see core/update/attach_update.h.
#pragma once

#include "agent/programs/zoneadm_verbs.h"
#include "core/update/attach_update.h"

namespace zoneferry {

struct UpdateArguments {
    UpdateScope scope = UpdateScope::dependent;
    bool dry_run = false;
    bool undo = true;
    bool as_json = false;
};

int show_update(VerbContext& context, const UpdateArguments& arguments);
int update_held(VerbContext& context, const HeldZone& held, const UpdateArguments& arguments);
int mend_held(VerbContext& context, const HeldZone& held, bool as_json);

}  // namespace zoneferry
