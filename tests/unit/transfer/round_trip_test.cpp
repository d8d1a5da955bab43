// Whole passes in process, compared by our digest, by an independent python tool and by rsync. Needs root.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "core/base/process.h"
#include "tests/support/temp_directory.h"
#include "tests/support/torture_tree.h"
#include "tests/support/tree_facts.h"
#include "tests/support/tree_pass.h"

namespace zoneferry {
namespace {

// How many random trees: some by default, ZONEFERRY_TEST_TREES=N for more.
std::uint64_t tree_count(std::uint64_t usual) {
    const char* wanted = std::getenv("ZONEFERRY_TEST_TREES");
    return wanted == nullptr ? usual : std::strtoull(wanted, nullptr, 10);
}

class RoundTrip : public ::testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: owners, devices, trusted xattrs";
        ASSERT_TRUE(make_directories(paths.source, 0755));
        ASSERT_TRUE(make_directories(paths.staging, 0700));
    }
    // What an independent tool says; empty: no difference.
    std::string compare() const {
        const auto result = run_process({"python3", ZONEFERRY_TREE_COMPARE, paths.source, paths.staging});
        return result && result->exit_status == 0 ? "" : (result ? result->output : result.error().text());
    }
    std::string rsync() const {
        const auto result = run_process({"rsync", "-aHAXSnc", "--delete", "--itemize-changes", "--devices",
                                         "--specials", paths.source + "/", paths.staging + "/"});
        return result && result->exit_status == 0 ? result->output : (result ? "failed " + result->output : "failed");
    }
    // The racy margin passes, so that what was written last counts as settled.
    static void settle() { ::usleep(60'000); }

    TempDirectory temp;
    const PassPaths paths{temp.path() + "/source", temp.path() + "/staging", temp.path() + "/catalog"};
};

TEST_F(RoundTrip, TortureTreeArrivesExactly) {
    build_torture_tree(paths.source);
    settle();
    const auto first = run_pass(paths, {});
    ASSERT_TRUE(first) << first.error().text();
    EXPECT_EQ(compare(), "");
    EXPECT_EQ(rsync(), "");
    ASSERT_EQ(::unlink((paths.source + "/only-a-hole").c_str()), 0);
    const auto second = run_pass(paths, {});
    ASSERT_TRUE(second) << second.error().text();
    EXPECT_EQ(second->removed, 1U);
    EXPECT_EQ(second->entries_sent, 1U) << "the root's own times only";
    EXPECT_EQ(compare(), "");
    EXPECT_TRUE(digests_equal(paths));
}

TEST_F(RoundTrip, NothingChangedSendsOneSmallSegment) {
    RandomTree(paths.source, 1).build(80);
    settle();
    ASSERT_TRUE(run_pass(paths, {}));
    const auto second = run_pass(paths, {});
    ASSERT_TRUE(second) << second.error().text();
    EXPECT_EQ(second->entries_sent, 0U);
    EXPECT_EQ(second->segments, 1U);
    EXPECT_LT(second->raw_bytes, 100U);
}

TEST_F(RoundTrip, RandomTreesWithMutations) {
    for (std::uint64_t seed = 0; seed < tree_count(12); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        RandomTree tree(paths.source, seed);
        tree.build(40);
        for (int pass = 0; pass < 5; ++pass) {
            PassOptions options;
            options.send.compressor_threads = 1 + static_cast<unsigned>(seed % 3);
            options.send.zstd_level = static_cast<int>(seed % 4);
            const auto done = run_pass(paths, options);
            ASSERT_TRUE(done) << done.error().text();
            ASSERT_TRUE(digests_equal(paths)) << compare();
            ASSERT_EQ(compare(), "");
            tree.mutate(12);
        }
        ASSERT_TRUE(run_pass(paths, {}));
    }
}

// The link is cut at any segment, with changes between the tries, and a wrong or no acknowledgement behind.
TEST_F(RoundTrip, InterruptedAnywhereItResumes) {
    for (std::uint64_t seed = 1000; seed < 1000 + tree_count(12); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        RandomTree tree(paths.source, seed);
        std::mt19937_64 random(seed);
        tree.build(60);
        for (int i = 0; i < 4; ++i) {
            PassOptions options;
            options.send.segment_bytes = 20'000;
            options.segments_between_acks = 1 + random() % 4;
            const std::uint64_t cut_at = random() % 12;
            options.link_holds = [cut_at](std::uint64_t number) { return number != cut_at; };
            (void)run_pass(paths, options);
            tree.mutate(static_cast<int>(random() % 6));
        }
        const auto done = run_pass(paths, {});
        ASSERT_TRUE(done) << done.error().text();
        ASSERT_TRUE(digests_equal(paths)) << compare();
        ASSERT_EQ(compare(), "");
    }
}

TEST_F(RoundTrip, LargeFileContinuesWhereItWasAcknowledged) {
    {
        std::ofstream file(paths.source + "/large");
        for (int i = 0; i < 4'000'000; ++i) file << i;
    }
    settle();
    const auto size = std::ifstream(paths.source + "/large", std::ios::ate).tellg();
    PassOptions options;
    options.segments_between_acks = 1;
    options.link_holds = [](std::uint64_t number) { return number < 8; };
    const auto cut = run_pass(paths, options);
    ASSERT_FALSE(cut);
    ASSERT_EQ(cut.error().code(), Errc::peer_lost);
    const auto done = run_pass(paths, {});
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_LT(done->data_bytes_sent, static_cast<std::uint64_t>(size) - 8 * 2'000'000);
    EXPECT_GT(done->data_bytes_sent, 0U);
    EXPECT_EQ(compare(), "");
}

TEST_F(RoundTrip, LostOrDamagedCatalogSendsAllAndClears) {
    RandomTree(paths.source, 7).build(60);
    settle();
    ASSERT_TRUE(run_pass(paths, {}));
    std::ofstream(paths.staging + "/stray") << "not from the source";
    const std::string base = paths.catalog + ".base";
    {
        std::fstream file(base, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(-20, std::ios::end);
        file.put('!');
    }
    const auto again = run_pass(paths, {});
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_GT(again->entries_sent, 30U);
    EXPECT_EQ(compare(), "");
    ASSERT_EQ(::truncate(base.c_str(), 100), 0);
    ASSERT_TRUE(run_pass(paths, {}));
    EXPECT_EQ(compare(), "");
    ASSERT_TRUE(remove_file(base));
    ASSERT_TRUE(run_pass(paths, {}));
    EXPECT_EQ(compare(), "");
}

TEST_F(RoundTrip, ExcludedAndPreservedNamesStayApart) {
    std::ofstream(paths.source + "/SUNWdetached.xml") << "source's";
    std::ofstream(paths.source + "/file") << "content";
    std::ofstream(paths.staging + "/.zoneferry-owner") << "target's";
    PassOptions options;
    options.send.excluded = {"SUNWdetached.xml", ".zoneferry-owner"};
    options.receive.preserved = {"SUNWdetached.xml", ".zoneferry-owner"};
    ASSERT_TRUE(run_pass(paths, options));
    EXPECT_TRUE(path_exists(paths.staging + "/file"));
    EXPECT_TRUE(path_exists(paths.staging + "/.zoneferry-owner"));
    EXPECT_FALSE(path_exists(paths.staging + "/SUNWdetached.xml"));
    // A sender that does send it is refused.
    options.send.excluded = {};
    options.send.forget = true;
    const auto refused = run_pass(paths, options);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::protocol);
    EXPECT_NE(refused.error().text().find("SUNWdetached.xml"), std::string::npos);
}

TEST_F(RoundTrip, ChangedWithinTheSameTickComesAgain) {
    // Written just before the pass: its ctime cannot be told from that of a write just after.
    for (int i = 0; i < 20; ++i) {
        std::ofstream(paths.source + "/file") << "before" << i;
        ASSERT_TRUE(run_pass(paths, {}));
        std::ofstream(paths.source + "/file") << "behind" << i;
        ASSERT_TRUE(run_pass(paths, {}));
        ASSERT_EQ(compare(), "");
    }
}

TEST_F(RoundTrip, MountPointInsideIsAnErrorThatNamesIt) {
    ASSERT_TRUE(make_directories(paths.source + "/a/mnt", 0755));
    ASSERT_TRUE(run_checked({"mount", "-t", "tmpfs", "tmpfs", paths.source + "/a/mnt"}));
    const auto done = run_pass(paths, {});
    const auto digest = digest_path(paths.source);
    ASSERT_TRUE(run_checked({"umount", paths.source + "/a/mnt"}));
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().text().find("a/mnt"), std::string::npos) << done.error().text();
    EXPECT_FALSE(digest);
}

TEST_F(RoundTrip, UnknownDeviceIsRefusedByBothSides) {
    ASSERT_EQ(::mknod((paths.source + "/sda").c_str(), S_IFBLK | 0600, 0x800), 0);
    const auto sender = run_pass(paths, {});
    ASSERT_FALSE(sender);
    EXPECT_NE(sender.error().text().find("sda"), std::string::npos);
    PassOptions options;
    options.send.devices = DevicePolicy::all;
    const auto receiver = run_pass(paths, options);
    ASSERT_FALSE(receiver);
    EXPECT_EQ(receiver.error().code(), Errc::protocol);
    EXPECT_FALSE(path_exists(paths.staging + "/sda"));
    options.receive.devices = DevicePolicy::all;
    ASSERT_TRUE(run_pass(paths, options));
    EXPECT_EQ(compare(), "");
}

TEST_F(RoundTrip, CancelEndsAWaitingNext) {
    make_directories(paths.source, 0755).has_value();
    std::ofstream(paths.source + "/file") << std::string(100'000, 'x');
    SendOptions options;
    options.catalog_path_prefix = paths.catalog;
    options.bytes_per_second = 1;
    options.zstd_level = 0;
    auto tree = open_directory(paths.source);
    ASSERT_TRUE(tree);
    auto sender = TreeSender::start(*std::move(tree), options);
    ASSERT_TRUE(sender);
    std::jthread canceller([&] { (*sender)->cancel(); });
    const auto segment = (*sender)->next();
    ASSERT_FALSE(segment);
    EXPECT_EQ(segment.error().code(), Errc::cancelled);
}

TEST_F(RoundTrip, AcknowledgingWhatWasNeverSentIsRefused) {
    SendOptions options;
    options.catalog_path_prefix = paths.catalog;
    auto tree = open_directory(paths.source);
    auto sender = TreeSender::start(*std::move(tree), options);
    ASSERT_TRUE(sender);
    EXPECT_EQ((*sender)->acknowledge(5).error().code(), Errc::protocol);
    EXPECT_FALSE((*sender)->finish());
}

// Many trees need many syncs: in memory, where that file system has all that the trees use.
class RoundTripInMemory : public ::testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: owners, devices, trusted xattrs";
        char path[] = "/dev/shm/zoneferry-test.XXXXXX";
        if (::mkdtemp(path) == nullptr) GTEST_SKIP() << "there is no /dev/shm";
        root = path;
        if (::setxattr(path, "user.probe", "", 0, 0) != 0) GTEST_SKIP() << "/dev/shm keeps no user xattrs";
        ASSERT_TRUE(make_directories(root + "/source", 0755));
        ASSERT_TRUE(make_directories(root + "/staging", 0700));
    }
    void TearDown() override { EXPECT_TRUE(root.empty() || remove_tree(root)); }
    PassPaths paths() const { return {root + "/source", root + "/staging", root + "/catalog"}; }
    std::string root;
};

