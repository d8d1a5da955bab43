// Detach: record what a halted zone depends on here, and give it up.
//
//     installed --detach--> configured, with <zonepath>/SUNWdetached.xml beside root/
//
// Order: nothing mounted below the zonepath; manifest durable; only then the state. A crash between the two
// leaves an installed zone with a manifest beside it, which a second detach replaces.
#pragma once

#include <string>

#include "core/attach/manifest.h"
#include "core/base/host_root.h"
#include "core/packages/scope.h"
#include "core/zone/store.h"

namespace zoneferry {

DependencyScope dependency_scope(const ZoneConfig& config);

// What detach would write, without touching anything: for `detach -n`, and for a move's check of a running
// zone. Takes no lock.
Result<Manifest> make_manifest(const HostRoot& root, const ZoneConfig& config);

// zonepath as configured, below the root. Durable when it returns; what was written can be read back.
Status write_manifest(const HostRoot& root, const std::string& zonepath, const Manifest& manifest);
// Errc::not_found if there is none, Errc::invalid if it cannot be used.
Result<Manifest> read_manifest(const HostRoot& root, const std::string& zonepath);

// state_now is what the runtime sees (installed: halted). Errc::conflict if the zone is in another state or
// something is mounted below its zonepath; nothing was changed then.
Status detach_zone(const HostRoot& root, const ZoneLock& lock, const ZoneName& name, ZoneState state_now);

}  // namespace zoneferry
