// Attach with update (zoneadm attach -u, -U): the zone is brought to this host's level and attached, or stays exactly
// as it was.
//
//     configured --(lu/ is written)--> incomplete --> installed
//          ^------- any failure ------------'
//
//     <zonepath>/lu/journal    zone=NAME, host=its id, inode=of root/ before, in_place=0|1; durable before all else
//     <zonepath>/lu/root       the working copy of root/ (shared blocks on btrfs and xfs)
//
// Order: journal; state incomplete; copy; packages are updated in the copy; the copy is made durable; root and lu/root
// change places in one step (RENAME_EXCHANGE); state installed; manifest and lu/ are removed. root/ itself is not
// touched before the exchange, and which of the two it is tells its inode (the new one only if the
// former lies in lu/root): after a crash at any point the zone is at
// its old level, and is put back to configured, or at the new one, and is made installed. The next attach -u does that
// first; mend_update() does nothing else.
//
// Without undo (--no-undo) there is no copy: root/ is changed in place, and after a failure the zone is incomplete, in
// no known state.
#pragma once

#include <string>
#include <vector>

#include "core/attach/attach.h"
#include "core/update/zone_update.h"
#include "core/zone/store.h"

namespace zoneferry {

struct AttachUpdateOptions {
    UpdateScope scope = UpdateScope::dependent;
    bool undo = true;
    AttachOptions attach;  // force: no
    UpdateHooks hooks;
};

struct AttachUpdateOutcome {
    UpdatePlan plan;  // refused: not attached, and nothing was changed
    bool attached = false;
    std::vector<std::string> notes;
    std::string host_log;  // empty: nothing had to be updated
};

// The zone is locked. Errors as attach_zone's, and of the engines; the zone is then as it was (but for --no-undo).
Result<AttachUpdateOutcome> attach_with_update(const HostRoot& root, const ZoneLock& lock,
                                               const AttachUpdateOptions& options);
// What it would do; changes nothing.
Result<UpdatePlan> preview_update(const HostRoot& root, const ZoneName& name, UpdateScope scope,
                                  std::vector<std::string>& notes);

enum class MendedTo {
    nothing,  // no update had broken off
    before,   // the level from before it; the zone is configured, and detached as it was
    after,    // this host's level: the update was complete; the zone is installed
};
// Errc::conflict for one that was done in place: nobody knows what the zone holds; and if neither tree is the former.
// Of a zone that is configured only lu/ is removed.
Result<MendedTo> mend_update(const HostRoot& root, const ZoneLock& lock);

}  // namespace zoneferry
