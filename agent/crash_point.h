// A place to die, for the fault tests: with ZONEFERRY_CRASH_AT in its environment the agent kills itself with
// SIGKILL just before, or just after, an event of a move becomes durable.
//
//     ZONEFERRY_CRASH_AT="before:released"         the journal does not have the event yet
//     ZONEFERRY_CRASH_AT="source:after:released"   it has; only when this host is that move's source
//
// With ZONEFERRY_STOP_AT it stops itself there (SIGSTOP) until a test lets it go on: long enough to cut a link or to
// take away a disk exactly at that point.
//
// The event names are those of event_name() in move_plan.h. Read once, at the first event. A SIGKILL leaves exactly
// what a crash leaves, so these tests prove the recovery that users get; nothing else in the product looks here.
#pragma once

#include <string_view>

#include "agent/move/move_plan.h"

namespace zoneferry {

enum class CrashMoment { before, after };

// Does not return when this is the point that was asked for.
void crash_point(Role role, CrashMoment moment, EventKind event);

// The rule alone: does `wanted` name this point?
bool is_crash_point(std::string_view wanted, Role role, CrashMoment moment, EventKind event);

}  // namespace zoneferry
