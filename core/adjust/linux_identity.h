// -u: what makes a Linux system this one and no other is taken away. -p leaves all of it byte for byte.
//
//   host name          etc/hostname, mailname, the old name's lines in etc/hosts: the zone's name, or the sysid file's
//   machine id         emptied: systemd makes a new one at boot, and does not take it for a first boot that asks
//   ssh host keys      removed; a unit makes new ones before sshd starts
//   network identity   the configuration (linux_network.h), DHCP leases, resolv.conf, iSCSI and NVMe names, keytab,
//                      VPN keys, NetworkManager's and the agent's own state
//   random seeds       removed
//   root's password    locked; the first boot asks for one on the zone's console (/etc/zoneferry/first-boot, once for
//                      each start of the getty while /etc/.UNCONFIGURED is there), or the sysid file gives it
//
// Users, their keys and their data stay; so do logs.
#pragma once

#include "core/adjust/image_editor.h"

namespace zoneferry {

Status unconfigure_linux(ImageEditor& image, const std::string& zone_name, const std::optional<Sysid>& sysid);

// Pure parts.
// Root's second field becomes `password`, and its age is forgotten; every other line stays as it was.
std::string shadow_with_root_password(std::string_view shadow, std::string_view password);
// Lines that name old_name, alone or with a domain, go, and so does 127.0.1.1; a line for the new name comes instead.
std::string hosts_for_zone(std::string_view hosts, std::string_view old_name, std::string_view new_name);
// The getty's unit, told to ask first; empty if it has no ExecStart to build on.
std::string asking_getty(std::string_view unit);

}  // namespace zoneferry
