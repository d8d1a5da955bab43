// Verbs that begin, steer and end moves.
#include <utility>

#include "agent/exit_codes.h"
#include "agent/move/finish.h"
#include "agent/move/start_move.h"
#include "agent/peer_session.h"
#include "agent/verbs/verb_request.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

MoveWish wish_of(const VerbRequest& request) {
    MoveWish wish;
    wish.zone = request.text("zone");
    wish.peer = request.text("host");
    wish.force = request.flag("force");
    wish.update = update_scope_from_name(request.text("update")).value_or(UpdateScope::none);
    wish.cold = request.flag("cold");
    wish.keep_source = request.flag("remove_source") ? KeepSource::remove : KeepSource::keep;
    wish.bytes_per_second = request.number("bytes_per_second");
    wish.hold = request.flag("no_switch");
    wish.max_downtime_ms = static_cast<std::int64_t>(request.number("max_downtime_ms"));
    wish.shared = shared_wish_from_name(request.text("shared")).value_or(SharedWish::require);
    wish.probe = request.text("probe");
    wish.probe_limit_ms = static_cast<std::int64_t>(request.number("probe_limit_ms"));
    wish.rollback_on_failure = request.flag("rollback_on_failed_probe");
    for (const VerifyMode mode : {VerifyMode::meta, VerifyMode::off}) {
        if (request.text("verify") == verify_mode_name(mode)) wish.verify = mode;
    }
    return wish;
}

Json tell_check(const VerbRequest& request, const MoveWish& wish, const CheckReport& report) {
    for (const Finding& finding : report.findings) request.tell(finding_json(finding));
    request.tell(check_json(wish, report));
    if (report.peer_error) return end_json(*report.peer_error);
    if (!is_blocked(report.findings)) return end_json(kExitOk, "the move would work");
    return end_json(kExitBlocked, "the move would not work; nothing was touched on either host");
}

}  // namespace

namespace {

Json follow_after(const VerbRequest& request, const std::string& move_id, bool until_stand, std::uint64_t seen) {
    constexpr int kLookAgainMs = 1'000;
    while (!request.context.stopping) {
        const std::vector<MoveNews> fresh = request.context.board.wait(move_id, seen, kLookAgainMs);
        for (const MoveNews& news : fresh) {
            seen = news.seq;
            if (news.type == MoveNews::Type::end) return news_json(news);
            if (!request.tell(news_json(news))) return end_json(kExitDetached, "the watcher has gone");
        }
        // Only the newest counts: an older stand may have been left since.
        const bool stands = !fresh.empty() && fresh.back().type == MoveNews::Type::stand;
        if (until_stand && stands) {
            Json last = news_json(fresh.back());
            last["type"] = "end";
            return last;
        }
        if (!fresh.empty() || request.desk.is_working_on(move_id)) continue;
        const auto record = request.context.journal.find(move_id);
        if (record && *record && is_over(**record)) return news_json(end_news(**record));
    }
    return end_json(kExitInterrupted, "the agent is stopping; the move goes on when it starts again",
                    "zoneferry watch " + move_id);
}

// The news before a request are no answer to it.
Json follow_new(const VerbRequest& request, const std::string& move_id) {
    const auto last = request.context.board.latest(move_id);
    const bool stands = last && last->type == MoveNews::Type::stand;
    return follow_after(request, move_id, true, stands ? last->seq : 0);
}

}  // namespace

Json follow_last(const VerbRequest& request, const std::string& move_id) {
    const bool goes_on = request.desk.is_working_on(move_id);
    const auto last = request.context.board.latest(move_id);
    if (last && last->type == MoveNews::Type::end && !goes_on) return news_json(*last);
    return follow_after(request, move_id, false, last ? last->seq : 0);
}

Json follow(const VerbRequest& request, const std::string& move_id, bool until_stand) {
    return follow_after(request, move_id, until_stand, 0);
}

Result<Json> serve_check(const VerbRequest& request) {
    const MoveWish wish = wish_of(request);
    ZF_TRY(const CheckReport report, check_move(request.context, wish));
    return tell_check(request, wish, report);
}

Result<Json> serve_move(const VerbRequest& request) {
    const MoveWish wish = wish_of(request);
    ZF_TRY(const StartedMove started, start_move(request.context, request.desk, wish));
    const Json verdict = tell_check(request, wish, started.check);
    if (started.move_id.empty()) return verdict;
    Json line{{"v", 1}, {"type", "started"}, {"move", started.move_id}, {"zone", wish.zone}, {"host", wish.peer}};
    request.tell(line);
    return follow(request, started.move_id, true);
}

Result<Json> serve_watch(const VerbRequest& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    return follow(request, record.id);
}

Result<Json> serve_limit(const VerbRequest& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    const std::uint64_t rate = request.number("bytes_per_second");
    ZF_TRY_STATUS(request.desk.limit(record.id, rate));
    return end_json(kExitOk, rate == 0 ? "no limit" : "at most " + format_bytes(rate) + " a second");
}

