#include "agent/source_move.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "agent/exit_codes.h"
#include "agent/finish.h"
#include "core/attach/detach.h"
#include "core/attach/manifest.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/owner_record.h"
#include "core/zone/runtime.h"
#include "transfer/sender.h"
#include "transfer/tree_digest.h"

namespace zoneferry {
namespace {

constexpr int kStartTries = 3;  // of a zone that shall run at home again after an undo
constexpr int kRetryFirstMs = 500;
constexpr int kRetryMostMs = 10'000;

// busy: an older session of this very move has not let go yet, or somebody has the zone's lock for a moment.
bool is_transient(Errc code) {
    return code == Errc::peer_lost || code == Errc::unreachable || code == Errc::timed_out || code == Errc::busy;
}

}  // namespace

SourceMove::SourceMove(AgentContext& context, MoveRecord record)
    : context_(context), record_(std::move(record)), bytes_per_second_(record_.bytes_per_second) {}
SourceMove::~SourceMove() = default;

void SourceMove::request_abort(const std::string& reason) {
    if (abort_requested_) return;
    abort_reason_ = reason;
    abort_requested_ = true;
    const std::lock_guard guard(interrupt_mutex_);
    if (sending_ != nullptr) sending_->cancel();
}

void SourceMove::set_limit(std::uint64_t bytes_per_second) {
    const std::lock_guard guard(interrupt_mutex_);
    bytes_per_second_ = bytes_per_second;
    if (sending_ != nullptr) sending_->set_limit(bytes_per_second);
}

void SourceMove::interrupt() {
    const std::lock_guard guard(interrupt_mutex_);
    if (sending_ != nullptr) sending_->cancel();
    if (talking_to_) talking_to_->close();
}

void SourceMove::report_fault(const Error& error) {
    spdlog::error("move {}: {}", record_.id, error.text());
    tell_note(error.text(), "restart the agent: the move goes on from its journal");
}

void SourceMove::run() {
    run_steps();
    lock_.reset();  // before anybody is told that the zone is free again
    session_.reset();
    if (is_over(record_)) tell_end();
    done_ = true;
}

void SourceMove::run_steps() {
    while (!context_.stopping) {
        if (wants_abort()) {
            decide_abort(Error(Errc::cancelled, abort_reason_));
        }
        const SourceStep step = next_source_step(record_);
        if (step == SourceStep::rest) break;
        Status done = perform(step);
        if (done) {
            failures_ = 0;
            continue;
        }
        if (!go_on_after(step, std::move(done).error())) return;
    }
}

Status SourceMove::perform(SourceStep step) {
    switch (step) {
        case SourceStep::prepare: return prepare();
        case SourceStep::running_pass: return running_pass();
        case SourceStep::quiesce: return quiesce();
        case SourceStep::final_pass: return final_pass();
        case SourceStep::verify: return verify();
        case SourceStep::stage: return stage();
        case SourceStep::release: return release();
        case SourceStep::grant: return grant();
        case SourceStep::confirm: return confirm();
        case SourceStep::abort: return abort();
        case SourceStep::rest: return {};
    }
    return {};
}

// ---- what to do about a failure -------------------------------------------------------------------------

// The user asked for it, it is still possible, and it has not begun yet.
bool SourceMove::wants_abort() const {
    return abort_requested_ && can_abort(record_) && record_.phase != Phase::aborting;
}

bool SourceMove::go_on_after(SourceStep step, Error error) {
    if (context_.stopping) return false;
    session_.reset();
    session_is_prepared_ = false;
    if (wants_abort()) return true;  // run() decides it
    const std::int64_t now_ms = context_.clock.monotonic_ms();
    if (failures_++ == 0) failing_since_ms_ = now_ms;

    if (step == SourceStep::grant || step == SourceStep::confirm || step == SourceStep::abort) {
        tell_note(error.text() + (step == SourceStep::grant
                                      ? ": the zone is down and belongs to " + record_.peer + "; asking again"
                                      : ": asking again"),
                  step == SourceStep::grant ? "bring " + record_.peer + " and its agent back: the zone starts there"
                                            : std::string());
        return pause_before_retry();
    }
    const bool zone_is_down = record_.phase != Phase::begun && record_.phase != Phase::prepared;
    const std::int64_t patience_ms =
        1000LL * (zone_is_down ? context_.settings.quiesced_retry_s : context_.settings.retry_s);
    if (record_.phase != Phase::begun && is_transient(error.code()) && now_ms - failing_since_ms_ < patience_ms) {
        tell_note(error.text() + ": trying again from what the target has acknowledged");
        return pause_before_retry();
    }
    decide_abort(error);
    return true;
}

bool SourceMove::pause_before_retry() {
    const int shift = std::min(failures_, 6);
    const std::int64_t wait_ms =
        std::min<std::int64_t>(kRetryMostMs, static_cast<std::int64_t>(kRetryFirstMs) << shift);
    const std::int64_t until_ms = context_.clock.monotonic_ms() + wait_ms;
    while (!context_.stopping && !wants_abort()) {
        if (context_.clock.monotonic_ms() >= until_ms) return true;
        context_.board.wait("", 0, 100);  // returns early when the agent stops
    }
    return !context_.stopping;
}

void SourceMove::decide_abort(const Error& error) {
    Status noted = journal(
        MoveEvent{.kind = EventKind::aborting, .text = error.text(), .code = std::string(errc_name(error.code()))});
    if (!noted) {
        tell_note(noted.error().text());
        context_.stopping = context_.stopping || noted.error().code() == Errc::corrupt;
        context_.board.wait("", 0, kRetryFirstMs);  // a full disk does not get empty by asking it faster
        return;
    }
    tell_phase("undoing: " + error.text());
}

// ---- before the release ---------------------------------------------------------------------------------

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
    return {};
}

