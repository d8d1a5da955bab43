// zoneadmd: the process that supervises one running zone, from its boot to its halt.
//
//            boot asked                    init runs            init says READY
//   (none) ------------> starting (ready) ----------> running ------------------> running, ready
//                              ^                          |  halt, SIGTERM, poweroff inside
//                              '------- exit 133 ---------+-----> shutting down -> (none)
//
// It is the parent of systemd-nspawn, holds the zone's console and its network, and answers on the control socket. It
// holds no descriptor of whoever started it. If it is killed, the console hangs up and nspawn takes the
// zone down (nothing runs unsupervised); record and cgroup find what is left, and Runtime::halt or the next boot clean
// up.
#pragma once

#include "core/base/host_root.h"
#include "core/zone/name.h"

namespace zoneferry {

// Runs the zone until it halts. In a unit of systemd its cgroup is the unit's own. Single-threaded; returns the
// program's exit status. What went wrong at boot has been told to the one who asked for it, and to stderr.
int supervise_zone(const HostRoot& root, const ZoneName& name, bool in_unit);

}  // namespace zoneferry
