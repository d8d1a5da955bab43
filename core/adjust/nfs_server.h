// A zone serves no NFS: what the image shares is commented out, and its servers are turned off.
#pragma once

#include "core/adjust/image_editor.h"

namespace zoneferry {

Status adjust_linux_nfs(ImageEditor& image);    // etc/exports, etc/exports.d/*.exports, units
Status adjust_solaris_nfs(ImageEditor& image);  // etc/dfs/dfstab; the services: solaris_services.h

}  // namespace zoneferry
