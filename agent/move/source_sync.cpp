// A source move's steps before the release: from the lock to the target's promise.
#include <algorithm>
#include <thread>
#include <utility>

#include "agent/exit_codes.h"
#include "agent/move/finish.h"
#include "agent/move/shared_move.h"
#include "agent/move/source_move.h"
#include "agent/move/staging_update.h"
#include "core/attach/detach.h"
#include "core/attach/manifest.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/owner_record.h"
#include "core/zone/runtime.h"
#include "transfer/resume.h"
#include "transfer/tree_digest.h"

namespace zoneferry {

Status SourceMove::ensure_lock() {
    if (lock_) return {};
    ZF_TRY(const ZoneName name, ZoneName::create(record_.zone));
    ZF_TRY(ZoneLock lock, ZoneStore(context_.root).lock(name));
    lock_.emplace(std::move(lock));
    return {};
}

Status SourceMove::ensure_session() {
    if (session_) return {};
    ZF_TRY(PeerSession session, PeerSession::open(context_, record_.peer, record_.peer_address));
    session_.emplace(std::move(session));
    {
        const std::lock_guard guard(interrupt_mutex_);
        talking_to_ = session_->shared_connection();
    }
    if (context_.stopping) return Error(Errc::cancelled, "the agent is stopping");
    session_is_prepared_ = false;
    const std::string& host_id = session_->hello().host_id;
    if (record_.peer_host_id.empty() || record_.peer_host_id == host_id) return {};
    session_.reset();
    return Error(Errc::untrusted, "the agent of " + record_.peer + " is on another machine now than when this move " +
                                      "began (" + printable(host_id) + ", not " + record_.peer_host_id + ")")
        .remedy("see whether a copy of that host's state directory runs elsewhere");
}

Result<PrepareRequest> SourceMove::prepare_request() {
    ZF_TRY(const ZoneConfig config, ZoneStore(context_.root).config(lock_->name()));
    ZF_TRY(const Manifest manifest,
           make_move_manifest(context_.root, config_to_send(config, record_.shared), record_.manifest));
    PrepareRequest request;
    request.move_id = record_.id;
    request.zone = record_.zone;
    request.zone_uuid = record_.zone_uuid;
    request.epoch = record_.epoch;
    request.manifest = manifest_text(manifest);
    ZF_TRY(request.source, gather_host_facts(context_.root));
    request.tree_bytes = record_.tree_bytes;
    request.tree_entries = record_.tree_entries;
    request.was_running = record_.was_running;
    request.force = record_.force;
    request.return_of = record_.return_of;
    request.use_kept_copy = record_.uses_kept_copy;
    request.shared = static_cast<std::uint8_t>(record_.shared);
    request.storage = record_.storage;
    for (const MovedTree& tree : extra_trees(record_)) {
        request.extra_trees.emplace_back(tree.path, tree.bytes, tree.entries);
    }
    request.probe = record_.probe;
    request.probe_limit_ms = static_cast<std::uint32_t>(record_.probe_limit_ms);
    return request;
}

Status SourceMove::ensure_prepared() {
    ZF_TRY_STATUS(ensure_lock());
    ZF_TRY_STATUS(ensure_session());
    if (session_is_prepared_) return {};
    // Also of a move that was prepared: a power cut can take a directory that nothing has synced.
    ZF_TRY_STATUS(make_directories(move_directory(context_.root, record_.id), 0700));
    ZF_TRY(PrepareRequest request, prepare_request());
    if (!request.extra_trees.empty()) ZF_TRY_STATUS(session_->need("extra-trees"));
    ZF_TRY(const PrepareReply reply, session_->ask<PrepareReply>(std::move(request)));
    const bool lost = reply.staging_is_fresh && record_.promise_asked;
    const bool lost_last_pass = reply.staging_is_fresh && record_.phase == Phase::sent;
    if (lost || lost_last_pass) {
        return Error(Errc::conflict, record_.peer + " has lost what it had received of this move");
    }
    for (const MovedTree& tree : reply.staging_is_fresh ? sent_trees(record_) : std::vector<MovedTree>()) {
        ZF_TRY_STATUS(forget_catalogs(CatalogPaths(catalog_prefix(tree))));  // one of them may be of an older staging
        fresh_trees_.insert(tree.number);
    }
    if (!reply.staging_is_fresh) fresh_trees_.erase(0);  // a transport's stream may have arrived with its link cut
    target_has_copy_ = reply.has_copy;
    if (reply.staging_is_fresh && path_exists(bulk_marker())) ZF_TRY_STATUS(remove_file(bulk_marker()));
    transports_ = session_->need("bulk-streams") ? reply.transports : std::vector<std::string>();
    session_is_prepared_ = true;
    return {};
}

Status SourceMove::prepare() {
    ZF_TRY_STATUS(ensure_lock());
    ZF_TRY_STATUS(check_still_ours(context_, record_, lock_->name()));  // much can have happened since the check
    ZF_TRY_STATUS(ensure_prepared());
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::prepared}));
    tell_phase(record_.peer + " has reserved name, space and staging");
    return {};
}

