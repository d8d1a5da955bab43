// A place to die, for the fault tests: with ZONEFERRY_CRASH_AT="KIND:STEP" in its environment (update, install, push) a
// program kills itself with SIGKILL at that step, exactly as a crash would end it. The agent's own events have such
// places in agent/crash_point.h.
#pragma once

#include <string>
#include <string_view>

namespace zoneferry {

// Does not return when this is the step that was asked for.
void crash_at_step(std::string_view kind, const std::string& step);
inline void crash_at_update_step(const std::string& step) { crash_at_step("update", step); }

}  // namespace zoneferry
