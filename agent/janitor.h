// Looks after incoming moves that nobody is working on: a source that aborted, or was reinstalled, while we
// could not be reached. Asks the source, never decides alone: only its word "aborted" removes what was
// promised, and its "unknown" what was only begun: a source that was reinstalled may have released the zone
// before, and then what lies here is the only one. It stays in doubt for a person to decide. A zone that is ours but
// was not put in place yet is tried again.
#pragma once

#include <thread>

#include "agent/context.h"
#include "agent/move_desk.h"

namespace zoneferry {

class Janitor {
public:
    Janitor(AgentContext& context, MoveDesk& desk);

private:
    void remove_rubbish();  // what a deletion has left that a crash interrupted
    void sweep();
    void look_after(const std::string& move_id);
    void ask_about(const MoveRecord& record);
    AgentContext& context_;
    MoveDesk& desk_;
    std::int64_t next_claims_ms_ = 0;
    std::jthread thread_;
};

}  // namespace zoneferry
