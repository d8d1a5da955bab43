// Who has a zone's tree when no agent is asked: detach, attach and boot by hand, on storage that other hosts see too.
//
//   detach     the record beside the tree becomes `free`, epoch n+1: whoever attaches it next has it
//   attach     free -> owned, epoch n+1, under the storage's lock: of two hosts only one gets it
//   take over  any -> owned, epoch n+1: a person has said that the host which holds it cannot run it any more
//   boot       a LUN that is this host's and not mounted (the host was restarted) is mounted, if its record still says
//   so
#pragma once

#include <string>

#include "core/base/host_root.h"
#include "core/zone/owner_record.h"
#include "core/zone/store.h"

namespace zoneferry {

Result<std::string> host_name();

// How other hosts may see this tree, from what it is mounted from: kSharedDirectory, a LUN's text, or empty.
std::string storage_beside(const HostRoot& root, const std::string& zonepath);

// Before a detach. Nothing is written when the zone is not this host's to give.
Status give_up_by_hand(const HostRoot& root, const ZoneLock& lock, const ZoneEntry& entry, const std::string& host);
// Before an attach ends. Nothing to do for a tree without a record, or that is this host's. Errc::not_owner.
Status claim_by_hand(const HostRoot& root, const ZoneLock& lock, const std::string& zonepath, const std::string& host);
// The attach that claimed it was undone: anybody may attach it again. Nothing if this host had not claimed it by hand.
Status give_back_by_hand(const HostRoot& root, const ZoneLock& lock, const std::string& zonepath);

// Who holds it instead of this host; nullopt: nobody does, and nothing needs to be taken over.
Result<std::optional<OwnerRecord>> holder_elsewhere(const HostRoot& root, const ZoneName& zone,
                                                    const std::string& zonepath);
// Errc::busy while the lease is held: then the zone runs there.
Status take_over_by_hand(const HostRoot& root, const ZoneLock& lock, const std::string& zonepath,
                         const OwnerRecord& holder, const std::string& host);

// Mounts the LUN of a zone that is this host's; nothing to do for others.
Status bring_lun(const HostRoot& root, const ZoneName& zone);

}  // namespace zoneferry
