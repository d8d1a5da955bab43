// /etc/network/interfaces of ifupdown, and what it sources from interfaces.d. Pure.
//
//     auto eth0                       ->  # auto eth0
//                                         auto net0
//     iface eth0 inet static          ->  # iface eth0 inet static
//                                         iface net0 inet static         (manual, if the global zone sets the address)
//         address 192.0.2.17/24       ->      address 192.0.2.17/24      (commented out, if ...)
//         post-up ip route add ... dev eth0  -> commented out, and the same with net0
//
// Options that need hardware (hwaddress, bridge, bond, vlan, wireless, ethtool) are commented out. A stanza of a card
// that is not in the map is commented out whole, the loopback's stays.
#pragma once

#include "core/adjust/nics.h"
#include "core/adjust/text_edit.h"

namespace zoneferry {

// The interfaces that are given an address, static or not.
std::vector<ImageNic> nics_of_interfaces(std::string_view text);
EditedText interfaces_for_zone(std::string_view text, const NicMap& map, std::string_view date);

}  // namespace zoneferry
