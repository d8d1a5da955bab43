#include "core/zone/address_probe.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "core/base/clock.h"
#include "core/base/fd.h"
#include "core/zone/network.h"

namespace zoneferry {
namespace {

constexpr int kProbes = 2;
constexpr int kWaitMs = 150;

std::string mac_text(const unsigned char* mac) {
    std::array<char, 18> text{};
    std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                  mac[5]);
    return text.data();
}

// An ARP request for the address with sender 0.0.0.0, so that no cache of a neighbour learns from it.
bool send_probe(int packet, unsigned index, const in_addr& address, const unsigned char* own_mac) {
    ether_arp arp{};
    arp.ea_hdr.ar_hrd = htons(ARPHRD_ETHER);
    arp.ea_hdr.ar_pro = htons(ETHERTYPE_IP);
    arp.ea_hdr.ar_hln = 6;
    arp.ea_hdr.ar_pln = 4;
    arp.ea_hdr.ar_op = htons(ARPOP_REQUEST);
    std::memcpy(arp.arp_sha, own_mac, sizeof arp.arp_sha);
    std::memcpy(arp.arp_tpa, &address, sizeof arp.arp_tpa);
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(ETHERTYPE_ARP);
    to.sll_ifindex = static_cast<int>(index);
    to.sll_halen = 6;
    std::memset(to.sll_addr, 0xff, 6);
    return ::sendto(packet, &arp, sizeof arp, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) ==
           static_cast<ssize_t>(sizeof arp);
}

// Answers that say "that address is mine" until the wait is over; the first MAC that is not own_mac.
std::optional<std::string> listen_for(int packet, const in_addr& address, const std::string& zone_mac) {
    const SystemClock clock;
    const std::int64_t until_ms = clock.monotonic_ms() + kWaitMs;
    while (true) {
        const std::int64_t left_ms = until_ms - clock.monotonic_ms();
        pollfd wait{packet, POLLIN, 0};
        if (left_ms <= 0 || ::poll(&wait, 1, static_cast<int>(left_ms)) <= 0) return std::nullopt;
        ether_arp arp{};
        if (::recv(packet, &arp, sizeof arp, MSG_DONTWAIT) != static_cast<ssize_t>(sizeof arp)) continue;
        if (std::memcmp(arp.arp_spa, &address, sizeof arp.arp_spa) != 0) continue;
        if (const std::string holder = mac_text(arp.arp_sha); holder != zone_mac) return holder;
    }
}

}  // namespace

std::optional<std::string> foreign_holder(const ZoneConfig& config, std::size_t net_number) {
    const NetResource& net = config.nets[net_number];
    in_addr address{};
    const std::string wanted = net.address.substr(0, net.address.find('/'));
    if (config.ip_type != IpType::exclusive || ::inet_pton(AF_INET, wanted.c_str(), &address) != 1) return std::nullopt;
    const unsigned index = ::if_nametoindex(net.physical.c_str());
    const UniqueFd packet(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETHERTYPE_ARP)));
    ifreq request{};
    net.physical.copy(request.ifr_name, IFNAMSIZ - 1);
    if (index == 0 || !packet || ::ioctl(packet.get(), SIOCGIFHWADDR, &request) != 0) return std::nullopt;
    std::array<unsigned char, 6> own_mac{};
    std::memcpy(own_mac.data(), request.ifr_hwaddr.sa_data, own_mac.size());
    const std::string zone_mac = mac_address(config.name, net_number);
    for (int i = 0; i < kProbes; ++i) {
        if (!send_probe(packet.get(), index, address, own_mac.data())) return std::nullopt;
        if (auto holder = listen_for(packet.get(), address, zone_mac)) return holder;
    }
    return std::nullopt;
}

}  // namespace zoneferry
