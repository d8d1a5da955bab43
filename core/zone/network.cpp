#include "core/zone/network.h"

#include <net/if.h>

#include "core/base/digest.h"
#include "core/base/process.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

Digest net_digest(const std::string& zone, std::size_t net_number, std::string_view purpose) {
    return sha256(as_bytes(std::string(purpose) + "\n" + zone + "\n" + std::to_string(net_number)));
}

bool is_ipv6(const std::string& address) { return address.find(':') != std::string::npos; }

std::string with_prefix(const std::string& address) {
    if (address.find('/') != std::string::npos) return address;
    return address + (is_ipv6(address) ? "/128" : "/32");
}

// No duplicate address detection: it would keep the address unusable for a second after every move.
std::string address_command(const char* verb, const NetResource& net, const std::string& interface) {
    const bool nodad = is_ipv6(net.address) && std::string_view(verb) == "replace";
    return std::string("addr ") + verb + " " + with_prefix(net.address) + " dev " + interface +
           (nodad ? " nodad" : "") + "\n";
}

Status run_batch(std::vector<std::string> argv, const std::string& batch) {
    if (batch.empty()) return {};
    ProcessOptions options;
    options.input = batch;
    argv.insert(argv.end(), {"ip", "-batch", "-"});
    Status done = run_checked(argv, options);
    if (!done) return std::move(done).error().during("setting up the zone's network");
    return {};
}

}  // namespace

std::string mac_address(const std::string& zone, std::size_t net_number) {
    const Digest digest = net_digest(zone, net_number, "mac");
    const std::string hex = to_hex(ConstBytes(digest).first(5));
    std::string mac = "02";
    for (std::size_t i = 0; i < hex.size(); i += 2) mac += ":" + hex.substr(i, 2);
    return mac;
}

std::string host_link_name(const std::string& zone, std::size_t net_number) {
    const Digest digest = net_digest(zone, net_number, "link");
    return "zf" + to_hex(ConstBytes(digest).first(5));
}

std::string host_batch(const ZoneConfig& config, pid_t leader) {
    std::string out;
    for (std::size_t i = 0; i < config.nets.size(); ++i) {
        const NetResource& net = config.nets[i];
        if (config.ip_type == IpType::shared) {
            out += address_command("replace", net, net.physical);
            continue;
        }
        const std::string link = host_link_name(config.name, i);
        out += "link add " + link + " type veth peer name net" + std::to_string(i) + " address " +
               mac_address(config.name, i) + " netns " + std::to_string(leader) + "\n";
        out += "link set " + link + " master " + net.physical + " up\n";
    }
    return out;
}

std::string zone_batch(const ZoneConfig& config) {
    if (config.ip_type == IpType::shared) return "";
    std::string out = "link set lo up\n";
    for (std::size_t i = 0; i < config.nets.size(); ++i) {
        const NetResource& net = config.nets[i];
        const std::string link = "net" + std::to_string(i);
        if (!net.address.empty()) out += address_command("replace", net, link);
        out += "link set " + link + " up\n";
        if (!net.defrouter.empty()) out += "route replace default via " + net.defrouter + " dev " + link + " onlink\n";
    }
    return out;
}

Status check_network(const ZoneConfig& config) {
    for (const NetResource& net : config.nets) {
        if (::if_nametoindex(net.physical.c_str()) != 0) continue;
        return Error(Errc::not_found, "net: this host has no interface " + printable(net.physical))
            .remedy("zonecfg -z " + config.name + " (net, physical), or make the bridge");
    }
    return {};
}

Status plumb_network(const ZoneConfig& config, pid_t leader) {
    Status done = run_batch({}, host_batch(config, leader));
    if (done) done = run_batch({"nsenter", "-t", std::to_string(leader), "-n", "--"}, zone_batch(config));
    if (!done) unplumb_network(config);
    return done;
}

void unplumb_network(const ZoneConfig& config) {
    for (std::size_t i = 0; i < config.nets.size(); ++i) {
        const NetResource& net = config.nets[i];
        if (config.ip_type == IpType::exclusive) {
            (void)run_process({"ip", "link", "del", host_link_name(config.name, i)});
        } else {
            (void)run_process({"ip", "addr", "del", with_prefix(net.address), "dev", net.physical});
        }
    }
}

}  // namespace zoneferry