Status SourceMove::ensure_prepared() {
    ZF_TRY_STATUS(ensure_lock());
    ZF_TRY_STATUS(ensure_session());
    if (session_is_prepared_) return {};
    ZF_TRY(const ZoneConfig config, ZoneStore(context_.root).config(lock_->name()));
    ZF_TRY(const Manifest manifest, make_manifest(context_.root, config));
    ZF_TRY(const HostFacts facts, gather_host_facts(context_.root));
    PrepareRequest request;
    request.move_id = record_.id;
    request.zone = record_.zone;
    request.zone_uuid = record_.zone_uuid;
    request.epoch = record_.epoch;
    request.manifest = manifest_text(manifest);
    request.source = facts;
    request.tree_bytes = record_.tree_bytes;
    request.tree_entries = record_.tree_entries;
    request.was_running = record_.was_running;
    request.force = record_.force;
    request.return_of = record_.return_of;
    ZF_TRY(const PrepareReply reply, session_->ask<PrepareReply>(std::move(request)));
    const bool lost = reply.staging_is_fresh && record_.phase != Phase::begun && record_.phase != Phase::prepared &&
                      record_.phase != Phase::quiesced;
    if (lost) return Error(Errc::conflict, record_.peer + " has lost what it had received of this move");
    staging_is_fresh_ = reply.staging_is_fresh;
    session_is_prepared_ = true;
    return {};
}

Status SourceMove::prepare() {
    ZF_TRY_STATUS(ensure_lock());
    ZF_TRY_STATUS(check_still_ours(context_, record_, lock_->name()));  // much can have happened since the check
    ZF_TRY_STATUS(make_directories(move_directory(context_.root, record_.id), 0700));
    ZF_TRY_STATUS(ensure_prepared());
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::prepared}));
    tell_phase(record_.peer + " has reserved name, space and staging");
    return {};
}

Status SourceMove::running_pass() {
    ZF_TRY_STATUS(ensure_prepared());
    while (wants_another_running_pass(pass_times_)) {
        PassTime took;
        ZF_TRY_STATUS(run_pass(false, took));
        pass_times_.push_back(took);
    }
    return journal(MoveEvent{.kind = EventKind::running_pass_done});
}

