// The agent of one host, wired together: journal, trust, network, control socket, moves. One per host root,
// guarded by a lock file.
#pragma once

#include "core/base/host_root.h"
#include "core/base/result.h"

namespace zoneferry {

// Runs until SIGTERM or SIGINT; moves that are under way stop at their next journaled point and go on at the
// next start. The caller has blocked both signals.
Status run_daemon(const HostRoot& root);

}  // namespace zoneferry
