// The table of a move, exhaustively: every phase, every event, both roles.
#include "agent/move/move_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace zoneferry {
namespace {

constexpr int kPhases = kPhaseCount;
constexpr int kEvents = kEventCount;

MoveRecord at(Role role, Phase phase) {
    MoveRecord record;
    record.id = "ab";
    record.role = role;
    record.phase = phase;
    return record;
}

std::vector<Phase> all_phases() {
    std::vector<Phase> phases;
    for (int i = 0; i < kPhases; ++i) phases.push_back(static_cast<Phase>(i));
    return phases;
}
std::vector<EventKind> all_events() {
    std::vector<EventKind> events;
    for (int i = 0; i < kEvents; ++i) events.push_back(static_cast<EventKind>(i));
    return events;
}

// What the conditions of the table look at, in every combination that matters.
std::vector<MoveRecord> variants(Role role, Phase phase) {
    std::vector<MoveRecord> records;
    for (int bits = 0; bits < 32; ++bits) {
        MoveRecord record = at(role, phase);
        record.hold = (bits & 1) != 0;
        record.uses_kept_copy = (bits & 2) != 0;
        record.running = record.was_running = true;
        if ((bits & 4) != 0) record.probe = "tcp:80";
        if ((bits & 8) != 0) record.problem = "no boot";
        record.rollback_on_failure = (bits & 16) != 0;
        records.push_back(record);
    }
    return records;
}

using Row = std::tuple<Phase, EventKind, Phase>;
std::set<Row> rows_of(Role role) {
    std::set<Row> rows;
    for (const Phase phase : all_phases()) {
        for (const EventKind event : all_events()) {
            for (const MoveRecord& record : variants(role, phase)) {
                const auto after = fold(record, MoveEvent{.kind = event});
                if (after) rows.insert({phase, event, after->phase});
                EXPECT_TRUE(after || after.error().code() == Errc::conflict);
                EXPECT_EQ(allows(record, event), after.has_value());
            }
        }
    }
    return rows;
}

// Every phase that can be reached, by any sequence of events.
std::set<Phase> closure(Role role, Phase from) {
    std::set<Phase> reached{from};
    bool grows = true;
    const std::set<Row> rows = rows_of(role);
    while (grows) {
        grows = false;
        for (const auto& [before, event, after] : rows) {
            if (reached.contains(before)) grows |= reached.insert(after).second;
        }
    }
    return reached;
}

// Written down a second time, by hand: a slip in the table must not pass because the test repeats it.
TEST(MovePlan, TheSourcesTableIsExactlyThis) {
    using enum Phase;
    using E = EventKind;
    std::set<Row> expected{
        {begun, E::prepared, prepared},
        {prepared, E::pass_begun, prepared},
        {prepared, E::pass_done, prepared},
        {prepared, E::running_pass_done, prepared},
        {prepared, E::switching, prepared},
        {prepared, E::waiting, waiting},
        {prepared, E::paused, paused},
        {prepared, E::quiescing, quiescing},
        {waiting, E::pass_begun, waiting},
        {waiting, E::pass_done, waiting},
        {waiting, E::switching, prepared},
        {waiting, E::paused, paused},
        {paused, E::resumed, prepared},
        {quiescing, E::quiesced, quiesced},
        {quiesced, E::pass_begun, quiesced},
        {quiesced, E::pass_done, quiesced},
        {quiesced, E::sent, sent},
        {quiesced, E::staged, staged},
        {sent, E::verified, verified},
        {sent, E::repairing, quiesced},
        {verified, E::staged, staged},
        {staged, E::released, released},
        {released, E::owned, owned},
        {owned, E::activated, activated},
        {activated, E::probed, activated},
        {activated, E::returning, activated},
        {activated, E::looked_back, activated},
        {activated, E::returned, returned},
        {activated, E::finalized, finalized},
        {aborting, E::aborted, aborted},
        {aborting, E::superseded, superseded},
        {reclaiming, E::reclaimed, reclaimed},
    };
    for (const Phase phase : {begun, prepared, waiting, paused, quiescing, quiesced, sent, verified, staged}) {
        expected.insert({phase, E::aborting, aborting});
        expected.insert({phase, E::superseded, superseded});
    }
    for (const Phase phase : {released, owned, activated, superseded}) {
        expected.insert({phase, E::reclaiming, reclaiming});
    }
    EXPECT_EQ(rows_of(Role::source), expected);
}

// What still differs after it was sent again is an error of a disk or a memory: it is not tried for ever.
TEST(MovePlan, WhatDiffersIsSentAgainOnce) {
    MoveRecord record;
    record.role = Role::source;
    record.phase = Phase::sent;
    const auto repaired = fold(record, {.kind = EventKind::repairing, .text = "etc/passwd", .number = 0});
    ASSERT_TRUE(repaired);
    EXPECT_EQ(repaired->repairs, 1U);
    EXPECT_EQ(next_source_step(*repaired), SourceStep::final_pass);
    MoveRecord again = *repaired;
    again.phase = Phase::sent;
    EXPECT_FALSE(allows(again, EventKind::repairing));
}

TEST(MovePlan, TheTargetsTableIsExactlyThis) {
    using enum Phase;
    using E = EventKind;
    const std::set<Row> expected{
        {incoming, E::ready, ready},          {ready, E::owned, owned},          {owned, E::activated, activated},
        {incoming, E::discarded, discarded},  {ready, E::discarded, discarded},  {activated, E::returned, returned},
        {activated, E::finalized, finalized}, {ready, E::adopted, owned},        {superseded, E::adopted, owned},
        {owned, E::superseded, superseded},   {activated, E::probed, activated}, {activated, E::superseded, superseded},
    };
    EXPECT_EQ(rows_of(Role::target), expected);
}

TEST(MovePlan, NoWayLeadsBackOverTheRelease) {
    for (const Phase phase : closure(Role::source, Phase::released)) {
        EXPECT_TRUE(phase == Phase::released || phase == Phase::owned || phase == Phase::activated ||
                    phase == Phase::returned || phase == Phase::finalized || phase == Phase::reclaiming ||
                    phase == Phase::reclaimed)
            << phase_name(phase);
        EXPECT_FALSE(can_abort(at(Role::source, phase))) << phase_name(phase);
    }
    const std::set<Phase> undone = closure(Role::source, Phase::aborting);
    EXPECT_FALSE(undone.contains(Phase::released));
    const std::set<Phase> after_owned = closure(Role::target, Phase::owned);
    EXPECT_FALSE(after_owned.contains(Phase::discarded));
}

// Over the release only a person's word leads back, and what he says carries a higher epoch.
TEST(MovePlan, APersonsWordHasAHigherEpochThanAnyGrant) {
    MoveRecord record = at(Role::source, Phase::released);
    record.epoch = 4;
    EXPECT_EQ(holder_epoch(record), 5U);
    EXPECT_EQ(epoch_by_word(record, 0), 6U);
    EXPECT_EQ(epoch_by_word(record, 9), 10U) << "above every epoch that is known";
    const MoveRecord taken =
        *fold(record, {.kind = EventKind::reclaiming, .number = static_cast<std::int64_t>(epoch_by_word(record, 0))});
    EXPECT_EQ(holder_epoch(taken), 6U);
    EXPECT_EQ(next_source_step(taken), SourceStep::reclaim);
    MoveRecord parked = at(Role::target, Phase::activated);
    parked.epoch = 4;
    parked = *fold(parked, {.kind = EventKind::superseded, .text = "host1", .number = 6});
    EXPECT_EQ(epoch_by_word(parked, 0), 7U);
    EXPECT_EQ(holder_epoch(*fold(parked, {.kind = EventKind::adopted, .number = 7})), 7U);
}

TEST(MovePlan, WhoHoldsIsNotHalted) {
    MoveRecord record = at(Role::source, Phase::prepared);
    record.was_running = true;
    record.hold = true;
    EXPECT_EQ(next_source_step(record), SourceStep::running_pass);
    record.running_passes = 1;
    EXPECT_EQ(next_source_step(record), SourceStep::decide);
    EXPECT_FALSE(allows(record, EventKind::quiescing));
    record = *fold(record, {.kind = EventKind::waiting, .number = 1'200});
    EXPECT_EQ(next_source_step(record), SourceStep::keep_fresh);
    EXPECT_FALSE(allows(record, EventKind::quiescing));
    record = *fold(record, {.kind = EventKind::switching, .number = 3'000, .flag = true});
    EXPECT_EQ(next_source_step(record), SourceStep::running_pass) << "what was sent has aged";
    EXPECT_TRUE(allows(record, EventKind::quiescing));
    EXPECT_EQ(record.max_downtime_ms, 3'000);
}

TEST(MovePlan, OverTheBudgetItWaitsForAPerson) {
    MoveRecord record = at(Role::source, Phase::prepared);
    record.max_downtime_ms = 1'000;
    record = *fold(record, {.kind = EventKind::waiting, .text = "too long", .number = 5'000, .flag = true});
    EXPECT_TRUE(record.hold);
    EXPECT_EQ(record.expected_down_ms, 5'000);
    EXPECT_EQ(record.problem, "too long");
    record = *fold(record, {.kind = EventKind::switching, .flag = false});
    EXPECT_EQ(std::tuple(record.max_downtime_ms, record.problem, record.was_running), std::tuple(0, "", false));
}

TEST(MovePlan, AKeptCopyIsTakenWithoutAPass) {
    MoveRecord record = at(Role::source, Phase::prepared);
    record.was_running = record.uses_kept_copy = true;
    EXPECT_EQ(next_source_step(record), SourceStep::decide);
    record.phase = Phase::quiesced;
    EXPECT_EQ(next_source_step(record), SourceStep::stage);
    EXPECT_FALSE(allows(record, EventKind::sent));
    record.uses_kept_copy = false;
    EXPECT_FALSE(allows(record, EventKind::staged)) << "what travels is compared first";
    for (const SharedKind kind : {SharedKind::directory, SharedKind::lun}) {
        record.shared = kind;
        EXPECT_EQ(next_source_step(record), SourceStep::stage);
        EXPECT_TRUE(allows(record, EventKind::staged));
        EXPECT_FALSE(allows(record, EventKind::sent)) << "no byte of a shared tree travels";
    }
}

TEST(MovePlan, AFailedProbeLeadsBackOnlyIfAskedTo) {
    MoveRecord record = at(Role::source, Phase::owned);
    record.was_running = true;
    record.probe = "tcp:80";
    record = *fold(record, {.kind = EventKind::activated, .number = 5, .flag = true});
    EXPECT_EQ(next_source_step(record), SourceStep::await_probe);
    EXPECT_FALSE(is_over(record));
    MoveRecord there = record;
    there.role = Role::target;
    EXPECT_EQ(next_target_step(there), TargetStep::probe);
    const MoveRecord well = *fold(record, {.kind = EventKind::probed, .flag = true});
    EXPECT_TRUE(is_over(well) && is_healthy(well));
    const MoveRecord ill = *fold(record, {.kind = EventKind::probed, .text = "no answer"});
    EXPECT_TRUE(is_over(ill));
    EXPECT_FALSE(is_healthy(ill));
    record.rollback_on_failure = true;
    const MoveRecord back = *fold(record, {.kind = EventKind::probed, .text = "no answer"});
    EXPECT_EQ(next_source_step(back), SourceStep::bring_back);
    EXPECT_TRUE(is_over(*fold(back, {.kind = EventKind::returning, .text = "cd"})));
    EXPECT_TRUE(is_over(*fold(back, {.kind = EventKind::returning}))) << "not possible: it is not tried for ever";
    record.keep_source = KeepSource::remove;
    EXPECT_FALSE(wants_deletion(record)) << "the probe has not spoken yet";
    EXPECT_TRUE(wants_deletion(*fold(record, {.kind = EventKind::probed, .flag = true})));
    EXPECT_FALSE(wants_deletion(*fold(record, {.kind = EventKind::probed, .text = "no answer"})));
}

TEST(MovePlan, WhatTheLookBackFindsKeepsTheCopy) {
    MoveRecord record = at(Role::source, Phase::activated);
    record.keep_source = KeepSource::remove;
    const MoveRecord same = *fold(record, {.kind = EventKind::looked_back});
    EXPECT_TRUE(wants_deletion(same));
    const MoveRecord attributes = *fold(record, {.kind = EventKind::looked_back, .text = "of a file", .number = 1});
    EXPECT_FALSE(wants_deletion(attributes));
    EXPECT_TRUE(is_healthy(attributes) && attributes.problem_code.empty());
    const MoveRecord more =
        *fold(record, {.kind = EventKind::looked_back, .text = "a file", .number = 1, .flag = true});
    EXPECT_FALSE(wants_deletion(more));
    EXPECT_EQ(more.problem_code, "verify-failed");
    EXPECT_TRUE(is_healthy(more)) << "the zone is: it does not come back by itself";
}

TEST(MovePlan, EachRoleKeepsToItsPhases) {
    const std::set<Phase> source = closure(Role::source, Phase::begun);
    const std::set<Phase> target = closure(Role::target, Phase::incoming);
    EXPECT_EQ(source.size(), 19U);
    EXPECT_EQ(target.size(), 8U);
    for (const Phase phase : {Phase::incoming, Phase::ready, Phase::discarded}) EXPECT_FALSE(source.contains(phase));
    for (const Phase phase : {Phase::begun, Phase::released, Phase::aborting}) EXPECT_FALSE(target.contains(phase));
}

TEST(MovePlan, EveryPhaseThatIsNotOverHasAWayToAnEnd) {
    for (const auto& [role, first] : {std::pair{Role::source, Phase::begun}, {Role::target, Phase::incoming}}) {
        for (const Phase phase : closure(role, first)) {
            const std::set<Phase> later = closure(role, phase);
            const bool ends =
                std::any_of(later.begin(), later.end(), [&](Phase end) { return is_over(at(role, end)); });
            EXPECT_TRUE(ends) << role_name(role) << " " << phase_name(phase);
        }
    }
}

TEST(MovePlan, WhatCanBeSaidOfEachPhase) {
    const std::set<Phase> abortable{Phase::begun,  Phase::prepared, Phase::quiesced, Phase::sent,   Phase::verified,
                                    Phase::staged, Phase::aborting, Phase::waiting,  Phase::paused, Phase::quiescing};
    const std::set<Phase> over_at_source{Phase::aborted,   Phase::activated, Phase::returned,
                                         Phase::finalized, Phase::reclaimed, Phase::superseded};
    const std::set<Phase> over_at_target{Phase::discarded, Phase::activated, Phase::returned, Phase::finalized,
                                         Phase::superseded};
    for (const Phase phase : closure(Role::source, Phase::begun)) {
        const MoveRecord record = at(Role::source, phase);
        EXPECT_EQ(can_abort(record), abortable.contains(phase)) << phase_name(phase);
        EXPECT_EQ(is_over(record), over_at_source.contains(phase)) << phase_name(phase);
        EXPECT_EQ(is_in_doubt(record), phase == Phase::released) << phase_name(phase);
        EXPECT_EQ(next_source_step(record) == SourceStep::rest, is_over(record)) << phase_name(phase);
        // An abort is offered exactly where the table has one, or one is under way.
        const bool in_table = fold(record, MoveEvent{.kind = EventKind::aborting}).has_value();
        EXPECT_EQ(can_abort(record), in_table || phase == Phase::aborting) << phase_name(phase);
    }
    for (const Phase phase : closure(Role::target, Phase::incoming)) {
        const MoveRecord record = at(Role::target, phase);
        EXPECT_FALSE(can_abort(record)) << "the source leads";
        EXPECT_EQ(is_over(record), over_at_target.contains(phase)) << phase_name(phase);
        EXPECT_EQ(is_in_doubt(record), phase == Phase::ready) << phase_name(phase);
    }
}

TEST(MovePlan, NamesAreDistinct) {
    std::set<std::string_view> phases;
    for (const Phase phase : all_phases()) phases.insert(phase_name(phase));
    EXPECT_EQ(phases.size(), static_cast<std::size_t>(kPhases));
    EXPECT_FALSE(phases.contains("unknown"));
    std::set<std::string_view> events;
    for (const EventKind event : all_events()) events.insert(event_name(event));
    EXPECT_EQ(events.size(), static_cast<std::size_t>(kEvents));
    EXPECT_FALSE(events.contains("unknown"));
}

TEST(MovePlan, RunningPassesOnlyForAZoneThatRunsAndIsNotMovedCold) {
    MoveRecord record = at(Role::source, Phase::prepared);
    EXPECT_EQ(next_source_step(record), SourceStep::decide);
    record.was_running = true;
    EXPECT_EQ(next_source_step(record), SourceStep::running_pass);
    record.cold = true;
    EXPECT_EQ(next_source_step(record), SourceStep::decide);
    record.cold = false;
    record.running_passes = 1;
    EXPECT_EQ(next_source_step(record), SourceStep::decide);
}

TEST(MovePlan, EventsCarryTheirValues) {
    auto record = *fold(at(Role::source, Phase::prepared),
                        {.kind = EventKind::quiescing, .number = 17, .flag = true, .extra = 900});
    EXPECT_EQ(std::tuple(record.halt_began_unix_ms, record.was_running, record.expected_down_ms),
              std::tuple(17, true, 900));
    EXPECT_EQ(fold(record, {.kind = EventKind::quiesced})->halt_began_unix_ms, 17);
    record = *fold(at(Role::source, Phase::waiting), {.kind = EventKind::pass_done, .number = 70, .extra = 30});
    record = *fold(record, {.kind = EventKind::pass_done, .number = 7, .extra = 3});
    EXPECT_EQ(std::tuple(record.raw_bytes, record.wire_bytes), std::tuple(77U, 33U));
    record = *fold(at(Role::target, Phase::ready), {.kind = EventKind::owned, .number = 5, .flag = true});
    EXPECT_EQ(std::tuple(record.owned_epoch, record.was_running), std::tuple(5U, true));
    record = *fold(at(Role::source, Phase::sent), {.kind = EventKind::verified, .text = "aa"});
    EXPECT_EQ(record.digest, "aa");
    record = *fold(at(Role::source, Phase::sent), {.kind = EventKind::aborting, .text = "why", .code = "io"});
    EXPECT_EQ(record.problem, "why");
    EXPECT_EQ(record.problem_code, "io");
    record = *fold(at(Role::target, Phase::incoming), {.kind = EventKind::ready, .text = "<zone/>"});
    EXPECT_EQ(record.manifest, "<zone/>");
    record = *fold(at(Role::target, Phase::owned),
                   {.kind = EventKind::activated, .text = "no boot", .number = 5, .flag = true});
    EXPECT_EQ(std::tuple(record.activated_unix_ms, record.running, record.problem), std::tuple(5, true, "no boot"));
    record = *fold(at(Role::source, Phase::prepared), {.kind = EventKind::pass_begun});
    EXPECT_EQ(record.passes, 1U);
}

// Whatever the passes were like: asking again and again ends after a few.
TEST(MovePlan, RunningPassesComeToAnEnd) {
    constexpr std::int64_t kTimes[] = {0, 2'000, 2'001, 60'000, 86'400'000};
    constexpr std::uint64_t kBytes[] = {0, 1, 50, 499, 1'000, 1'000'000, ~0ULL};
    std::vector<std::vector<PassTime>> growing{{}};
    std::size_t longest = 0;
    while (!growing.empty()) {
        std::vector<PassTime> passes = std::move(growing.back());
        growing.pop_back();
        longest = std::max(longest, passes.size());
        ASSERT_LE(passes.size(), 6U);
        if (!wants_another_running_pass(passes)) continue;
        for (const std::int64_t ms : kTimes) {
            for (const std::uint64_t bytes : kBytes) {
                passes.push_back({ms, bytes});
                growing.push_back(passes);
                passes.pop_back();
            }
        }
    }
    EXPECT_EQ(longest, 6U) << "six passes of ever fewer bytes are possible";
    EXPECT_TRUE(wants_another_running_pass({}));
    EXPECT_FALSE(wants_another_running_pass({{500, 1'000}}));
    EXPECT_TRUE(wants_another_running_pass({{5'000, 1'000}}));
    EXPECT_FALSE(wants_another_running_pass({{5'000, 1'000}, {5'000, 500}})) << "it does not get shorter";
    EXPECT_TRUE(wants_another_running_pass({{5'000, 1'000}, {5'000, 499}}));
}

}  // namespace
}  // namespace zoneferry
