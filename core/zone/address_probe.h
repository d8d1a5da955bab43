// Asks the wire whether somebody else holds an address that a zone wants: an ARP probe (RFC 5227, 2.1.1) sent
// from the zone's bridge, answered with a MAC address that is not the zone's own. IPv4, ip-type exclusive: with
// a shared stack the zone's address is answered with its host's MAC, which proves nothing.
#pragma once

#include <optional>
#include <string>

#include "core/zone/config.h"

namespace zoneferry {

// The MAC address of the other holder ("02:00:5e:..."); nullopt: nobody answered but the zone itself, or there
// is no such interface to ask on. Waits up to 300 ms.
std::optional<std::string> foreign_holder(const ZoneConfig& config, std::size_t net_number);

}  // namespace zoneferry
