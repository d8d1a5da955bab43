#include "agent/move/source_move.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/exit_codes.h"
#include "agent/move/finish.h"
#include "core/base/digest.h"
#include "core/base/text.h"
#include "core/zone/runtime.h"
#include "transfer/sender.h"

namespace zoneferry {
namespace {

constexpr int kRetryFirstMs = 500;
constexpr int kRetryMostMs = 10'000;

// busy: an older session of this very move has not let go yet, or somebody has the zone's lock for a moment.
bool is_transient(Errc code) {
    return code == Errc::peer_lost || code == Errc::unreachable || code == Errc::timed_out || code == Errc::busy;
}

// Steps that are repeated until they are done: nobody may decide otherwise.
bool is_tried_for_ever(SourceStep step) {
    switch (step) {
        case SourceStep::keep_fresh:
        case SourceStep::grant:
        case SourceStep::confirm:
        case SourceStep::await_probe:
        case SourceStep::bring_back:  // ends by itself after some tries
        case SourceStep::reclaim:
        case SourceStep::abort: return true;
        default: return false;
    }
}

}  // namespace

SourceMove::SourceMove(AgentContext& context, MoveRecord record)
    : context_(context), record_(std::move(record)), peer_(record_.peer) {
    raw_bytes_ = record_.raw_bytes;
    wire_bytes_ = record_.wire_bytes;
    bytes_per_second_ = record_.bytes_per_second;
}
SourceMove::~SourceMove() = default;

void SourceMove::request(MoveRequest request) {
    const std::lock_guard guard(interrupt_mutex_);
    if (request_ && request_->kind == MoveRequest::Kind::abort) return;
    const bool is_abort = request.kind == MoveRequest::Kind::abort || request.kind == MoveRequest::Kind::reclaim;
    is_urgent_ = is_abort || request.kind == MoveRequest::Kind::pause;
    request_ = std::move(request);
    if (is_urgent_ && sending_ != nullptr) sending_->cancel();
    if (is_urgent_) digesting_.request_stop();
    if (is_abort && talking_to_) talking_to_->close();
    woken_.notify_all();
}

void SourceMove::set_limit(std::uint64_t bytes_per_second) {
    const std::lock_guard guard(interrupt_mutex_);
    bytes_per_second_ = bytes_per_second;
    if (sending_ != nullptr) sending_->set_limit(bytes_per_second);
}

void SourceMove::interrupt() {
    const std::lock_guard guard(interrupt_mutex_);
    if (sending_ != nullptr) sending_->cancel();
    digesting_.request_stop();
    if (talking_to_) talking_to_->close();
    woken_.notify_all();
}

void SourceMove::report_fault(const Error& error) {
    spdlog::error("move {}: {}", record_.id, error.text());
    tell_note(error.text(), "restart the agent: the move goes on from its journal");
}

void SourceMove::run() {
    remove_stale_snapshot();
    run_steps();
    budget_.reset();
    lock_.reset();  // before anybody is told that the zone is free again
    // The target's watchers of a rollback wait for the deletion as long as the connection is there.
    if (Status settled = settle_copy(); !settled && settled.error().code() != Errc::cancelled) {
        tell_note(settled.error().text(), settled.error().remedy_text());
    }
    hang_up();
    if (is_over(record_)) tell_end();
    done_ = true;
}

void SourceMove::run_steps() {
    while (!context_.stopping) {
        take_request();
        if (giving_up_) {
            give_up_now();
            continue;
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
        case SourceStep::decide: return decide();
        case SourceStep::keep_fresh: return keep_fresh();
        case SourceStep::sleep: return sleep();
        case SourceStep::quiesce: return quiesce();
        case SourceStep::final_pass: return final_pass();
        case SourceStep::verify: return verify();
        case SourceStep::stage: return stage();
        case SourceStep::release: return release();
        case SourceStep::grant: return grant();
        case SourceStep::confirm: return confirm();
        case SourceStep::await_probe: return await_probe();
        case SourceStep::bring_back: return bring_back();
        case SourceStep::reclaim: return reclaim();
        case SourceStep::abort: return abort();
        case SourceStep::rest: return {};
    }
    return {};
}

// ---- what people want -----------------------------------------------------------------------------------

void SourceMove::take_request() {
    std::optional<MoveRequest> request;
    {
        const std::lock_guard guard(interrupt_mutex_);
        is_urgent_ = false;
        const bool too_early = request_ && request_->kind != MoveRequest::Kind::abort && record_.phase == Phase::begun;
        if (too_early) return;  // it is carried out once the target is prepared
        request = std::exchange(request_, std::nullopt);
    }
    if (request) carry_out(*request);
}

void SourceMove::carry_out(const MoveRequest& request) {
    MoveEvent event;
    switch (request.kind) {
        case MoveRequest::Kind::abort:
            if (can_abort(record_) && record_.phase != Phase::aborting) {
                giving_up_.emplace(request.code, request.reason);
            }
            return;
        case MoveRequest::Kind::reclaim:
            event = {.kind = EventKind::reclaiming, .text = request.reason, .number = request.epoch};
            break;
        case MoveRequest::Kind::pause: event = {.kind = EventKind::paused, .text = request.reason}; break;
        case MoveRequest::Kind::resume: event = {.kind = EventKind::resumed}; break;
        case MoveRequest::Kind::switch_over: event = {.kind = EventKind::switching, .number = request.budget_ms}; break;
    }
    event.flag = record_.was_running;  // a request that looks at the zone says what it saw
    if (const auto runs = zone_runs()) event.flag = *runs;
    if (!allows(record_, event.kind)) return;  // it came too late
    if (Status noted = journal(event); !noted) return tell_note(noted.error().text());
    pass_times_.clear();
    if (event.kind == EventKind::switching) tell_phase("switching: one more round of passes, then the zone is halted");
    if (event.kind == EventKind::resumed) tell_phase("going on with the passes");
    if (event.kind == EventKind::reclaiming) tell_phase("a person takes the zone back: " + request.reason);
    if (event.kind == EventKind::paused) {
        lock_.reset();
        hang_up();
        tell_stand("paused: the zone goes on running here, " + record_.peer + " keeps what it has",
                   "zoneferry resume " + record_.id + "; or give it up: zoneferry abort " + record_.id,
                   kExitInterrupted);
    }
}

void SourceMove::hang_up() {
    session_.reset();
    session_is_prepared_ = false;
    const std::lock_guard guard(interrupt_mutex_);
    if (talking_to_) talking_to_->close();
    talking_to_.reset();
}

bool SourceMove::wait_for_request(std::int64_t timeout_ms) {
    std::unique_lock lock(interrupt_mutex_);
    const auto is_wanted = [this] { return request_.has_value() || context_.stopping; };
    return woken_.wait_for(lock, std::chrono::milliseconds(timeout_ms), is_wanted);
}

Status SourceMove::check_undisturbed() const {
    if (context_.stopping) return Error(Errc::cancelled, "the agent is stopping");
    if (is_urgent_) return Error(Errc::cancelled, "asked to stop");
    return {};
}

// ---- what to do about a failure -------------------------------------------------------------------------

bool SourceMove::go_on_after(SourceStep step, Error error) {
    if (context_.stopping) return false;
    hang_up();
    // Somebody else may have ended it meanwhile: finalize, a rollback, a higher epoch.
    if (auto now = context_.journal.find(record_.id); now && *now) record_ = **now;
    if (is_urgent_) return true;  // the error is the request's doing
    const std::int64_t now_ms = context_.clock.monotonic_ms();
    if (failures_++ == 0) failing_since_ms_ = now_ms;

    if (is_tried_for_ever(step)) {
        const bool down = step == SourceStep::grant;
        tell_note(error.text() + (down ? ": the zone is down and belongs to " + record_.peer + "; asking again"
                                       : ": trying again"),
                  down ? "bring " + record_.peer +
                             " and its agent back: the zone starts there; if that host is lost "
                             "for good: zoneferry resolve " +
                             record_.id + " --reclaim"
                       : std::string());
        return pause_before_retry();
    }
    const std::int64_t patience_ms =
        1000LL * (is_down_before_release(record_) ? context_.settings.quiesced_retry_s : context_.settings.retry_s);
    if (record_.phase != Phase::begun && is_transient(error.code()) && now_ms - failing_since_ms_ < patience_ms) {
        tell_note(error.text() + ": trying again from what the target has acknowledged");
        return pause_before_retry();
    }
    giving_up_.emplace(std::move(error));
    return true;
}

bool SourceMove::pause_before_retry() {
    const std::int64_t most_ms = std::min<std::int64_t>(kRetryMostMs, kRetryFirstMs << std::min(failures_, 6));
    // Between half of it and all: two hosts that lost each other do not knock in step.
    const std::int64_t wait_ms = most_ms / 2 + static_cast<std::int64_t>(random_bytes(1)[0]) * most_ms / 2 / 255;
    wait_for_request(wait_ms);
    return !context_.stopping;
}

void SourceMove::give_up_now() {
    if (!can_abort(record_) || record_.phase == Phase::aborting) {
        giving_up_.reset();
        return;
    }
    Status noted = journal(MoveEvent{
        .kind = EventKind::aborting, .text = giving_up_->text(), .code = std::string(errc_name(giving_up_->code()))});
    if (noted) {
        tell_phase("undoing: " + giving_up_->text());
        giving_up_.reset();
        budget_.reset();
        return;
    }
    tell_note(noted.error().text());
    context_.stopping = context_.stopping || noted.error().code() == Errc::corrupt;
    wait_for_request(kRetryFirstMs);  // a full disk does not get empty by asking it faster
}

// ---- telling --------------------------------------------------------------------------------------------

Status SourceMove::journal(MoveEvent event) {
    ZF_TRY(record_, context_.journal.apply(record_.id, event));
    return {};
}

Result<bool> SourceMove::zone_runs() {
    ZF_TRY(const ZoneName name, ZoneName::create(record_.zone));
    ZF_TRY(const RuntimeStatus status, Runtime(context_.root).status(name));
    return status.state == ZoneState::running || status.state == ZoneState::ready;
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

void SourceMove::tell_stand(const std::string& message, const std::string& remedy, int exit_code) {
    MoveNews news{.type = MoveNews::Type::stand,
                  .move_id = record_.id,
                  .zone = record_.zone,
                  .phase = std::string(phase_name(record_.phase)),
                  .message = message,
                  .remedy = remedy};
    news.exit_code = exit_code;
    if (record_.expected_down_ms > 0) news.summary.emplace_back("expected_down_ms", record_.expected_down_ms);
    context_.board.publish(std::move(news));
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
