// A place to die, for the fault tests: with ZONEFERRY_CRASH_AT="update:STEP" in its environment a program kills itself
// with SIGKILL at that step of an update (the hooks' at_step), exactly as a crash would end it. The agent's own events
// have such places in agent/crash_point.h.
#pragma once

#include <string>

namespace zoneferry {

// Does not return when this is the step that was asked for.
void crash_at_update_step(const std::string& step);

}  // namespace zoneferry