Result<Json> serve_abort(const VerbRequest& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    ZF_TRY_STATUS(request.desk.request(record.id, {.reason = "aborted by the user"}));
    Json last = follow(request, record.id);
    if (last.value("phase", "") == "aborted" && last.value("exit_code", 0) == kExitOther) return last;  // it is down
    if (last.value("phase", "") == "aborted") {
        last["exit_code"] = static_cast<int>(kExitOk);
        ZF_TRY(const std::optional<MoveRecord> after, request.context.journal.find(record.id));
        const bool is_elsewhere = after && was_found_elsewhere(*after);
        last["message"] = "aborted; zone " + record.zone +
                          (is_elsewhere ? " was not this move's any more, and was left as it was found"
                                        : " is on this host as before");
    } else if (last.value("exit_code", 0) == kExitOk) {
        last["exit_code"] = static_cast<int>(kExitBusy);
        last["message"] = "too late to abort: " + last.value("message", "");
    }
    return last;
}

namespace {

// Waits for the phase that the request leads to, or for what came instead.
Result<Json> wait_for_phase(const VerbRequest& request, const MoveRecord& record, Phase wanted,
                            const std::string& done) {
    constexpr int kLookAgainMs = 100;
    while (!request.context.stopping) {
        ZF_TRY(const std::optional<MoveRecord> now, request.context.journal.find(record.id));
        if (!now) break;
        if (now->phase == wanted) return end_json(kExitOk, done);
        const bool is_still_possible =
            now->phase == Phase::begun || now->phase == Phase::prepared || now->phase == Phase::waiting;
        if (!is_still_possible) {
            return end_json(kExitBusy, "too late: move " + record.id + " is " + std::string(phase_name(now->phase)),
                            "zoneferry watch " + record.id);
        }
        request.context.board.wait("", 0, kLookAgainMs);  // returns early when the agent stops
    }
    return end_json(kExitInterrupted, "the agent is stopping");
}

}  // namespace

Result<Json> serve_pause(const VerbRequest& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    ZF_TRY_STATUS(request.desk.request(record.id, {.kind = MoveRequest::Kind::pause, .reason = "by the user"}));
    return wait_for_phase(request, record, Phase::paused,
                          "paused; zone " + record.zone + " goes on running on this host");
}

Result<Json> serve_resume(const VerbRequest& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    ZF_TRY_STATUS(request.desk.request(record.id, {.kind = MoveRequest::Kind::resume}));
    return follow_new(request, record.id);
}

Result<Json> serve_switch(const VerbRequest& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    MoveRequest wanted{.kind = MoveRequest::Kind::switch_over};
    wanted.budget_ms = static_cast<std::int64_t>(request.number("max_downtime_ms"));
    ZF_TRY_STATUS(request.desk.request(record.id, std::move(wanted)));
    return follow_new(request, record.id);
}

namespace {

// We are the zone's present host: a move of our own, watched to its end.
Result<Json> return_from_here(const VerbRequest& request, const MoveRecord& record, bool discard) {
    if (record.phase != Phase::activated) {
        return Error(Errc::conflict, "move " + record.id + " is " + std::string(phase_name(record.phase)) +
                                         ": there is nothing to bring back");
    }
    ZF_TRY(const std::string back, start_return(request.context, request.desk, record, record.peer_address, discard));
    request.tell(Json{{"v", 1}, {"type", "started"}, {"move", back}, {"zone", record.zone}, {"host", record.peer}});
    return follow(request, back);
}

}  // namespace

// The host that has the zone moves it back; we are its target and watch.
Result<Json> serve_rollback(const VerbRequest& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    const bool discard = request.flag("discard");
    if (record.role == Role::target) return return_from_here(request, record, discard);
    if (record.phase != Phase::activated) {
        return Error(Errc::conflict, "move " + record.id + " is " + std::string(phase_name(record.phase)) +
                                         ": only a completed move that is not finalized can be rolled back")
            .remedy(can_abort(record) ? "zoneferry abort " + record.id : "");
    }
    ZF_TRY(PeerSession session, PeerSession::open(request.context, record.peer, record.peer_address));
    if (discard) ZF_TRY_STATUS(session.need("kept-return"));
    ReturnRequest ask;
    ask.move_id = record.id;
    ask.use_kept_copy = discard;
    ZF_TRY(const ReturnReply reply, session.ask<ReturnReply>(std::move(ask), kWorkTimeoutMs));
    request.tell(
        Json{{"v", 1}, {"type", "started"}, {"move", reply.move_id}, {"zone", record.zone}, {"host", record.peer}});
    return follow(request, reply.move_id);
}

Result<Json> serve_finalize(const VerbRequest& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    ZF_TRY(const MoveRecord after, finalize_move(request.context, record));
    return news_json(end_news(after));
}

}  // namespace zoneferry
