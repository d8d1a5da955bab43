// How two hosts come to trust each other: one invites, the other joins with the invitation's line. What is
// proven and stored is certs' business (certs/invitation.h); here are the two ends of the conversation.
#pragma once

#include <string>

#include "agent/context.h"
#include "wire/messages.h"

namespace zoneferry {

// The joining side: tries the invitation's addresses in order. Returns the inviter's name.
Result<std::string> join(AgentContext& context, const std::string& invitation);

// The inviting side.
Result<JoinReply> answer_join(AgentContext& context, const JoinRequest& request, const Connection& connection);

}  // namespace zoneferry
