// What else a Solaris image needs, beside services, mounts, NFS and zones.
//
//   system     devices/ removed; dev, proc, system/contract, system/object, var/run, etc/svc/volatile and tmp made
//   empty;
//              etc/mnttab an empty file: a running system fills them all
//   network    exclusive: hostname.IF, hostname6.IF and dhcp.IF get the name of the zone's interface (nics.h), those
//   that
//              are left over are put aside; shared: all put aside, defaultrouter too
//   identity   -u, as sys-unconfig(1M) does it: hosts (the old one as hosts.saved), vfstab as vfstab.orig if it has
//   NFS,
//              host, domain and router names, netmasks, resolv.conf, NIS and LDAP, time zone PST8PDT, root's password;
//              and beyond it ssh host keys and the random seed. etc/.UNCONFIGURED makes the first boot ask; a sysid
//              file becomes etc/sysidcfg, which answers.
#pragma once

#include "core/adjust/image_editor.h"

namespace zoneferry {

Status adjust_solaris_directories(ImageEditor& image);
Status adjust_solaris_network(ImageEditor& image, const ZoneConfig& zone, bool unconfigure);
Status unconfigure_solaris(ImageEditor& image, const std::string& zone_name, const std::optional<Sysid>& sysid);

// Pure: the answers as sysidcfg(4) wants them.
std::string sysidcfg_of(const Sysid& sysid, std::string_view zone_name);

}  // namespace zoneferry
