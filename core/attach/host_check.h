// Whether this host has what a zone's configuration asks of it: `zoneadm verify`, and the first thing attach, install
// and clone do. Looks, changes nothing. (Packages are not looked at here: that is attach.h.)
//
//   zonepath          if it is there: the rules of zone_tree.h; its file system lets set-uid programs run and is
//   writable net               the interface or bridge exists fs of type lofs   what is to be mounted exists
//   inherit-pkg-dir   the directory exists
#pragma once

#include <string>
#include <vector>

#include "core/base/host_root.h"
#include "core/zone/config.h"

namespace zoneferry {

struct HostCheck {
    std::vector<std::string> problems;  // the zone cannot live here: one sentence each, all of them
    std::vector<std::string> notes;     // it can, but look at it
};
// config passed verify_config(). The paths are looked up below the root.
HostCheck check_host(const HostRoot& root, const ZoneConfig& config);
// The problems as one Error (Errc::invalid).
Status require_host(const HostRoot& root, const ZoneConfig& config);

}  // namespace zoneferry
