// The fence: a program of the administrator's that cuts another host off from the storage, or switches it off, before a
// person takes one of its zones: zoneadm attach --takeover, zoneferry resolve --peer-is-fenced.
//
//     PROGRAM HOST ZONE      no shell, PATH and LC_ALL=C only, nothing on its standard input
//     0                      that host cannot write to the zone's storage any more: the zone is taken
//     anything else, or fence_timeout_s over (then it is killed)      nothing is taken
//
// PROGRAM is `fence_hook` of agent.toml and must be there; without the setting it is /etc/zoneferry/fence, if that is
// there, and else nothing is run: then the person's word stands alone.
#pragma once

#include <string>

#include "agent/settings.h"

namespace zoneferry {

Status fence_host(const HostRoot& root, const Settings& settings, const std::string& host, const std::string& zone);

}  // namespace zoneferry
