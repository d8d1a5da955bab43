// A state directory belongs to one machine. A clone of a host (a copied virtual machine, a restored disk in another
// one) has its journal, owner records and keys, and would believe that it may run the same zones.
//
// ROOT/var/lib/zoneferry/bound-to holds the machine-id (ROOT/etc/machine-id) of the host that wrote it: the agent's
// first start does. From then on an agent does not start, and no zone boots, where the machine-id is another one. A
// host without machine-id is not bound.
//
// A copy that kept the machine-id, too, is noticed by a peer that hears of both (agent/peer_runs.h). The agents of both
// are told, and write the peer's words into ROOT/run/zoneferry/doubled: while that lies there no zone boots. Zones that
// run go on.
#pragma once

#include <string>

#include "core/base/host_root.h"
#include "core/base/result.h"

namespace zoneferry {

// Errc::not_owner, with what to type, when the state directory is another machine's.
Status check_state_binding(const HostRoot& root);
// The same, and binds it if it is nobody's yet.
Status bind_state(const HostRoot& root);

// Errc::not_owner, while a peer says that this host is there twice.
Status check_not_doubled(const HostRoot& root);
// sentence: the peer's words; empty: no peer says so any more.
Status set_doubled(const HostRoot& root, const std::string& sentence);

}  // namespace zoneferry
