// Looking ahead of the walk: what is told is what stands there, in order, from whatever thread; its bounds; and that a
// pass through it misses nothing.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>

#include "core/base/files.h"
#include "tests/support/disk_file_system.h"
#include "tests/support/temp_directory.h"
#include "tests/support/tree_pass.h"
#include "transfer/catalog.h"
#include "transfer/stat_ahead.h"
#include "transfer/walk.h"

namespace zoneferry {
namespace {

constexpr auto kNothing = [] {};

struct CountingJob : StatAhead::Job {
    explicit CountingJob(std::atomic<int>& counter) : count(counter) {}
    void work() override { ++count; }
    std::atomic<int>& count;
};

TEST(StatAheadJobs, EachIsDoneOnceWhoeverDoesIt) {
    for (int round = 0; round < 200; ++round) {
        std::atomic<int> count = 0;
        StatAhead helpers(3, kNothing);
        std::vector<std::shared_ptr<CountingJob>> jobs;
        for (std::size_t i = 0; i < kJobsMax; ++i) {
            jobs.push_back(std::make_shared<CountingJob>(count));
            ASSERT_TRUE(helpers.post(jobs.back()));
        }
        EXPECT_FALSE(helpers.post(std::make_shared<CountingJob>(count))) << "more than the bound";
        for (const auto& job : jobs) helpers.finish(job);
        EXPECT_EQ(count, static_cast<int>(kJobsMax));
        EXPECT_EQ(helpers.jobs(), 0U);
    }
}

TEST(StatAheadJobs, WhatNobodyAsksForIsDroppedAndTheEndWaitsForWhatRuns) {
    for (int round = 0; round < 200; ++round) {
        std::atomic<int> count = 0;
        StatAhead helpers(2, kNothing);
        for (int i = 0; i < 10; ++i) {
            const auto job = std::make_shared<CountingJob>(count);
            ASSERT_TRUE(helpers.post(job));
            if (i % 2 == 0) helpers.drop(job);
        }
        EXPECT_EQ(helpers.jobs(), 5U);
    }
}

class StatAheadOf : public ::testing::Test {
protected:
    std::string at(const std::string& path) const { return temp.path() + "/" + path; }
    void add(const std::string& path, const std::string& text = "some data") const {
        const std::size_t slash = path.rfind('/');
        if (slash != std::string::npos) {
            ASSERT_TRUE(make_directories(at(path.substr(0, slash)), 0755));
        }
        std::ofstream(at(path)) << text;
    }
    void add_many(const std::string& directory, std::size_t count) const {
        ASSERT_TRUE(make_directories(at(directory), 0755));
        for (std::size_t i = 0; i < count; ++i) {
            const UniqueFd made(::open(at(directory + "/" + std::to_string(i)).c_str(), O_CREAT | O_WRONLY, 0644));
            ASSERT_TRUE(made);
        }
    }
    // Every entry below, compared with what stands there.
    void compare(StatAhead& helpers, int fd, AheadListing listing) {
        if (listing.inode == 0) listing.names = *list_directory_fd(fd);
        EXPECT_EQ(listing.names, *list_directory_fd(fd));
        DirectoryAhead ahead(helpers, fd, std::move(listing), true);
        for (std::size_t i = 0; i < ahead.names().size(); ++i) {
            ++seen;
            const EntryStat* stat = ahead.stat(i);
            ASSERT_NE(stat, nullptr);
            ASSERT_LE(helpers.jobs(), kJobsMax);
            const auto now = stat_entry(fd, ahead.names()[i]);
            ASSERT_TRUE(now);
            EXPECT_EQ(identity_of(*stat), identity_of(*now));
            if (!S_ISDIR(stat->mode)) continue;
            const UniqueFd inner = *open_beneath(fd, ahead.names()[i], O_RDONLY | O_DIRECTORY);
            AheadListing known = ahead.listing(i);
            listings += known.inode == stat->inode ? 1 : 0;
            EXPECT_TRUE(known.inode == 0 || known.inode == stat->inode);
            compare(helpers, inner.get(), std::move(known));
        }
    }

