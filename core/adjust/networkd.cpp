#include "core/adjust/networkd.h"

#include "core/adjust/ini_file.h"

namespace zoneferry {
namespace {

bool is_v6(std::string_view address) { return address.find(':') != std::string_view::npos; }

// "eth0", "en*" or a MAC address; empty: it matches by other means.
std::string match_of(const std::vector<IniSection>& sections) {
    const IniSection* match = find_section(sections, "Match");
    if (match == nullptr) return "";
    for (const char* key : {"Name", "OriginalName", "MACAddress", "PermanentMACAddress"}) {
        if (const std::string_view* value = match->find(key)) return std::string(*value);
    }
    return "";
}

bool is_dynamic(std::string_view dhcp) { return !dhcp.empty() && dhcp != "no" && dhcp != "false" && dhcp != "0"; }

bool is_set_by_host(const ZoneNic& nic, std::string_view address) {
    return is_v6(address) ? nic.host_sets_v6() : nic.host_sets_v4();
}

bool is_off(const IniLine& line, std::string_view section, const ZoneNic& nic) {
    if (section == "Match") return !line.key.empty() && !(line.key == "Name" && line.value == nic.name);
    if (section == "Link") return line.key == "MACAddress";
    if (section != "Network") return false;
    if (line.key == "Address" || line.key == "Gateway") {
        return is_set_by_host(nic, line.value) && (line.key == "Address" || nic.host_sets_route);
    }
    // Members of what is not there in the zone.
    if (line.key == "Bridge" || line.key == "Bond" || line.key == "VLAN" || line.key == "VRF") return true;
    return line.key == "DHCP" && is_dynamic(line.value) && !nic.address.empty();
}

bool is_section_off(const IniSection& section, const ZoneNic& nic) {
    if (section.name == "Address") {
        const std::string_view* address = section.find("Address");
        return address != nullptr && is_set_by_host(nic, *address);
    }
    if (section.name != "Route" || !nic.host_sets_route || section.find("Destination") != nullptr) return false;
    const std::string_view* gateway = section.find("Gateway");
    return gateway != nullptr && is_set_by_host(nic, *gateway);
}

}  // namespace

std::vector<ImageNic> nics_of_network_file(std::string_view text) {
    const std::vector<IniSection> sections = parse_ini(text);
    ImageNic nic{match_of(sections), {}};
    bool is_given = false;
    for (const IniSection& section : sections) {
        const bool is_network = section.name == "Network";
        for (const IniLine& line : section.lines) {
            if ((is_network || section.name == "Address") && line.key == "Address") {
                nic.addresses.emplace_back(line.value);
            }
            is_given = is_given || (is_network && line.key == "DHCP" && is_dynamic(line.value));
        }
    }
    is_given = is_given || !nic.addresses.empty();
    if (!is_given || nic.name.empty() || is_own_interface(nic.name)) return {};
    return {nic};
}

bool is_loopback_network_file(std::string_view text) { return match_of(parse_ini(text)) == "lo"; }

std::string network_file_for_zone(std::string_view text, const ZoneNic& nic) {
    std::string out;
    bool has_network = false;
    for (const IniSection& section : parse_ini(text)) {
        if (is_section_off(section, nic)) {
            out += section.off();
            continue;
        }
        out += section.header;
        const std::string_view* name = section.find("Name");
        if (section.name == "Match" && (name == nullptr || *name != nic.name)) add_line(out, "Name=" + nic.name);
        if (section.name == "Network" && !has_network) {
            has_network = true;
            const bool keeps = section.find("KeepConfiguration") != nullptr || nic.address.empty();
            if (!keeps) add_line(out, "KeepConfiguration=yes");
        }
        for (const IniLine& line : section.lines) {
            out += is_off(line, section.name, nic) ? commented(line.whole) : std::string(line.whole);
        }
    }
    if (!has_network && !nic.address.empty()) {
        add_line(out, "[Network]\nKeepConfiguration=yes");
    }
    return out;
}

}  // namespace zoneferry
