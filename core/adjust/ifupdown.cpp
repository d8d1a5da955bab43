#include "core/adjust/ifupdown.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/base/text.h"

namespace zoneferry {
namespace {

// A line of the file with those that it goes on over ('\' at the end).
struct LogicalLine {
    std::vector<std::string_view> physical;
    std::string text;
};

std::vector<LogicalLine> logical_lines(std::string_view text) {
    std::vector<LogicalLine> lines;
    bool goes_on = false;
    for (const std::string_view line : lines_with_ends(text)) {
        if (!goes_on) lines.emplace_back();
        std::string_view content = bare(line);
        const bool is_comment = !goes_on && !content.empty() && content.front() == '#';
        goes_on = !is_comment && !content.empty() && content.back() == '\\';
        if (goes_on) content.remove_suffix(1);
        lines.back().physical.push_back(line);
        lines.back().text += (lines.back().text.empty() ? "" : " ") + std::string(content);
    }
    return lines;
}

bool starts_with_any(std::string_view word, std::initializer_list<std::string_view> prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(), [&](auto prefix) { return word.starts_with(prefix); });
}

bool is_keyword(std::string_view word) {
    return word == "iface" || word == "mapping" || word == "auto" || word == "source" || word == "source-directory" ||
           word == "rename" || word == "template" || word.starts_with("allow-") || word.starts_with("no-");
}

bool needs_hardware(std::string_view option) {
    return option == "hwaddress" || option == "vlan-raw-device" || option == "vlan_raw_device" || option == "slaves" ||
           starts_with_any(option, {"bridge_", "bridge-", "bond-", "bond_", "wireless", "wpa-", "ethtool-", "ethernet-",
                                    "link-speed", "link-duplex", "offload-", "hardware-"});
}

bool sets_address(std::string_view option) {
    static constexpr std::array<std::string_view, 10> kOptions = {
        "address", "netmask", "broadcast", "network", "gateway", "pointopoint", "metric", "scope", "peer", "local"};
    return std::find(kOptions.begin(), kOptions.end(), option) != kOptions.end();
}

bool runs_command(std::string_view option) {
    return option == "up" || option == "down" || option == "pre-up" || option == "post-up" || option == "pre-down" ||
           option == "post-down";
}

std::string_view base_name(std::string_view name) { return name.substr(0, name.find(':')); }

// "iface NAME FAMILY METHOD": a name with its options until the next keyword.
struct Stanza {
    std::string name;  // "eth0:1"
    std::string family;
    std::string method;
};

Stanza stanza_of(const std::vector<std::string_view>& words) {
    const auto word = [&](std::size_t i) { return i < words.size() ? std::string(words[i]) : std::string(); };
    return {word(1), word(2), word(3)};
}

bool gives_address(const Stanza& stanza) {
    return stanza.method == "static" || stanza.method == "dhcp" || stanza.method == "auto";
}

class InterfacesEditor {
public:
    explicit InterfacesEditor(const NicMap& map) : map_(map) {}

    EditedText run(std::string_view text, std::string_view date) {
        for (const LogicalLine& line : logical_lines(text)) take(line);
        finish_stanza();
        if (out_.lines > 0) add_trailer(out_.text, date);
        return std::move(out_);
    }

private:
    enum class Place { outside, kept, off, renamed };

    void take(const LogicalLine& line) {
        const auto words = split_words(line.text);
        if (words.empty() || words[0].front() == '#') return keep(line);
        if (!is_keyword(words[0])) return take_option(line, words);
        finish_stanza();
        if (words[0] == "iface") return begin_stanza(line, words);
        if (words[0] == "auto" || words[0].starts_with("allow-")) return take_list(line, words);
        if (words[0] == "mapping" || words[0] == "rename") {
            place_ = Place::off;
            return comment(line);
        }
        keep(line);
    }

    // "auto lo eth0": the names that the zone has.
    void take_list(const LogicalLine& line, const std::vector<std::string_view>& words) {
        place_ = Place::outside;
        std::string mapped(words[0]);
        bool is_same = true;
        for (std::size_t i = 1; i < words.size(); ++i) {
            const auto target = map_.find(base_name(words[i]));
            const bool is_named_right = target != map_.end() && target->second.name == target->first;
            const bool stays = base_name(words[i]) == "lo" || is_named_right;
            is_same = is_same && stays;
            if (stays) mapped += " " + std::string(words[i]);
            if (target != map_.end() && !stays) mapped += " " + new_name(words[i], target->second);
        }
        if (is_same) return keep(line);
        comment(line);
        const bool is_empty = mapped.size() == words[0].size();
        if (is_empty) place_ = Place::off;
        if (!is_empty) add(mapped);
    }