Status SourceMove::pass_and_note(bool is_final) {
    const std::uint64_t raw_before = raw_bytes_;
    const std::uint64_t wire_before = wire_bytes_;
    ZF_TRY(const PassOutcome done, run_pass(is_final));
    if (is_final) {
        times_ms_.emplace_back("last_pass", done.took.ms);
    } else {
        pass_times_.push_back(done.took);
    }
    return journal(MoveEvent{.kind = EventKind::pass_done,
                             .text = done.how,
                             .number = static_cast<std::int64_t>(raw_bytes_ - raw_before),
                             .flag = is_final,
                             .extra = static_cast<std::int64_t>(wire_bytes_ - wire_before)});
}

Status SourceMove::running_pass() {
    ZF_TRY_STATUS(ensure_prepared());
    ZF_TRY_STATUS(send_bulk_first(false));
    while (wants_another_running_pass(pass_times_)) {
        ZF_TRY_STATUS(pass_and_note(false));
        ZF_TRY_STATUS(check_undisturbed());
    }
    ZF_TRY_STATUS(digest_while_running());
    return journal(MoveEvent{.kind = EventKind::running_pass_done});
}

FixedCosts SourceMove::costs() {
    constexpr std::size_t kLookBack = 20;
    std::vector<PastMove> past;
    const auto records = context_.journal.all();
    if (records) {
        for (auto record = records->rbegin(); record != records->rend() && past.size() < kLookBack; ++record) {
            if (record->role != Role::source || record->activated_unix_ms == 0) continue;
            if (auto events = context_.journal.history(record->id)) {
                past.push_back({record->zone, *std::move(events)});
            }
        }
    }
    return fixed_costs(past, record_.zone, record_.was_running, record_.tree_bytes, record_.tree_entries);
}

std::int64_t SourceMove::expected_ms() {
    if (brings_no_bytes(record_)) {
        const FixedCosts fixed = costs();
        return fixed.halt_ms + fixed.stage_ms + fixed.activate_ms;
    }
    std::optional<std::int64_t> last_pass_ms;
    if (!pass_times_.empty()) last_pass_ms = pass_times_.back().ms;
    return expected_downtime_ms(costs(), last_pass_ms, record_.tree_bytes);
}

// The last moment at which nothing has happened to the zone: halt it now, pass again, or leave it running and wait.
Status SourceMove::decide() {
    ZF_TRY_STATUS(ensure_prepared());
    ZF_TRY_STATUS(check_still_ours(context_, record_, lock_->name()));
    ZF_TRY(const bool runs, zone_runs());
    const std::int64_t expected = expected_ms();
    switch (choose_switch(record_.hold, runs ? record_.max_downtime_ms : 0, expected, pass_times_)) {
        case SwitchChoice::now: break;
        case SwitchChoice::pass_again: return pass_and_note(false);
        case SwitchChoice::wait: return wait_for_switch(expected, !record_.hold);
    }
    ZF_TRY_STATUS(check_undisturbed());
    const std::int64_t now_unix_ms = context_.clock.unix_ms();
    return journal(MoveEvent{.kind = EventKind::quiescing, .number = now_unix_ms, .flag = runs, .extra = expected});
}

