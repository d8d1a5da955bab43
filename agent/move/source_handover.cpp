// A source move's steps from the release on, and the undo before it.
#include <utility>

#include "agent/move/finish.h"
#include "agent/move/look_back.h"
#include "agent/move/shared_move.h"
#include "agent/move/source_move.h"
#include "core/attach/detach.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/owner_record.h"
#include "core/zone/runtime.h"

namespace zoneferry {
namespace {

constexpr int kStartTries = 3;   // of a zone that shall run at home again
constexpr int kReturnTries = 3;  // of asking the target to move it back

}  // namespace

Status SourceMove::release() {
    ZF_TRY_STATUS(ensure_lock());
    ZF_TRY_STATUS(check_still_ours(context_, record_, lock_->name()));
    Runtime runtime(context_.root);
    ZF_TRY(const RuntimeStatus status, runtime.status(lock_->name()));
    if (status.state != ZoneState::installed) {
        return Error(Errc::conflict, "zone " + record_.zone + " is not halted any more");
    }
    budget_.reset();
    ZF_TRY_STATUS(check_undisturbed());  // the budget may have rung just now
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::released}));
    tell_phase("from now on only " + record_.peer + " may run the zone");
    return {};
}

Status SourceMove::grant() {
    // The owner record follows the journal, also when the agent died between the two.
    ZF_TRY_STATUS(set_owner(context_, record_, Ownership::released, holder_epoch(record_), record_.peer));
    ZF_TRY_STATUS(ensure_session());
    Grant request;
    request.move_id = record_.id;
    request.epoch = record_.epoch + 1;
    request.boot = record_.was_running;
    ZF_TRY(const Owned owned, session_->ask<Owned>(std::move(request)));
    // Higher when a person there has adopted it before our grant came.
    if (owned.epoch < record_.epoch + 1) return Error(Errc::protocol, record_.peer + " owns an older epoch");
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::owned, .number = static_cast<std::int64_t>(owned.epoch)}));
    tell_phase(record_.peer + " owns the zone and is starting it");
    return {};
}

Status SourceMove::detach_here() {
    ZF_TRY_STATUS(ensure_lock());
    ZF_TRY(const ZoneEntry entry, ZoneStore(context_.root).find(lock_->name()));
    if (entry.state == ZoneState::configured) return {};
    // The tree is the target's by now: it has the manifest, and what lies beside the tree is its to write.
    if (is_shared(record_)) {
        return ZoneStore(context_.root).change_state(*lock_, ZoneState::installed, ZoneState::configured);
    }
    return detach_zone(context_.root, *lock_, lock_->name(), ZoneState::installed);
}

Status SourceMove::confirm() {
    const bool fresh_session = !session_;
    ZF_TRY_STATUS(set_owner(context_, record_, Ownership::released, holder_epoch(record_), record_.peer));
    ZF_TRY_STATUS(detach_here());
    ZF_TRY_STATUS(ensure_session());
    if (!fresh_session) {
        ZF_TRY(activated_, session_->expect<Activated>(kWorkTimeoutMs));
        return note_activated();
    }
    StatusRequest request;
    request.move_id = record_.id;
    ZF_TRY(const StatusReply reply, session_->ask<StatusReply>(std::move(request)));
    // Activated with a problem is an answer too: the user must get to know it.
    if (!reply.attached && reply.phase != phase_name(Phase::activated)) {
        return Error(Errc::timed_out, record_.peer + " owns the zone and has not attached it yet" +
                                          (reply.problem.empty() ? "" : " (" + printable(reply.problem) + ")"));
    }
    activated_.attached = reply.attached;
    activated_.running = reply.running;
    activated_.problem = reply.problem;
    return note_activated();
}

Status SourceMove::note_activated() {
    if (activated_.attach_ms != 0) times_ms_.emplace_back("attach", activated_.attach_ms);
    if (activated_.boot_ms != 0) times_ms_.emplace_back("boot", activated_.boot_ms);
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::activated,
                                    .text = activated_.problem,
                                    .number = context_.clock.unix_ms(),
                                    .flag = activated_.running}));
    if (is_healthy(record_)) mark_returned(context_, record_);
    return {};
}

// The target probes by itself; here its word is waited for.
Status SourceMove::await_probe() {
    constexpr std::int64_t kAskEveryMs = 500;
    lock_.reset();
    ZF_TRY_STATUS(ensure_session());
    StatusRequest request;
    request.move_id = record_.id;
    ZF_TRY(const StatusReply reply, session_->ask<StatusReply>(std::move(request)));
    if (reply.probed == 0) {
        if (reply.phase != phase_name(Phase::activated)) {
            return journal(MoveEvent{.kind = EventKind::probed, .text = record_.peer + " says: " + reply.phase});
        }
        wait_for_request(kAskEveryMs);
        return {};
    }
    const bool healthy = reply.probed == static_cast<std::uint8_t>(ProbeState::healthy);
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::probed, .text = reply.problem, .flag = healthy}));
    tell_phase(healthy ? "the probe is content" : "the probe failed: " + reply.problem);
    return {};
}

