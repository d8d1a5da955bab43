#include "agent/crash_point.h"

#include <signal.h>

#include <cstdlib>
#include <string>

namespace zoneferry {

bool is_crash_point(std::string_view wanted, Role role, CrashMoment moment, EventKind event) {
    const std::string point =
        std::string(moment == CrashMoment::before ? "before:" : "after:") + std::string(event_name(event));
    return wanted == point || wanted == std::string(role_name(role)) + ":" + point;
}

void crash_point(Role role, CrashMoment moment, EventKind event) {
    static const std::string wanted = [] {
        const char* value = std::getenv("ZONEFERRY_CRASH_AT");
        return std::string(value == nullptr ? "" : value);
    }();
    if (!wanted.empty() && is_crash_point(wanted, role, moment, event)) ::raise(SIGKILL);
}

}  // namespace zoneferry