Status SourceMove::wait_for_switch(std::int64_t expected, bool over_budget) {
    const std::string about = "it would be down for about " + format_duration_ms(expected);
    const std::string why =
        over_budget ? about + ", more than the " + format_duration_ms(record_.max_downtime_ms) + " that are allowed"
                    : "asked to wait; " + about;
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::waiting, .text = why, .number = expected, .flag = over_budget}));
    lock_.reset();  // others may halt or boot the zone meanwhile
    tell_stand("ready to switch: zone " + record_.zone + " runs here and is kept fresh on " + record_.peer + "; " + why,
               "zoneferry switch " + record_.id + "; or give it up: zoneferry abort " + record_.id,
               over_budget ? kExitOverBudget : kExitOk);
    return {};
}

Status SourceMove::keep_fresh() {
    lock_.reset();
    if (wait_for_request(1000LL * context_.settings.refresh_s)) return {};
    ZF_TRY_STATUS(ensure_prepared());
    return pass_and_note(false);
}

Status SourceMove::sleep() {
    constexpr std::int64_t kLookAgainMs = 3'600'000;
    lock_.reset();
    hang_up();
    wait_for_request(kLookAgainMs);
    return {};
}

// Rings when the release can no longer come in time: then the zone is better started again here.
void SourceMove::arm_budget() {
    if (record_.max_downtime_ms == 0 || !record_.was_running || budget_) return;
    const std::int64_t elapsed_ms = std::max<std::int64_t>(0, context_.clock.unix_ms() - record_.halt_began_unix_ms);
    const std::int64_t rest_ms = release_deadline_ms(record_.max_downtime_ms, costs()) - elapsed_ms;
    budget_.emplace(std::max<std::int64_t>(0, rest_ms), [this] {
        request({.kind = MoveRequest::Kind::abort,
                 .reason = "the zone would have been down for longer than the " +
                           format_duration_ms(record_.max_downtime_ms) + " that are allowed",
                 .code = Errc::over_budget});
    });
}

Status SourceMove::quiesce() {
    ZF_TRY_STATUS(ensure_lock());
    arm_budget();
    const std::int64_t began_ms = context_.clock.monotonic_ms();
    tell_phase(record_.was_running ? "halting the zone" : "freezing the zone");
    ZF_TRY_STATUS(mount_shared(
        context_, record_, record_.epoch));  // again after a restart of the host: the record must be beside the tree
    ZF_TRY_STATUS(set_owner(context_, record_, Ownership::frozen, record_.epoch, context_.settings.name));
    Runtime runtime(context_.root);
    Status halted = runtime.halt(*lock_, lock_->name(), context_.settings.halt_grace_s * 1000);
    if (!halted) return std::move(halted).error().during("halting " + record_.zone);
    ZF_TRY_STATUS(unmount_shared(context_, record_));
    times_ms_.emplace_back("halt", context_.clock.monotonic_ms() - began_ms);
    return journal(MoveEvent{.kind = EventKind::quiesced});
}

Status SourceMove::final_pass() {
    arm_budget();
    ZF_TRY_STATUS(ensure_prepared());
    ZF_TRY_STATUS(send_bulk_first(true));
    ZF_TRY_STATUS(pass_and_note(true));
    return journal(MoveEvent{.kind = EventKind::sent});
}

Status SourceMove::stage() {
    arm_budget();
    ZF_TRY_STATUS(ensure_prepared());
    const std::int64_t began_ms = context_.clock.monotonic_ms();
    ZF_TRY(const ZoneConfig config, ZoneStore(context_.root).config(lock_->name()));
    ZF_TRY(const Manifest manifest,
           make_move_manifest(context_.root, config_to_send(config, record_.shared), record_.manifest));
    StageRequest request;
    request.move_id = record_.id;
    request.manifest = manifest_text(manifest);
    request.nonce = record_.nonce;
    ZF_TRY(const StageReply reply, session_->ask<StageReply>(std::move(request), kWorkTimeoutMs));
    if (!reply.ready) {
        const std::string first = reply.findings.empty() ? "no reason given" : reply.findings.front().message;
        return Error(Errc::blocked, record_.peer + " cannot attach the zone: " + printable(first));
    }
    times_ms_.emplace_back("stage", context_.clock.monotonic_ms() - began_ms);
    return journal(MoveEvent{.kind = EventKind::staged});
}

}  // namespace zoneferry
