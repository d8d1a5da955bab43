#include "agent/move/finish.h"

#include <spdlog/spdlog.h>
#include <stdio.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>

#include "agent/exit_codes.h"
#include "agent/move/look_back.h"
#include "agent/move/moved_tree.h"
#include "agent/move/shared_move.h"
#include "agent/peer_session.h"
#include "core/attach/attach.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/runtime.h"

namespace zoneferry {

Status set_owner(AgentContext& context, const MoveRecord& record, Ownership state, std::uint64_t epoch,
                 const std::string& holder) {
    OwnerRecord owner;
    owner.zone = record.zone;
    owner.zone_uuid = record.zone_uuid;
    owner.epoch = epoch;
    owner.state = state;
    owner.host = holder;
    owner.move_id = record.id;
    owner.since_unix_ms = context.clock.unix_ms();
    owner.storage = storage_of_owner(record);
    owner.nonce = is_shared(record) ? record.nonce : std::string();
    if (!is_shared(record) && (record.role == Role::source || state == Ownership::parked)) {
        // A tree that other hosts see as well stays one of that kind, whatever this move is.
        ZF_TRY(const ZoneName name, ZoneName::create(record.zone));
        ZF_TRY(const std::optional<OwnerRecord> before, OwnerStore(context.root).load(name, ""));
        if (before) owner.storage = before->storage;
    }
    const bool tree_is_here = path_exists(context.root.at(record.zonepath) + "/root");
    // A name that is only reserved has no tree of its own yet: a kept copy beside it is not touched.
    const bool beside_tree = tree_is_here && state != Ownership::incoming;
    return OwnerStore(context.root).save(owner, beside_tree ? record.zonepath : std::string());
}

namespace {

// True while this move may speak for the zone: nobody's yet, ours and free, or frozen by this very move.
bool is_held_by(const std::optional<OwnerRecord>& owner, const MoveRecord& record) {
    if (!owner) return true;
    if (owner->epoch != record.epoch) return false;
    return owner->state == Ownership::owned || (owner->state == Ownership::frozen && owner->move_id == record.id);
}

}  // namespace

Status check_still_ours(AgentContext& context, const MoveRecord& record, const ZoneName& name) {
    ZF_TRY(const ZoneEntry entry, ZoneStore(context.root).find(name));
    if (entry.state != ZoneState::installed) {
        return Error(Errc::conflict, "zone " + record.zone + " is " + std::string(state_name(entry.state)) + " now");
    }
    ZF_TRY(const std::optional<OwnerRecord> owner, OwnerStore(context.root).load(name, record.zonepath));
    if (is_held_by(owner, record)) return {};
    ZF_TRY_STATUS(check_may_boot(owner));
    return Error(Errc::not_owner, "zone " + record.zone + " has been away since this move was planned: epoch " +
                                      std::to_string(owner->epoch) + ", not " + std::to_string(record.epoch));
}

Result<bool> take_back(AgentContext& context, const MoveRecord& record, const ZoneLock& lock) {
    ZF_TRY(const std::optional<OwnerRecord> owner, OwnerStore(context.root).load(lock.name(), record.zonepath));
    if (!is_held_by(owner, record)) return false;
    ZF_TRY_STATUS(set_owner(context, record, Ownership::owned, record.epoch, context.settings.name));
    return true;
}

Status ensure_zone_runs(AgentContext& context, const ZoneLock& lock) {
    const ZoneStore store(context.root);
    ZF_TRY(const ZoneEntry entry, store.find(lock.name()));
    ZF_TRY(const ZoneConfig config, store.config(lock.name()));
    BootOptions options;
    options.wait_ready_ms = context.settings.boot_wait_s * 1000;
    return Runtime(context.root).ensure_runs(lock, entry, config, options);
}

Status start_again(AgentContext& context, const MoveRecord& record, const ZoneLock& lock) {
    if (!record.was_running) return {};
    Status runs = ensure_zone_runs(context, lock);
    return runs ? Status() : std::move(runs).error().during("starting " + record.zone + " again after the undo");
}

Status attach_again(AgentContext& context, const MoveRecord& record, const ZoneLock& lock) {
    AttachOptions options;
    options.force = true;
    options.uuid = record.zone_uuid;
    ZF_TRY(const AttachOutcome outcome, attach_zone(context.root, lock, lock.name(), options));
    if (outcome.attached) return {};
    return Error(Errc::blocked, "this host cannot run zone " + record.zone + " any more")
        .remedy("zoneadm -z " + record.zone + " attach -n");
}

Status park_zone(AgentContext& context, const MoveRecord& record, const ZoneLock& lock, std::uint64_t epoch,
                 const std::string& holder) {
    ZF_TRY_STATUS(set_owner(context, record, Ownership::parked, epoch, holder));
    Runtime runtime(context.root);
    if (const auto status = runtime.status(lock.name()); status && status->is_up()) {
        // On shared storage what it would write while it shuts down goes into the other host's tree.
        ZF_TRY(const std::optional<OwnerRecord> owner, OwnerStore(context.root).load(lock.name(), ""));
        const bool sees_holder = owner && !owner->storage.empty();
        ZF_TRY_STATUS(runtime.halt(lock, lock.name(), sees_holder ? 0 : context.settings.halt_grace_s * 1000));
    }
    const std::string why = holder + " holds zone " + record.zone + " under epoch " + std::to_string(epoch) +
                            ": the copy on this host is parked";
    spdlog::warn("{}", why);
    ZF_TRY(const std::optional<MoveRecord> now, context.journal.find(record.id));
    if (!now || !allows(*now, EventKind::superseded)) return context.journal.audit(record.zone, record.id, why);
    const MoveEvent event{.kind = EventKind::superseded,
                          .text = why,
                          .code = std::string(errc_name(Errc::not_owner)),
                          .number = static_cast<std::int64_t>(epoch)};
    ZF_TRY([[maybe_unused]] const MoveRecord after, context.journal.apply(record.id, event));
    return {};
}

namespace {

Status ask_if_healthy(AgentContext& context, const MoveRecord& record) {
    ZF_TRY(PeerSession session, PeerSession::open(context, record.peer, record.peer_address));
    StatusRequest request;
    request.move_id = record.id;
    ZF_TRY(const StatusReply reply, session.ask<StatusReply>(std::move(request)));
    if (!reply.known || !reply.owned || !reply.attached) {
        return Error(Errc::conflict, record.peer + " does not hold zone " + record.zone +
                                         " (it says: " + printable(reply.phase) + "), so this copy is kept")
            .remedy("zoneferry status " + record.id);
    }
    if (record.was_running && !reply.running) {
        return Error(Errc::conflict,
                     "zone " + record.zone + " does not run on " + record.peer + ", so this copy is kept")
            .remedy("start it there: zoneadm -z " + record.zone + " boot; or bring it back: zoneferry rollback " +
                    record.id);
    }
    FinalizeRequest finalize;
    finalize.move_id = record.id;
    ZF_TRY([[maybe_unused]] const FinalizeReply done, session.ask<FinalizeReply>(std::move(finalize)));
    return {};
}

// What there is to delete for a finalize. The rename of the tree comes first, so trash says that it was decided.
enum class Remains {
    copy,     // the copy that this move has left behind: the owner record is still as the release made it
    trash,    // a deletion was broken off; whatever else is here, a zone that came back since or a new one, is not ours
    nothing,  // a person has deleted all of it
};

bool is_set_aside(AgentContext& context, const MoveRecord& record) {
    const std::vector<MovedTree> trees = own_trees(record);
    return std::any_of(trees.begin(), trees.end(),
                       [&](const MovedTree& tree) { return path_exists(trash_path(context.root, tree, record.id)); });
}

// Errc::conflict for a zone that has come back, or that a person has taken back by hand (docs/recovery.md): it is kept.
Result<Remains> look_at_remains(AgentContext& context, const MoveRecord& record, const ZoneName& name) {
    ZF_TRY(const std::optional<MoveRecord> now, context.journal.find(record.id));
    // What lies beside a shared tree is the present holder's word, about later moves as well.
    const std::string place = is_shared(record) ? std::string() : record.zonepath;
    ZF_TRY(const std::optional<OwnerRecord> owner, OwnerStore(context.root).load(name, place));
    const bool is_activated = now && now->phase == Phase::activated;
    const bool is_left = is_activated && owner && owner->state == Ownership::released && owner->host == record.peer &&
                         owner->epoch == holder_epoch(*now);  // more than one above ours once it was adopted there
    if (is_left) return Remains::copy;
    const bool has_trash = is_set_aside(context, record);
    if (is_activated && has_trash) return Remains::trash;
    if (is_activated && !owner && !ZoneStore(context.root).find(name)) return Remains::nothing;
    return Error(Errc::conflict, "zone " + record.zone + " is not a copy that move " + record.id +
                                     " left behind any more, so it is kept")
        .remedy("zoneadm -z " + record.zone + " list -v");
}

Status set_tree_aside(AgentContext& context, const MoveRecord& record, const MovedTree& tree) {
    const std::string trash = trash_path(context.root, tree, record.id);
    const std::string place = context.root.at(tree.path);
    if (::rename(place.c_str(), trash.c_str()) != 0 && errno != ENOENT) {
        const std::string remedy = errno != EBUSY ? ""
                                                  : "umount " + tree.path +
                                                        " (what lies on that storage stays there), then: zoneferry "
                                                        "finalize " +
                                                        record.id;
        return system_error("setting aside " + tree.path, errno).remedy(remedy);
    }
    const std::string parent = place.substr(0, place.rfind('/'));
    return path_exists(parent) ? sync_directory(parent) : Status();
}

// Each tree goes away in one step; from then on a crash leaves only rubbish, not half a zone. Durable before the zone's
// entry goes: after a power cut the tree must not lie there again, with no zone of its own. A shared tree is the only
// one there is, and the target's: it stays where it is.
Status set_aside(AgentContext& context, const MoveRecord& record, const ZoneLock& lock) {
    for (const MovedTree& tree : own_trees(record)) ZF_TRY_STATUS(set_tree_aside(context, record, tree));
    ZoneStore store(context.root);
    if (store.find(lock.name())) ZF_TRY_STATUS(store.remove(lock));
    return OwnerStore(context.root).remove(lock.name(), "");
}

Result<MoveRecord> end_deletion(AgentContext& context, const MoveRecord& record,
                                std::unique_lock<std::mutex> none_begins = {}) {
    ZF_TRY(MoveRecord after, context.journal.apply(record.id, MoveEvent{.kind = EventKind::finalized}));
    none_begins = {};
    for (const MovedTree& tree : own_trees(record)) {
        ZF_TRY_STATUS(remove_tree(trash_path(context.root, tree, record.id)));
    }
    ZF_TRY_STATUS(remove_tree(move_directory(context.root, record.id)));
    return after;
}

}  // namespace

namespace {

// What nobody has been told yet is told now, instead of deleting the only copy of it.
Status look_back_first(AgentContext& context, const MoveRecord& record) {
    ZF_TRY(const std::vector<JournalEntry> before, context.journal.history(record.id));
    if (!wants_look_back(before)) return {};
    ZF_TRY([[maybe_unused]] const MoveRecord after, look_back(context, record));
    ZF_TRY(const std::vector<JournalEntry> events, context.journal.history(record.id));
    if (events.back().text.empty()) return {};
    return Error(Errc::conflict, events.back().text).remedy("or delete it as it is: zoneferry finalize " + record.id);
}

}  // namespace

Result<MoveRecord> finalize_move(AgentContext& context, const MoveRecord& record) {
    if (record.role != Role::source || record.phase != Phase::activated) {
        return Error(Errc::conflict, "move " + record.id + " is " + std::string(phase_name(record.phase)) +
                                         " on this host: only a completed move's source can be finalized");
    }
    if (awaits_probe(record)) {
        return Error(Errc::busy, "the probe of move " + record.id + " has not answered yet, so this copy is kept")
            .remedy("zoneferry watch " + record.id);
    }
    ZF_TRY(const ZoneName name, ZoneName::create(record.zone));
    ZF_TRY(const ZoneLock lock, ZoneStore(context.root).lock(name));
    ZF_TRY(Remains remains, look_at_remains(context, record, name));
    // Once set aside, the target was asked and told, and there is no copy to keep any more.
    const bool is_decided = is_set_aside(context, record);
    if (!is_decided) ZF_TRY_STATUS(ask_if_healthy(context, record));
    if (remains == Remains::copy) ZF_TRY_STATUS(look_back_first(context, record));
    // The answer took its time, in which a rollback can have come to take the kept copy; from here on none can begin.
    std::unique_lock none_begins(context.beginning);
    ZF_TRY(remains, look_at_remains(context, record, name));
    if (remains == Remains::copy) ZF_TRY_STATUS(set_aside(context, record, lock));
    return end_deletion(context, record, std::move(none_begins));
}

void mark_returned(AgentContext& context, const MoveRecord& record) {
    if (record.return_of.empty()) return;
    // Refused by the plan when it is noted already; both are fine.
    (void)context.journal.apply(record.return_of, MoveEvent{.kind = EventKind::returned});
    (void)remove_tree(move_directory(context.root, record.return_of));  // its catalogs; tried again at every start
}

Result<MoveRecord> discard_incoming(AgentContext& context, const MoveRecord& record, const Error& why) {
    ZF_TRY(const ZoneName name, ZoneName::create(record.zone));
    for (const MovedTree& tree : own_trees(record)) {
        ZF_TRY_STATUS(remove_tree(received_path(context.root, tree, record.id)));
        ZF_TRY_STATUS(remove_tree(staging_path(context.root, tree, record.id)));
    }
    OwnerStore owners(context.root);
    ZF_TRY(const std::optional<OwnerRecord> owner, owners.load(name, ""));
    // A later move may have brought the zone here while this one waited for its abort: that one's record stays.
    const bool is_reserved = owner && owner->state == Ownership::incoming && owner->move_id == record.id;
    if (is_reserved && record.return_of.empty()) {
        ZF_TRY_STATUS(owners.remove(name, ""));
    } else if (is_reserved) {
        // A rollback that did not come: the zone is still where that move brought it.
        ZF_TRY_STATUS(set_owner(context, record, Ownership::released, record.epoch, record.peer));
    }
    ZF_TRY_STATUS(remove_tree(move_directory(context.root, record.id)));
    return context.journal.apply(
        record.id,
        MoveEvent{.kind = EventKind::discarded, .text = why.text(), .code = std::string(errc_name(why.code()))});
}

namespace {

// An undone move had begun: a code that says "nothing was touched" (3, 5) or "it can go on" (9) would not be true.
int exit_code_of_undone(Errc cause) {
    switch (cause) {
        case Errc::blocked: return kExitAttachFailed;
        case Errc::verify_failed: return kExitVerifyFailed;
        case Errc::untrusted: return kExitUntrusted;
        case Errc::over_budget: return kExitOverBudget;
        default: return kExitSwitchFailed;
    }
}

}  // namespace

MoveNews end_news(const MoveRecord& record) {
    MoveNews news{.type = MoveNews::Type::end,
                  .move_id = record.id,
                  .zone = record.zone,
                  .phase = std::string(phase_name(record.phase))};
    const std::string there = record.role == Role::source ? record.peer : "this host";
    switch (record.phase) {
        case Phase::activated:
            if (!record.returned_by.empty() && record.returned_by != "-") {
                news.exit_code = kExitSwitchFailed;
                news.message = "zone " + record.zone + " is not well on " + there + " (" + record.problem +
                               "), so move " + record.returned_by + " brings it back";
                news.remedy = "on " + there + ": zoneferry watch " + record.returned_by;
            } else if (!record.problem.empty()) {
                news.exit_code = kExitSwitchFailed;
                news.message = "zone " + record.zone + " belongs to " + there + " now, but: " + record.problem;
                news.remedy = "mend it there, or bring it back: zoneferry rollback " + record.id;
            } else if (errc_from_name(record.problem_code) == Errc::verify_failed) {
                news.exit_code = kExitSwitchFailed;
                news.message = "zone " + record.zone + " belongs to " + there + " now, but the copy kept here in " +
                               record.zonepath + " has changes that were never sent";
                news.remedy = "which: zoneferry history " + record.zone + "; copy them to " + there + " by hand";
            } else {
                news.message = "zone " + record.zone + (record.running ? " runs on " : " is installed on ") + there;
                if (record.role == Role::source) {
                    news.remedy = "delete the copy kept here: zoneferry finalize " + record.id +
                                  "; or bring the zone back: zoneferry rollback " + record.id;
                }
            }
            break;
        case Phase::finalized:
            news.message = "zone " + record.zone + (record.running ? " runs on " : " is on ") + there +
                           "; the source's copy is deleted";
            break;
        case Phase::returned: news.message = "zone " + record.zone + " was brought back by a later move"; break;
        case Phase::aborted:
            if (was_found_elsewhere(record)) {
                news.exit_code = kExitSwitchFailed;
                news.message = "not moved: " + record.problem + "; zone " + record.zone +
                               " was not this move's any more, and was left as it was found";
                news.remedy =
                    "see where it is: zoneadm -z " + record.zone + " list -v; zoneferry history " + record.zone;
                break;
            }
            if (record.was_running && !record.running) {
                news.exit_code = kExitOther;
                news.message =
                    "not moved: " + record.problem + "; zone " + record.zone + " is on this host, and is down";
                news.remedy = "zoneadm -z " + record.zone + " boot";
                break;
            }
            news.exit_code = exit_code_of_undone(errc_from_name(record.problem_code));
            news.message = "not moved: " + record.problem + "; zone " + record.zone + " is on this host as before";
            break;
        case Phase::discarded:
            news.exit_code = kExitSwitchFailed;
            news.message =
                "the move was given up: " + record.problem + "; zone " + record.zone + " is on " + record.peer;
            break;
        case Phase::reclaimed:
            news.message = "zone " + record.zone + " belongs to this host again, by a person's word" +
                           (record.running ? ", and runs" : "");
            if (record.was_running && !record.running) {
                news.exit_code = kExitOther;
                news.message += ", but is down: " + record.problem;
                news.remedy = "zoneadm -z " + record.zone + " boot";
            }
            break;
        case Phase::superseded:
            news.exit_code = kExitInDoubt;
            news.message = record.problem;
            news.remedy = "look at " + record.peer + " first: zoneferry status " + record.zone;
            break;
        default: news.message = "move " + record.id + " is " + std::string(phase_name(record.phase)); break;
    }
    return news;
}

}  // namespace zoneferry
