// The network of a Linux image.
//
//   shared     the global zone's stack: whatever the image would set up is turned off, with its services
//   exclusive  a stack of its own: the image's configuration is moved to the zone's interfaces (nics.h), for ifupdown,
//              systemd-networkd, netplan and NetworkManager; of others it is said (other_network.h)
//   -u         no configuration is kept: the zone's own is all there is
//
// Either way: names given by udev or .link files are put aside, and so are definitions of bridges, bonds and VLANs.
#pragma once

#include "core/adjust/image_editor.h"
#include "core/adjust/nics.h"

namespace zoneferry {

Status adjust_linux_network(ImageEditor& image, const ZoneConfig& zone, bool unconfigure);
// What gets an address in the image, bonds and the like too; for the zone's configuration. Changes nothing.
Result<std::vector<ImageNic>> configured_nics(int root);

}  // namespace zoneferry
