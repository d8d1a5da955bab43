// A move whose source and target have one and the same tree. Nothing of it travels, and nothing of it may ever be
// deleted, renamed or replaced by a move: both sides ask is_shared() wherever they do that with a tree of their own.
//
//     source   quiesce   owner record beside the tree: frozen, with the move's id and a nonce; zone halted; LUN
//     unmounted target   stage     reads that record (a LUN: read-only, at no path) and promises only if it says all of
//     it source   release   in the journal and in its own copy; from here on it does not touch the storage any more
//     target   activate  mounts the LUN; reads the record again; owned, epoch n+1; manifest; attach; boot
//     source   finalize  forgets the zone; the tree is the target's
//     source   abort     mounts the LUN again; owned, epoch n; boots
//
// The nonce travels over TLS in StageRequest: who reads it beside the tree has the tree that the source has frozen, not
// one of the same name, the same UUID or an older state.
#pragma once

#include <optional>
#include <string>

#include "agent/context.h"
#include "agent/move/move_record.h"
#include "core/zone/config.h"
#include "core/zone/owner_record.h"

namespace zoneferry {

// What goes to the target: a LUN that the zone declares only if it is handed over.
ZoneConfig config_to_send(ZoneConfig config, SharedKind shared);
// At the target: it may declare only the LUN that this move hands over. Errc::protocol. Purely.
Status check_declared(const ZoneConfig& config, SharedKind shared, const std::string& storage);

bool is_shared(const MoveRecord& record);
// What stands in owner records as storage=.
std::string storage_of_owner(const MoveRecord& record);

// LUN: mounted here now. Directory, or nothing shared: nothing to do.
// epoch: under which this host holds it.
Status mount_shared(AgentContext& context, const MoveRecord& record, std::uint64_t epoch);
// LUN: unmounted here now.
Status unmount_shared(AgentContext& context, const MoveRecord& record);

// Target: what the record beside the tree must say before anything is promised. Pure: Errc::conflict.
Status check_frozen_for(const MoveRecord& record, const std::string& nonce, const std::optional<OwnerRecord>& beside);
// Reads it and asks that; the tree must have a root.
Status verify_handover(AgentContext& context, const MoveRecord& record, const std::string& nonce);
// Target, owning it: mounts the LUN, and looks that the tree is the one that was promised, or this host's already.
Status take_shared(AgentContext& context, const MoveRecord& record);

}  // namespace zoneferry
