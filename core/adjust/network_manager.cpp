#include "core/adjust/network_manager.h"

#include "core/adjust/ini_file.h"
#include "core/adjust/text_edit.h"

namespace zoneferry {
namespace {

std::string_view value_of(const std::vector<IniSection>& sections, std::string_view section, std::string_view key) {
    const IniSection* found = find_section(sections, section);
    const std::string_view* value = found == nullptr ? nullptr : found->find(key);
    return value == nullptr ? std::string_view() : *value;
}

std::string_view type_of(const std::vector<IniSection>& sections) { return value_of(sections, "connection", "type"); }

bool is_ethernet(std::string_view type) { return type == "ethernet" || type == "802-3-ethernet"; }

bool is_wired_section(std::string_view name) { return name == "ethernet" || name == "802-3-ethernet"; }

}  // namespace

namespace {

ImageNic nic_of(const std::vector<IniSection>& sections) {
    ImageNic nic;
    nic.name = value_of(sections, "connection", "interface-name");
    if (nic.name.empty()) nic.name = value_of(sections, "ethernet", "mac-address");
    if (nic.name.empty()) nic.name = value_of(sections, "connection", "id");
    for (const IniSection& section : sections) {
        if (section.name != "ipv4" && section.name != "ipv6") continue;
        for (const IniLine& line : section.lines) {
            // "address1=192.0.2.17/24,192.0.2.1"
            if (line.key.starts_with("address")) nic.addresses.emplace_back(line.value.substr(0, line.value.find(',')));
        }
    }
    return nic;
}

}  // namespace

std::vector<ImageNic> nics_of_connection(std::string_view text) {
    const std::vector<IniSection> sections = parse_ini(text);
    if (!is_ethernet(type_of(sections)) || !value_of(sections, "connection", "master").empty()) return {};
    ImageNic nic = nic_of(sections);
    if (nic.name.empty()) return {};
    return {std::move(nic)};
}

std::vector<ImageNic> virtual_nics_of_connection(std::string_view text) {
    const std::vector<IniSection> sections = parse_ini(text);
    const std::string_view type = type_of(sections);
    if (type != "bond" && type != "bridge" && type != "vlan" && type != "team") return {};
    ImageNic nic = nic_of(sections);
    if (nic.name.empty() || value_of(sections, "ipv4", "method") == "disabled") return {};
    return {std::move(nic)};
}

bool is_cardless_connection(std::string_view text) {
    const std::vector<IniSection> sections = parse_ini(text);
    const std::string_view type = type_of(sections);
    return type == "vpn" || type == "wireguard" || type == "tun" || type == "ip-tunnel" || type == "dummy" ||
           type == "loopback";
}

std::string connection_for_zone(std::string_view text, const ZoneNic& nic) {
    std::string out;
    for (const IniSection& section : parse_ini(text)) {
        out += section.header;
        const bool is_connection = section.name == "connection";
        const std::string_view* name = section.find("interface-name");
        if (is_connection && (name == nullptr || *name != nic.name)) add_line(out, "interface-name=" + nic.name);
        for (const IniLine& line : section.lines) {
            const bool is_name = is_connection && line.key == "interface-name" && line.value != nic.name;
            const bool is_mac =
                is_wired_section(section.name) && (line.key == "mac-address" || line.key == "cloned-mac-address");
            out += is_name || is_mac ? commented(line.whole) : std::string(line.whole);
        }
    }
    return out;
}

}  // namespace zoneferry
