// A connection of NetworkManager (keyfile). Pure.
#pragma once

#include "core/adjust/nics.h"

namespace zoneferry {

// The card's name is interface-name, or else mac-address or id; none for what is no Ethernet connection.
std::vector<ImageNic> nics_of_connection(std::string_view text);
// A bond, bridge, VLAN or team that gets an address: it is turned off.
std::vector<ImageNic> virtual_nics_of_connection(std::string_view text);
// True for what needs no card: VPNs and tunnels.
bool is_cardless_connection(std::string_view text);
// Bound to the zone's interface, and to no MAC address any more.
std::string connection_for_zone(std::string_view text, const ZoneNic& nic);

}  // namespace zoneferry
