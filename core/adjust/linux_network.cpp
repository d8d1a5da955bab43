#include "core/adjust/linux_network.h"

#include <algorithm>
#include <array>

#include "core/adjust/ifupdown.h"
#include "core/adjust/linux_services.h"
#include "core/adjust/netplan.h"
#include "core/adjust/network_manager.h"
#include "core/adjust/networkd.h"
#include "core/adjust/other_network.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr AdjustmentKind kKind = AdjustmentKind::network;
constexpr const char* kShared = "the zone uses the global zone's network";
constexpr const char* kWait = "the zone's network is there when it boots";
constexpr const char* kInterfaces = "etc/network/interfaces";
constexpr const char* kLinks = "etc/systemd/network";
constexpr const char* kConnections = "etc/NetworkManager/system-connections";

constexpr std::array kSharedRules = {
    ServiceRule{"networking.service", kShared},
    ServiceRule{"ifup@*.service", kShared},
    ServiceRule{"ifupdown-*.service", kShared},
    ServiceRule{"systemd-networkd*", kShared},
    ServiceRule{"systemd-network-generator.service", kShared},
    ServiceRule{"NetworkManager*.service", kShared},
    ServiceRule{"network-manager.service", kShared},
    ServiceRule{"wpa_supplicant*.service", kShared},
    ServiceRule{"dhcpcd*.service", kShared},
    ServiceRule{"connman*.service", kShared},
    ServiceRule{"wicd.service", kShared},
    ServiceRule{"netplan-*.service", kShared},
    ServiceRule{"nftables.service", kShared},
    ServiceRule{"netfilter-persistent.service", kShared},
    ServiceRule{"ufw.service", kShared},
    ServiceRule{"firewalld.service", kShared},
    ServiceRule{"shorewall*.service", kShared},
    ServiceRule{"isc-dhcp-server*.service", kShared},
    ServiceRule{"hostapd*.service", kShared},
    ServiceRule{"radvd.service", kShared},
};

constexpr std::array kWaitRules = {
    ServiceRule{"systemd-networkd-wait-online*", kWait},
    ServiceRule{"NetworkManager-wait-online.service", kWait},
    ServiceRule{"ifupdown-wait-online.service", kWait},
};

constexpr std::array kWirelessRules = {
    ServiceRule{"wpa_supplicant*.service", "a zone has no wireless interface"},
    ServiceRule{"hostapd*.service", "a zone has no wireless interface"},
};

struct File {
    std::string path;
    std::string text;
};

// The files of a directory whose name ends so.
Result<std::vector<File>> files_in(ImageEditor& image, const std::string& directory, std::string_view suffix) {
    std::vector<File> files;
    ZF_TRY(const std::vector<std::string> names, image.names(directory));
    for (const std::string& name : names) {
        if (!name.ends_with(suffix) || name.front() == '.') continue;
        const std::string path = directory + "/" + name;
        if (image.link_target(path) == "/dev/null") continue;  // masks a file of the vendor's
        ZF_TRY(auto text, image.text(path));
        if (text) files.push_back({path, *std::move(text)});
    }
    return files;
}

struct NetworkFiles {
    std::vector<File> interfaces;
    std::vector<File> networks;  // *.network
    std::vector<File> netplans;
    std::vector<File> connections;
};

Result<NetworkFiles> read_network_files(ImageEditor& image) {
    NetworkFiles files;
    ZF_TRY(auto interfaces, image.text(kInterfaces));
    if (interfaces) files.interfaces.push_back({kInterfaces, *std::move(interfaces)});
    ZF_TRY(std::vector<File> more, files_in(image, "etc/network/interfaces.d", ""));
    for (File& file : more) files.interfaces.push_back(std::move(file));
    ZF_TRY(files.networks, files_in(image, kLinks, ".network"));
    ZF_TRY(files.netplans, files_in(image, "etc/netplan", ".yaml"));
    ZF_TRY(files.connections, files_in(image, kConnections, ""));
    return files;
}

