#include "agent/janitor.h"

#include <spdlog/spdlog.h>

#include "agent/claims.h"
#include "agent/guarded.h"
#include "agent/move/finish.h"
#include "agent/move/moved_tree.h"
#include "agent/move/target_move.h"
#include "agent/peer_session.h"
#include "core/base/files.h"

namespace zoneferry {
namespace {

constexpr std::int64_t kSweepEveryMs = 15'000;

}  // namespace

Janitor::Janitor(AgentContext& context, MoveDesk& desk) : context_(context), desk_(desk) {
    thread_ = std::jthread([this] {
        if (Status done = guarded([this] { remove_rubbish(); }); !done) spdlog::error("{}", done.error().text());
        std::int64_t next_ms = 0;
        while (!context_.stopping && !context_.board.is_closed()) {
            const std::int64_t now_ms = context_.clock.monotonic_ms();
            if (now_ms >= next_ms) {
                if (Status done = guarded([this] { sweep(); }); !done) spdlog::error("{}", done.error().text());
                next_ms = now_ms + kSweepEveryMs;
            }
            context_.board.wait("", 0, 500);  // returns early when the agent stops
        }
    });
}

void Janitor::remove_rubbish() {
    // Half-written files of an agent or a command that was killed.
    const std::string state = context_.root.state_directory();
    for (const std::string& place : {state, state + "/owners", state + "/trust", context_.root.at("/etc/zones")}) {
        if (Status done = remove_stale_temporaries(place); !done) spdlog::warn("{}", done.error().text());
    }
    const auto records = context_.journal.all();
    for (const MoveRecord& record : records ? *records : std::vector<MoveRecord>()) {
        // A crash right after the zone was back may have left the move that it undoes as it was.
        const bool is_back = record.phase == Phase::activated || record.phase == Phase::finalized;
        if (record.role == Role::target && is_back && record.problem.empty()) mark_returned(context_, record);
        const bool has_arrived = record.role == Role::target && is_back;
        if (record.phase != Phase::finalized && record.phase != Phase::aborted && !has_arrived) continue;
        std::vector<std::string> places{move_directory(context_.root, record.id)};
        for (const MovedTree& tree : own_trees(record)) {
            places.push_back(trash_path(context_.root, tree, record.id));
        }
        for (const std::string& place : places) {
            if (Status done = remove_tree(place); !done) spdlog::warn("{}", done.error().text());
        }
    }
}

void Janitor::sweep() {
    constexpr std::int64_t kClaimsEveryMs = 60'000;
    constexpr int kClaimsTimeoutMs = 5'000;
    if (const std::int64_t now_ms = context_.clock.monotonic_ms(); now_ms >= next_claims_ms_) {
        if (next_claims_ms_ != 0 && context_.trust.has_identity()) {  // the start has just asked
            ask_peers_for_claims(context_, desk_, kClaimsTimeoutMs);
        }
        next_claims_ms_ = now_ms + kClaimsEveryMs;
    }
    park_taken_zones(context_);
    halt_parked_zones(context_);
    const auto records = context_.journal.all();
    if (!records) return;
    for (const MoveRecord& record : *records) {
        if (context_.stopping) return;
        if (wants_deletion(record)) {
            // Decided when the move began, and cut off by a crash or a lost link.
            if (const auto after = finalize_move(context_, record)) context_.board.publish(end_news(*after));
        }
        if (record.role != Role::target || is_over(record) || desk_.is_claimed(record.id)) continue;
        look_after(record.id);
    }
}

void Janitor::look_after(const std::string& move_id) {
    const auto claim = desk_.try_claim(move_id);
    if (!claim) return;
    const auto record = context_.journal.find(move_id);  // as it is now that nobody else works on it
    if (!record || !*record || is_over(**record)) return;
    if (next_target_step(**record) == TargetStep::probe) {
        if (Status probed = probe_move(context_, **record); !probed) spdlog::warn("{}", probed.error().text());
        return;
    }
    if ((*record)->phase == Phase::owned) {
        const auto done = activate_move(context_, **record);
        if (!done) return tell_activation_failed(context_, **record, done.error());
        // A rollback is over for its watchers when the source has deleted its copy, too (FinalizeRequest).
        const bool deletes_source = !(*record)->return_of.empty() && done->problem.empty();
        const auto after = context_.journal.find(move_id);
        if (!deletes_source && after && *after) context_.board.publish(end_news(**after));
    } else {
        ask_about(**record);
    }
}

void Janitor::ask_about(const MoveRecord& record) {
    auto session = PeerSession::open(context_, record.peer, record.peer_address);
    if (!session) return;  // in doubt: it stays as it is
    StatusRequest request;
    request.move_id = record.id;
    const auto reply = session->ask<StatusReply>(std::move(request));
    if (!reply) return;
    if (!reply->known && record.phase != Phase::incoming) return;
    const bool is_given_up = reply->phase == phase_name(Phase::aborted) || reply->phase == phase_name(Phase::reclaimed);
    if (reply->known && !is_given_up) return;  // the source will come back to us
    const Error why(Errc::cancelled, reply->known ? record.peer + " aborted it: " + reply->problem
                                                  : record.peer + " knows nothing of this move");
    if (const auto after = discard_incoming(context_, record, why)) context_.board.publish(end_news(*after));
}

}  // namespace zoneferry