// When nothing more is to be done: a last look at the copy here, which goes then if that was asked for. What fails now
// is done again by the janitor, or by a person's finalize.
Status SourceMove::settle_copy() {
    if (auto now = context_.journal.find(record_.id); now && *now) record_ = **now;  // perhaps it was done already
    if (record_.phase != Phase::activated || !is_over(record_)) return {};
    ZF_TRY(record_, look_back(context_, record_));
    if (!wants_deletion(record_)) return {};
    ZF_TRY(record_, finalize_move(context_, record_));
    return {};
}

Status SourceMove::bring_back() {
    lock_.reset();
    ZF_TRY_STATUS(ensure_session());
    ReturnRequest request;
    request.move_id = record_.id;
    const auto reply = session_->ask<ReturnReply>(std::move(request), kWorkTimeoutMs);
    MoveEvent event{.kind = EventKind::returning};
    if (reply) {
        event.text = reply->move_id;
    } else if (failures_ < kReturnTries) {
        return reply.error();
    } else {
        event.code = std::string(errc_name(reply.error().code()));
        tell_note("the zone cannot be brought back: " + reply.error().text(), reply.error().remedy_text());
    }
    ZF_TRY_STATUS(journal(event));
    if (reply) tell_phase("bringing it back: move " + reply->move_id);
    return {};
}

// A person has said that the target is fenced. Attached again if it was detached, booted if it ran.
Status SourceMove::reclaim() {
    ZF_TRY_STATUS(ensure_lock());
    ZF_TRY_STATUS(mount_shared(context_, record_, record_.owned_epoch));
    ZF_TRY_STATUS(set_owner(context_, record_, Ownership::owned, record_.owned_epoch, context_.settings.name));
    ZF_TRY(const ZoneEntry entry, ZoneStore(context_.root).find(lock_->name()));
    Status started;
    if (entry.state == ZoneState::configured) started = attach_again(context_, record_, *lock_);
    if (started) started = start_again(context_, record_, *lock_);
    if (!started && failures_ < kStartTries) return started;  // again, after a pause
    ZF_TRY_STATUS(remove_tree(move_directory(context_.root, record_.id)));
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::reclaimed,
                                    .text = started ? std::string() : started.error().text(),
                                    .flag = record_.was_running && started.has_value()}));
    lock_.reset();
    return {};
}

// The target may have promised: if a person has given it the zone meanwhile, it must not be started here.
Status SourceMove::park_if_adopted() {
    if (!record_.promise_asked && !brings_no_bytes(record_)) return {};  // these are promised without `verified`
    if (!ensure_session()) return {};                                    // nobody to ask: ours until we hear otherwise
    StatusRequest request;
    request.move_id = record_.id;
    const auto reply = session_->ask<StatusReply>(std::move(request));
    if (!reply) {
        session_.reset();
        return {};
    }
    if (!reply->owned || reply->epoch <= record_.epoch) return {};
    return park_zone(context_, record_, *lock_, reply->epoch, record_.peer);
}

Status SourceMove::abort() {
    ZF_TRY_STATUS(ensure_lock());
    ZF_TRY_STATUS(park_if_adopted());
    ZF_TRY(const std::optional<MoveRecord> now, context_.journal.find(record_.id));
    if (now && now->phase == Phase::superseded) {
        record_ = *now;
        return {};
    }
    const Status mounted = mount_shared(context_, record_, record_.epoch);
    if (!mounted && failures_ < kStartTries) return mounted;  // again, after a pause
    ZF_TRY(const bool is_ours, take_back(context_, record_, *lock_));
    Status started = !mounted ? mounted : is_ours ? start_again(context_, record_, *lock_) : Status();
    if (!started && failures_ < kStartTries) return started;  // again, after a pause
    // The zone is back; the target may be out of reach. It is told, but not waited for: it asks by itself when it
    // comes back (see janitor.h).
    if (ensure_session()) {
        AbortRequest request;
        request.move_id = record_.id;
        request.reason = record_.problem;
        if (!session_->ask<AbortReply>(std::move(request))) session_.reset();
    }
    ZF_TRY_STATUS(remove_tree(move_directory(context_.root, record_.id)));
    // A zone that cannot start here any more is the user's to mend: it is ours, and its lock is free.
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::aborted,
                                    .text = started ? std::string() : started.error().text(),
                                    .code = is_ours ? std::string() : std::string(errc_name(Errc::not_owner)),
                                    .flag = is_ours && record_.was_running && started.has_value()}));
    lock_.reset();
    return {};
}

}  // namespace zoneferry