TEST_F(RoundTripInMemory, CutsAndChangesOfManyTrees) {
    for (std::uint64_t seed = 5000; seed < 5000 + tree_count(150); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        RandomTree tree(root + "/source", seed);
        std::mt19937_64 random(seed);
        tree.build(30);
        for (int round = 0; round < 6; ++round) {
            PassOptions options;
            options.send.segment_bytes = 1 + random() % 30'000;
            options.segments_between_acks = 1 + random() % 5;
            const std::uint64_t cut_at = round % 3 == 2 ? UINT64_MAX : random() % 20;
            options.link_holds = [cut_at](std::uint64_t number) { return number != cut_at; };
            const auto done = run_pass(paths(), options);
            if (done) {
                ASSERT_TRUE(digests_equal(paths()));
            } else {
                ASSERT_EQ(done.error().code(), Errc::peer_lost) << done.error().text();
            }
            tree.mutate(static_cast<int>(random() % 10));
        }
        ASSERT_TRUE(run_pass(paths(), {}));
        ASSERT_TRUE(digests_equal(paths()));
        if (seed % 10 != 0) continue;
        const auto result = run_process({"python3", ZONEFERRY_TREE_COMPARE, paths().source, paths().staging});
        ASSERT_TRUE(result && result->exit_status == 0) << result->output;
    }
}

