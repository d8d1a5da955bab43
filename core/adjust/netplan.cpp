#include "core/adjust/netplan.h"

#include <algorithm>

#include "core/base/text.h"

namespace zoneferry {
namespace {

struct YamlLine {
    std::string_view whole;
    std::size_t indent = 0;
    std::string_view content;  // empty: nothing but a comment
    std::string_view key;      // "enp3s0" of "enp3s0:"; empty: no key stands there
    std::string_view value;    // what follows the colon
};

std::string_view unquoted(std::string_view text) {
    const bool is_quoted =
        text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front();
    return is_quoted ? text.substr(1, text.size() - 2) : text;
}

std::optional<YamlLine> parse_line(std::string_view whole) {
    YamlLine line;
    line.whole = whole;
    std::string_view content = bare(whole);
    if (content.empty() || content.front() == '#' || content == "---") return line;
    const std::size_t first = whole.find_first_not_of(' ');
    if (whole[first] == '\t' || content.front() == '&' || content.front() == '*' || content.front() == '%') {
        return std::nullopt;
    }
    const std::size_t comment = content.find(" #");
    if (comment != std::string_view::npos) content = bare(content.substr(0, comment));
    line.indent = first;
    line.content = content;
    const std::size_t colon = content.ends_with(':') ? content.size() - 1 : content.find(": ");
    if (content.front() != '-' && content.front() != '{' && colon != std::string_view::npos) {
        line.key = unquoted(bare(content.substr(0, colon)));
        line.value = bare(content.substr(colon + 1));
    }
    return line;
}

bool is_section_of_devices(std::string_view key) {
    return key == "ethernets" || key == "wifis" || key == "modems" || key == "bonds" || key == "bridges" ||
           key == "vlans" || key == "tunnels" || key == "vrfs" || key == "dummy-devices" ||
           key == "virtual-ethernets" || key == "nm-devices";
}

// The file with its devices found: which lines belong to which.
struct Device {
    std::size_t begin = 0;  // its line "enp3s0:"
    std::size_t end = 0;    // after its last
};
struct Section {
    std::size_t line = 0;  // "ethernets:"
    bool is_ethernets = false;
    std::vector<Device> devices;
    std::size_t end = 0;
};
struct Netplan {
    std::vector<YamlLine> lines;
    std::vector<Section> sections;
};

std::size_t end_of_block(const std::vector<YamlLine>& lines, std::size_t begin) {
    std::size_t end = begin + 1;
    for (std::size_t i = begin + 1; i < lines.size(); ++i) {
        if (lines[i].content.empty()) continue;
        // A list may stand at the indent of its key.
        const bool is_below = lines[i].indent > lines[begin].indent ||
                              (lines[i].indent == lines[begin].indent && lines[i].content.front() == '-');
        if (!is_below) break;
        end = i + 1;
    }
    return end;
}

// nullopt: a section holds anything but devices in block style.
std::optional<Section> section_at(const std::vector<YamlLine>& lines, std::size_t at) {
    Section section{at, lines[at].key == "ethernets", {}, end_of_block(lines, at)};
    if (!lines[at].value.empty()) return std::nullopt;
    for (std::size_t i = at + 1; i < section.end;) {
        if (lines[i].content.empty()) {
            ++i;
            continue;
        }
        if (lines[i].key.empty() || !lines[i].value.empty()) return std::nullopt;
        section.devices.push_back({i, end_of_block(lines, i)});
        i = section.devices.back().end;
    }
    return section;
}

std::optional<Netplan> parse(std::string_view text) {
    Netplan plan;
    bool is_network = false;
    for (const std::string_view whole : lines_with_ends(text)) {
        const auto line = parse_line(whole);
        if (!line) return std::nullopt;
        plan.lines.push_back(*line);
    }
    for (std::size_t i = 0; i < plan.lines.size();) {
        const YamlLine& line = plan.lines[i];
        if (!line.content.empty() && line.indent == 0) {
            is_network = line.key == "network";
            if (!is_network || !line.value.empty()) return std::nullopt;
        }
        if (!is_network || line.indent == 0 || !is_section_of_devices(line.key)) {
            ++i;
            continue;
        }
        const auto section = section_at(plan.lines, i);
        if (!section) return std::nullopt;
        plan.sections.push_back(*section);
        i = std::max(section->end, i + 1);
    }
    return plan;
}

void add_addresses(std::string_view text, std::vector<std::string>& addresses) {
    std::string plain(text);
    std::replace_if(
        plain.begin(), plain.end(),
        [](char c) { return std::string_view("[]\"',-").find(c) != std::string_view::npos; }, ' ');
    for (const std::string_view word : split_words(plain)) {
        if (word.find('/') != std::string_view::npos) addresses.emplace_back(word);
    }
}

bool is_true(std::string_view value) { return value == "true" || value == "yes" || value == "on"; }

bool needs_hardware(std::string_view key) {
    return key == "match" || key == "set-name" || key == "macaddress" || key == "wakeonlan" || key == "emit-lldp" ||
           key == "optional-addresses" || key.ends_with("-offload") || key == "link-local-mtu";
}

// The device under its new name.
void rename_device(const Netplan& plan, const Device& device, const ZoneNic& nic, EditedText& out) {
    const YamlLine& head = plan.lines[device.begin];
    if (head.key == nic.name) {
        out.text += head.whole;
    } else {
        out.text += commented(head.whole);
        add_line(out.text, std::string(head.indent, ' ') + nic.name + ":");
        ++out.lines;
    }
    for (std::size_t i = device.begin + 1; i < device.end;) {
        const bool is_off = needs_hardware(plan.lines[i].key);
        const std::size_t end = is_off ? end_of_block(plan.lines, i) : i + 1;
        for (; i < end; ++i) {
            out.text += is_off ? commented(plan.lines[i].whole) : std::string(plan.lines[i].whole);
            if (is_off) ++out.lines;
        }
    }
}

void comment_block(const Netplan& plan, std::size_t begin, std::size_t end, EditedText& out) {
    for (std::size_t i = begin; i < end; ++i) {
        const bool is_comment = plan.lines[i].content.empty();
        out.text += is_comment ? std::string(plan.lines[i].whole) : commented(plan.lines[i].whole);
        if (!is_comment) ++out.lines;
    }
}

const ZoneNic* target_of(const Netplan& plan, const Device& device, const NicMap& map) {
    const auto target = map.find(plan.lines[device.begin].key);
    return target == map.end() || !target->second.address.empty() ? nullptr : &target->second;
}

void edit_section(const Netplan& plan, const Section& section, const NicMap& map, EditedText& out) {
    const bool has_device =
        section.is_ethernets && std::any_of(section.devices.begin(), section.devices.end(),
                                            [&](const auto& d) { return target_of(plan, d, map) != nullptr; });
    if (!has_device) return comment_block(plan, section.line, section.end, out);
    std::size_t at = section.line;
    for (const Device& device : section.devices) {
        for (; at < device.begin; ++at) out.text += plan.lines[at].whole;
        if (const ZoneNic* nic = target_of(plan, device, map)) {
            rename_device(plan, device, *nic, out);
        } else {
            comment_block(plan, device.begin, device.end, out);
        }
        at = device.end;
    }
    for (; at < section.end; ++at) out.text += plan.lines[at].whole;
}

}  // namespace

namespace {

// What gets an address: cards, or all but cards.
std::optional<std::vector<ImageNic>> devices_of_netplan(std::string_view text, bool are_cards) {
    const auto plan = parse(text);
    if (!plan) return std::nullopt;
    std::vector<ImageNic> nics;
    for (const Section& section : plan->sections) {
        if (section.is_ethernets != are_cards) continue;
        for (const Device& device : section.devices) {
            ImageNic nic{std::string(plan->lines[device.begin].key), {}};
            bool is_given = false;
            for (std::size_t i = device.begin + 1; i < device.end; ++i) {
                const YamlLine& line = plan->lines[i];
                if (line.key == "dhcp4" || line.key == "dhcp6") is_given = is_given || is_true(line.value);
                if (line.key != "addresses") continue;
                // Not those of name servers, which have no length.
                const std::size_t end = end_of_block(plan->lines, i);
                add_addresses(line.value, nic.addresses);
                while (i + 1 < end) add_addresses(plan->lines[++i].content, nic.addresses);
            }
            if (is_given || !nic.addresses.empty()) nics.push_back(std::move(nic));
        }
    }
    return nics;
}

}  // namespace

std::optional<std::vector<ImageNic>> nics_of_netplan(std::string_view text) { return devices_of_netplan(text, true); }

std::vector<ImageNic> virtual_nics_of_netplan(std::string_view text) {
    return devices_of_netplan(text, false).value_or(std::vector<ImageNic>());
}

std::optional<EditedText> netplan_for_zone(std::string_view text, const NicMap& map, std::string_view date) {
    const auto plan = parse(text);
    if (!plan) return std::nullopt;
    EditedText out;
    std::size_t at = 0;
    for (const Section& section : plan->sections) {
        for (; at < section.line; ++at) out.text += plan->lines[at].whole;
        edit_section(*plan, section, map, out);
        at = section.end;
    }
    for (; at < plan->lines.size(); ++at) out.text += plan->lines[at].whole;
    if (out.lines > 0) add_trailer(out.text, date);
    return out;
}

}  // namespace zoneferry
