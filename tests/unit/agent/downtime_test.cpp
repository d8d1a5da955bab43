#include "agent/move/downtime.h"

#include <gtest/gtest.h>

namespace zoneferry {
namespace {

JournalEntry event(const char* kind, std::int64_t at_ms) { return {.at_unix_ms = at_ms, .kind = kind}; }

PastMove past(const std::string& zone, std::int64_t halt, std::int64_t verify, std::int64_t stage,
              std::int64_t activate) {
    return {zone,
            {event("begun", 0), event("quiescing", 100), event("quiesced", 100 + halt), event("sent", 5'000),
             event("verified", 5'000 + verify), event("staged", 5'000 + verify + stage), event("released", 20'000),
             event("owned", 20'001), event("activated", 20'000 + activate)}};
}

TEST(Downtime, WhatTheZoneTookLastTimeCounts) {
    const FixedCosts costs =
        fixed_costs({past("web01", 11, 22, 33, 44), past("web01", 1, 1, 1, 1)}, "web01", true, 1ULL << 40U, 1'000'000);
    EXPECT_EQ(std::tuple(costs.halt_ms, costs.verify_ms, costs.stage_ms, costs.activate_ms),
              std::tuple(11, 22, 33, 44));
    EXPECT_EQ(expected_downtime_ms(costs, 50, 1ULL << 40U), 11 + 22 + 33 + 44 + 50);
}

TEST(Downtime, AnotherZonesDigestSaysNothingOfThisOnes) {
    const FixedCosts costs = fixed_costs({past("db01", 11, 22, 33, 44)}, "web01", true, 2'000ULL << 20U, 20'000);
    EXPECT_EQ(std::tuple(costs.halt_ms, costs.stage_ms, costs.activate_ms), std::tuple(11, 33, 44));
    EXPECT_GE(costs.verify_ms, 10'000 + 1'000) << "2000 MiB at 200 a second, and 20000 entries";
    EXPECT_LT(costs.verify_ms, 12'000);
}

TEST(Downtime, WithoutHistoryItIsRatherTooMuch) {
    const FixedCosts costs = fixed_costs({}, "web01", true, 0, 0);
    EXPECT_GE(costs.halt_ms + costs.stage_ms + costs.activate_ms, 10'000);
    const FixedCosts halted = fixed_costs({}, "web01", false, 0, 0);
    EXPECT_EQ(halted.halt_ms, 0);
    EXPECT_LT(halted.activate_ms, costs.activate_ms) << "it is not booted";
    EXPECT_GE(expected_downtime_ms(halted, std::nullopt, 100ULL << 20U), 2'000) << "no pass yet: all of it";
}

// A move that broke off, or whose clock was set back, measures nothing absurd.
TEST(Downtime, BrokenHistoriesAreNotBelieved) {
    const FixedCosts defaults = fixed_costs({}, "web01", true, 0, 0);
    const FixedCosts broken = fixed_costs(
        {{"web01", {event("quiescing", 100), event("begun", 7), event("verified", 9)}}}, "web01", true, 0, 0);
    EXPECT_EQ(broken.halt_ms, defaults.halt_ms);
    EXPECT_EQ(broken.stage_ms, defaults.stage_ms);
    const FixedCosts back =
        fixed_costs({{"web01", {event("quiescing", 100), event("quiesced", 40)}}}, "web01", true, 0, 0);
    EXPECT_EQ(back.halt_ms, 0);
}

TEST(Downtime, TheChoice) {
    using enum SwitchChoice;
    EXPECT_EQ(choose_switch(true, 0, 1, {}), wait) << "--no-switch";
    EXPECT_EQ(choose_switch(false, 0, 1'000'000, {}), now) << "no budget";
    EXPECT_EQ(choose_switch(false, 1'000, 1'000, {}), now);
    EXPECT_EQ(choose_switch(false, 1'000, 1'001, {}), wait) << "--cold: passing does not help";
    EXPECT_EQ(choose_switch(false, 1'000, 1'001, {{800, 1}}), pass_again);
    EXPECT_EQ(choose_switch(false, 1'000, 1'001, {{800, 1}, {700, 1}}), pass_again);
    EXPECT_EQ(choose_switch(false, 1'000, 1'001, {{800, 1}, {790, 1}}), wait) << "it does not get shorter";
    EXPECT_EQ(choose_switch(true, 1'000, 10, {{800, 1}}), wait) << "who was asked to wait waits";
}

// However fast they shrink, the passes end.
TEST(Downtime, PassesForABudgetAreBounded) {
    std::vector<PassTime> passes;
    std::int64_t ms = 1'000'000'000;
    while (choose_switch(false, 1, 2, passes) == SwitchChoice::pass_again || passes.empty()) {
        passes.push_back({ms, 1});
        ms /= 2;
        ASSERT_LT(passes.size(), 20U);
    }
    EXPECT_EQ(passes.size(), 10U);
}

TEST(Downtime, TheReleaseLeavesRoomForTheBoot) {
    EXPECT_EQ(release_deadline_ms(10'000, {.activate_ms = 3'000}), 7'000);
    EXPECT_EQ(release_deadline_ms(1'000, {.activate_ms = 3'000}), 1);
}

}  // namespace
}  // namespace zoneferry
