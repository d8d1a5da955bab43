// Who holds which zone, asked of the peers: so that a host whose state was restored from an old backup, or that was
// declared lost and comes back, does not run what another host holds by now.
//
// Each agent asks all its peers when it starts, before any zone is booted, and once a minute from then on. It names the
// zones that it may boot, with uuid and epoch; a peer answers for those that it holds itself. The higher epoch wins; on
// equal epochs of two holders both lose. Who loses parks the zone: see park_zone() in finish.h. Only peers that may
// receive zones of ours are believed, and only about themselves.
#pragma once

#include <vector>

#include "agent/context.h"
#include "agent/move_desk.h"
#include "wire/messages.h"

namespace zoneferry {

// The zones that this host may boot as far as it knows.
std::vector<OwnerClaim> own_claims(AgentContext& context);
// The answer to a peer's claims: those of its zones that this host has a record of.
OwnersReply answer_claims(AgentContext& context, const OwnersRequest& request);
// Must a zone of ours be parked because of what a peer says of it? Pure.
bool loses_against(const OwnerClaim& ours, const OwnerClaim& theirs);

// Asks every peer at once, none for longer than timeout_ms, and parks what has to be parked. Zones that a move works on
// are left to it.
void ask_peers_for_claims(AgentContext& context, const MoveDesk& desk, int timeout_ms);

}  // namespace zoneferry
