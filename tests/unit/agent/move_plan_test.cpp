// The table of a move, exhaustively: every phase, every event, both roles.
#include "agent/move_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace zoneferry {
namespace {

constexpr int kPhases = static_cast<int>(Phase::finalized) + 1;
constexpr int kEvents = static_cast<int>(EventKind::finalized) + 1;

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

using Row = std::tuple<Phase, EventKind, Phase>;
std::set<Row> rows_of(Role role) {
    std::set<Row> rows;
    for (const Phase phase : all_phases()) {
        for (const EventKind event : all_events()) {
            const auto after = fold(at(role, phase), MoveEvent{.kind = event});
            if (after) rows.insert({phase, event, after->phase});
            EXPECT_TRUE(after || after.error().code() == Errc::conflict);
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
        {prepared, E::running_pass_done, prepared},
        {prepared, E::quiesced, quiesced},
        {quiesced, E::pass_begun, quiesced},
        {quiesced, E::sent, sent},
        {sent, E::verified, verified},
        {verified, E::staged, staged},
        {staged, E::released, released},
        {released, E::owned, owned},
        {owned, E::activated, activated},
        {activated, E::returned, returned},
        {activated, E::finalized, finalized},
        {aborting, E::aborted, aborted},
    };
    for (const Phase phase : {begun, prepared, quiesced, sent, verified, staged}) {
        expected.insert({phase, E::aborting, aborting});
    }
    EXPECT_EQ(rows_of(Role::source), expected);
}

TEST(MovePlan, TheTargetsTableIsExactlyThis) {
    using enum Phase;
    using E = EventKind;
    const std::set<Row> expected{
        {incoming, E::ready, ready},          {ready, E::owned, owned},         {owned, E::activated, activated},
        {incoming, E::discarded, discarded},  {ready, E::discarded, discarded}, {activated, E::returned, returned},
        {activated, E::finalized, finalized},
    };
    EXPECT_EQ(rows_of(Role::target), expected);
}

TEST(MovePlan, NoWayLeadsBackOverTheRelease) {
    for (const Phase phase : closure(Role::source, Phase::released)) {
        EXPECT_TRUE(phase == Phase::released || phase == Phase::owned || phase == Phase::activated ||
                    phase == Phase::returned || phase == Phase::finalized)
            << phase_name(phase);
        EXPECT_FALSE(can_abort(at(Role::source, phase))) << phase_name(phase);
    }
    const std::set<Phase> undone = closure(Role::source, Phase::aborting);
    EXPECT_FALSE(undone.contains(Phase::released));
    const std::set<Phase> after_owned = closure(Role::target, Phase::owned);
    EXPECT_FALSE(after_owned.contains(Phase::discarded));
}

TEST(MovePlan, EachRoleKeepsToItsPhases) {
    const std::set<Phase> source = closure(Role::source, Phase::begun);
    const std::set<Phase> target = closure(Role::target, Phase::incoming);
    EXPECT_EQ(source.size(), 13U);
    EXPECT_EQ(target.size(), 7U);
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
    const std::set<Phase> abortable{Phase::begun,    Phase::prepared, Phase::quiesced, Phase::sent,
                                    Phase::verified, Phase::staged,   Phase::aborting};
    const std::set<Phase> over_at_source{Phase::aborted, Phase::activated, Phase::returned, Phase::finalized};
    const std::set<Phase> over_at_target{Phase::discarded, Phase::activated, Phase::returned, Phase::finalized};
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
    EXPECT_EQ(next_source_step(record), SourceStep::quiesce);
    record.was_running = true;
    EXPECT_EQ(next_source_step(record), SourceStep::running_pass);
    record.cold = true;
    EXPECT_EQ(next_source_step(record), SourceStep::quiesce);
    record.cold = false;
    record.running_passes = 1;
    EXPECT_EQ(next_source_step(record), SourceStep::quiesce);
}

TEST(MovePlan, EventsCarryTheirValues) {
    auto record = *fold(at(Role::source, Phase::prepared), {.kind = EventKind::quiesced, .number = 17});
    EXPECT_EQ(record.halt_began_unix_ms, 17);
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
