// The small text files of the trust store: "name value" lines. Unknown names are passed over (a newer version
// may write more), a missing or damaged one is Errc::corrupt.
#pragma once

#include "certs/trust_store.h"

namespace zoneferry {

struct InvitationRecord {
    Digest key{};
    std::int64_t expires_unix_s = 0;
    unsigned tries = 0;  // wrong proofs so far
};

std::string to_text(const InvitationRecord& record);
Result<InvitationRecord> invitation_record_from_text(const std::string& text);
std::string to_text(const Peer& peer);
Result<Peer> peer_from_text(const std::string& host, const std::string& text);

}  // namespace zoneferry
