// Tells the neighbours where a zone's addresses are now. ARP announcement (RFC 5227: sender and target address both
// ours) and unsolicited neighbour advertisement with the override flag (RFC 4861, 7.2.6).
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "core/base/fd.h"
#include "core/zone/network.h"

namespace zoneferry {
namespace {

// Milliseconds between announcements: the first at once, the last after the slowest bridge port forwards.
constexpr std::array<int, 5> kPausesMs{0, 50, 200, 500, 1500};

struct Target {
    std::string interface;
    std::string address;
};

std::vector<Target> targets(const ZoneConfig& config) {
    std::vector<Target> out;
    for (std::size_t i = 0; i < config.nets.size(); ++i) {
        const NetResource& net = config.nets[i];
        if (net.address.empty()) continue;
        out.push_back({config.ip_type == IpType::exclusive ? "net" + std::to_string(i) : net.physical,
                       net.address.substr(0, net.address.find('/'))});
    }
    return out;
}

std::array<unsigned char, 6> hardware_address(const std::string& interface) {
    std::array<unsigned char, 6> mac{};
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    const UniqueFd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (::ioctl(any.get(), SIOCGIFHWADDR, &request) == 0)
        std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
    return mac;
}

void announce_ipv4(const Target& target) {
    const auto mac = hardware_address(target.interface);
    ether_arp arp{};
    arp.ea_hdr.ar_hrd = htons(ARPHRD_ETHER);
    arp.ea_hdr.ar_pro = htons(ETHERTYPE_IP);
    arp.ea_hdr.ar_hln = 6;
    arp.ea_hdr.ar_pln = 4;
    arp.ea_hdr.ar_op = htons(ARPOP_REQUEST);
    std::memcpy(arp.arp_sha, mac.data(), mac.size());
    if (::inet_pton(AF_INET, target.address.c_str(), arp.arp_spa) != 1) return;
    std::memcpy(arp.arp_tpa, arp.arp_spa, sizeof arp.arp_tpa);

    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(ETHERTYPE_ARP);
    to.sll_ifindex = static_cast<int>(::if_nametoindex(target.interface.c_str()));
    to.sll_halen = 6;
    std::memset(to.sll_addr, 0xff, 6);
    const UniqueFd packet(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETHERTYPE_ARP)));
    (void)::sendto(packet.get(), &arp, sizeof arp, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

void announce_ipv6(const Target& target) {
    struct {
        nd_neighbor_advert advert{};
        std::array<unsigned char, 8> option{ND_OPT_TARGET_LINKADDR, 1};
    } message;
    const auto mac = hardware_address(target.interface);
    std::memcpy(message.option.data() + 2, mac.data(), mac.size());
    message.advert.nd_na_type = ND_NEIGHBOR_ADVERT;
    message.advert.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
    sockaddr_in6 from{};
    from.sin6_family = AF_INET6;
    if (::inet_pton(AF_INET6, target.address.c_str(), &from.sin6_addr) != 1) return;
    message.advert.nd_na_target = from.sin6_addr;

    const UniqueFd raw(::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6));  // the kernel adds the checksum
    const int hops = 255;
    const int index = static_cast<int>(::if_nametoindex(target.interface.c_str()));
    ::setsockopt(raw.get(), IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
    ::setsockopt(raw.get(), IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
    if (::bind(raw.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) return;
    sockaddr_in6 all_nodes{};
    all_nodes.sin6_family = AF_INET6;
    ::inet_pton(AF_INET6, "ff02::1", &all_nodes.sin6_addr);
    (void)::sendto(raw.get(), &message, sizeof message, 0, reinterpret_cast<const sockaddr*>(&all_nodes),
                   sizeof all_nodes);
}

void announce_all(const std::vector<Target>& all) {
    for (const int pause_ms : kPausesMs) {
        ::poll(nullptr, 0, pause_ms);
        for (const Target& target : all) {
            if (target.address.find(':') == std::string::npos) {
                announce_ipv4(target);
            } else {
                announce_ipv6(target);
            }
        }
    }
}

}  // namespace

pid_t announce_addresses(const ZoneConfig& config, pid_t leader) {
    const std::vector<Target> all = targets(config);
    if (all.empty()) return 0;
    const pid_t child = ::fork();
    if (child != 0) return child < 0 ? 0 : child;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // announcing an address that has moved on would steal it back
    ::close_range(3, ~0U, 0);            // the parent's connections must end when the parent says so
    bool entered = config.ip_type == IpType::shared;
    if (!entered) {
        const UniqueFd network(::open(("/proc/" + std::to_string(leader) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
        entered = network && ::setns(network.get(), CLONE_NEWNET) == 0;
    }
    if (entered) announce_all(all);
    ::_exit(0);
}

}  // namespace zoneferry