// The sweep: many trees, each through a full pass, changes, and a pass of the changes; judged by plain system calls.
TEST_F(RoundTripInMemory, GeneratedTreesThroughFullAndDeltaPass) {
    for (std::uint64_t seed = 20'000; seed < 20'000 + tree_count(2000); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        RandomTree tree(root + "/source", seed);
        std::mt19937_64 random(seed);
        tree.build(12);
        PassOptions options;
        options.send.zstd_level = 0;
        options.send.segment_bytes = 1 + random() % 300'000;
        ASSERT_TRUE(run_pass(paths(), options));
        tree.mutate(1 + static_cast<int>(random() % 8));
        if (seed % 4 == 0) {
            const std::uint64_t cut_at = random() % 6;
            options.link_holds = [cut_at](std::uint64_t number) { return number != cut_at; };
            (void)run_pass(paths(), options);
            options.link_holds = {};
            tree.mutate(static_cast<int>(random() % 4));
        }
        const auto done = run_pass(paths(), options);
        ASSERT_TRUE(done) << done.error().text();
        ASSERT_EQ(tree_differences(paths().source, paths().staging), "");
        if (random() % 8 != 0) continue;  // else the tree goes on with the next seed
        ASSERT_TRUE(remove_tree(root + "/source"));
        ASSERT_TRUE(make_directories(root + "/source", 0755));
    }
}

}  // namespace
}  // namespace zoneferry
