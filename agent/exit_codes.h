// What the programs tell a script. Stable; documented in zoneferry(8) and asserted by tests.
#pragma once

#include "core/base/error.h"

namespace zoneferry {

enum ExitCode : int {
    kExitOk = 0,
    kExitOther = 1,
    kExitUsage = 2,
    kExitBlocked = 3,        // a check found what forbids it; nothing was touched
    kExitUnreachable = 5,    // the peer or the agent does not answer
    kExitUntrusted = 6,      // certificate, invitation or rights
    kExitBusy = 7,           // locked, or in the wrong state
    kExitNotFound = 8,       // no such zone, host or move; or it exists already
    kExitInterrupted = 9,    // the transfer broke off; it can go on
    kExitVerifyFailed = 10,  // the digests differ; the zone is at the source
    kExitAttachFailed = 11,  // the target could not take it; the zone is at the source
    kExitSwitchFailed = 12,  // the move was undone; the zone is at the source as it was
    kExitInDoubt = 13,       // only the other side or a person can end this
    kExitOverBudget = 14,    // the zone would be, or was, down for longer than --max-downtime; it is at the source
    kExitDetached = 130,     // Ctrl-C: the job goes on in the agents
};

int exit_code_of(Errc code);

}  // namespace zoneferry
