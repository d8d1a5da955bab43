// Whatever a text of the image holds: its lines stay, in order, as they were or commented out; a second time changes
// nothing. Texts are made of words that the formats know, in every order.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/adjust/ifupdown.h"
#include "core/adjust/linux_services.h"
#include "core/adjust/mounts.h"
#include "core/adjust/netplan.h"
#include "core/adjust/network_manager.h"
#include "core/adjust/networkd.h"

namespace zoneferry {
namespace {

constexpr const char* kDate = "2026-11-22";

// Lines of up to four of these words, with all that may stand between and behind them.
rc::Gen<std::string> text_of(std::vector<std::string> words) {
    const auto word = rc::gen::elementOf(words);
    const auto gap = rc::gen::element<std::string>(" ", "\t", "", "  ", "=", ": ");
    const auto end =
        rc::gen::weightedElement<std::string>({{12, "\n"}, {1, "\r\n"}, {1, " \\\n"}, {1, ""}, {1, " # x\n"}});
    const auto line = rc::gen::apply(
        [](const std::vector<std::pair<std::string, std::string>>& parts, const std::string& tail) {
            std::string out;
            for (const auto& [before, one] : parts) out += before + one;
            return out + tail;
        },
        rc::gen::resize(4,
                        rc::gen::container<std::vector<std::pair<std::string, std::string>>>(rc::gen::pair(gap, word))),
        end);
    return rc::gen::map(rc::gen::container<std::vector<std::string>>(line), [](const std::vector<std::string>& lines) {
        std::string out;
        for (const std::string& one : lines) out += one;
        return out;
    });
}

// True if every line of before is in after, in that order, as it was or commented out.
bool keeps_lines(std::string_view before, std::string_view after) {
    const auto wanted = lines_with_ends(before);
    std::size_t next = 0;
    for (const std::string_view line : lines_with_ends(after)) {
        if (next == wanted.size()) break;
        // A last line without an end may get one.
        const std::string whole = std::string(wanted[next]) + "\n";
        const bool is_last = next + 1 == wanted.size();
        const bool is_same = line == wanted[next] || line == commented(wanted[next]);
        if (is_same || (is_last && (line == whole || line == commented(whole)))) ++next;
    }
    return next == wanted.size();
}

NicMap some_map() {
    const auto address = *rc::gen::element<std::string>("", "192.0.2.17", "2001:db8::1");
    const ZoneNic nic{"net0", address, *rc::gen::arbitrary<bool>()};
    return {{"eth0", nic}, {"net0", nic}, {"net1", {"net1", "", false}}};
}

RC_GTEST_PROP(AdjustProperties, Interfaces, ()) {
    const std::string text = *text_of(
        {"auto", "iface",  "eth0",         "eth1",          "net0",    "lo",         "inet", "inet6",   "static",
         "dhcp", "manual", "loopback",     "address",       "gateway", "192.0.2.17", "up",   "mapping", "source",
         "#",    "eth0:1", "bridge_ports", "allow-hotplug", "rename"});
    const NicMap map = some_map();
    (void)nics_of_interfaces(text);
    const std::string once = interfaces_for_zone(text, map, kDate).text;
    RC_ASSERT(keeps_lines(text, once));
    RC_ASSERT(interfaces_for_zone(once, map, kDate).text == once);
}

RC_GTEST_PROP(AdjustProperties, Netplan, ()) {
    const std::string text =
        *text_of({"network:", "  ethernets:", "    eth0:", "    eth1:", "      addresses:", "      - 192.0.2.17/24",
                  "  bonds:", "      match:", "        macaddress: x", "      dhcp4: true", "    net0:", "#", "-"});
    const NicMap map = some_map();
    (void)nics_of_netplan(text);
    const auto once = netplan_for_zone(text, map, kDate);
    if (!once) return;
    RC_ASSERT(keeps_lines(text, once->text));
    const auto twice = netplan_for_zone(once->text, map, kDate);
    RC_ASSERT(twice.has_value());
    RC_ASSERT(twice->text == once->text);
}

RC_GTEST_PROP(AdjustProperties, NetworkFilesAndConnections, ()) {
    const std::string text = *text_of({"[Match]",      "[Network]",      "[Address]",   "[Route]", "[Link]",
                                       "[connection]", "[ethernet]",     "Name",        "net0",    "eth0",
                                       "Address",      "192.0.2.17",     "Gateway",     "DHCP",    "yes",
                                       "MACAddress",   "interface-name", "mac-address", "#",       ";"});
    (void)nics_of_network_file(text);
    (void)nics_of_connection(text);
    for (const auto& [name, nic] : some_map()) {
        const std::string network = network_file_for_zone(text, nic);
        RC_ASSERT(keeps_lines(text, network));
        RC_ASSERT(network_file_for_zone(network, nic) == network);
        const std::string connection = connection_for_zone(text, nic);
        RC_ASSERT(keeps_lines(text, connection));
        RC_ASSERT(connection_for_zone(connection, nic) == connection);
    }
}

RC_GTEST_PROP(AdjustProperties, TablesOfLines, ()) {
    const std::string text = *text_of({"/dev/sda", "fs:/x", "/", "nfs", "ext4", "swap", "_netdev", "1", "respawn",
                                       "getty", "tty1", "console", "2:", ":", "#"});
    for (const auto is_kept : {is_kept_in_fstab, is_kept_in_vfstab}) {
        const std::string once = comment_out(text, kDate, [&](std::string_view line) { return !is_kept(line); }).text;
        RC_ASSERT(keeps_lines(text, once));
        RC_ASSERT(comment_out(once, kDate, [&](std::string_view line) { return !is_kept(line); }).text == once);
    }
    const std::string inittab = inittab_for_zone(text, kDate);
    RC_ASSERT(keeps_lines(text, inittab));
    RC_ASSERT(inittab_for_zone(inittab, kDate) == inittab);
}

}  // namespace
}  // namespace zoneferry
