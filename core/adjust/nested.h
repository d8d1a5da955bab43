// Zones do not nest. The zones of the image (Solaris' or ours: one format) are uninstalled and deleted: their index
// lines commented out, their configurations put aside, <zonepath>/{root,dev,lu,SUNWdetached.xml} deleted for good and
// the zonepath with them if nothing else is in it. Only zonepaths below the image's root with real directories on the
// way, two or more parts deep and not in a directory of the system: an index is as hostile as the rest.
//
// Other containers (machines of systemd-nspawn, lxc, lxd, incus, docker, podman, libvirt): what would start them is
// turned off. Their data may be the only copy and is deleted on request only; else a warning names it.
#pragma once

#include "core/adjust/image_editor.h"

namespace zoneferry {

Status delete_nested_zones(ImageEditor& image);
Status adjust_linux_containers(ImageEditor& image, bool delete_data);

// Where a nested zone's files may be deleted; pure. "export/zones/web", without the leading slash.
bool is_deletable_zonepath(std::string_view relative);

}  // namespace zoneferry
