// The receiving threads: order, what is told to be durable, and how every kind of error ends them.
#include "transfer/intake.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tests/support/temp_directory.h"
#include "tests/support/tree_pass.h"

namespace zoneferry {
namespace {

class Intake : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(make_directories(paths.source, 0755));
        ASSERT_TRUE(make_directories(paths.staging, 0700));
        for (int i = 0; i < 20; ++i) {
            std::ofstream(paths.source + "/f" + std::to_string(i)) << std::string(10'000, static_cast<char>('a' + i));
        }
        SendOptions options;
        options.catalog_path_prefix = paths.catalog;
        options.segment_bytes = 20'000;
        sender = *TreeSender::start(*open_directory(paths.source), options);
        while (auto segment = *sender->next()) segments.push_back(*std::move(segment));
        ASSERT_GT(segments.size(), 5U);
    }
    std::unique_ptr<SegmentIntake> start(SegmentIntake::OnDurable on_durable, IntakeOptions options = {}) {
        return std::make_unique<SegmentIntake>(*TreeReceiver::start(*open_directory(paths.staging), {}), options,
                                               std::move(on_durable));
    }
    // How many it took before it refused one.
    std::size_t give_all(SegmentIntake& intake) {
        std::size_t taken = 0;
        while (taken < segments.size() && intake.accept(segments[taken])) ++taken;
        return taken;
    }
    TempDirectory temp;
    const PassPaths paths{temp.path() + "/source", temp.path() + "/staging", temp.path() + "/catalog"};
    std::unique_ptr<TreeSender> sender;
    std::vector<TreeSegment> segments;
};

TEST_F(Intake, WhatWasToldDurableOnlyGrowsAndEndsWithAll) {
    std::vector<std::uint64_t> told;  // by one thread at a time: the syncing one has ended when finish() tells
    const auto intake = start(
        [&](std::uint64_t count) {
            told.push_back(count);
            return sender->acknowledge(count);
        },
        {.queue_bytes_max = 1, .sync_every_bytes = 1, .sync_every_ms = 1});
    EXPECT_EQ(give_all(*intake), segments.size());
    const auto done = intake->finish(segments.size());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_TRUE(std::ranges::is_sorted(told));
    EXPECT_EQ(told.back(), segments.size());
    EXPECT_TRUE(sender->finish());
    EXPECT_TRUE(digests_equal(paths));
}

TEST_F(Intake, ASegmentOutOfOrderEndsThePass) {
    std::swap(segments[1], segments[2]);
    const auto intake = start([](std::uint64_t) { return Status(); }, {.queue_bytes_max = 1});
    (void)give_all(*intake);
    const auto done = intake->finish(segments.size());
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), Errc::protocol);
    EXPECT_FALSE(intake->accept(segments[3]));
}

TEST_F(Intake, AFrameThatExpandsToSomethingElseEndsThePass) {
    segments[1].raw_bytes += 1;
    segments[1].encoding = Encoding::zstd;
    const auto intake = start([](std::uint64_t) { return Status(); });
    (void)give_all(*intake);
    EXPECT_FALSE(intake->finish(segments.size()));
}

TEST_F(Intake, AnAcknowledgementThatCannotBeSentEndsThePass) {
    const auto intake = start([](std::uint64_t) { return Status(Error(Errc::peer_lost, "the link is gone")); },
                              {.queue_bytes_max = 1, .sync_every_bytes = 1, .sync_every_ms = 1});
    (void)give_all(*intake);
    const auto done = intake->finish(segments.size());
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), Errc::peer_lost);
}

TEST_F(Intake, APassThatEndsTooEarlyIsRefused) {
    const auto intake = start([](std::uint64_t) { return Status(); });
    ASSERT_TRUE(intake->accept(segments[0]));
    EXPECT_FALSE(intake->finish(1));
    EXPECT_FALSE(intake->accept(segments[1]));
}

TEST_F(Intake, GivenUpInTheMiddleItsThreadsEnd) {
    const auto intake = start([](std::uint64_t) { return Status(); });
    ASSERT_TRUE(intake->accept(segments[0]));
}

}  // namespace
}  // namespace zoneferry
