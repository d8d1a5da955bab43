// The network of a running zone.
//
// exclusive: for net i a veth pair; the host's end (host_link_name) is put into the bridge net.physical, the zone's end
//   is "net<i>" inside the zone's own network namespace. That namespace belongs to the zone's user namespace, so that
//   root in the zone may bind port 80. Addresses and the default route are set from outside, as soon as the zone's init
//   exists.
// shared: the zone uses the host's stack; the address is put on net.physical and taken off again. (The host's stack
// does
//   not belong to the zone's user namespace: ports below the host's net.ipv4.ip_unprivileged_port_start are closed to
//   it.)
//
// The MAC address comes from the zone's name and the net's number only: it is the same on every host, so a move changes
// nothing that a neighbour has cached but the port of a switch. That is what the announcement is for: gratuitous ARP,
// or an unsolicited neighbour advertisement, several times because any one may get lost.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/host_root.h"
#include "core/base/result.h"
#include "core/zone/config.h"

namespace zoneferry {

std::string mac_address(const std::string& zone, std::size_t net_number);     // "02:..", locally administered
std::string host_link_name(const std::string& zone, std::size_t net_number);  // "zf" and 10 hex digits
// The commands for `ip -batch`, purely: on the host's side and inside the zone.
std::string host_batch(const ZoneConfig& config, pid_t leader);
std::string zone_batch(const ZoneConfig& config);

// Every net.physical exists on this host.
Status check_network(const ZoneConfig& config);
// leader is the zone's init, seen from here. On error what was made is taken away again.
Status plumb_network(const ZoneConfig& config, pid_t leader);
// Takes away links and addresses; what is gone already is no error.
void unplumb_network(const ZoneConfig& config);
// Starts a child that announces every address a few times and ends within three seconds; returns its pid, or 0 if there
// is nothing to announce. It dies with its parent, and must be killed before the addresses are taken away: an
// announcement of an address that has moved on would steal it back. Only for single-threaded programs (it forks).
pid_t announce_addresses(const ZoneConfig& config, pid_t leader);

}  // namespace zoneferry
