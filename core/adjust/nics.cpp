#include "core/adjust/nics.h"

#include <algorithm>

#include "core/base/text.h"

namespace zoneferry {
namespace {

std::string_view without_length(std::string_view address) { return address.substr(0, address.find('/')); }

std::string interface_name(std::size_t number) { return "net" + std::to_string(number); }

ZoneNic zone_nic(const ZoneConfig& zone, std::size_t number) {
    const NetResource& net = zone.nets[number];
    ZoneNic nic;
    nic.name = interface_name(number);
    nic.address = without_length(net.address);
    nic.host_sets_route = !net.defrouter.empty();
    return nic;
}

bool has_address_of(const ImageNic& nic, const NetResource& net) {
    return !net.address.empty() && std::any_of(nic.addresses.begin(), nic.addresses.end(), [&](const auto& address) {
        return without_length(address) == without_length(net.address);
    });
}

// Names are set by whoever made the image; each counts once.
std::vector<ImageNic> merged(const std::vector<ImageNic>& found) {
    std::vector<ImageNic> nics;
    for (const ImageNic& nic : found) {
        if (is_own_interface(nic.name)) continue;
        const auto same = std::find_if(nics.begin(), nics.end(), [&](const auto& one) { return one.name == nic.name; });
        if (same == nics.end()) {
            nics.push_back(nic);
        } else {
            same->addresses.insert(same->addresses.end(), nic.addresses.begin(), nic.addresses.end());
        }
    }
    return nics;
}

void warn_of_other_address(const ImageNic& nic, const NetResource& net, const std::string& name, NicPlan& plan) {
    if (net.address.empty() || nic.addresses.empty() || has_address_of(nic, net)) return;
    plan.warnings.push_back(printable(nic.name) + " had the address " + printable(nic.addresses.front()) +
                            "; the zone's " + name + " has " + printable(net.address) + " by the zone's configuration");
}

}  // namespace

NicPlan assign_nics(const std::vector<ImageNic>& found, const ZoneConfig& zone) {
    const std::vector<ImageNic> nics = merged(found);
    std::vector<bool> is_taken(zone.nets.size());
    NicPlan plan;
    const auto give = [&](const ImageNic& nic, std::size_t number) {
        is_taken[number] = true;
        plan.map.emplace(nic.name, zone_nic(zone, number));
        warn_of_other_address(nic, zone.nets[number], interface_name(number), plan);
    };
    for (const ImageNic& nic : nics) {  // adjusted before
        for (std::size_t i = 0; i < zone.nets.size(); ++i) {
            if (nic.name == interface_name(i)) give(nic, i);
        }
    }
    for (const ImageNic& nic : nics) {
        for (std::size_t i = 0; i < zone.nets.size() && !plan.map.contains(nic.name); ++i) {
            if (is_taken[i] || !has_address_of(nic, zone.nets[i])) continue;
            give(nic, i);
        }
    }
    for (const ImageNic& nic : nics) {
        if (plan.map.contains(nic.name)) continue;
        const auto free = std::find(is_taken.begin(), is_taken.end(), false);
        if (free != is_taken.end()) {
            give(nic, static_cast<std::size_t>(free - is_taken.begin()));
        } else {
            plan.warnings.push_back("the zone has no net for " + printable(nic.name) +
                                    ": its configuration was turned off; add a net with zonecfg if it is needed");
        }
    }
    for (std::size_t i = 0; i < zone.nets.size(); ++i) plan.map.try_emplace(interface_name(i), zone_nic(zone, i));
    return plan;
}

bool is_own_interface(std::string_view name) {
    if (name == "lo" || name == "lo0") return true;
    for (const char* prefix : {"docker", "veth", "virbr", "lxcbr", "lxdbr", "incusbr", "cni", "podman"}) {
        if (name.starts_with(prefix)) return true;
    }
    return false;
}

std::string with_name_replaced(std::string_view text, std::string_view from, std::string_view to) {
    const auto is_word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("._-@").find(c) != std::string_view::npos;
    };
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        if (!is_word(text[at])) {
            out += text[at++];
            continue;
        }
        std::size_t end = at;
        while (end < text.size() && is_word(text[end])) ++end;
        const std::string_view word = text.substr(at, end - at);
        out += word == from ? to : word;
        at = end;
    }
    return out;
}

}  // namespace zoneferry
