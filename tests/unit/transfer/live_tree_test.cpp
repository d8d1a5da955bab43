// A tree that changes while it is read, and what the digest sees. Needs root.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <thread>

#include "core/base/process.h"
#include "tests/support/temp_directory.h"
#include "tests/support/torture_tree.h"
#include "tests/support/tree_pass.h"

namespace zoneferry {
namespace {

class LiveTree : public ::testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: owners, devices, trusted xattrs";
        ASSERT_TRUE(make_directories(paths.source, 0755));
        ASSERT_TRUE(make_directories(paths.staging, 0700));
    }
    std::string compare() const {
        const auto result = run_process({"python3", ZONEFERRY_TREE_COMPARE, paths.source, paths.staging});
        return result && result->exit_status == 0 ? "" : (result ? result->output : result.error().text());
    }
    TempDirectory temp;
    const PassPaths paths{temp.path() + "/source", temp.path() + "/staging", temp.path() + "/catalog"};
};

// Passes while another thread changes the tree all the time; then it stops, and a strict pass makes both equal.
TEST_F(LiveTree, RunningPassesThenAStrictOne) {
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        RandomTree tree(paths.source, seed);
        tree.build(60);
        std::atomic<bool> over{false};
        std::jthread writer([&] {
            while (!over) tree.mutate(5);
        });
        for (int pass = 0; pass < 6; ++pass) {
            PassOptions options;
            options.send.segment_bytes = 30'000;
            if (pass % 2 == 1)
                options.link_holds = [pass](std::uint64_t number) { return number < 2U * static_cast<unsigned>(pass); };
            const auto done = run_pass(paths, options);
            EXPECT_TRUE(done || done.error().code() == Errc::peer_lost) << done.error().text();
        }
        over = true;
        writer.join();
        PassOptions strict;
        strict.send.tolerate_changes = false;
        const auto done = run_pass(paths, strict);
        ASSERT_TRUE(done) << done.error().text();
        ASSERT_EQ(done->changed_while_read + done->vanished, 0U);
        ASSERT_EQ(compare(), "");
        ASSERT_TRUE(digests_equal(paths));
    }
}

// A slow link leaves the time to change a file between two of its segments.
TEST_F(LiveTree, StrictPassNamesTheFileThatChanged) {
    std::ofstream(paths.source + "/large") << std::string(40 << 20, 'x');
    for (const bool tolerate : {true, false}) {
        PassOptions options;
        options.send.tolerate_changes = tolerate;
        options.send.zstd_level = 0;
        options.send.forget = true;
        options.link_holds = [&](std::uint64_t number) {
            if (number == 1) std::ofstream(paths.source + "/large", std::ios::app) << "more";
            return true;
        };
        const auto done = run_pass(paths, options);
        ASSERT_EQ(done.has_value(), tolerate);
        if (tolerate) {
            EXPECT_EQ(done->changed_while_read, 1U);
            const auto second = run_pass(paths, {});
            ASSERT_TRUE(second);
            EXPECT_EQ(second->files_sent, 1U);
            EXPECT_EQ(compare(), "");
        } else {
            EXPECT_NE(done.error().text().find("large"), std::string::npos) << done.error().text();
        }
    }
}

// ---- the digest ----

