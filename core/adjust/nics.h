// Which network card of the physical system becomes which interface of the zone. Pure.
//
// The zone's interfaces are net0, net1, ... (core/zone/network.h); a card is what the image's configuration gives an
// address to. A card with the address that a net of the zone has becomes that net; the others follow in the order in
// which they were found. Cards that are left over are turned off.
//
// Where the zone's configuration gives a net an address, the global zone sets it, and the image's own setting of the
// same family is turned off: two that set one address would fail over each other. Where it gives none, the image's own
// address, static or not, stays under the new name.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/zone/config.h"

namespace zoneferry {

struct ImageNic {
    std::string name;                    // as its configuration calls it
    std::vector<std::string> addresses;  // "192.0.2.17/24" or without a length; none: dynamic
    bool operator==(const ImageNic&) const = default;
};

struct ZoneNic {
    std::string name;              // "net0"
    std::string address;           // that the global zone sets, without a length; empty: none
    bool host_sets_route = false;  // and the default route
    bool host_sets_v4() const { return !address.empty() && address.find(':') == std::string::npos; }
    bool host_sets_v6() const { return !address.empty() && address.find(':') != std::string::npos; }
    bool operator==(const ZoneNic&) const = default;
};

// By the name in the image. What is not in it is turned off; the zone's own names are always in it, as themselves.
using NicMap = std::map<std::string, ZoneNic, std::less<>>;

struct NicPlan {
    NicMap map;
    std::vector<std::string> warnings;  // printable
};

NicPlan assign_nics(const std::vector<ImageNic>& found, const ZoneConfig& zone);

// Interfaces that are no cards: the loopback, and what container engines make.
bool is_own_interface(std::string_view name);

// text with every whole word `from` as `to`; a word consists of letters, digits and any of "._-@".
std::string with_name_replaced(std::string_view text, std::string_view from, std::string_view to);

}  // namespace zoneferry
