#include "agent/rate_window.h"

#include <gtest/gtest.h>

namespace zoneferry {
namespace {

TEST(RateWindow, IsUnknownWithOneMomentOnly) {
    RateWindow window;
    EXPECT_EQ(window.add(1'000, 500), 0U);
    EXPECT_EQ(window.add(1'000, 900), 0U);
}

TEST(RateWindow, ShowsTheLastFiveSecondsAndNotTheBeginning) {
    RateWindow window;
    std::uint64_t done = 0;
    for (int second = 0; second <= 60; ++second) EXPECT_LE(window.add(second * 1'000, done += 1'000'000), 1'000'000U);
    std::uint64_t rate = 0;
    for (int second = 61; second <= 66; ++second) rate = window.add(second * 1'000, done += 10);
    EXPECT_EQ(rate, 10U);
}

TEST(RateWindow, FallsToNothingWhenNothingComes) {
    RateWindow window;
    (void)window.add(0, 0);
    EXPECT_EQ(window.add(1'000, 4'000), 4'000U);
    EXPECT_EQ(window.add(2'000, 4'000), 2'000U);
    EXPECT_EQ(window.add(6'000, 4'000), 0U);
}

TEST(RateWindow, AfterASilenceItCountsTheSilence) {
    RateWindow window;
    (void)window.add(0, 0);
    EXPECT_EQ(window.add(20'000, 2'000), 100U);
}

}  // namespace
}  // namespace zoneferry
