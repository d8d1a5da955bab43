// What a look after the last pass makes of an entry; the look at whole trees is tested with tracked passes.
#include "transfer/late_changes.h"

#include <gtest/gtest.h>

#include "core/base/files.h"
#include "tests/support/temp_directory.h"
#include "tests/support/tree_pass.h"
#include "transfer/reading.h"

namespace zoneferry {
namespace {

constexpr auto kMarginNs = static_cast<std::uint32_t>(kRacyMarginNs);

EntryStat file_stat() {
    EntryStat stat;
    stat.mode = S_IFREG | 0644U;
    stat.uid = 1;
    stat.gid = 2;
    stat.inode = 3;
    stat.size = 4;
    stat.mtime_seconds = 100;
    stat.ctime_seconds = 200;
    stat.ctime_nanoseconds = 5;
    return stat;
}

CatalogEntry sent_entry() {
    CatalogEntry entry;
    entry.kind = CatalogKind::leaf;
    entry.identity = identity_of(file_stat());
    return entry;
}

Lateness after(const std::function<void(EntryStat&)>& change) {
    EntryStat now = file_stat();
    change(now);
    return lateness_of(sent_entry(), now);
}

TEST(LateChanges, OnlyALaterCtimeIsOfAttributes) {
    EXPECT_EQ(after([](EntryStat&) {}), Lateness::none);
    EXPECT_EQ(after([](EntryStat& now) { now.ctime_seconds = 300; }), Lateness::attributes);
    EXPECT_EQ(after([](EntryStat& now) { ++now.ctime_nanoseconds; }), Lateness::attributes);
}

TEST(LateChanges, WhatWasWrittenIsMore) {
    const auto written = [](std::int64_t seconds, std::uint32_t nanoseconds) {
        return after([&](EntryStat& now) {
            now.ctime_seconds = 300;
            now.mtime_seconds = seconds;
            now.mtime_nanoseconds = nanoseconds;
        });
    };
    EXPECT_EQ(written(300, 0), Lateness::more);
    EXPECT_EQ(written(200, kMarginNs + 6), Lateness::more);
    EXPECT_EQ(written(200, kMarginNs + 5), Lateness::attributes) << "read after that";
    EXPECT_EQ(written(400, 0), Lateness::attributes) << "set by somebody, which is announced";
}

TEST(LateChanges, AnyOtherDifferenceIsMore) {
    EXPECT_EQ(after([](EntryStat& now) { now.mode = S_IFREG | 0600U; }), Lateness::more);
    EXPECT_EQ(after([](EntryStat& now) { now.mode = S_IFIFO | 0644U; }), Lateness::more);
    EXPECT_EQ(after([](EntryStat& now) { now.uid = 7; }), Lateness::more);
    EXPECT_EQ(after([](EntryStat& now) { now.gid = 7; }), Lateness::more);
    EXPECT_EQ(after([](EntryStat& now) { now.inode = 7; }), Lateness::more);
    EXPECT_EQ(after([](EntryStat& now) { now.size = 7; }), Lateness::more);
}

TEST(LateChanges, WhatWasNotTrustedCameAgain) {
    CatalogEntry sent = sent_entry();
    sent.again = true;
    EntryStat now = file_stat();
    now.ctime_seconds = 300;
    EXPECT_EQ(lateness_of(sent, now), Lateness::none);
}

class LateLookTest : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(make_directories(paths.source + "/a/b", 0755));
        ASSERT_TRUE(make_directories(paths.staging, 0700));
        for (const char* name : {"/a/b/file", "/a/file", "/owner"}) {
            ASSERT_TRUE(replace_file(paths.source + name, name, 0644));
        }
        ::usleep(60'000);  // so that it is trusted
        ASSERT_TRUE(run_pass(paths, {}));
    }
    Result<LateChanges> look(const std::vector<std::string>& excluded) const {
        const auto source = open_directory(paths.source);
        return find_late_changes(*source, paths.catalog, excluded,
                                 [this] { return --steps_left == 0 ? stop : Status(); });
    }
    TempDirectory temp;
    const PassPaths paths{temp.path() + "/source", temp.path() + "/staging", temp.path() + "/catalog"};
    const Status stop = Error(Errc::cancelled, "enough");
    mutable int steps_left = -1;
};

TEST_F(LateLookTest, EveryEntryIsLookedAt) {
    const auto found = look({});
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_EQ(found->count, 0U);
    EXPECT_EQ(found->looked_at, 5U);
}

TEST_F(LateLookTest, WhatIsExcludedIsNot) {
    ASSERT_TRUE(replace_file(paths.source + "/manifest", "made beside the tree", 0644));
    ASSERT_TRUE(make_directories(paths.source + "/" + std::string(kStashDirectory), 0700)) << "never sent";
    const auto found = look({"manifest"});
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_EQ(found->count, 0U);
    EXPECT_EQ(look({})->count, 1U);
}

TEST_F(LateLookTest, OnlyTheFirstAreNamed) {
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(replace_file(paths.source + "/a/b/n" + std::to_string(i), "", 0644));
    const auto found = look({});
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_EQ(found->count, 31U) << "and their directory";
    EXPECT_EQ(found->first.size(), kLateChangesToldMax);
}

TEST_F(LateLookTest, ItCanBeStoppedAndNeedsTheCatalog) {
    steps_left = 3;
    EXPECT_EQ(look({}).error().code(), Errc::cancelled);
    ASSERT_TRUE(remove_file(paths.catalog + ".base"));
    EXPECT_EQ(look({}).error().code(), Errc::not_found);
}

TEST_F(LateLookTest, ADirectoryThatBecameAFileIsMore) {
    ASSERT_EQ(::rename((paths.source + "/a/b").c_str(), (paths.source + "/a/c").c_str()), 0);
    ASSERT_TRUE(replace_file(paths.source + "/a/b", "a file now", 0644));
    const auto found = look({});
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_TRUE(found->is_more);
    EXPECT_EQ(found->count, 3U) << "a/b, a/c and a";
}

}  // namespace
}  // namespace zoneferry