    TempDirectory temp;
    UniqueFd root = *open_directory(temp.path());
    std::size_t seen = 0;
    std::size_t listings = 0;
};

TEST_F(StatAheadOf, EveryEntryIsToldAsItIs) {
    add_many("large", 3 * kRunNames + 7);
    add_many("larger/inner", kInnerNames + kRunNames + 1);
    for (int i = 0; i < 40; ++i) add("many/" + std::to_string(i) + "/a/b/c" + std::to_string(i));
    ASSERT_TRUE(make_directories(at("empty"), 0755));
    for (const unsigned threads : {1U, 3U}) {
        StatAhead helpers(threads, kNothing);
        seen = listings = 0;
        compare(helpers, root.get(), {});
        EXPECT_EQ(seen, 3 * kRunNames + 7 + kInnerNames + kRunNames + 1 + 1 + 40 * 4 + 4);
        EXPECT_GT(listings, 40U) << "nearly all directories are seen ahead";
        EXPECT_EQ(helpers.jobs(), 0U);
    }
}

TEST_F(StatAheadOf, ALargeDirectoryIsNotHeldAheadOfTheWalk) {
    const std::string name(200, 'n');
    ASSERT_TRUE(make_directories(at("d/large"), 0755));
    std::size_t count = 0;
    const auto bytes = [&] { return stat_entry(root.get(), "d/large")->size; };
    for (; count < 20'000 && bytes() <= kInnerBytesMax; ++count) {
        const UniqueFd made(::open(at("d/large/" + name + std::to_string(count)).c_str(), O_CREAT | O_WRONLY, 0644));
    }
    if (bytes() <= kInnerBytesMax) {
        ASSERT_FALSE(is_disk_file_system(temp.path()));
        GTEST_SKIP() << "this file system does not tell how large a directory is";
    }
    const UniqueFd d = *open_beneath(root.get(), "d", O_RDONLY | O_DIRECTORY);
    StatAhead helpers(1, kNothing);
    AheadListing listing;
    listing.names = {"large"};
    DirectoryAhead ahead(helpers, d.get(), std::move(listing), true);
    ASSERT_NE(ahead.stat(0), nullptr);
    EXPECT_EQ(ahead.listing(0).inode, 0U);
}

// More than are looked into at a time, in several runs: the walk may leave them all aside.
TEST_F(StatAheadOf, DirectoriesThatNobodyAsksForStandInNobodysWay) {
    constexpr std::size_t kDirectories = 2 * kRunNames + kInnerAhead;
    for (std::size_t i = 0; i < kDirectories; ++i) {
        ASSERT_TRUE(make_directories(at("d/" + std::to_string(1000 + i)), 0755));
    }
    const UniqueFd d = *open_beneath(root.get(), "d", O_RDONLY | O_DIRECTORY);
    StatAhead helpers(1, kNothing);
    AheadListing listing;
    listing.names = *list_directory_fd(d.get());
    DirectoryAhead ahead(helpers, d.get(), std::move(listing), true);
    for (std::size_t i = 0; i + 1 < kDirectories; ++i) ASSERT_NE(ahead.stat(i), nullptr);
    EXPECT_EQ(ahead.listing(kDirectories - 2).inode, 0U);
    const EntryStat* const last = ahead.stat(kDirectories - 1);
    ASSERT_NE(last, nullptr);
    EXPECT_EQ(ahead.listing(kDirectories - 1).inode, last->inode);
}

TEST_F(StatAheadOf, WhatIsGoneIsNotKnownAndNoLinkIsFollowed) {
    add("elsewhere/file");
    ASSERT_TRUE(make_directories(at("d"), 0755));
    ASSERT_EQ(::symlink("../elsewhere", at("d/link").c_str()), 0);
    const UniqueFd d = *open_beneath(root.get(), "d", O_RDONLY | O_DIRECTORY);
    StatAhead helpers(1, kNothing);
    AheadListing listing;
    listing.names = {"gone", "link"};
    DirectoryAhead ahead(helpers, d.get(), std::move(listing), true);
    EXPECT_EQ(ahead.stat(0), nullptr);
    ASSERT_NE(ahead.stat(1), nullptr);
    EXPECT_TRUE(S_ISLNK(ahead.stat(1)->mode));
    EXPECT_EQ(ahead.listing(1).inode, 0U);
}

// A directory that takes another's name after it was listed.
TEST_F(StatAheadOf, ANameMayBeGivenToAnotherDirectory) {
    add("d/first/old");
    add("other/new");
    const UniqueFd d = *open_beneath(root.get(), "d", O_RDONLY | O_DIRECTORY);
    StatAhead helpers(1, kNothing);
    AheadListing listing;
    listing.names = {"first"};
    DirectoryAhead ahead(helpers, d.get(), std::move(listing), true);
    const std::uint64_t before = ahead.stat(0)->inode;
    const AheadListing listed = ahead.listing(0);
    ASSERT_EQ(::rename(at("d/first").c_str(), at("away").c_str()), 0);
    ASSERT_EQ(::rename(at("other").c_str(), at("d/first").c_str()), 0);
    EXPECT_EQ(listed.inode, before);
    EXPECT_NE(listed.inode, stat_entry(d.get(), "first")->inode);
}

// A pass with helpers finds every change, in small directories and in one of several runs, and sends what one without
// sends.
class PassWithHelpers : public StatAheadOf, public ::testing::WithParamInterface<unsigned> {
protected:
    void pass(std::uint64_t sent) {
        ::usleep(60'000);  // older than what is racy
        PassOptions options;
        options.send.stat_threads = GetParam();
        options.send.excluded = {"small/7/deep", "left-out"};
        const auto done = run_pass(paths, options);
        ASSERT_TRUE(done) << done.error().text();
        EXPECT_EQ(done->entries_sent, sent);
        EXPECT_EQ(digest_path(paths.source, {.excluded = options.send.excluded})->digest,
                  digest_path(paths.staging)->digest);
    }
    const PassPaths paths{at("source"), at("staging"), at("catalog")};
};
INSTANTIATE_TEST_SUITE_P(Threads, PassWithHelpers, ::testing::Values(0U, 1U, 3U));

TEST_P(PassWithHelpers, MissesNothing) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: a pass keeps owners";
    for (int i = 0; i < 60; ++i) add("source/small/" + std::to_string(i) + "/deep/file");
    add_many("source/large", 5 * kRunNames);
    ASSERT_TRUE(make_directories(paths.staging, 0700));
    pass(1 + 1 + 60 * 3 - 2 + 1 + 5 * kRunNames);
    pass(0);
    add("source/small/9/deep/file", "a change");
    add("source/large/" + std::to_string(4 * kRunNames), "a change");
    add("source/small/7/deep/file", "of what is left out");
    add("source/left-out", "too");
    ASSERT_TRUE(remove_file(at("source/large/77")));
    ASSERT_EQ(::rename(at("source/small/30").c_str(), at("source/small/99").c_str()), 0);
    add("source/small/30/deep/file", "another");
    ASSERT_EQ(::chmod(at("source/small/31/deep").c_str(), 0700), 0);
    pass(13);
    pass(0);
}

// A file over itself is as it was in the base, and yet of another file system.
TEST_P(PassWithHelpers, WhatIsMountedOverAFileIsSeen) {
    if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
    add("source/d/file");
    ASSERT_TRUE(make_directories(paths.staging, 0700));
    pass(3);
    const std::string file = at("source/d/file");
    ASSERT_EQ(::mount(file.c_str(), file.c_str(), nullptr, MS_BIND, nullptr), 0);
    PassOptions options;
    options.send.stat_threads = GetParam();
    const auto done = run_pass(paths, options);
    ASSERT_EQ(::umount2(file.c_str(), 0), 0);
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().text().find("mounted here"), std::string::npos) << done.error().text();
}

// Another directory stood under a name when it was looked into, and the one of the base when the walk came.
TEST_P(PassWithHelpers, ADirectoryThatWasAnotherOneWhenItWasLookedIntoIsListedAgain) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: a pass keeps owners";
    add("source/a/old");
    add("source/b/file");
    add("other/stranger");
    ASSERT_TRUE(make_directories(paths.staging, 0700));
    pass(1 + 2 * 2);
    add("source/a/new");
    const auto swap = [&] {
        ASSERT_EQ(::renameat2(AT_FDCWD, at("source/b").c_str(), AT_FDCWD, at("other").c_str(), RENAME_EXCHANGE), 0);
    };
    swap();
    const UniqueFd looked(::inotify_init1(IN_CLOEXEC));
    ASSERT_GE(::inotify_add_watch(looked.get(), at("source/b").c_str(), IN_CLOSE_NOWRITE), 0);
    const auto emit = [&](std::uint64_t number, ByteVector /*raw*/) {  // the first, of a's new file: b comes later
        if (number != 0) return true;
        pollfd event{looked.get(), POLLIN, 0};
        EXPECT_EQ(GetParam() == 0 ? 1 : ::poll(&event, 1, 60'000), 1) << "nobody has looked";
        swap();
        return true;
    };
    auto blocks = BlockStore::open(paths.catalog + ".blocks");
    auto base = CatalogReader::open(paths.catalog + ".base");
    auto catalog = CatalogWriter::create(at("walked"), "a pass");
    ASSERT_TRUE(blocks && base && catalog);
    WalkOptions options;
    options.segment_bytes = [] { return std::size_t{1}; };
    options.base_path = paths.catalog + ".base";
    options.stat_threads = GetParam();
    WalkCounts counts;
    TreeWalk walk(*open_directory(paths.source), options, CatalogCursor(*std::move(base)), *blocks, *catalog, counts,
                  emit);
    const Status done = walk.run();
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(counts.files_sent, 1U) << "the new one";
    EXPECT_EQ(counts.removed + counts.vanished, 0U);
}

}  // namespace
}  // namespace zoneferry
