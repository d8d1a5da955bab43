// The agent's answers to the command line: one function for each verb of zoneferry.
#pragma once

#include <functional>
#include <string>

#include "agent/context.h"
#include "agent/move_desk.h"
#include "agent/verbs/control_server.h"

namespace zoneferry {

// Serves one request line; always ends with a line of type "end". trust_changed is called after this host has
// got an identity, so that the agent can begin to listen.
void serve_request(AgentContext& context, MoveDesk& desk, const std::function<void()>& trust_changed,
                   const std::string& request, const SendLine& send);

}  // namespace zoneferry
