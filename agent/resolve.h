// A person's word on who has a zone, when the two hosts cannot find out by themselves: `zoneferry resolve`.
//
//   typed on   --reclaim                                       --adopt
//   source     it is this host's again: owner record, attach,  typed on the target instead
//              boot (from released, owned, activated, superseded)
//   target     it stays with the source: what lies here goes   it is this host's: as if the grant had come
//              (ready, incoming)                               (ready, superseded)
// A zone that is parked here and whose move does not matter any more can only be adopted: it may boot here again.
//
// Every word but the discarding one takes an epoch above all that either side can hold, so that the other host, when it
// comes back, sees it and parks its copy. It is refused while the other host might be running the zone, unless the
// person says that it cannot: --peer-is-fenced. A host that knows nothing of the move might: its journal may be lost or
// old. One that says that its part was discarded cannot. What was promised (ready) is not discarded while the source is
// silent.
#pragma once

#include <string>

#include "agent/context.h"
#include "agent/move/move_plan.h"
#include "agent/move_desk.h"

namespace zoneferry {

enum class Word { reclaim, adopt };

struct Resolution {
    enum class Deed { reclaim_here, adopt_here, discard_here };
    Deed deed = Deed::reclaim_here;
    std::string risk;  // what may be lost or doubled, in a person's words
};
// Errc::conflict with what to type instead. Pure.
Result<Resolution> plan_resolution(const MoveRecord& record, Word word, const std::string& this_host);

// What the other host says of the move.
struct PeerWord {
    enum class Kind { silent, knows, knows_nothing };
    Kind kind = Kind::silent;
    std::string phase;
};
PeerWord ask_peer_about(AgentContext& context, const MoveRecord& record);
// May the deed be done although, or because, the peer says that? Pure.
Status check_deed(const MoveRecord& record, Resolution::Deed deed, const PeerWord& peer, bool is_fenced);

// Does it; on return it is in the journal, and the move goes on by itself to its end (board, journal).
Status carry_out(AgentContext& context, MoveDesk& desk, const MoveRecord& record, Resolution::Deed deed,
                 const std::string& who);

// A parked zone without a move that could be resolved. Errc::conflict if it is not parked.
Status unpark(AgentContext& context, const std::string& zone, const std::string& who);

}  // namespace zoneferry
