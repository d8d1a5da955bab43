#include "agent/move/move_plan.h"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/move/moved_tree.h"

namespace zoneferry {
namespace {

using Condition = bool (*)(const MoveRecord&);

bool always(const MoveRecord&) { return true; }
bool does_not_hold(const MoveRecord& record) { return !record.hold; }
bool was_never_repaired(const MoveRecord& record) { return record.repairs == 0; }
bool sends_tree(const MoveRecord& record) { return !brings_no_bytes(record); }
bool shall_return(const MoveRecord& record) {
    return record.rollback_on_failure && record.returned_by.empty() && !awaits_probe(record) && !is_healthy(record);
}

struct Transition {
    Role role;
    EventKind event;
    Phase from;
    Phase to;
    Condition condition = always;
};

constexpr Transition source(Phase from, EventKind event, Phase to, Condition condition = always) {
    return {Role::source, event, from, to, condition};
}
constexpr Transition target(Phase from, EventKind event, Phase to, Condition condition = always) {
    return {Role::target, event, from, to, condition};
}

// The whole table, in the order of the head of move_plan.h. What is not in it cannot happen.
constexpr std::array kTransitions{
    source(Phase::begun, EventKind::prepared, Phase::prepared),
    source(Phase::prepared, EventKind::pass_begun, Phase::prepared),
    source(Phase::prepared, EventKind::pass_done, Phase::prepared),
    source(Phase::prepared, EventKind::running_pass_done, Phase::prepared),
    source(Phase::prepared, EventKind::switching, Phase::prepared),
    source(Phase::prepared, EventKind::waiting, Phase::waiting),
    source(Phase::prepared, EventKind::paused, Phase::paused),
    source(Phase::prepared, EventKind::quiescing, Phase::quiescing, does_not_hold),
    source(Phase::waiting, EventKind::pass_begun, Phase::waiting),
    source(Phase::waiting, EventKind::pass_done, Phase::waiting),
    source(Phase::waiting, EventKind::switching, Phase::prepared),
    source(Phase::waiting, EventKind::paused, Phase::paused),
    source(Phase::paused, EventKind::resumed, Phase::prepared),
    source(Phase::quiescing, EventKind::quiesced, Phase::quiesced),
    source(Phase::quiesced, EventKind::pass_begun, Phase::quiesced),
    source(Phase::quiesced, EventKind::pass_done, Phase::quiesced),
    source(Phase::quiesced, EventKind::sent, Phase::sent, sends_tree),
    source(Phase::quiesced, EventKind::staged, Phase::staged, brings_no_bytes),
    source(Phase::sent, EventKind::verified, Phase::verified),
    source(Phase::sent, EventKind::repairing, Phase::quiesced, was_never_repaired),
    source(Phase::verified, EventKind::staged, Phase::staged),
    source(Phase::staged, EventKind::released, Phase::released),
    source(Phase::released, EventKind::owned, Phase::owned),
    source(Phase::owned, EventKind::activated, Phase::activated),
    source(Phase::activated, EventKind::probed, Phase::activated, awaits_probe),
    source(Phase::activated, EventKind::returning, Phase::activated, shall_return),
    source(Phase::activated, EventKind::looked_back, Phase::activated),
    source(Phase::activated, EventKind::returned, Phase::returned),
    source(Phase::activated, EventKind::finalized, Phase::finalized),

    source(Phase::begun, EventKind::aborting, Phase::aborting),
    source(Phase::prepared, EventKind::aborting, Phase::aborting),
    source(Phase::waiting, EventKind::aborting, Phase::aborting),
    source(Phase::paused, EventKind::aborting, Phase::aborting),
    source(Phase::quiescing, EventKind::aborting, Phase::aborting),
    source(Phase::quiesced, EventKind::aborting, Phase::aborting),
    source(Phase::sent, EventKind::aborting, Phase::aborting),
    source(Phase::verified, EventKind::aborting, Phase::aborting),
    source(Phase::staged, EventKind::aborting, Phase::aborting),
    source(Phase::aborting, EventKind::aborted, Phase::aborted),

    source(Phase::begun, EventKind::superseded, Phase::superseded),
    source(Phase::prepared, EventKind::superseded, Phase::superseded),
    source(Phase::waiting, EventKind::superseded, Phase::superseded),
    source(Phase::paused, EventKind::superseded, Phase::superseded),
    source(Phase::quiescing, EventKind::superseded, Phase::superseded),
    source(Phase::quiesced, EventKind::superseded, Phase::superseded),
    source(Phase::sent, EventKind::superseded, Phase::superseded),
    source(Phase::verified, EventKind::superseded, Phase::superseded),
    source(Phase::staged, EventKind::superseded, Phase::superseded),
    source(Phase::aborting, EventKind::superseded, Phase::superseded),

    source(Phase::released, EventKind::reclaiming, Phase::reclaiming),
    source(Phase::owned, EventKind::reclaiming, Phase::reclaiming),
    source(Phase::activated, EventKind::reclaiming, Phase::reclaiming),
    source(Phase::superseded, EventKind::reclaiming, Phase::reclaiming),
    source(Phase::reclaiming, EventKind::reclaimed, Phase::reclaimed),

    target(Phase::incoming, EventKind::ready, Phase::ready),
    target(Phase::incoming, EventKind::discarded, Phase::discarded),
    target(Phase::ready, EventKind::owned, Phase::owned),
    target(Phase::ready, EventKind::adopted, Phase::owned),
    target(Phase::ready, EventKind::discarded, Phase::discarded),
    target(Phase::owned, EventKind::activated, Phase::activated),
    target(Phase::owned, EventKind::superseded, Phase::superseded),
    target(Phase::activated, EventKind::probed, Phase::activated, awaits_probe),
    target(Phase::activated, EventKind::returned, Phase::returned),
    target(Phase::activated, EventKind::finalized, Phase::finalized),
    target(Phase::activated, EventKind::superseded, Phase::superseded),
    target(Phase::superseded, EventKind::adopted, Phase::owned),
};

const Transition* find_transition(const MoveRecord& record, EventKind event) {
    const auto found = std::find_if(kTransitions.begin(), kTransitions.end(), [&](const Transition& row) {
        return row.role == record.role && row.event == event && row.from == record.phase && row.condition(record);
    });
    return found == kTransitions.end() ? nullptr : found;
}

void add_problem(MoveRecord& record, const std::string& text) {
    if (text.empty()) return;
    record.problem += (record.problem.empty() ? "" : "; ") + text;
}

// What an ending or a mishap leaves in the record.
void take_over_end(MoveRecord& record, const MoveEvent& event) {
    switch (event.kind) {
        case EventKind::activated:
            record.activated_unix_ms = event.number;
            record.running = event.flag;
            record.problem = event.text;
            break;
        case EventKind::aborted:
            record.running = event.flag;
            add_problem(record, event.text);
            if (!event.code.empty()) record.problem_code = event.code;
            break;
        case EventKind::reclaimed:
            record.running = event.flag;
            add_problem(record, event.text);
            break;
        case EventKind::aborting:
        case EventKind::discarded:
        case EventKind::superseded:
            record.problem = event.text;
            record.problem_code = event.code;
            break;
        case EventKind::probed:
            record.probed = event.flag ? ProbeState::healthy : ProbeState::failed;
            if (!event.flag) add_problem(record, event.text);
            break;
        case EventKind::returning: record.returned_by = event.text.empty() ? "-" : event.text; break;
        case EventKind::looked_back:
            if (!event.text.empty()) record.keep_source = KeepSource::keep;
            if (event.flag) record.problem_code = errc_name(Errc::verify_failed);
            break;
        case EventKind::adopted:
        case EventKind::reclaiming:
            record.problem.clear();
            record.problem_code.clear();
            break;
        default: break;
    }
}

// What the way to the switch leaves in it.
void take_over_way(MoveRecord& record, const MoveEvent& event) {
    switch (event.kind) {
        case EventKind::pass_begun: ++record.passes; break;
        case EventKind::pass_done:
            record.raw_bytes += static_cast<std::uint64_t>(event.number);
            record.wire_bytes += static_cast<std::uint64_t>(event.extra);
            break;
        case EventKind::running_pass_done: ++record.running_passes; break;
        case EventKind::waiting:
            record.hold = true;
            record.expected_down_ms = event.number;
            record.problem = event.flag ? event.text : std::string();
            break;
        case EventKind::switching:
            record.hold = false;
            record.max_downtime_ms = event.number;
            record.problem.clear();
            [[fallthrough]];
        case EventKind::resumed:
            record.was_running = event.flag;
            record.running_passes = 0;  // what was sent has aged: one more round before the halt
            break;
        case EventKind::quiescing:
            record.was_running = event.flag;
            record.halt_began_unix_ms = event.number;
            record.expected_down_ms = event.extra;
            break;
        case EventKind::quiesced:
            if (event.number != 0) record.halt_began_unix_ms = event.number;
            break;
        case EventKind::verified:
            record.digest = event.text;
            record.promise_asked = true;
            break;
        case EventKind::repairing:
            record.repairs += static_cast<std::uint64_t>(std::max<std::int64_t>(1, event.number));
            break;
        case EventKind::ready:
            record.manifest = event.text;
            record.nonce = event.code;
            break;
        case EventKind::owned:
            if (record.role == Role::target) record.was_running = event.flag;
            [[fallthrough]];
        case EventKind::adopted:
        case EventKind::reclaiming:
        case EventKind::superseded: record.owned_epoch = static_cast<std::uint64_t>(event.number); break;
        default: break;
    }
}

SourceStep step_of_prepared(const MoveRecord& record) {
    const bool passes_help = (record.was_running && !record.cold) || record.hold;
    if (passes_help && !brings_no_bytes(record) && record.running_passes == 0) return SourceStep::running_pass;
    return SourceStep::decide;
}

SourceStep step_of_activated(const MoveRecord& record) {
    if (awaits_probe(record)) return SourceStep::await_probe;
    return shall_return(record) ? SourceStep::bring_back : SourceStep::rest;
}

}  // namespace

std::string_view event_name(EventKind kind) {
    constexpr std::array<std::string_view, kEventCount> kNames{
        "begun",      "pass-begun", "prepared",   "running-pass-done", "quiesced", "sent",       "verified",
        "staged",     "released",   "owned",      "activated",         "aborting", "aborted",    "ready",
        "discarded",  "returned",   "finalized",  "pass-done",         "waiting",  "switching",  "paused",
        "resumed",    "quiescing",  "probed",     "returning",         "adopted",  "reclaiming", "reclaimed",
        "superseded", "repairing",  "looked-back"};
    const auto index = static_cast<std::size_t>(kind);
    return index < kNames.size() ? kNames[index] : "unknown";
}

bool allows(const MoveRecord& record, EventKind event) { return find_transition(record, event) != nullptr; }

Result<MoveRecord> fold(MoveRecord record, const MoveEvent& event) {
    const Transition* found = find_transition(record, event.kind);
    if (found == nullptr) {
        return Error(Errc::conflict, "move " + record.id + " is " + std::string(phase_name(record.phase)) + " on the " +
                                         std::string(role_name(record.role)) + ": " +
                                         std::string(event_name(event.kind)) + " cannot follow");
    }
    record.phase = found->to;
    take_over_way(record, event);
    take_over_end(record, event);
    return record;
}

SourceStep next_source_step(const MoveRecord& record) {
    switch (record.phase) {
        case Phase::begun: return SourceStep::prepare;
        case Phase::prepared: return step_of_prepared(record);
        case Phase::waiting: return SourceStep::keep_fresh;
        case Phase::paused: return SourceStep::sleep;
        case Phase::quiescing: return SourceStep::quiesce;
        case Phase::quiesced: return brings_no_bytes(record) ? SourceStep::stage : SourceStep::final_pass;
        case Phase::sent: return SourceStep::verify;
        case Phase::verified: return SourceStep::stage;
        case Phase::staged: return SourceStep::release;
        case Phase::released: return SourceStep::grant;
        case Phase::owned: return SourceStep::confirm;
        case Phase::activated: return step_of_activated(record);
        case Phase::reclaiming: return SourceStep::reclaim;
        case Phase::aborting: return SourceStep::abort;
        default: return SourceStep::rest;
    }
}

TargetStep next_target_step(const MoveRecord& record) {
    switch (record.phase) {
        case Phase::incoming:
        case Phase::ready: return TargetStep::wait;
        case Phase::owned: return TargetStep::activate;
        case Phase::activated: return awaits_probe(record) ? TargetStep::probe : TargetStep::rest;
        default: return TargetStep::rest;
    }
}

bool brings_no_bytes(const MoveRecord& record) { return sent_trees(record).empty(); }

bool can_abort(const MoveRecord& record) {
    return record.role == Role::source && (record.phase == Phase::aborting || allows(record, EventKind::aborting));
}

bool is_over(const MoveRecord& record) {
    if (record.role == Role::source) return next_source_step(record) == SourceStep::rest;
    return next_target_step(record) == TargetStep::rest;
}

bool was_found_elsewhere(const MoveRecord& record) {
    return record.phase == Phase::aborted && errc_from_name(record.problem_code) == Errc::not_owner;
}

bool is_in_doubt(const MoveRecord& record) {
    return record.role == Role::source ? record.phase == Phase::released : record.phase == Phase::ready;
}

bool is_down_before_release(const MoveRecord& record) {
    switch (record.phase) {
        case Phase::quiescing:
        case Phase::quiesced:
        case Phase::sent:
        case Phase::verified:
        case Phase::staged: return record.role == Role::source;
        default: return false;
    }
}

std::uint64_t holder_epoch(const MoveRecord& record) {
    return record.owned_epoch != 0 ? record.owned_epoch : record.epoch + 1;
}

std::uint64_t epoch_by_word(const MoveRecord& record, std::uint64_t known) {
    return std::max({record.epoch + 2, holder_epoch(record) + 1, known + 1});
}

bool awaits_probe(const MoveRecord& record) {
    return !record.probe.empty() && record.probed == ProbeState::none && record.running && record.problem.empty();
}

bool is_healthy(const MoveRecord& record) {
    return record.problem.empty() && record.running == record.was_running && record.probed != ProbeState::failed;
}

bool wants_deletion(const MoveRecord& record) {
    return record.role == Role::source && record.phase == Phase::activated &&
           record.keep_source == KeepSource::remove && is_over(record) && is_healthy(record);
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
