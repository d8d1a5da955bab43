// The addresses of a name. The system's resolver cannot be interrupted and may take half a minute when its servers are
// away: it works on a thread that is left behind when nobody waits for it any more, also by the end of the program.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

using LookUp = std::function<Result<std::vector<std::string>>(const std::string& name)>;

// "192.0.2.7", "2001:db8::7": all addresses of the name, best first. Blocks. Errc::unreachable.
Result<std::vector<std::string>> look_up_name(const std::string& name);

// Calls done with what look_up says, on another thread, at once or late or never; done must keep alive what it uses.
// Errc::busy, and done is not called, when too many are under way.
Status look_up_apart(const LookUp& look_up, const std::string& name,
                     std::function<void(Result<std::vector<std::string>>)> done);

}  // namespace zoneferry
