// Readers ahead of the walk: what they take, what they leave alone, how far they go and when they stop.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include "core/base/files.h"
#include "tests/support/disk_file_system.h"
#include "tests/support/temp_directory.h"
#include "tests/support/tree_pass.h"
#include "transfer/page_cache.h"
#include "transfer/read_ahead.h"

namespace zoneferry {
namespace {

// Depth first, in sorted order, is the order of the paths as sequences of names.
TEST(NamesPassed, AreThoseBeforeTheWalkInItsOrder) {
    const std::vector<std::string> names{"a", "b", "c"};
    std::vector<TreePath> paths{{}};
    for (std::size_t begin = 0, depth = 0; depth < 3; ++depth) {
        const std::size_t end = paths.size();
        for (; begin < end; ++begin) {
            for (const std::string& name : names) {
                paths.push_back(paths[begin]);
                paths.back().push_back(name);
            }
        }
    }
    for (const TreePath& directory : paths) {
        for (const TreePath& walk : paths) {
            std::size_t wanted = 0;
            for (const std::string& name : names) {
                TreePath entry = directory;
                entry.push_back(name);
                const bool is_in_it =
                    entry.size() <= walk.size() && std::equal(entry.begin(), entry.end(), walk.begin());
                wanted += entry < walk && !is_in_it ? 1 : 0;
            }
            EXPECT_EQ(names_passed(directory, names, walk), wanted);
        }
    }
}

class ReadAheadOf : public ::testing::Test {
protected:
    void SetUp() override {
        add("probe/file");
        const bool drops = cool("probe/file");
        ASSERT_TRUE(remove_tree(at("probe")));
        if (drops) return;
        ASSERT_FALSE(is_disk_file_system(temp.path()));
        GTEST_SKIP() << "this file system does not drop what it is told to";
    }
    void add(const std::string& path) const {
        ASSERT_TRUE(make_directories(at(path.substr(0, path.rfind('/'))), 0755));
        std::ofstream(at(path)) << "some data";
    }
    std::string at(const std::string& path) const { return temp.path() + "/" + path; }
    // False: the file system does not drop what it is told to. (A page that somebody holds for a moment stays once.)
    bool cool(const std::string& path) const {
        const UniqueFd fd(::open(at(path).c_str(), O_RDONLY));
        if (::fsync(fd.get()) != 0) return false;
        for (int tries = 0; tries < 1'000; ++tries) {
            if (::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED) != 0) return false;
            if (!is_cached(path)) return true;
            std::this_thread::yield();
        }
        return false;
    }
    bool is_cached(const std::string& path) const {
        const UniqueFd fd(::open(at(path).c_str(), O_RDONLY));
        void* const memory = ::mmap(nullptr, 1, PROT_READ, MAP_SHARED, fd.get(), 0);
        unsigned char page = 0;
        EXPECT_EQ(::mincore(memory, 1, &page), 0);
        ::munmap(memory, 1);
        return (page & 1U) != 0;
    }
    static std::function<TreePath()> place(TreePath path) {
        return [path = std::move(path)] { return path; };
    }
    template <class Condition>
    static bool comes(Condition condition) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (!condition()) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            std::this_thread::yield();
        }
        return true;
    }

    TempDirectory temp;
    UniqueFd root = *open_directory(temp.path());
};

TEST_F(ReadAheadOf, AColdTreeReadsWhatTheWalkHasBeforeItAndIsNotExcluded) {
    const std::vector<std::string> files{"a/1", "b/inner/2", "b/inner/3", "c/4", "d/left/5", "d/out/6", "e/7"};
    for (const std::string& file : files) add(file);
    for (const std::string& file : files) {
        ASSERT_TRUE(cool(file));
    }
    ReadAhead ahead(root.get(), {1, true, {"d/out", "c"}});
    ahead.walk_is_at(place({"a", "1"}), 1, 9, kColdBlocks - 1);
    EXPECT_TRUE(ahead.is_resting()) << "the walk did not wait for the disk";
    ahead.walk_is_at(place({"b", "inner", "3"}), 2, 9, 2 * kColdBlocks);
    EXPECT_TRUE(comes([&] { return is_cached("e/7"); }));
    EXPECT_TRUE(is_cached("b/inner/3"));
    EXPECT_TRUE(is_cached("d/left/5"));
    for (const char* left : {"a/1", "b/inner/2", "c/4", "d/out/6"}) EXPECT_FALSE(is_cached(left)) << left;
}