std::vector<ImageNic> nics_of(const NetworkFiles& files) {
    std::vector<ImageNic> nics;
    const auto add = [&](const std::vector<ImageNic>& found) { nics.insert(nics.end(), found.begin(), found.end()); };
    for (const File& file : files.interfaces) add(nics_of_interfaces(file.text));
    for (const File& file : files.networks) add(nics_of_network_file(file.text));
    for (const File& file : files.netplans) add(nics_of_netplan(file.text).value_or(std::vector<ImageNic>()));
    for (const File& file : files.connections) add(nics_of_connection(file.text));
    return nics;
}

std::vector<ImageNic> virtual_nics_of(const NetworkFiles& files) {
    std::vector<ImageNic> nics;
    const auto add = [&](const std::vector<ImageNic>& found) { nics.insert(nics.end(), found.begin(), found.end()); };
    for (const File& file : files.netplans) add(virtual_nics_of_netplan(file.text));
    for (const File& file : files.connections) add(virtual_nics_of_connection(file.text));
    return nics;
}

// "moved eth0 to net0" for a person.
std::string moved(const std::vector<ImageNic>& nics, const NicMap& map) {
    std::vector<std::string> parts;
    for (const ImageNic& nic : nics) {
        const auto target = map.find(nic.name);
        if (target == map.end()) continue;
        const std::string part = printable(nic.name) + " to " + target->second.name;
        if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(part);
    }
    return parts.empty() ? "turned off" : "moved " + join(parts, ", ");
}

Status adjust_interfaces(ImageEditor& image, const std::vector<File>& files, const NicMap& map) {
    for (const File& file : files) {
        const EditedText edited = interfaces_for_zone(file.text, map, image.date());
        ZF_TRY_STATUS(image.edit(kKind, file.path, edited.text, moved(nics_of_interfaces(file.text), map)));
    }
    return {};
}

Status adjust_networks(ImageEditor& image, const std::vector<File>& files, const NicMap& map) {
    for (const File& file : files) {
        if (is_loopback_network_file(file.text)) continue;
        const std::vector<ImageNic> nics = nics_of_network_file(file.text);
        const auto target = nics.empty() ? map.end() : map.find(nics.front().name);
        if (target == map.end()) {
            // What we made of a file that gives no address any more.
            const bool is_ours = std::any_of(map.begin(), map.end(), [&](const auto& known) {
                return network_file_for_zone(file.text, known.second) == file.text;
            });
            if (!is_ours) ZF_TRY_STATUS(image.put_aside(kKind, file.path, "turned off"));
            continue;
        }
        ZF_TRY_STATUS(image.edit(kKind, file.path, network_file_for_zone(file.text, target->second), moved(nics, map)));
    }
    return {};
}

Status put_links_aside(ImageEditor& image) {
    ZF_TRY(const std::vector<std::string> names, image.names(kLinks));
    for (const std::string& name : names) {
        const std::string path = std::string(kLinks) + "/" + name;
        if (name.ends_with(".link") && image.link_target(path) != "/dev/null") {
            ZF_TRY_STATUS(image.put_aside(kKind, path, "named a network card: put aside"));
        }
        if (name.ends_with(".netdev")) {
            ZF_TRY_STATUS(image.put_aside(kKind, path, "defined a virtual device: put aside"));
            image.warn("/" + printable(path) + " defined a bridge, bond, VLAN or tunnel: it is turned off");
        }
    }
    ZF_TRY(const std::vector<std::string> rules, image.names("etc/udev/rules.d"));
    for (const std::string& name : rules) {
        if (name.find("persistent-net") == std::string::npos) continue;
        ZF_TRY_STATUS(image.put_aside(kKind, "etc/udev/rules.d/" + name, "named a network card: put aside"));
    }
    return {};
}

Status adjust_netplans(ImageEditor& image, const std::vector<File>& files, const NicMap& map) {
    for (const File& file : files) {
        const auto edited = netplan_for_zone(file.text, map, image.date());
        const auto nics = nics_of_netplan(file.text);
        if (edited && nics) {
            ZF_TRY_STATUS(image.edit(kKind, file.path, edited->text, moved(*nics, map)));
            continue;
        }
        ZF_TRY_STATUS(image.put_aside(kKind, file.path, "turned off: not understood"));
        if (!map.empty()) image.warn("/" + printable(file.path) + " is written in a style that is not understood");
    }
    return {};
}

