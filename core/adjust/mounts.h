// What a system mounts at boot: local disks are not in the zone, what comes over the network stays.
//
//   fstab    kept: network types (nfs, cifs, ceph ...), `_netdev` without a device, bind mounts, tmpfs outside what the
//            runtime mounts (/dev, /proc, /run, /sys). Everything else, swap too, is commented out.
//   vfstab   kept: fd, /proc, swap, ctfs, objfs, sharefs as special, or type nfs or lofs; as Solaris' own p2v did.
#pragma once

#include "core/adjust/image_editor.h"
#include "core/adjust/text_edit.h"

namespace zoneferry {

bool is_kept_in_fstab(std::string_view line);  // a line that is neither empty nor a comment
bool is_kept_in_vfstab(std::string_view line);

Status adjust_fstab(ImageEditor& image);
Status adjust_vfstab(ImageEditor& image);

}  // namespace zoneferry
