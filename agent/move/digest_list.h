// A target's file of digests (transfer/tree_digest.h) over the wire: parts of it, and an empty one that ends it. Moves
// and pushes ask for it where more must be known than that two trees differ.
#pragma once

#include <cstdint>
#include <string>

#include "agent/peer_session.h"
#include "wire/connection.h"

namespace zoneferry {

Status send_digest_list(Connection& connection, const std::string& digests_path);
// Into a file of our own. tree_entries: what the tree has here; a list that is far longer has no end (Errc::protocol).
// The VerifyReply proper follows.
Status receive_digest_list(PeerSession& session, const std::string& into, std::uint64_t tree_entries);

}  // namespace zoneferry
