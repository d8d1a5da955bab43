// Who has a zone's tree when no agent is asked: detach, attach and boot by hand, on storage that other hosts see too.
//
//   detach     the record beside the tree becomes `free`, epoch n+1: whoever attaches it next has it
//   attach     free -> owned, epoch n+1, under the storage's lock: of two hosts only one gets it
//   take over  any -> owned, epoch n+1: a person has said that the host which holds it cannot run it any more
//   boot       a LUN that is this host's and not mounted (the host was restarted) is mounted, if its record still says
//              so
//
// A LUN that the zone's configuration declares is mounted by install, attach and boot, and unmounted by detach; one
// that only a move found is mounted by boot.
#pragma once

#include <string>
#include <vector>

#include "core/base/host_root.h"
#include "core/zone/owner_record.h"
#include "core/zone/store.h"

namespace zoneferry {

Result<std::string> host_name();

// How other hosts may see this tree, from what it is mounted from: kSharedDirectory, a LUN's text, or empty.
std::string storage_beside(const HostRoot& root, const std::string& zonepath);

// Before a detach. Nothing is written when the zone is not this host's to give: Errc::not_owner, naming who has it, if
// other hosts see the tree, too, so that a manifest here would be one beside the holder's tree.
Status give_up_by_hand(const HostRoot& root, const ZoneLock& lock, const ZoneEntry& entry, const std::string& host);
// A zone whose LUN is declared has an owner record from its first day, so that no other host takes it for nobody's.
// Nothing to do if there is a record, or no declaration.
Status hold_by_hand(const HostRoot& root, const ZoneEntry& entry, const ZoneConfig& config, const std::string& host);
// Before an attach ends. Nothing to do for a tree without a record, or that is this host's. Errc::not_owner.
Status claim_by_hand(const HostRoot& root, const ZoneLock& lock, const std::string& zonepath, const std::string& host);
// The attach that claimed it was undone: anybody may attach it again. Nothing if this host had not claimed it by hand.
Status give_back_by_hand(const HostRoot& root, const ZoneLock& lock, const std::string& zonepath);

// Who holds it instead of this host; nullopt: nobody does, and nothing needs to be taken over. A declared LUN that is
// not mounted is looked at read-only.
Result<std::optional<OwnerRecord>> holder_elsewhere(const HostRoot& root, const ZoneName& zone,
                                                    const ZoneConfig& config);
// Errc::busy while the lease is held: then the zone runs there.
Status take_over_by_hand(const HostRoot& root, const ZoneLock& lock, const std::string& zonepath,
                         const OwnerRecord& holder, const std::string& host);

// At an agent's start: mount points of LUNs of this host's zones that were left frozen, thawed now.
std::vector<std::string> thaw_luns(const HostRoot& root);

// What its LUN is mounted for: which words of the owner record allow it.
enum class LunUse {
    boot,       // the zone is this host's
    attach,     // or was detached by hand
    take_over,  // whatever it says: a person has named the holder
};
// Mounts the LUN of a zone, if it has one and it is not mounted. Errc::not_owner; Errc::conflict if something else is
// mounted there. True: it was not mounted before.
Result<bool> bring_lun(const HostRoot& root, const ZoneName& zone, LunUse use);
// Unmounts the LUN that the configuration declares. Of another one, which a person unmounts, this host's reservation is
// given up.
Status put_lun_away(const HostRoot& root, const ZoneConfig& config);

}  // namespace zoneferry
