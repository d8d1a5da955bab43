// A state directory belongs to one machine. A clone of a host (a copied virtual machine, a restored disk in another
// one) has its journal, owner records and keys, and would believe that it may run the same zones.
//
// ROOT/var/lib/zoneferry/bound-to holds the machine-id (ROOT/etc/machine-id) of the host that wrote it: the agent's
// first start does. From then on an agent does not start, and no zone boots, where the machine-id is another one. A
// host without machine-id is not bound. A copy that kept the machine-id, too, is not noticed.
#pragma once

#include "core/base/host_root.h"
#include "core/base/result.h"

namespace zoneferry {

// Errc::not_owner, with what to type, when the state directory is another machine's.
Status check_state_binding(const HostRoot& root);
// The same, and binds it if it is nobody's yet.
Status bind_state(const HostRoot& root);

}  // namespace zoneferry
