// A file of netplan: the part of YAML that its block style needs, by indentation. Pure.
//
//     network:                          network:
//       ethernets:                        ethernets:
//         enp3s0:                           net0:
//           match: {macaddress: ...}   ->     # match: ...     (and set-name, macaddress)
//           addresses: [192.0.2.17/24]        addresses: ...
//     bonds, bridges, vlans, wifis ...  -> commented out, with a warning by the caller
//
// A card whose address the global zone sets is commented out whole: netplan would have networkd take that address away.
// What is written in another style (flow style at the top, tabs, anchors) is not understood: then the file is put
// aside.
#pragma once

#include <optional>

#include "core/adjust/nics.h"
#include "core/adjust/text_edit.h"

namespace zoneferry {

// nullopt: not understood.
std::optional<std::vector<ImageNic>> nics_of_netplan(std::string_view text);
// Bonds, bridges, VLANs and the like that get an address: they are turned off.
std::vector<ImageNic> virtual_nics_of_netplan(std::string_view text);
std::optional<EditedText> netplan_for_zone(std::string_view text, const NicMap& map, std::string_view date);

}  // namespace zoneferry