Status adjust_connections(ImageEditor& image, const std::vector<File>& files, const NicMap& map) {
    for (const File& file : files) {
        const std::vector<ImageNic> nics = nics_of_connection(file.text);
        const auto target = nics.empty() ? map.end() : map.find(nics.front().name);
        if (target != map.end() && target->second.address.empty()) {
            ZF_TRY_STATUS(
                image.edit(kKind, file.path, connection_for_zone(file.text, target->second), moved(nics, map)));
        } else if (map.empty() || !is_cardless_connection(file.text)) {
            ZF_TRY_STATUS(image.put_aside(kKind, file.path, "turned off"));
        }
    }
    // Where the global zone sets the address, NetworkManager would take it away.
    std::vector<std::string> hands_off;
    for (const auto& [name, nic] : map) {
        if (name == nic.name && !nic.address.empty()) hands_off.push_back("interface-name:" + nic.name);
    }
    if (hands_off.empty() || !image.is_directory("etc/NetworkManager")) return {};
    return image.write(kKind, "etc/NetworkManager/conf.d/zoneferry-p2v.conf",
                       "[keyfile]\nunmanaged-devices=" + join(hands_off, ";") + "\n", 0644,
                       "NetworkManager leaves the zone's interfaces alone");
}

// Not commented out: addresses and keys of the old system are to be gone.
Status remove_network(ImageEditor& image, const NetworkFiles& files) {
    for (const std::vector<File>* some : {&files.interfaces, &files.networks, &files.netplans, &files.connections}) {
        for (const File& file : *some) {
            if (file.path != kInterfaces) ZF_TRY_STATUS(image.erase(kKind, file.path, "removed"));
        }
    }
    if (!image.exists(kInterfaces)) return {};
    return image.write(kKind, kInterfaces, "auto lo\niface lo inet loopback\n", 0644, "the loopback only");
}

Status move_network(ImageEditor& image, const NetworkFiles& files, const ZoneConfig& zone) {
    NicPlan plan;
    if (zone.ip_type == IpType::exclusive) plan = assign_nics(nics_of(files), zone);
    for (std::string& warning : plan.warnings) image.warn(std::move(warning));
    ZF_TRY_STATUS(adjust_interfaces(image, files.interfaces, plan.map));
    ZF_TRY_STATUS(adjust_networks(image, files.networks, plan.map));
    ZF_TRY_STATUS(adjust_netplans(image, files.netplans, plan.map));
    return adjust_connections(image, files.connections, plan.map);
}

}  // namespace

Result<std::vector<ImageNic>> configured_nics(int root) {
    ImageEditor image(root, "", true, ImageEditor::Hands::none);
    ZF_TRY(const NetworkFiles files, read_network_files(image));
    std::vector<ImageNic> nics = nics_of(files);
    for (ImageNic& nic : virtual_nics_of(files)) nics.push_back(std::move(nic));
    std::erase_if(nics, [](const ImageNic& nic) { return is_own_interface(nic.name); });
    return nics;
}

Status adjust_linux_network(ImageEditor& image, const ZoneConfig& zone, bool unconfigure) {
    ZF_TRY(const NetworkFiles files, read_network_files(image));
    ZF_TRY_STATUS(unconfigure ? remove_network(image, files) : move_network(image, files, zone));
    ZF_TRY_STATUS(put_links_aside(image));
    const std::vector<ImageNic> virtual_nics = unconfigure ? std::vector<ImageNic>() : virtual_nics_of(files);
    if (zone.ip_type == IpType::exclusive) ZF_TRY_STATUS(adjust_other_network(image, zone, virtual_nics, unconfigure));
    if (zone.ip_type == IpType::shared) {
        image.warn(
            "the zone shares the global zone's network: services in it cannot use ports below 1024 "
            "(net.ipv4.ip_unprivileged_port_start); with ip-type=exclusive they can");
        return turn_off_services(image, kKind, kSharedRules);
    }
    ZF_TRY_STATUS(turn_off_services(image, kKind, kWirelessRules));
    const bool is_all_set =
        std::none_of(zone.nets.begin(), zone.nets.end(), [](const auto& net) { return net.address.empty(); });
    if (is_all_set || unconfigure) return turn_off_services(image, kKind, kWaitRules);
    return {};
}

}  // namespace zoneferry
