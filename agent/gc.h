// What moves have left behind, and what of it may go: hidden directories beside zonepaths, directories of moves, old
// moves in the journal. Only leftovers of moves that are over, and known, are removed; what belongs to no known move is
// shown and kept: after a lost journal it may be the only copy of a zone.
#pragma once

#include <string>
#include <vector>

#include "agent/context.h"

namespace zoneferry {

struct Leftover {
    std::string what;     // "staging", "trash", "kept", "push", "move", "journal"
    std::string move_id;  // of a push: its staging's id
    std::string path;     // empty: rows in the journal
    bool may_go = false;
    std::string why;
};
Result<std::vector<Leftover>> find_leftovers(AgentContext& context);
Status remove_leftover(AgentContext& context, const Leftover& leftover);

}  // namespace zoneferry
