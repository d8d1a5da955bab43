#include "agent/move_plan.h"

#include <algorithm>
#include <array>
#include <utility>

namespace zoneferry {
namespace {

struct Transition {
    Role role;
    EventKind event;
    Phase from;
    Phase to;
};

// The whole table. What is not in it cannot happen.
constexpr std::array kTransitions{
    Transition{Role::source, EventKind::prepared, Phase::begun, Phase::prepared},
    Transition{Role::source, EventKind::pass_begun, Phase::prepared, Phase::prepared},
    Transition{Role::source, EventKind::running_pass_done, Phase::prepared, Phase::prepared},
    Transition{Role::source, EventKind::quiesced, Phase::prepared, Phase::quiesced},
    Transition{Role::source, EventKind::pass_begun, Phase::quiesced, Phase::quiesced},
    Transition{Role::source, EventKind::sent, Phase::quiesced, Phase::sent},
    Transition{Role::source, EventKind::verified, Phase::sent, Phase::verified},
    Transition{Role::source, EventKind::staged, Phase::verified, Phase::staged},
    Transition{Role::source, EventKind::released, Phase::staged, Phase::released},
    Transition{Role::source, EventKind::owned, Phase::released, Phase::owned},
    Transition{Role::source, EventKind::activated, Phase::owned, Phase::activated},
    Transition{Role::source, EventKind::aborting, Phase::begun, Phase::aborting},
    Transition{Role::source, EventKind::aborting, Phase::prepared, Phase::aborting},
    Transition{Role::source, EventKind::aborting, Phase::quiesced, Phase::aborting},
    Transition{Role::source, EventKind::aborting, Phase::sent, Phase::aborting},
    Transition{Role::source, EventKind::aborting, Phase::verified, Phase::aborting},
    Transition{Role::source, EventKind::aborting, Phase::staged, Phase::aborting},
    Transition{Role::source, EventKind::aborted, Phase::aborting, Phase::aborted},
    Transition{Role::source, EventKind::returned, Phase::activated, Phase::returned},
    Transition{Role::source, EventKind::finalized, Phase::activated, Phase::finalized},

    Transition{Role::target, EventKind::ready, Phase::incoming, Phase::ready},
    Transition{Role::target, EventKind::owned, Phase::ready, Phase::owned},
    Transition{Role::target, EventKind::activated, Phase::owned, Phase::activated},
    Transition{Role::target, EventKind::discarded, Phase::incoming, Phase::discarded},
    Transition{Role::target, EventKind::discarded, Phase::ready, Phase::discarded},
    Transition{Role::target, EventKind::returned, Phase::activated, Phase::returned},
    Transition{Role::target, EventKind::finalized, Phase::activated, Phase::finalized},
};

void take_over(MoveRecord& record, const MoveEvent& event) {
    switch (event.kind) {
        case EventKind::pass_begun: ++record.passes; break;
        case EventKind::running_pass_done: ++record.running_passes; break;
        case EventKind::quiesced: record.halt_began_unix_ms = event.number; break;
        case EventKind::verified: record.digest = event.text; break;
        case EventKind::ready: record.manifest = event.text; break;
        case EventKind::activated:
            record.activated_unix_ms = event.number;
            record.running = event.flag;
            record.problem = event.text;
            break;
        case EventKind::aborted:
            record.running = event.flag;
            if (!event.text.empty()) record.problem += "; " + event.text;
            break;
        case EventKind::aborting:
        case EventKind::discarded:
            record.problem = event.text;
            record.problem_code = event.code;
            break;
        default: break;
    }
}

}  // namespace

std::string_view role_name(Role role) { return role == Role::source ? "source" : "target"; }

std::string_view phase_name(Phase phase) {
    switch (phase) {
        case Phase::begun: return "begun";
        case Phase::prepared: return "prepared";
        case Phase::quiesced: return "quiesced";
        case Phase::sent: return "sent";
        case Phase::verified: return "verified";
        case Phase::staged: return "staged";
        case Phase::released: return "released";
        case Phase::aborting: return "aborting";
        case Phase::aborted: return "aborted";
        case Phase::incoming: return "incoming";
        case Phase::ready: return "ready";
        case Phase::discarded: return "discarded";
        case Phase::owned: return "owned";
        case Phase::activated: return "activated";
        case Phase::returned: return "returned";
        case Phase::finalized: return "finalized";
    }
    return "unknown";
}

std::string_view event_name(EventKind kind) {
    switch (kind) {
        case EventKind::begun: return "begun";
        case EventKind::pass_begun: return "pass-begun";
        case EventKind::prepared: return "prepared";
        case EventKind::running_pass_done: return "running-pass-done";
        case EventKind::quiesced: return "quiesced";
        case EventKind::sent: return "sent";
        case EventKind::verified: return "verified";
        case EventKind::staged: return "staged";
        case EventKind::released: return "released";
        case EventKind::owned: return "owned";
        case EventKind::activated: return "activated";
        case EventKind::aborting: return "aborting";
        case EventKind::aborted: return "aborted";
        case EventKind::ready: return "ready";
        case EventKind::discarded: return "discarded";
        case EventKind::returned: return "returned";
        case EventKind::finalized: return "finalized";
    }
    return "unknown";
}

Result<MoveRecord> fold(MoveRecord record, const MoveEvent& event) {
    const auto found = std::find_if(kTransitions.begin(), kTransitions.end(), [&](const Transition& row) {
        return row.role == record.role && row.event == event.kind && row.from == record.phase;
    });
    if (found == kTransitions.end()) {
        return Error(Errc::conflict, "move " + record.id + " is " + std::string(phase_name(record.phase)) + " on the " +
                                         std::string(role_name(record.role)) + ": " +
                                         std::string(event_name(event.kind)) + " cannot follow");
    }
    record.phase = found->to;
    take_over(record, event);
    return record;
}

SourceStep next_source_step(const MoveRecord& record) {
    switch (record.phase) {
        case Phase::begun: return SourceStep::prepare;
        case Phase::prepared:
            return record.was_running && !record.cold && record.running_passes == 0 ? SourceStep::running_pass
                                                                                    : SourceStep::quiesce;
        case Phase::quiesced: return SourceStep::final_pass;
        case Phase::sent: return SourceStep::verify;
        case Phase::verified: return SourceStep::stage;
        case Phase::staged: return SourceStep::release;
        case Phase::released: return SourceStep::grant;
        case Phase::owned: return SourceStep::confirm;
        case Phase::aborting: return SourceStep::abort;
        default: return SourceStep::rest;
    }
}

TargetStep next_target_step(const MoveRecord& record) {
    switch (record.phase) {
        case Phase::incoming:
        case Phase::ready: return TargetStep::wait;
        case Phase::owned: return TargetStep::activate;
        default: return TargetStep::rest;
    }
}

bool can_abort(const MoveRecord& record) {
    if (record.role != Role::source) return false;
    const SourceStep step = next_source_step(record);
    return step != SourceStep::grant && step != SourceStep::confirm && step != SourceStep::rest;
}

bool is_over(const MoveRecord& record) {
    if (record.role == Role::source) return next_source_step(record) == SourceStep::rest;
    return next_target_step(record) == TargetStep::rest;
}

bool is_in_doubt(const MoveRecord& record) {
    return record.role == Role::source ? record.phase == Phase::released : record.phase == Phase::ready;
}

bool wants_deletion(const MoveRecord& record) {
    return record.role == Role::source && record.phase == Phase::activated &&
           record.keep_source == KeepSource::remove && record.problem.empty() && record.running == record.was_running;
}

bool wants_another_running_pass(const std::vector<PassTime>& passes) {
    constexpr std::size_t kPassesMax = 6;
    constexpr std::int64_t kShortEnoughMs = 2'000;
    if (passes.empty()) return true;
    if (passes.size() >= kPassesMax || passes.back().ms <= kShortEnoughMs) return false;
    if (passes.size() == 1) return true;
    return passes.back().bytes < passes[passes.size() - 2].bytes / 2;
}

}  // namespace zoneferry
