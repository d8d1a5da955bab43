// What we send must keep the wire's limits, or a peer refuses the whole message: texts for people are cut to
// kSentenceBytesMax, findings to kFindingsMax with those that forbid the move first and a last one that says how many
// were left out.
#pragma once

#include "wire/messages.h"

namespace zoneferry {

Message fitted(Message message);

}  // namespace zoneferry
