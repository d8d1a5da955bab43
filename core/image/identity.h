// What makes a system one of its own: a copy of a zone needs another.
//
//   etc/machine-id                  emptied: systemd makes a new one at the first boot
//   var/lib/dbus/machine-id         removed if it is a file (it should be a link to the former)
//   var/lib/systemd/random-seed     removed
//   etc/hostname, and 127.0.1.1 in etc/hosts    the new zone's name
//
// ssh host keys are left (a service may be known by them) and told as a warning.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

// zone_root: an open directory whose contents are hostile: no link in it is followed.
Status give_new_identity(int zone_root, const std::string& zone_name, std::vector<std::string>& warnings);

// The text of etc/hosts with the names of 127.0.1.1 replaced; pure.
std::string hosts_with_name(const std::string& hosts, const std::string& zone_name);

}  // namespace zoneferry
