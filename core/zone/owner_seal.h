// The seal of an owner record: an HMAC-SHA256 of its text by a key that this agent's host alone has.
//
//   ROOT/var/lib/zoneferry/owner.key    32 random bytes, mode 0600, made with the first record
//   seal=KEY:MAC                        KEY: the first 16 hex digits of the key's SHA-256, MAC: 64 hex digits
//
// What it proves: a record that bears this host's seal was written by this host, as it is. A record beside a tree that
// bears another host's seal, or none, can be read by anybody who writes there: it never gives a right, it only takes
// one away (effective_record()), unless the other agent has told over TLS what stands in it (agent/move/shared_move.h).
// A copy in this host's own directory must have this host's seal; only one of version 1 has none.
#pragma once

#include <string>

#include "core/base/host_root.h"
#include "core/base/result.h"

namespace zoneferry {

// Makes the key if there is none.
Result<std::string> make_seal(const HostRoot& root, const std::string& text);
// Made with this host's key, whatever it seals.
bool is_own_seal(const HostRoot& root, const std::string& seal);
// Errc::corrupt if the seal is this host's and does not hold, or if it must be this host's and is another one's.
Status check_seal(const HostRoot& root, const std::string& text, const std::string& seal, bool must_be_ours);

}  // namespace zoneferry