Status SourceMove::quiesce() {
    ZF_TRY_STATUS(ensure_prepared());
    ZF_TRY_STATUS(check_still_ours(context_, record_, lock_->name()));
    const std::int64_t began_unix_ms = context_.clock.unix_ms();
    const std::int64_t began_ms = context_.clock.monotonic_ms();
    tell_phase(record_.was_running ? "halting the zone" : "freezing the zone");
    ZF_TRY_STATUS(set_owner(context_, record_, Ownership::frozen, record_.epoch, context_.settings.name));
    Runtime runtime(context_.root);
    Status halted = runtime.halt(*lock_, lock_->name(), context_.settings.halt_grace_s * 1000);
    if (!halted) return std::move(halted).error().during("halting " + record_.zone);
    times_ms_.emplace_back("halt", context_.clock.monotonic_ms() - began_ms);
    return journal(MoveEvent{.kind = EventKind::quiesced, .number = began_unix_ms});
}

Status SourceMove::final_pass() {
    ZF_TRY_STATUS(ensure_prepared());
    PassTime took;
    ZF_TRY_STATUS(run_pass(true, took));
    times_ms_.emplace_back("last_pass", took.ms);
    return journal(MoveEvent{.kind = EventKind::sent});
}

Status SourceMove::verify() {
    ZF_TRY_STATUS(ensure_prepared());
    const std::int64_t began_ms = context_.clock.monotonic_ms();
    tell_phase("comparing the digests of both sides");
    VerifyRequest request;
    request.move_id = record_.id;
    ZF_TRY_STATUS(session_->connection().send(std::move(request)));
    ZF_TRY(UniqueFd tree, open_directory(zone_tree()));
    DigestOptions options;
    options.excluded = excluded_names();
    options.threads = std::max(1U, std::thread::hardware_concurrency());
    ZF_TRY(const TreeDigest here, digest_tree(std::move(tree), options));
    ZF_TRY(const VerifyReply there, session_->expect<VerifyReply>(kWorkTimeoutMs));
    if (here.digest != there.digest) {
        return Error(Errc::verify_failed, "the tree on " + record_.peer + " differs from the zone: digest " +
                                              to_hex(there.digest).substr(0, 16) + " there, " +
                                              to_hex(here.digest).substr(0, 16) + " here");
    }
    times_ms_.emplace_back("verify", context_.clock.monotonic_ms() - began_ms);
    return journal(MoveEvent{.kind = EventKind::verified, .text = to_hex(here.digest)});
}

Status SourceMove::stage() {
    ZF_TRY_STATUS(ensure_prepared());
    const std::int64_t began_ms = context_.clock.monotonic_ms();
    ZF_TRY(const ZoneConfig config, ZoneStore(context_.root).config(lock_->name()));
    ZF_TRY(const Manifest manifest, make_manifest(context_.root, config));
    StageRequest request;
    request.move_id = record_.id;
    request.manifest = manifest_text(manifest);
    ZF_TRY(const StageReply reply, session_->ask<StageReply>(std::move(request), kWorkTimeoutMs));
    if (!reply.ready) {
        const std::string first = reply.findings.empty() ? "no reason given" : reply.findings.front().message;
        return Error(Errc::blocked, record_.peer + " cannot attach the zone: " + printable(first));
    }
    times_ms_.emplace_back("stage", context_.clock.monotonic_ms() - began_ms);
    return journal(MoveEvent{.kind = EventKind::staged});
}

Status SourceMove::release() {
    ZF_TRY_STATUS(ensure_lock());
    ZF_TRY_STATUS(check_still_ours(context_, record_, lock_->name()));
    Runtime runtime(context_.root);
    ZF_TRY(const RuntimeStatus status, runtime.status(lock_->name()));
    if (status.state != ZoneState::installed) {
        return Error(Errc::conflict, "zone " + record_.zone + " is not halted any more");
    }
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::released}));
    tell_phase("from now on only " + record_.peer + " may run the zone");
    return {};
}

// ---- after the release ----------------------------------------------------------------------------------

