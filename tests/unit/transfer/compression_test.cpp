// The choice of compression as a function of measured rates.
#include <gtest/gtest.h>

#include <cmath>

#include "transfer/compression_control.h"

namespace zoneferry {
namespace {

constexpr double kGigabit = 118e6;
constexpr double kFast = 3e9;

MeasuredRates rates(double link, double slowness = 1, double first_ratio = kCompressionModes[kFirstMode].usual_ratio) {
    MeasuredRates made;
    made.link_bytes_per_second = link;
    made.threads = 2;
    made.modes[kFirstMode] = {first_ratio, kCompressionModes[kFirstMode].usual_speed / slowness};
    return made;
}

// A compressor that had its processor for itself.
PackingTime alone(double seconds) { return {seconds, seconds}; }

// Where the choice comes to rest.
std::size_t settled(const MeasuredRates& measured, std::size_t mode = kFirstMode) {
    for (std::size_t i = 0; i < 2 * kCompressionModes.size(); ++i) mode = choose_mode(measured, mode);
    EXPECT_EQ(choose_mode(measured, mode), mode);
    return mode;
}

TEST(CompressionChoice, RawOnAFastLinkAndHistoryOnASlowOne) {
    EXPECT_EQ(settled(rates(kFast)), kRawMode);
    EXPECT_EQ(kCompressionModes[settled(rates(kGigabit * 1.5))].level, 1);
    EXPECT_EQ(kCompressionModes[settled(rates(kGigabit * 3))].level, -1);
    EXPECT_FALSE(kCompressionModes[settled(rates(kGigabit))].keeps_history);
    EXPECT_NE(settled(rates(kGigabit)), kRawMode);
    EXPECT_EQ(settled(rates(kGigabit / 10)), kCompressionModes.size() - 1);
}

TEST(CompressionChoice, IsNeverWorseThanRawAndFallsWithTheLink) {
    for (const double slowness : {0.3, 1.0, 3.0, 10.0}) {
        std::size_t last = kCompressionModes.size();
        for (double link = 1e5; link < 1e11; link *= 1.3) {
            const MeasuredRates measured = rates(link, slowness);
            const std::size_t mode = settled(measured);
            EXPECT_GE(predicted_rate(measured, mode), 0.9 * predicted_rate(measured, kRawMode)) << link;
            EXPECT_LE(mode, last) << link << ": a faster link is never compressed harder";
            last = mode;
        }
        EXPECT_EQ(last, kRawMode);
    }
}

// Two cores that are both ends: a compressor gets what expanding, writing and TLS leave it of its core.
TEST(CompressionChoice, OnSharedCoresTheCheaperModeEndsSooner) {
    constexpr double kAlone = 1;
    constexpr double kShared = 2.2;
    const double level1 = kCompressionModes[kSampleMode].usual_ratio;
    EXPECT_EQ(kCompressionModes[settled(rates(kGigabit, kAlone, level1))].level, 1);
    EXPECT_EQ(kCompressionModes[settled(rates(kGigabit, kShared, level1))].level, -1);
}

// An unshaped link on two cores, as it was measured: packing at 560 MB/s brought less than raw at 450.
TEST(CompressionChoice, PackingThatTakesTheProcessorsFromSendingIsLeftOut) {
    EXPECT_EQ(settled(rates(450e6, 1.6)), kRawMode);
    EXPECT_EQ(settled(rates(450e6, 1.6), kRawMode), kRawMode);
    EXPECT_NE(settled(rates(kGigabit, 1.6)), kRawMode) << "there is room at 1 Gbit/s";
}

// A compressor that waits for its processor twice as long as it has it is as slow as one on a slow processor, and yet a
// cheaper mode would hardly be faster.
TEST(CompressionChoice, AnotherModeDoesNotShortenTheWaitForAProcessor) {
    constexpr double kRatio = 0.283;
    MeasuredRates measured = rates(kGigabit);
    measured.latest_mode = kSampleMode;
    measured.modes[kSampleMode] = {kRatio, 90e6};
    EXPECT_EQ(settled(measured, kSampleMode), kFirstMode);
    measured.modes[kSampleMode] = {kRatio, kCompressionModes[kSampleMode].usual_speed};
    measured.waited_s_per_byte = 1 / 90e6 - 1 / kCompressionModes[kSampleMode].usual_speed;
    EXPECT_EQ(settled(measured, kSampleMode), kSampleMode);
}

TEST(CompressionChoice, ADearerModeThatWasSlowIsNotGuessedFast) {
    MeasuredRates measured = rates(kGigabit / 2);
    const std::size_t wanted = settled(measured);
    ASSERT_GT(wanted, kSampleMode);
    measured.latest_mode = kSampleMode;
    measured.modes[kSampleMode] = {0.34, 340e6};
    for (std::size_t mode = kSampleMode + 1; mode < kCompressionModes.size(); ++mode)
        measured.modes[mode] = {0.30, 40e6};
    EXPECT_EQ(settled(measured, kSampleMode), kSampleMode);
}

// Digits: nothing repeats, and yet they take half the room once they are packed as literals.
TEST(CompressionChoice, WhatOnlyPackedLiteralsShrinkIsNotTakenForIncompressible) {
    MeasuredRates measured = rates(kGigabit, 1, 1.0);
    EXPECT_EQ(settled(measured), kRawMode);
    measured.modes[kRawMode].ratio = 0.5;  // of samples
    EXPECT_GE(settled(measured), kSampleMode);
}

// Small configuration files, of which level -1 makes much less than of a Debian root: as it was traced at 1 Gbit/s.
TEST(CompressionChoice, WhatWasMeasuredOfAModeIsNotGuessedFromAnother) {
    MeasuredRates measured = rates(142e6);
    measured.modes[kRawMode].ratio = 0.38;
    measured.modes[1] = {0.60, 176e6, 0.38};
    measured.modes[2] = {0.35, 179e6, 0.38};
    measured.latest_mode = 2;
    EXPECT_EQ(choose_mode(measured, 2), 2U);
    measured.latest_mode = 1;
    EXPECT_EQ(choose_mode(measured, 1), 2U);
    // Content that packs half as well: both are taken to.
    measured.modes[2] = {0.70, 179e6, 0.76};
    measured.latest_mode = 2;
    EXPECT_NEAR(predicted_rate(measured, 1), 142e6, 1);
    // Nonsense is not followed far.
    measured.modes[1] = {0.99, 176e6, 0.01};
    measured.modes[2] = {0.30, 179e6, 0.30};
    EXPECT_GT(predicted_rate(measured, 1), 142e6 / 0.30 / 2.5);
}

TEST(CompressionChoice, WhatDoesNotShrinkGoesRaw) {
    for (double link = 1e5; link < 1e11; link *= 10) EXPECT_EQ(settled(rates(link, 1, 0.99)), kRawMode);
}

TEST(CompressionChoice, SlowCompressorsAreNotAskedForMore) {
    // Each thread makes 20 MB/s: at 1 Gbit/s raw brings more.
    EXPECT_EQ(settled(rates(kGigabit, 22)), kRawMode);
}

TEST(CompressionChoice, NoiseDoesNotMakeItSwing) {
    MeasuredRates measured = rates(kGigabit);
    const std::size_t mode = settled(measured);
    for (int i = 0; i < 100; ++i) {
        measured.link_bytes_per_second = kGigabit * (1 + 0.01 * std::sin(i));
        EXPECT_EQ(choose_mode(measured, mode), mode);
    }
}

// A trace: a link that changes its rate while the control looks at it.
TEST(CompressionControl, FollowsALinkThatBecomesSlow) {
    CompressionControl control(2, std::nullopt);
    LinkCounters counters;
    const auto run = [&](double link, double limited_share) {
        for (int i = 0; i < 40; ++i) {
            const CompressionMode& mode = kCompressionModes[control.mode()];
            const double packed = static_cast<double>(mode.segment_bytes) * mode.usual_ratio;
            const auto raw_bytes = static_cast<double>(mode.segment_bytes);
            control.note_sample(control.mode(), kCompressionModes[kSampleMode].usual_ratio);
            if (control.mode() != kRawMode) {
                control.note_compressed(control.mode(), mode.segment_bytes,
                                        static_cast<std::uint64_t>(raw_bytes * mode.usual_ratio),
                                        alone(raw_bytes / mode.usual_speed));
            }
            const double busy_us = std::max(25'000.0, packed / link * 1e6);
            counters.acknowledged_bytes += static_cast<std::uint64_t>(link * busy_us / 1e6);
            counters.busy_us += static_cast<std::uint64_t>(busy_us);
            counters.waiting_bytes = link < kFast ? 4 * kMiB : 0;
            counters.receiver_limited_us += static_cast<std::uint64_t>(busy_us * limited_share);
            control.note_link(counters);
        }
        return control.mode();
    };
    EXPECT_EQ(control.mode(), kFirstMode);
    EXPECT_EQ(run(kFast, 0), kRawMode);
    EXPECT_EQ(run(kGigabit / 10, 0), kCompressionModes.size() - 1);
    EXPECT_NE(run(kGigabit, 0.9), kRawMode) << "that the receiver is slow is no faster link";
    control.set_limit(static_cast<std::uint64_t>(kGigabit / 10));
    EXPECT_EQ(run(kFast, 0), kCompressionModes.size() - 1) << "a limit is a slow link";
}

// On a fast link sending hardly shows: the packing of the first segments must not go on until 20 ms of it are counted.
TEST(CompressionControl, ALinkThatWaitsForUsIsSeenBeforeItWasEverBusy) {
    CompressionControl fast(2, std::nullopt);
    CompressionControl slow(2, std::nullopt);
    for (std::uint64_t ms = 1; ms <= 60; ms += 10) {
        EXPECT_EQ(fast.mode(), kFirstMode);
        fast.note_link({1'000 * ms, 100 * ms, 0, 0, 1'000 * ms});
        slow.note_link({1'000 * ms, 300 * ms, 0, 0, 1'000 * ms});
    }
    EXPECT_EQ(fast.mode(), kRawMode);
    EXPECT_EQ(slow.mode(), kFirstMode);
}

// A trace of two shared cores at 1 Gbit/s: what the compressors make, the network takes at once, but it is no fast
// link.
TEST(CompressionControl, ALinkThatIsNotFullIsNotTakenForEndless) {
    CompressionControl control(2, std::nullopt);
    LinkCounters counters;
    const auto look = [&](double link, std::size_t waiting_bytes) {
        counters.acknowledged_bytes += static_cast<std::uint64_t>(link * 0.025);
        counters.busy_us += 25'000;
        counters.at_us += 35'000;
        counters.waiting_bytes = waiting_bytes;
        control.note_link(counters);
    };
    for (int i = 0; i < 10; ++i) {
        control.note_compressed(control.mode(), 2 * kMiB, 2 * kMiB * 2 / 5, {2.0 * kMiB / 150e6, 2.0 * kMiB / 300e6});
        look(kGigabit, 4 * kMiB);
    }
    for (int i = 0; i < 60; ++i) {
        control.note_compressed(control.mode(), 2 * kMiB, 2 * kMiB * 2 / 5, {2.0 * kMiB / 120e6, 2.0 * kMiB / 300e6});
        look(kGigabit * 1.1, 100'000);
        ASSERT_NE(control.mode(), kRawMode) << i;
    }
    for (int i = 0; i < 2000; ++i) look(kGigabit * 1.1, 0);
    EXPECT_EQ(control.mode(), kRawMode) << "yet it may have become a faster one: in the end that is tried";
    for (int i = 0; i < 30; ++i) look(kGigabit, 4 * kMiB);
    EXPECT_NE(control.mode(), kRawMode);
}

class KnownLink : public ::testing::Test {
protected:
    void SetUp() override {
        for (int i = 0; i < 40; ++i) look(25'000, kGigabit, 8 * kMiB);
        ASSERT_NEAR(known(), kGigabit, kGigabit / 100);
    }
    // busy_us of sending at that rate, and then idle.
    void look(std::uint64_t busy_us, double rate, std::size_t waiting_bytes, std::uint64_t idle_us = 0,
              double limited_share = 0) {
        counters.acknowledged_bytes += static_cast<std::uint64_t>(rate * static_cast<double>(busy_us) / 1e6);
        counters.busy_us += busy_us;
        counters.receiver_limited_us += static_cast<std::uint64_t>(static_cast<double>(busy_us) * limited_share);
        counters.at_us += busy_us + idle_us;
        counters.waiting_bytes = waiting_bytes;
        control.note_link(counters);
    }
    double known() const { return static_cast<double>(control.bytes_worth_queueing()); }  // in a second; 0: endless

    CompressionControl control{2, std::nullopt};
    LinkCounters counters;
};

// Seen: at 1 Gbit/s behind a token bucket, small pieces showed 1.5 times its rate.
TEST_F(KnownLink, ABurstIsNotItsRate) {
    for (int i = 0; i < 20; ++i) look(25'000, 1.5 * kGigabit, kMiB, 10'000);
    EXPECT_LT(known(), 1.25 * kGigabit);
    EXPECT_GT(known(), kGigabit);
    for (int i = 0; i < 400; ++i) look(25'000, 4 * kGigabit, kMiB, 10'000);
    EXPECT_GT(known(), 3.5 * kGigabit) << "it has become a faster one";
}

// Seen over 20 ms: the walk was late for 50 ms, and 30 MB went out raw.
TEST_F(KnownLink, APauseDoesNotMakeItEndless) {
    for (int i = 0; i < 20; ++i) look(1'000, kGigabit, 0, 9'000);
    EXPECT_NEAR(known(), kGigabit, kGigabit / 100);
    for (int i = 0; i < 20; ++i) look(1'000, kGigabit, 0, 9'000);
    EXPECT_EQ(known(), 0) << "but what stands idle for long is";
    look(50'000, 2 * kGigabit, 8 * kMiB);
    EXPECT_NEAR(known(), 2 * kGigabit, kGigabit / 100);
}

// Seen over 20 ms: a target that made small files was slower than the link, and all went out raw.
TEST_F(KnownLink, ASlowReceiverIsNoFasterLink) {
    for (int i = 0; i < 200; ++i) look(25'000, kGigabit / 4, 8 * kMiB, 0, 0.9);
    EXPECT_GT(known(), 0.5 * kGigabit);
    EXPECT_LT(known(), 1.1 * kGigabit);
}

// What a dear mode did while others had the processors is not held against it.
TEST_F(KnownLink, OfADearModeItsProcessorTimeIsRemembered) {
    constexpr double kSlow = kGigabit / 4;
    const std::uint64_t bytes = 7 * kMiB;
    const auto note = [&](std::size_t number, double busyness) {
        const CompressionMode& mode = kCompressionModes[number];
        const double processor_s = static_cast<double>(bytes) / mode.usual_speed;
        control.note_compressed(number, bytes, static_cast<std::uint64_t>(bytes * mode.usual_ratio),
                                {busyness * processor_s, processor_s});
        look(50'000, kSlow, 8 * kMiB);
    };
    const auto run = [&](double busyness) {
        for (int i = 0; i < 60; ++i) note(control.mode(), busyness);
        return control.mode();
    };
    const std::size_t quiet = run(1);
    EXPECT_GT(quiet, kSampleMode);
    for (int i = 0; i < 60; ++i) note(quiet, 3);
    EXPECT_LT(run(3), quiet);
    EXPECT_EQ(run(1), quiet);
}

// A trace of 1 Gbit/s at 100 ms: each round trip brings twice as much as the one before. Dear segments, begun for what
// the first ones seem to say, would hold up everything behind them.
TEST(CompressionControl, ASlowStartIsNotTakenForASlowLink) {
    CompressionControl control(2, std::nullopt);
    LinkCounters counters;
    double rate = kGigabit / 16;
    for (int i = 0; i < 60; ++i) {
        if (control.mode() != kRawMode) {
            const CompressionMode& mode = kCompressionModes[control.mode()];
            const auto raw_bytes = static_cast<double>(mode.segment_bytes);
            control.note_compressed(control.mode(), mode.segment_bytes,
                                    static_cast<std::uint64_t>(raw_bytes * mode.usual_ratio),
                                    alone(1.5 * raw_bytes / mode.usual_speed));
        }
        counters.acknowledged_bytes += static_cast<std::uint64_t>(rate * 0.05);
        counters.busy_us += 50'000;
        counters.waiting_bytes = 8 * kMiB;
        control.note_link(counters);
        if (i % 2 == 1) rate = std::min(kGigabit, rate * 2);
        ASSERT_LE(control.mode(), kSampleMode + 1) << i;
    }
}

// What is under way first is the handshake: its rate (traced: none) is no link's.
TEST(CompressionControl, AHandshakeIsNoSlowLink) {
    CompressionControl control(2, std::nullopt);
    control.note_compressed(kFirstMode, 2 * kMiB, kMiB, alone(0.01));
    control.note_link({2'000, 44'000, 0, 4 * kMiB, 90'000});
    control.note_compressed(kFirstMode, 2 * kMiB, kMiB, alone(0.01));
    EXPECT_EQ(control.mode(), kFirstMode);
    control.note_link({600'000'000, 800'000, 0, 4 * kMiB, 900'000});
    control.note_compressed(kFirstMode, 2 * kMiB, kMiB, alone(0.01));
    EXPECT_EQ(control.mode(), kRawMode);
    // Yet where so little comes across in half a second, it is one.
    CompressionControl slow(2, std::nullopt);
    slow.note_link({200'000, 600'000, 0, 8 * kMiB, 700'000});
    slow.note_compressed(kFirstMode, 2 * kMiB, kMiB, alone(0.01));
    EXPECT_GT(slow.mode(), kFirstMode);
}

// One segment that has just been given to the connection is no queue: the link may wait for us all the same.
TEST(CompressionControl, OneSegmentThatWaitsIsNoFullLink) {
    CompressionControl control(2, std::nullopt);
    for (std::uint64_t ms = 1; ms <= 60; ms += 10) {
        EXPECT_EQ(control.mode(), kFirstMode);
        control.note_link({1'000 * ms, 100 * ms, 0, 2 * kMiB, 1'000 * ms});
    }
    EXPECT_EQ(control.mode(), kRawMode);
}

TEST(CompressionControl, ASecondOfAKnownLinkIsWorthQueueing) {
    CompressionControl control(2, 0);
    EXPECT_EQ(control.bytes_worth_queueing(), 0U);
    control.note_link({40'000'000, 400'000, 0, 8 * kMiB, 400'000});
    EXPECT_EQ(control.bytes_worth_queueing(), 0U) << "a slow start";
    control.note_link({80'000'000, 800'000, 0, 8 * kMiB, 800'000});
    EXPECT_EQ(control.bytes_worth_queueing(), 100'000'000U);
    control.set_limit(5'000'000);
    EXPECT_EQ(control.bytes_worth_queueing(), 5'000'000U);
    CompressionControl endless(2, 0);
    for (std::uint64_t ms = 1; ms <= 60; ms += 10) endless.note_link({1'000 * ms, 100 * ms, 0, 0, 1'000 * ms});
    EXPECT_EQ(endless.bytes_worth_queueing(), 0U) << "nothing ever waits for it";
}

TEST(CompressionControl, ADearerModeIsTakenOnlyWhenTheOneAtHandWasMeasured) {
    CompressionControl control(2, std::nullopt);
    LinkCounters counters;
    const auto look = [&] {
        counters.acknowledged_bytes += static_cast<std::uint64_t>(kGigabit / 10 * 0.6);
        counters.busy_us += 600'000;
        counters.waiting_bytes = 8 * kMiB;
        control.note_link(counters);
    };
    look();
    const std::size_t first = control.mode();
    for (int i = 0; i < 10; ++i) look();
    EXPECT_EQ(control.mode(), first);
    for (int i = 0; i < 40; ++i) {
        const CompressionMode& mode = kCompressionModes[control.mode()];
        control.note_compressed(control.mode(), mode.segment_bytes,
                                static_cast<std::uint64_t>(mode.usual_ratio * static_cast<double>(mode.segment_bytes)),
                                alone(static_cast<double>(mode.segment_bytes) / mode.usual_speed));
        look();
    }
    EXPECT_EQ(control.mode(), kCompressionModes.size() - 1);
}

// One segment that packs in no time (a file of zeros) must not make a dear mode look cheap.
TEST(CompressionControl, OneQuickSegmentDoesNotSpeakForAll) {
    CompressionControl control(2, std::nullopt);
    LinkCounters counters;
    for (int i = 0; i < 200; ++i) {
        const bool is_quick = i % 10 == 9;
        control.note_compressed(control.mode(), 2 * kMiB, is_quick ? kMiB / 100 : 2 * kMiB * 2 / 5,
                                alone(2.0 * kMiB / (is_quick ? 3e9 : 160e6)));
        counters.acknowledged_bytes += static_cast<std::uint64_t>(kGigabit * 0.025);
        counters.busy_us += 25'000;
        counters.waiting_bytes = 4 * kMiB;
        control.note_link(counters);
        ASSERT_LE(control.mode(), kSampleMode) << i;
    }
}

TEST(CompressionControl, AFixedLevelStays) {
    EXPECT_EQ(kCompressionModes[CompressionControl(2, -1).mode()].level, -1);
    EXPECT_EQ(kCompressionModes[CompressionControl(2, 1).mode()].level, 1);
    CompressionControl control(2, 0);
    EXPECT_EQ(control.mode(), kRawMode);
    control.note_link({1'000'000, 1'000'000, 0});
    EXPECT_EQ(control.mode(), kRawMode);
    EXPECT_EQ(kCompressionModes[CompressionControl(2, 3).mode()].level, 3);
    EXPECT_EQ(kCompressionModes[CompressionControl(2, 19).mode()].level, 9);
}

}  // namespace
}  // namespace zoneferry
