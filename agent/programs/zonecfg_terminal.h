// zonecfg at a terminal: prompt, history and completion (libedit).
#pragma once

#include <functional>
#include <string>

#include "core/zone/zonecfg_session.h"

namespace zoneferry {

// Reads lines from the standard input until `exit` or its end and runs them; errors are told and the next line is read.
// tell shows an Error and gives its exit status. Returns the program's exit status: 1 if what was changed could not be
// saved at the end of the input.
int converse(ConfigSession& session, const std::string& zone, const std::function<int(const Error&)>& tell);

}  // namespace zoneferry