Status SourceMove::grant() {
    // The owner record follows the journal, also when the agent died between the two.
    ZF_TRY_STATUS(set_owner(context_, record_, Ownership::released, record_.epoch + 1, record_.peer));
    ZF_TRY_STATUS(ensure_session());
    Grant request;
    request.move_id = record_.id;
    request.epoch = record_.epoch + 1;
    request.boot = record_.was_running;
    ZF_TRY(const Owned owned, session_->ask<Owned>(std::move(request)));
    if (owned.epoch != record_.epoch + 1) return Error(Errc::protocol, record_.peer + " owns another epoch");
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::owned}));
    tell_phase(record_.peer + " owns the zone and is starting it");
    return {};
}

Status SourceMove::detach_here() {
    ZF_TRY_STATUS(ensure_lock());
    ZF_TRY(const ZoneEntry entry, ZoneStore(context_.root).find(lock_->name()));
    if (entry.state == ZoneState::configured) return {};
    return detach_zone(context_.root, *lock_, lock_->name(), ZoneState::installed);
}

Status SourceMove::confirm() {
    const bool fresh_session = !session_;
    ZF_TRY_STATUS(detach_here());
    ZF_TRY_STATUS(ensure_session());
    if (!fresh_session) {
        ZF_TRY(activated_, session_->expect<Activated>(kWorkTimeoutMs));
    } else {
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
    }
    if (activated_.attach_ms != 0) times_ms_.emplace_back("attach", activated_.attach_ms);
    if (activated_.boot_ms != 0) times_ms_.emplace_back("boot", activated_.boot_ms);
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::activated,
                                    .text = activated_.problem,
                                    .number = context_.clock.unix_ms(),
                                    .flag = activated_.running}));
    const bool healthy = activated_.problem.empty() && activated_.running == record_.was_running;
    if (healthy) mark_returned(context_, record_);
    if (wants_deletion(record_)) {
        lock_.reset();
        ZF_TRY(record_, finalize_move(context_, record_));
    }
    return {};
}

Status SourceMove::abort() {
    ZF_TRY_STATUS(ensure_lock());
    ZF_TRY(const bool is_ours, take_back(context_, record_, *lock_));
    Status started = is_ours ? start_again(context_, record_, *lock_) : Status();
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
                                    .flag = record_.was_running && started.has_value()}));
    lock_.reset();
    return {};
}

// ---- telling --------------------------------------------------------------------------------------------

Status SourceMove::journal(MoveEvent event) {
    ZF_TRY(record_, context_.journal.apply(record_.id, event));
    return {};
}

void SourceMove::tell_phase(const std::string& message) {
    context_.board.publish(MoveNews{.type = MoveNews::Type::phase,
                                    .move_id = record_.id,
                                    .zone = record_.zone,
                                    .phase = std::string(phase_name(record_.phase)),
                                    .message = message});
}

void SourceMove::tell_note(const std::string& message, const std::string& remedy) {
    context_.board.publish(MoveNews{.type = MoveNews::Type::note,
                                    .move_id = record_.id,
                                    .zone = record_.zone,
                                    .phase = std::string(phase_name(record_.phase)),
                                    .message = message,
                                    .remedy = remedy});
}

void SourceMove::tell_end() {
    MoveNews news = end_news(record_);
    std::int64_t down_ms = 0;
    for (const auto& [part, ms] : times_ms_) {
        news.summary.emplace_back(part + "_ms", ms);
        down_ms += ms;
    }
    if (record_.activated_unix_ms != 0 && record_.was_running) {
        const std::int64_t total_ms = record_.activated_unix_ms - record_.halt_began_unix_ms;
        news.summary.emplace_back("down_ms", total_ms);
        news.summary.emplace_back("other_ms", std::max<std::int64_t>(0, total_ms - down_ms));
    }
    news.summary.emplace_back("raw_bytes", static_cast<std::int64_t>(raw_bytes_));
    news.summary.emplace_back("wire_bytes", static_cast<std::int64_t>(wire_bytes_));
    news.summary.emplace_back("passes", static_cast<std::int64_t>(record_.passes));
    context_.board.publish(std::move(news));
}

}  // namespace zoneferry
