// Who holds which zone, asked of the peers: so that a host whose state was restored from an old backup, or that was
// declared lost and comes back, does not run what another host holds by now.
//
// Each agent asks all its peers when it starts, before any zone is booted, and once a minute from then on. It names the
// zones that it may boot, with uuid and epoch; a peer answers for those that it holds itself. The higher epoch wins; on
// equal epochs of two holders both lose. Who loses parks the zone: see park_zone() in finish.h. Only peers that may
// receive zones of ours are believed, only about themselves, and only about zones that they have had: either a move in
// this host's journal says so, or, when the journal is older than that (a state directory from a backup), the answer
// shows knowledge of the zone's uuid, which travels with a move only. Nobody else's word halts a zone.
#pragma once

#include <vector>

#include "agent/context.h"
#include "agent/move_desk.h"
#include "wire/messages.h"

namespace zoneferry {

// The zones that this host may boot as far as it knows.
std::vector<OwnerClaim> own_claims(AgentContext& context);
// The answer to a peer's claims: those of its zones that this host has a record of.
OwnersReply answer_claims(AgentContext& context, const OwnersRequest& request, const std::string& asking_host);
// Must a zone of ours be parked because of what a peer says of it? Pure.
bool loses_against(const OwnerClaim& ours, const OwnerClaim& theirs);

// Those of the claims that a move with that peer, in either direction, is journaled for. Pure.
std::vector<OwnerClaim> claims_shared_with(const std::vector<MoveRecord>& moves, const std::string& peer,
                                           const std::vector<OwnerClaim>& claims);

// What to ask that peer: the shared ones with their uuid, the others by name only. Pure.
std::vector<OwnerClaim> questions_for(const std::vector<MoveRecord>& moves, const std::string& peer,
                                      const std::vector<OwnerClaim>& claims);
// What stands for the uuid in the answer to a question by name: only who knows the uuid can make it, and only for the
// host that asked.
std::string knowledge_of(const std::string& zone_uuid, const std::string& asking_host);

// Asks every peer at once, none for longer than timeout_ms, and parks what has to be parked. A move that works beside
// the running zone is aborted first, and the zone parked the next time; one that has halted it is left to its end.
void ask_peers_for_claims(AgentContext& context, MoveDesk& desk, int timeout_ms);
// A zone that was parked, but could not be halted then: tried again.
void halt_parked_zones(AgentContext& context);

}  // namespace zoneferry
