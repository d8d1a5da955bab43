#include "core/adjust/other_network.h"

#include <algorithm>
#include <array>

#include "core/adjust/linux_services.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

struct Manager {
    const char* name;
    const char* tells;  // a path that its package has
    const char* configuration;
    ServiceRule rule;
};
constexpr const char* kWhy = "the global zone sets the zone's addresses";
constexpr std::array kManagers = {
    Manager{"dhcpcd", "etc/dhcpcd.conf", "etc/dhcpcd.conf", {"dhcpcd*.service", kWhy}},
    Manager{"connman", "var/lib/connman", "var/lib/connman", {"connman*.service", kWhy}},
    Manager{"wicked", "etc/wicked", "etc/sysconfig/network", {"wicked*.service", kWhy}},
    Manager{"wicd", "etc/wicd", "etc/wicd", {"wicd*.service", kWhy}},
};

bool has_net_for(const ZoneConfig& zone, const ImageNic& nic) {
    const auto bare = [](std::string_view address) { return address.substr(0, address.find('/')); };
    return std::any_of(zone.nets.begin(), zone.nets.end(), [&](const NetResource& net) {
        return std::any_of(nic.addresses.begin(), nic.addresses.end(),
                           [&](const std::string& address) { return bare(address) == bare(net.address); });
    });
}

}  // namespace

Status adjust_other_network(ImageEditor& image, const ZoneConfig& zone, const std::vector<ImageNic>& virtual_nics,
                            bool unconfigure) {
    for (const ImageNic& nic : virtual_nics) {
        if (has_net_for(zone, nic)) continue;
        const std::string address = nic.addresses.empty() ? "its address by DHCP" : printable(nic.addresses.front());
        image.warn(
            printable(nic.name) + " is a bond, bridge or VLAN with " + address +
            ": it is turned off, and nothing gives that address to the zone; make the bond or bridge on the host "
            "and add a net with that address: zonecfg -z " +
            zone.name + " add net");
    }
    const bool are_set = !zone.nets.empty() && std::none_of(zone.nets.begin(), zone.nets.end(),
                                                            [](const auto& net) { return net.address.empty(); });
    for (const Manager& manager : kManagers) {
        if (!image.exists(manager.tells)) continue;
        if (unconfigure) ZF_TRY_STATUS(image.erase(AdjustmentKind::network, manager.configuration, "removed"));
        if (are_set) {
            ZF_TRY_STATUS(turn_off_services(image, AdjustmentKind::network, std::array{manager.rule}));
            continue;
        }
        if (unconfigure) continue;
        image.warn(std::string(manager.name) + " sets up this system's network: what /" + manager.configuration +
                   " says of one interface was not moved to the zone's (net0); give the zone's net its address by "
                   "zonecfg, or edit it in the zone");
    }
    return {};
}

}  // namespace zoneferry
