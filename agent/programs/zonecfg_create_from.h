// `zonecfg create -a PATH`: a configuration from the manifest of a detached zone.
#pragma once

#include <string>

#include "core/base/host_root.h"
#include "core/base/result.h"
#include "core/zone/config.h"
#include "core/zone/name.h"

namespace zoneferry {

// All settings as the source had them, with this name and zonepath. What of them reaches into this host
// (privileges, devices, mounts) is told on stderr: the source's administrator chose it.
Result<ZoneConfig> detached_configuration(const HostRoot& root, const std::string& zonepath, const ZoneName& name);

}  // namespace zoneferry
