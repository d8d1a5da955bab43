#include "agent/exit_codes.h"

namespace zoneferry {

int exit_code_of(Errc code) {
    switch (code) {
        case Errc::usage:
        case Errc::invalid: return kExitUsage;
        case Errc::blocked: return kExitBlocked;
        case Errc::unreachable: return kExitUnreachable;
        case Errc::untrusted:
        case Errc::doubled:
        case Errc::permission: return kExitUntrusted;
        case Errc::busy:
        case Errc::conflict:
        case Errc::not_owner: return kExitBusy;
        case Errc::not_found: return kExitNotFound;
        case Errc::peer_lost:
        case Errc::timed_out: return kExitInterrupted;
        case Errc::verify_failed: return kExitVerifyFailed;
        case Errc::cancelled:
        case Errc::no_space: return kExitSwitchFailed;
        case Errc::in_doubt: return kExitInDoubt;
        case Errc::over_budget: return kExitOverBudget;
        case Errc::unknown:
        case Errc::corrupt:
        case Errc::unsupported:
        case Errc::io:
        case Errc::protocol: return kExitOther;
    }
    return kExitOther;
}

}  // namespace zoneferry
