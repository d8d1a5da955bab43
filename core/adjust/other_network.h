// Network configuration that is not moved to the zone's interfaces: it is recognised, and said, with what to do.
//
//   bonds, bridges, VLANs of netplan and NetworkManager   they are turned off, and so is the address that they had
//   dhcpcd, connman, wicked, wicd                         left to themselves where the zone's nets have no address:
//   they
//                                                         ask for one on any interface; else they are turned off.
//                                                         With -u their configuration is removed
//
// (ifupdown's bonds and bridges become plain interfaces with the same address; those of systemd-networkd keep theirs if
// a .network file gives it.)
#pragma once

#include <string>
#include <vector>

#include "core/adjust/image_editor.h"
#include "core/adjust/nics.h"

namespace zoneferry {

// virtual_nics: of netplan and NetworkManager. Only with ip-type=exclusive.
Status adjust_other_network(ImageEditor& image, const ZoneConfig& zone, const std::vector<ImageNic>& virtual_nics,
                            bool unconfigure);

}  // namespace zoneferry
