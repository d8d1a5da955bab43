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
    const auto told = [](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value == nullptr ? "" : value);
    };
    static const std::string crash_at = told("ZONEFERRY_CRASH_AT");
    static const std::string stop_at = told("ZONEFERRY_STOP_AT");
    if (!crash_at.empty() && is_crash_point(crash_at, role, moment, event)) ::raise(SIGKILL);
    if (!stop_at.empty() && is_crash_point(stop_at, role, moment, event)) ::raise(SIGSTOP);
}

}  // namespace zoneferry
