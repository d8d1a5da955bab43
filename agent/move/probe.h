// Is the zone well? Asked on the target after the boot, again and again until it succeeds or the time is over.
//
//   tcp:PORT        a connection to the zone's first address can be made, from the host
//   cmd:WORD WORD   the command, found in the zone and run there as its root, ends with 0; no shell takes part
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/move/move_record.h"

namespace zoneferry {

struct ProbeSpec {
    std::uint16_t port = 0;            // 0: a command
    std::vector<std::string> command;  // empty: a connection
};
// Errc::usage with what is allowed. At most 64 words of at most 4 KiB together.
Result<ProbeSpec> read_probe(const std::string& text);
Status parse_probe(const std::string& text);

// Ends within limit_ms, or when the agent stops (Errc::cancelled). The error's sentence says what was wrong last.
Status run_probe(AgentContext& context, const MoveRecord& record);

}  // namespace zoneferry
