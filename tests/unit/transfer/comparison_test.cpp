// What two files of digests say about two trees, and what a pass sends after that; copies within a host.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "core/base/files.h"
#include "tests/support/disk_file_system.h"
#include "tests/support/temp_directory.h"
#include "tests/support/torture_tree.h"
#include "tests/support/tree_facts.h"
#include "tests/support/tree_pass.h"
#include "transfer/block_list.h"
#include "transfer/catalog.h"
#include "transfer/comparison.h"

namespace zoneferry {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::IsSubsetOf;
using ::testing::IsSupersetOf;
using ::testing::UnorderedElementsAre;

class Comparison : public ::testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: owners, file flags";
        ASSERT_TRUE(make_directories(paths.source, 0755));
        ASSERT_TRUE(make_directories(paths.staging, 0700));
    }
    static void settle() { ::usleep(60'000); }
    static void write(const std::string& path, const std::string& content) {
        std::ofstream(path, std::ios::binary) << content;
    }
    void full_pass() const {
        settle();
        const auto done = run_pass(paths, {.send = {.forget = true}});
        ASSERT_TRUE(done) << done.error().text();
    }
    // Changes a byte and leaves the times as they were, as a bad disk would.
    void damage(const std::string& name) const {
        const std::string path = paths.staging + "/" + name;
        struct stat before {};
        ASSERT_EQ(::stat(path.c_str(), &before), 0);
        const UniqueFd fd(::open(path.c_str(), O_RDWR));
        char byte = 0;
        ASSERT_EQ(::pread(fd.get(), &byte, 1, before.st_size / 2), 1);
        byte = static_cast<char>(byte ^ 1);
        ASSERT_EQ(::pwrite(fd.get(), &byte, 1, before.st_size / 2), 1);
        const timespec times[2] = {before.st_atim, before.st_mtim};
        ASSERT_EQ(::futimens(fd.get(), times), 0);
    }
    TreeComparison compare(const std::function<bool(const std::string&)>& doubts = {}) const {
        settle();
        DigestOptions here;
        here.digests_path = temp.path() + "/here";
        DigestOptions there;
        there.digests_path = temp.path() + "/there";
        EXPECT_TRUE(digest_path(paths.source, here));
        EXPECT_TRUE(digest_path(paths.staging, there));
        auto found = adopt_comparison(here.digests_path, there.digests_path, paths.catalog, {}, doubts);
        EXPECT_TRUE(found) << found.error().text();
        return found ? *std::move(found) : TreeComparison{};
    }
    void take_block_maps(const std::vector<LargeDifference>& files) const {
        auto taker = BlockListTaker::open(paths.catalog);
        ASSERT_TRUE(taker);
        const UniqueFd staging = *open_directory(paths.staging);
        for (const LargeDifference& file : files) {
            taker->begin(file);
            const auto take = [&](ConstBytes part) { return taker->add(part); };
            ASSERT_TRUE(list_blocks(staging.get(), file.path, file.block_log, taker->key(), take));
            ASSERT_TRUE(taker->end());
        }
        const Status adopted = taker->adopt();
        ASSERT_TRUE(adopted) << adopted.error().text();
    }
    PassSummary pass() const {
        const auto known = TreeSender::knows_target(paths.catalog);
        EXPECT_TRUE(known && *known);
        const auto done = run_pass(paths, {});
        EXPECT_TRUE(done) << done.error().text();
        EXPECT_EQ(tree_differences(paths.source, paths.staging), "");
        EXPECT_TRUE(digests_equal(paths));
        return done ? *done : PassSummary{};
    }

    TempDirectory temp;
    const PassPaths paths{temp.path() + "/source", temp.path() + "/staging", temp.path() + "/catalog"};
};

TEST_F(Comparison, OfEqualTreesLeavesNothingToSend) {
    build_torture_tree(paths.source);
    full_pass();
    const TreeComparison found = compare();
    EXPECT_TRUE(found.is_equal()) << ::testing::PrintToString(found.first);
    EXPECT_GT(found.equal, 10U);
    const PassSummary delta = pass();
    EXPECT_EQ(delta.data_bytes_sent, 0U);
    EXPECT_EQ(delta.files_sent, 0U);
}

TEST_F(Comparison, NamesWhatDiffersAndOnlyThatIsSentAgain) {
    for (const char* name : {"good", "bad", "mode", "gone", "linked", "large"}) {
        write(paths.source + "/" + name, std::string(name == std::string("large") ? 3U << 20U : 5000, *name));
    }
    ASSERT_EQ(::link((paths.source + "/linked").c_str(), (paths.source + "/other").c_str()), 0);
    full_pass();
    damage("bad");
    ASSERT_EQ(::chmod((paths.staging + "/mode").c_str(), 0777), 0);
    ASSERT_TRUE(remove_file(paths.staging + "/gone"));
    write(paths.staging + "/stranger", "x");
    const TreeComparison found = compare();
    EXPECT_EQ(found.differing, 3U);  // the directory's time, too
    EXPECT_EQ(found.missing, 1U);
    EXPECT_EQ(found.extra, 1U);
    EXPECT_THAT(found.first, UnorderedElementsAre("bad", "mode", "gone", "stranger", "."));
    EXPECT_THAT(found.large, IsEmpty()) << "small files are sent whole";
    const PassSummary delta = pass();
    EXPECT_EQ(delta.files_sent, 3U);
    EXPECT_EQ(delta.data_bytes_sent, 15'000U);
}

// 64 scattered writes of 16 KiB into 64 MiB, and nothing known of what the target has: only they travel.
TEST_F(Comparison, OfLargeFilesOnlyTheBlocksThatDifferAreSent) {
    constexpr off_t kFileBytes = 64 << 20;
    constexpr off_t kWriteBytes = 16 << 10;
    std::mt19937_64 random(1);
    const auto noise = [&random] {
        std::string block(kWriteBytes, 0);
        for (char& byte : block) byte = static_cast<char>(random());
        return block;
    };
    {
        std::ofstream disk(paths.source + "/disk", std::ios::binary);
        for (off_t at = 0; at < kFileBytes; at += 4 * kWriteBytes) disk.seekp(at).write(noise().data(), kWriteBytes);
    }
    ASSERT_EQ(::truncate((paths.source + "/disk").c_str(), kFileBytes), 0);
    ASSERT_TRUE(make_directories(paths.source + "/below", 0755));
    write(paths.source + "/below/other", std::string(1U << 20U, 'o'));
    full_pass();
    {
        std::fstream disk(paths.source + "/disk", std::ios::binary | std::ios::in | std::ios::out);
        for (off_t i = 0; i < 64; ++i) disk.seekp(i * (kFileBytes / 64)).write(noise().data(), kWriteBytes);
    }
    write(paths.source + "/below/other", std::string(1U << 20U, 'o') + "and more");
    const TreeComparison found = compare();
    ASSERT_EQ(found.large.size(), 2U);
    take_block_maps(found.large);
    const PassSummary delta = pass();
    EXPECT_EQ(delta.patched, 2U);
    EXPECT_EQ(delta.data_bytes_sent, 64U * kWriteBytes + 8);
}

// Written in place, another name of it would change as well; and a path of a peer's leads nowhere else.
TEST_F(Comparison, OnlyFilesOfOneNameInTheTreeAreListed) {
    write(paths.staging + "/file", std::string(1U << 20U, 'f'));
    write(paths.staging + "/two", std::string(1U << 20U, 't'));
    write(temp.path() + "/outside", std::string(1U << 20U, 'o'));
    ASSERT_EQ(::link((paths.staging + "/two").c_str(), (paths.staging + "/names").c_str()), 0);
    ASSERT_EQ(::symlink("file", (paths.staging + "/link").c_str()), 0);
    ASSERT_EQ(::symlink("..", (paths.staging + "/up").c_str()), 0);
    ASSERT_EQ(::mkfifo((paths.staging + "/fifo").c_str(), 0600), 0);
    write(paths.staging + "/endless", "");
    constexpr std::uint64_t kTooMany = 2 * kBlocksPerFileMax + 1;
    ASSERT_EQ(::truncate((paths.staging + "/endless").c_str(), static_cast<off_t>(kTooMany << kBlockLogMin)), 0);
    const UniqueFd tree = *open_directory(paths.staging);
    const ByteVector key(kBlockKeyBytes);
    const auto listed = [&](const std::string& path, unsigned log = kBlockLogMin) -> Result<std::size_t> {
        std::size_t bytes = 0;
        ZF_TRY_STATUS(list_blocks(tree.get(), path, log, key, [&](ConstBytes part) {
            bytes += part.size();
            return Status();
        }));
        return bytes;
    };
    EXPECT_EQ(*listed("file"), 64 * sizeof(BlockHash));
    EXPECT_EQ(*listed("./file", kBlockLogMax), sizeof(BlockHash));
    for (const char* path :
         {"two", "names", "link", "fifo", "endless", ".", "", "gone", "../outside", "up/outside", "/etc/passwd"})
        EXPECT_EQ(*listed(path), 0U) << path;
    EXPECT_FALSE(listed("file", kBlockLogMin - 1));
    EXPECT_FALSE(listed("file", kBlockLogMax + 1));
    EXPECT_FALSE(list_blocks(tree.get(), "file", kBlockLogMin, ConstBytes(key).first(15), {}));
}

// A peer names blocks of files that do not differ: what is known of them stands.
TEST_F(Comparison, BlocksOfWhatIsEqualChangeNothing) {
    write(paths.source + "/equal", std::string(1U << 20U, 'e'));
    full_pass();
    EXPECT_TRUE(compare().is_equal());
    take_block_maps({{"equal", 1U << 20U, kBlockLogMin}});
    const PassSummary delta = pass();
    EXPECT_EQ(delta.entries_sent, 0U);
}

TEST_F(Comparison, DamagedBlockListsAreRefused) {
    auto taker = BlockListTaker::open(paths.catalog);
    ASSERT_TRUE(taker);
    ByteVector hashes(3 * sizeof(BlockHash));
    EXPECT_EQ(taker->add(hashes).error().code(), Errc::protocol);  // of what file?
    taker->begin({"disk", 3U << kBlockLogMin, kBlockLogMin});
    EXPECT_TRUE(taker->add(hashes));
    EXPECT_EQ(taker->add(ConstBytes(hashes).first(sizeof(BlockHash))).error().code(), Errc::protocol);
    taker->begin({"disk", 3U << kBlockLogMin, kBlockLogMin});
    EXPECT_EQ(taker->add(ConstBytes(hashes).first(20)).error().code(), Errc::protocol);
}

// Files that are linked on one side and not on the other have equal digests each.
TEST_F(Comparison, HardLinksBecomeThoseOfTheSource) {
    for (const char* name : {"a", "b", "c", "d", "e"}) write(paths.source + "/" + name, "the same");
    full_pass();
    const std::string source = paths.source + "/";
    const std::string staging = paths.staging + "/";
    ASSERT_TRUE(remove_file(source + "c"));
    ASSERT_EQ(::link((source + "a").c_str(), (source + "c").c_str()), 0);
    ASSERT_TRUE(remove_file(staging + "b"));
    ASSERT_EQ(::link((staging + "a").c_str(), (staging + "b").c_str()), 0);
    ASSERT_TRUE(remove_file(staging + "e"));
    ASSERT_EQ(::link((staging + "d").c_str(), (staging + "e").c_str()), 0);
    const TreeComparison found = compare();
    EXPECT_THAT(found.first, IsSupersetOf({"b", "c", "e"}));
    EXPECT_THAT(found.first, IsSubsetOf({"b", "c", "e", "."})) << "the directories may have changed in one moment";
    pass();
}

// What stands under one name on the two sides is of different kinds, or of different sizes.
TEST_F(Comparison, OnlyLikeIsComparedWithLike) {
    const std::string large(1U << 20U, 'l');
    for (const char* name : {"a", "b-file", "c-grown", "d-shrunk", "e-name"}) write(paths.source + "/" + name, large);
    ASSERT_TRUE(make_directories(paths.source + "/f-directory/below", 0755));
    ASSERT_TRUE(make_directories(paths.staging + "/b-file/below", 0755));
    write(paths.staging + "/a", large);
    ASSERT_EQ(::link((paths.staging + "/a").c_str(), (paths.staging + "/f-directory").c_str()), 0);
    write(paths.staging + "/c-grown", "small");
    write(paths.source + "/d-shrunk", "small");
    write(paths.staging + "/d-shrunk", large);
    ASSERT_TRUE(remove_file(paths.source + "/e-name"));
    ASSERT_EQ(::link((paths.source + "/a").c_str(), (paths.source + "/e-name").c_str()), 0);
    write(paths.staging + "/e-name", "x" + large);
    const TreeComparison found = compare();
    EXPECT_THAT(found.first, UnorderedElementsAre("a", "b-file", "c-grown", "d-shrunk", "e-name", "f-directory", "."));
    ASSERT_EQ(found.large.size(), 1U);
    EXPECT_EQ(found.large[0].path, "a");
    pass();
}

TEST_F(Comparison, WhatIsDoubtedDiffers) {
    for (const char* name : {"good", "doubted"}) write(paths.source + "/" + name, std::string(1U << 20U, 'x'));
    ASSERT_TRUE(make_directories(paths.source + "/directory", 0755));
    ASSERT_EQ(::symlink("x", (paths.source + "/link").c_str()), 0);
    full_pass();
    const TreeComparison found = compare([](const std::string& path) { return !path.empty() && path != "good"; });
    EXPECT_THAT(found.first, UnorderedElementsAre("doubted", "directory"));
    EXPECT_THAT(found.large, IsEmpty()) << "its blocks are as they were";
    EXPECT_EQ(pass().files_sent, 1U);
}

TEST_F(Comparison, AttributesOfFilesAreDoubts) {
    for (const char* name : {"plain", "marked"}) write(paths.source + "/" + name, name);
    ASSERT_EQ(::symlink("plain", (paths.source + "/link").c_str()), 0);
    const UniqueFd marked(::open((paths.source + "/marked").c_str(), O_RDONLY));
    unsigned flags = FS_NODUMP_FL;
    if (::ioctl(marked.get(), FS_IOC_SETFLAGS, &flags) != 0) {
        ASSERT_FALSE(is_disk_file_system(temp.path()));
        GTEST_SKIP() << "this file system has no flags";
    }
    const UniqueFd tree = *open_directory(paths.source);
    const auto doubts = has_file_attributes(tree.get());
    EXPECT_TRUE(doubts("marked"));
    EXPECT_TRUE(doubts("gone"));
    EXPECT_TRUE(doubts("link")) << "it cannot be told";
    EXPECT_FALSE(doubts("plain"));
    EXPECT_FALSE(doubts(""));
}

// Of a pass that was cut off nothing is known any more, whatever it had acknowledged.
TEST_F(Comparison, StandsInPlaceOfThePassBefore) {
    for (int i = 10; i < 30; ++i) write(paths.source + "/" + std::to_string(i), std::string(5'000, 'x'));
    write(paths.source + "/a", "the last");
    settle();
    PassOptions options;
    options.send.segment_bytes = 5'000;
    options.segments_between_acks = 1;
    options.link_holds = [](std::uint64_t number) { return number < 10; };
    const auto cut = run_pass(paths, options);
    ASSERT_FALSE(cut);
    ASSERT_EQ(cut.error().code(), Errc::peer_lost);
    damage("11");
    EXPECT_THAT(compare().first, Contains("11"));
    pass();
}

TEST_F(Comparison, NamesSomeOfManyDifferences) {
    const auto list = [&](const std::string& path, std::byte content) {
        auto out = CatalogWriter::create(path, "a boot.1");
        CatalogEntry entry;
        entry.kind = CatalogKind::directory;
        out->add(entry);
        entry.kind = CatalogKind::leaf;
        entry.identity.mode = S_IFREG;
        entry.identity.size = kBlockFileBytesMin;
        entry.digest.emplace().fill(content);
        for (std::size_t i = 0; i <= kLargeDifferencesMax; ++i) {
            entry.name = std::to_string(1'000'000 + i);
            out->add(entry);
            ASSERT_TRUE(out->flush_if_large());
        }
        entry.kind = CatalogKind::directory_end;
        out->add(entry);
        out->add({});
        ASSERT_TRUE(out->flush());
    };
    list(temp.path() + "/here", std::byte{1});
    list(temp.path() + "/there", std::byte{2});
    const auto found = adopt_comparison(temp.path() + "/here", temp.path() + "/there", paths.catalog);
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_EQ(found->differing, kLargeDifferencesMax + 2);
    EXPECT_EQ(found->large.size(), kLargeDifferencesMax);
    EXPECT_EQ(found->first.size(), 10U);
}

TEST_F(Comparison, RandomTreesArriveAfterEachOther) {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        SCOPED_TRACE(seed);
        RandomTree tree(paths.source, seed);
        tree.build(30);
        full_pass();
        tree.mutate(20);
        RandomTree(paths.staging, seed + 1000).mutate(5);
        const TreeComparison found = compare();
        if (seed % 2 == 0) take_block_maps(found.large);
        pass();
        ASSERT_TRUE(remove_tree(paths.source));
        ASSERT_TRUE(make_directories(paths.source, 0755));
    }
}

TEST_F(Comparison, WhatIsNoListOfDigestsIsRefused) {
    write(paths.source + "/file", "content");
    full_pass();
    DigestOptions options;
    options.digests_path = temp.path() + "/here";
    settle();
    ASSERT_TRUE(digest_path(paths.source, options));
    const auto whole = read_file(options.digests_path, 1 << 20);
    ASSERT_TRUE(whole);
    const std::string there = temp.path() + "/there";
    for (std::size_t bytes = 0; bytes < whole->size(); bytes += 7) {
        write(there, whole->substr(0, bytes));
        const auto cut = adopt_comparison(options.digests_path, there, paths.catalog);
        ASSERT_FALSE(cut) << bytes;
        EXPECT_EQ(cut.error().code(), Errc::protocol);
        std::string flipped = *whole;
        flipped[bytes] = static_cast<char>(flipped[bytes] ^ 0x10);
        write(there, flipped);
        (void)adopt_comparison(options.digests_path, there, paths.catalog);  // sound or refused, never worse
    }
    write(there, *whole);
    ASSERT_TRUE(adopt_comparison(options.digests_path, there, paths.catalog));
    auto empty = CatalogWriter::create(options.digests_path, "a boot.1");
    ASSERT_TRUE(empty);
    EXPECT_FALSE(adopt_comparison(options.digests_path, there, paths.catalog)) << "ours has no root";
}

TEST_F(Comparison, ContentsDoNotCountWhereOnlyMetadataIsAskedFor) {
    write(paths.source + "/file", std::string(5000, 'x'));
    full_pass();
    damage("file");
    DigestOptions options;
    options.contents = false;
    const auto here = digest_path(paths.source, options);
    auto there = digest_path(paths.staging, options);
    ASSERT_TRUE(here && there);
    EXPECT_EQ(here->digest, there->digest);
    EXPECT_EQ(here->bytes_read, 0U);
    ASSERT_EQ(::chmod((paths.staging + "/file").c_str(), 0600), 0);
    there = digest_path(paths.staging, options);
    ASSERT_TRUE(there);
    EXPECT_NE(here->digest, there->digest);
    EXPECT_FALSE(digests_equal(paths));
}

// What a directory hands down to what is made in it must not stay on what is received there.
TEST_F(Comparison, DefaultAclsOfTheTargetAreNotInherited) {
    ASSERT_TRUE(make_directories(paths.source + "/old", 0755));
    full_pass();
    const unsigned char acl[] = {2, 0, 0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 2,   0,  7,
                                 0, 5, 0,   0,   0,   4,   0,  5, 0,   255, 255, 255, 255, 16, 0,
                                 7, 0, 255, 255, 255, 255, 32, 0, 5,   0,   255, 255, 255, 255};
    const std::string directory = paths.source + "/old";
    if (::setxattr(directory.c_str(), "system.posix_acl_default", acl, sizeof acl, 0) != 0) {
        ASSERT_FALSE(is_disk_file_system(temp.path()));
        GTEST_SKIP() << "this file system has no ACLs";
    }
    settle();
    ASSERT_TRUE(run_pass(paths, {}));
    ASSERT_TRUE(make_directories(directory + "/plain", 0755));
    for (const std::string& place : {directory + "/plain", directory}) {
        write(place + "/file", "x");
        ASSERT_EQ(::chmod((place + "/file").c_str(), 0644), 0);
        for (const char* name : {"system.posix_acl_access", "system.posix_acl_default"}) {
            (void)::removexattr((place + "/file").c_str(), name);
            if (place != directory) (void)::removexattr(place.c_str(), name);
        }
    }
    settle();
    ASSERT_TRUE(run_pass(paths, {}));
    EXPECT_EQ(tree_differences(paths.source, paths.staging), "");
}

}  // namespace
}  // namespace zoneferry