TEST_F(ReadAheadOf, OnlyInodesAreReadWhereDataIsNotAskedFor) {
    add("a/1");
    add("b/2");
    ASSERT_TRUE(cool("a/1"));
    ReadAhead ahead(root.get(), {1, false, {}});
    ahead.walk_is_at(place({"a"}), 0, 0, kColdBlocks);
    ASSERT_TRUE(comes([&] { return ahead.entries_ahead() == 4; }));
    for (int i = 0; i < 2'000; ++i) ASSERT_FALSE(is_cached("a/1"));  // what is asked for comes a little later
}

TEST_F(ReadAheadOf, TheyStayWithinTheirBoundAndGoOnWithTheWalk) {
    constexpr std::size_t kFiles = kAheadEntriesMax + 400;
    const auto name = [](std::size_t number) { return "d/" + std::to_string(10'000 + number); };
    ASSERT_TRUE(make_directories(at("d"), 0755));
    for (std::size_t number = 0; number < kFiles; ++number) add(name(number));
    ASSERT_EQ(::syncfs(root.get()), 0);
    // Some are cold throughout, or they would rest.
    for (std::size_t number = 0; number < kFiles; number += 50) {
        ASSERT_TRUE(cool(name(number)));
    }
    ReadAhead ahead(root.get(), {4, true, {}});
    ahead.walk_is_at(place({"d"}), 0, 0, kColdBlocks);
    ASSERT_TRUE(comes([&] { return ahead.entries_ahead() >= kAheadEntriesMax; }));
    for (int i = 0; i < 2'000; ++i) {
        ASSERT_EQ(ahead.entries_ahead(), kAheadEntriesMax);
        std::this_thread::yield();
    }
    EXPECT_FALSE(is_cached(name(kAheadEntriesMax + 352)));
    ahead.walk_is_at(place({"d", "10390"}), 390, 390 * 9, kColdBlocks);
    EXPECT_TRUE(comes([&] { return is_cached(name(kAheadEntriesMax + 352)); }));
}

TEST_F(ReadAheadOf, LargeFilesBoundThemToo) {
    for (const char* name : {"d/1", "d/2", "d/3", "d/4"}) {
        add(name);
        ASSERT_EQ(::truncate(at(name).c_str(), kAheadBytesMax / 2 + 1), 0);
    }
    ReadAhead ahead(root.get(), {1, true, {}});
    ahead.walk_is_at(place({"a"}), 0, 0, kColdBlocks);
    ASSERT_TRUE(comes([&] { return ahead.entries_ahead() == 3; })) << "the directory and two files";
    for (int i = 0; i < 2'000; ++i) {
        ASSERT_EQ(ahead.entries_ahead(), 3U);
        std::this_thread::yield();
    }
    ahead.walk_is_at(place({"d", "2"}), 1, kAheadBytesMax, kColdBlocks);
    EXPECT_TRUE(comes([&] { return ahead.entries_ahead() == 4; }));
}

TEST_F(ReadAheadOf, AWarmTreeIsLeftToTheWalk) {
    for (std::size_t number = 0; number < kRestAfter + 100; ++number) add("d/" + std::to_string(number));
    ReadAhead ahead(root.get(), {2, true, {}});
    ahead.walk_is_at(place({"d"}), 0, 0, kColdBlocks);
    EXPECT_TRUE(comes([&] { return ahead.is_resting(); }));
    ahead.walk_is_at(place({"d", "2"}), 64, 64, kColdBlocks + 1);
    EXPECT_TRUE(ahead.is_resting());
}

TEST_F(ReadAheadOf, WhatIsMountedAndWhatLiesTooDeepIsNotGoneInto) {
    if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
    std::string deep = "deep";
    for (std::size_t i = 0; i < kAheadDepthMax + 5; ++i) deep += "/d";
    ASSERT_TRUE(make_directories(at(deep), 0755));
    ASSERT_TRUE(make_directories(at("mounted"), 0755));
    ASSERT_EQ(::mount("none", at("mounted").c_str(), "tmpfs", 0, ""), 0);
    add("mounted/1");
    add("mounted/2");
    std::atomic<unsigned> begun = 0;
    {
        ReadAhead ahead(root.get(), {3, true, {}, [&begun] { ++begun; }});
        ahead.walk_is_at(place({"deep"}), 0, 0, kColdBlocks);
        constexpr std::uint64_t kAll =
            2 + kAheadDepthMax;  // the place where something is mounted, and as deep as it goes
        EXPECT_TRUE(comes([&] { return ahead.entries_ahead() == kAll && begun == 3; }));
        for (int i = 0; i < 2'000; ++i) {
            EXPECT_EQ(ahead.entries_ahead(), kAll);
            std::this_thread::yield();
        }
    }
    EXPECT_EQ(::umount2(at("mounted").c_str(), 0), 0);
}

TEST_F(ReadAheadOf, LargeFilesAreLeftToTheWalk) {
    add("d/1");
    add("d/2");
    ASSERT_EQ(::truncate(at("d/1").c_str(), static_cast<off_t>(kCacheFileBytesMin)), 0);
    for (const char* name : {"d/1", "d/2"}) {
        ASSERT_TRUE(cool(name));
    }
    ReadAhead ahead(root.get(), {1, true, {}});
    ahead.walk_is_at(place({"d"}), 0, 0, kColdBlocks);
    EXPECT_TRUE(comes([&] { return is_cached("d/2"); }));
    EXPECT_FALSE(is_cached("d/1"));
}

// The whole pass, with what the readers bring and without.
TEST_F(ReadAheadOf, APassOverAColdTreeIsTheSame) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: a pass keeps owners";
    const PassPaths paths{at("source"), at("staging"), at("catalog")};
    for (const unsigned readers : {0U, 4U}) {
        for (std::size_t number = 0; number < 500; ++number) {
            add("source/" + std::to_string(number % 7) + "/" + std::to_string(number));
        }
        ASSERT_EQ(::syncfs(root.get()), 0);
        for (std::size_t number = 0; number < 500; ++number) {
            ASSERT_TRUE(cool("source/" + std::to_string(number % 7) + "/" + std::to_string(number)));
        }
        ASSERT_TRUE(remove_tree(paths.staging));
        ASSERT_TRUE(make_directories(paths.staging, 0700));
        PassOptions options;
        options.send.forget = true;
        options.send.readers = readers;
        const auto done = run_pass(paths, options);
        ASSERT_TRUE(done) << done.error().text();
        EXPECT_EQ(done->files_sent, 500U);
        EXPECT_TRUE(digests_equal(paths));
    }
}

}  // namespace
}  // namespace zoneferry
