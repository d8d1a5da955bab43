// The sockets between zoneadmd and whoever asks it, in ROOT/run/zoneferry/zones/NAME/: unix, SOCK_SEQPACKET, one short
// text message at a time, root only.
//
//   control (zoneadmd listens)  "status"          -> "STATE LEADER READY"   e.g. "running 4711 1"
//                               "halt GRACE_MS"   -> "ok" when the zone is gone, or "failed ..."
//   boot    (who boots listens) <- "step NAME MS" ... then "running LEADER", "ready", or "failed
//   CODE\nSENTENCE\nREMEDY"
#pragma once

#include <string>
#include <string_view>

#include "core/base/fd.h"

namespace zoneferry {

constexpr std::size_t kControlMessageBytesMax = 4096;

// A path may be longer than a socket's name can be: it is bound and connected through the held directory.
Result<UniqueFd> listen_at(const std::string& directory, const std::string& name);
Result<UniqueFd> connect_at(const std::string& directory, const std::string& name);
// The next waiting connection; one that is not root's is closed and refused.
Result<UniqueFd> accept_root(int listener, int timeout_ms);

Status send_message(int socket, std::string_view text);
// Errc::peer_lost when the other side is gone, Errc::timed_out.
Result<std::string> receive_message(int socket, int timeout_ms);

// An Error as a message, and back.
std::string error_message(const Error& error);
Error error_from_message(std::string_view text);

}  // namespace zoneferry