    void begin_stanza(const LogicalLine& line, const std::vector<std::string_view>& words) {
        stanza_ = stanza_of(words);
        if (base_name(stanza_.name) == "lo") {
            place_ = Place::kept;
            return keep(line);
        }
        const auto target = map_.find(base_name(stanza_.name));
        if (target == map_.end()) {
            place_ = Place::off;
            return comment(line);
        }
        place_ = Place::renamed;
        nic_ = &target->second;
        old_name_ = target->first;
        begin_renamed(line, words);
    }

    // The address is left to the global zone in the first stanza of its family; others give further addresses.
    void begin_renamed(const LogicalLine& line, const std::vector<std::string_view>& words) {
        const bool is_family_set = stanza_.family == "inet6" ? nic_->host_sets_v6() : nic_->host_sets_v4();
        const bool is_first = given_.insert(stanza_.name + " " + stanza_.family).second;
        is_address_off_ = is_family_set && is_first && gives_address(stanza_) && stanza_.name == old_name_;
        gateway_.clear();
        std::string head = "iface " + new_name(stanza_.name, *nic_) + " " + stanza_.family + " " +
                           (is_address_off_ ? "manual" : stanza_.method);
        for (std::size_t i = 4; i < words.size(); ++i) head += " " + std::string(words[i]);
        if (!is_address_off_ && nic_->name == old_name_) return keep(line);
        comment(line);
        add(head);
    }

    void take_option(const LogicalLine& line, const std::vector<std::string_view>& words) {
        if (place_ == Place::off) return comment(line);
        if (place_ != Place::renamed) return keep(line);
        if (needs_hardware(words[0])) return comment(line);
        if (is_address_off_ && sets_address(words[0])) {
            if (words[0] == "gateway" && words.size() > 1) gateway_ = words[1];
            return comment(line);
        }
        const std::string renamed = with_name_replaced(line.text, old_name_, nic_->name);
        if (!runs_command(words[0]) || renamed == line.text) return keep(line);
        comment(line);
        add("    " + renamed);
    }

    // Without a router by the zone's configuration the image's own is the only one.
    void finish_stanza() {
        const bool is_gateway_lost = place_ == Place::renamed && is_address_off_ && !nic_->host_sets_route;
        const bool is_address = gateway_.find_first_not_of("0123456789abcdefABCDEF.:") == std::string::npos;
        if (is_gateway_lost && !gateway_.empty() && is_address) {
            const std::string family = stanza_.family == "inet6" ? "-6 " : "";
            add("    up ip " + family + "route replace default via " + gateway_ + " dev " + nic_->name + " onlink");
        }
        place_ = Place::outside;
        gateway_.clear();
    }

    static std::string new_name(std::string_view old, const ZoneNic& nic) {
        return nic.name + std::string(old.substr(base_name(old).size()));
    }

    void keep(const LogicalLine& line) {
        for (const std::string_view one : line.physical) out_.text += one;
    }
    void comment(const LogicalLine& line) {
        for (const std::string_view one : line.physical) out_.text += commented(one);
        ++out_.lines;
    }
    void add(const std::string& line) { add_line(out_.text, line); }

    const NicMap& map_;
    EditedText out_;
    Place place_ = Place::outside;
    Stanza stanza_;
    const ZoneNic* nic_ = nullptr;
    std::string old_name_;
    std::set<std::string> given_;  // "eth0 inet"
    bool is_address_off_ = false;
    std::string gateway_;
};

}  // namespace

std::vector<ImageNic> nics_of_interfaces(std::string_view text) {
    std::vector<ImageNic> nics;
    bool is_in_stanza = false;
    for (const LogicalLine& line : logical_lines(text)) {
        const auto words = split_words(line.text);
        if (words.empty() || words[0].front() == '#') continue;
        if (words[0] == "iface") {
            const Stanza stanza = stanza_of(words);
            is_in_stanza = gives_address(stanza) && !is_own_interface(base_name(stanza.name));
            if (is_in_stanza) nics.push_back({std::string(base_name(stanza.name)), {}});
        } else if (is_keyword(words[0])) {
            is_in_stanza = false;
        } else if (is_in_stanza && words[0] == "address" && words.size() > 1) {
            nics.back().addresses.emplace_back(words[1]);
        }
    }
    return nics;
}

EditedText interfaces_for_zone(std::string_view text, const NicMap& map, std::string_view date) {
    return InterfacesEditor(map).run(text, date);
}

}  // namespace zoneferry