TEST_F(LiveTree, DigestSeesEveryKindOfDifference) {
    const std::string at = paths.source;
    const auto before_each = [&] {
        ASSERT_TRUE(remove_tree(at));
        ASSERT_TRUE(make_directories(at + "/d", 0755));
        std::ofstream(at + "/d/a") << "content";
        std::ofstream(at + "/d/b") << "content";
        ASSERT_EQ(::symlink("a", (at + "/d/link").c_str()), 0);
        for (const char* name : {"/d/a", "/d/b", "/d/link", "/d", ""}) {
            const timespec times[2] = {{1, 1}, {1, 1}};
            ASSERT_EQ(::utimensat(AT_FDCWD, (at + name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
        }
    };
    const auto touch = [&](const char* name, time_t seconds) {
        const timespec times[2] = {{1, 1}, {seconds, 1}};
        (void)::utimensat(AT_FDCWD, (at + name).c_str(), times, AT_SYMLINK_NOFOLLOW);
    };
    const std::vector<std::function<void()>> changes = {
        [&] { (void)::chmod((at + "/d/a").c_str(), 0600); },
        [&] { (void)::chmod((at + "/d").c_str(), 0700); },
        [&] { (void)!::chown((at + "/d/a").c_str(), 1, 0); },
        [&] { (void)!::lchown((at + "/d/link").c_str(), 0, 1); },
        [&] { touch("/d/a", 2); },
        [&] { touch("/d/link", 2); },
        [&] { touch("/d", 2); },
        [&] { touch("", 2); },
        [&] { (void)::setxattr((at + "/d/a").c_str(), "user.x", "", 0, 0); },
        [&] { (void)::lsetxattr((at + "/d/link").c_str(), "trusted.x", "", 0, 0); },
        [&] {
            std::ofstream(at + "/d/a") << "c0ntent";
            touch("/d/a", 1);
        },
        [&] {
            (void)::unlink((at + "/d/b").c_str());
            (void)!::link((at + "/d/a").c_str(), (at + "/d/b").c_str());
            touch("/d", 1);
        },
        [&] {
            (void)::rename((at + "/d/a").c_str(), (at + "/d/c").c_str());
            touch("/d", 1);
        },
        [&] {
            (void)!::truncate((at + "/d/a").c_str(), 8);  // a zero at the end
            touch("/d/a", 1);
        },
    };
    before_each();
    const auto original = digest_path(at);
    ASSERT_TRUE(original);
    EXPECT_EQ(original->entries, 5U);
    before_each();
    EXPECT_EQ(digest_path(at)->digest, original->digest) << "inode numbers and access times do not count";
    for (std::size_t i = 0; i < changes.size(); ++i) {
        before_each();
        changes[i]();
        EXPECT_NE(digest_path(at)->digest, original->digest) << "change " << i;
    }
}

TEST_F(LiveTree, DigestIsTheSameForHolesThreadsAndExcludedNames) {
    build_torture_tree(paths.source);
    const auto one = digest_path(paths.source);
    const auto three = digest_path(paths.source, {.excluded = {}, .threads = 3, .stop = {}});
    ASSERT_TRUE(one && three);
    EXPECT_EQ(one->digest, three->digest);
    // The tree again with its holes filled.
    ASSERT_TRUE(run_checked({"cp", "-a", "--sparse=never", paths.source + "/.", paths.staging}));
    EXPECT_EQ(digest_path(paths.staging)->digest, one->digest);
    struct stat root {};
    ASSERT_EQ(::stat(paths.source.c_str(), &root), 0);
    std::ofstream(paths.source + "/extra") << "x";
    const timespec times[2] = {root.st_atim, root.st_mtim};
    ASSERT_EQ(::utimensat(AT_FDCWD, paths.source.c_str(), times, 0), 0);
    EXPECT_NE(digest_path(paths.source)->digest, one->digest);
    EXPECT_EQ(digest_path(paths.source, {.excluded = {"extra"}, .threads = 1, .stop = {}})->digest, one->digest);
    const auto totals = measure_tree(*open_directory(paths.source), {"extra"});
    ASSERT_TRUE(totals);
    EXPECT_EQ(totals->entries, one->entries);
    std::stop_source stopped;
    stopped.request_stop();
    const auto stop = digest_path(paths.source, {.excluded = {}, .threads = 1, .stop = stopped.get_token()});
    ASSERT_FALSE(stop);
    EXPECT_EQ(stop.error().code(), Errc::cancelled);
}

}  // namespace
}  // namespace zoneferry
