// The systemd-nspawn command that runs a zone, built purely from its configuration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/host_root.h"
#include "core/zone/config.h"

namespace zoneferry {

// The first of the 65536 host ids that the zone's ids 0..65535 are while it runs. From the name only, so it is stable
// over boots and hosts, in the range that systemd reserves for containers. On disk the ids stay unshifted: the root and
// the binds are id-mapped mounts, and a move shifts nothing. (Two zones whose names collide, 1 in 28,664, share a
// range.)
std::uint32_t uid_base(const std::string& zone);

// Errc::unsupported for a resource of the configuration that this runtime cannot give the zone yet: it must not boot
// without what its administrator asked for.
Result<std::vector<std::string>> nspawn_command(const HostRoot& root, const ZoneConfig& config);
std::vector<std::string> nspawn_environment(const std::string& notify_socket);

// systemd-nspawn's exit status when the zone rebooted.
constexpr int kNspawnReboot = 133;

}  // namespace zoneferry
