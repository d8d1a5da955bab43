// A .network file of systemd-networkd. Pure.
//
//     [Match]                 [Match]
//     Name=eth0           ->  Name=net0
//                             # Name=eth0
//     [Network]               [Network]
//     Address=192.0.2.17/24   (as it was; commented out, with Gateway and DHCP, where the global zone sets them: then
//     DNS=192.0.2.53           KeepConfiguration=yes is added, so that networkd does not take the address away again)
#pragma once

#include "core/adjust/nics.h"
#include "core/adjust/text_edit.h"

namespace zoneferry {

// The card's name is what [Match] says: Name, or MACAddress. A file that gives no address gives none here; nor does
// one for a virtual device (bridge, bond ...).
std::vector<ImageNic> nics_of_network_file(std::string_view text);
// True for the loopback: such a file is left alone.
bool is_loopback_network_file(std::string_view text);
std::string network_file_for_zone(std::string_view text, const ZoneNic& nic);

}  // namespace zoneferry
