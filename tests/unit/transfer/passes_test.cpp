// What a later pass sends, and what it leaves out: changed blocks, moves, attributes, digests known from before.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "core/base/process.h"
#include "tests/support/disk_file_system.h"
#include "tests/support/temp_directory.h"
#include "tests/support/torture_tree.h"
#include "tests/support/tree_facts.h"
#include "tests/support/tree_pass.h"

namespace zoneferry {
namespace {

using ::testing::HasSubstr;

class Passes : public ::testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: owners, file flags";
        ASSERT_TRUE(make_directories(paths.source, 0755));
        ASSERT_TRUE(make_directories(paths.staging, 0700));
    }
    std::string at(const std::string& name) const { return paths.source + "/" + name; }
    static void settle() { ::usleep(60'000); }
    // Noise, so that every block is another one.
    void make_large(const std::string& name, std::size_t bytes) const {
        std::mt19937_64 random(bytes);
        std::string content(bytes, '\0');
        for (std::size_t i = 0; i + 8 <= bytes; i += 8) {
            const std::uint64_t word = random();
            std::memcpy(content.data() + i, &word, 8);
        }
        std::ofstream(at(name), std::ios::binary) << content;
    }
    void write_at(const std::string& name, off_t offset, std::size_t bytes, char with) const {
        const UniqueFd fd(::open(at(name).c_str(), O_WRONLY));
        const std::string data(bytes, with);
        ASSERT_EQ(::pwrite(fd.get(), data.data(), data.size(), offset), static_cast<ssize_t>(bytes));
    }
    PassSummary pass(PassOptions options = {}) const {
        settle();
        const auto done = run_pass(paths, std::move(options));
        EXPECT_TRUE(done) << done.error().text();
        EXPECT_EQ(tree_differences(paths.source, paths.staging), "");
        return done ? *done : PassSummary{};
    }

    TempDirectory temp;
    const PassPaths paths{temp.path() + "/source", temp.path() + "/staging", temp.path() + "/catalog"};
};

// The first names of hard links are held only until the last is met: what is held at once does not grow with the tree.
TEST_F(Passes, FirstNamesAreForgottenWhenAllAreMet) {
    constexpr int kFarApart = 5;
    for (const char* directory : {"a", "m", "z"}) ASSERT_TRUE(make_directories(at(directory), 0755));
    const auto link = [&](const std::string& from, const std::string& to) {
        ASSERT_EQ(::link(at(from).c_str(), at(to).c_str()), 0) << to;
    };
    for (int i = 0; i < 400; ++i) {
        const std::string name = "m/" + std::to_string(1000 + i);
        std::ofstream(at(name)) << i;
        link(name, name + "b");
        link(name, name + "c");
    }
    for (int i = 0; i < kFarApart; ++i) {
        std::ofstream(at("a/far" + std::to_string(i))) << i;
        link("a/far" + std::to_string(i), "z/far" + std::to_string(i));
    }
    EXPECT_EQ(pass().open_links_max, kFarApart + 1);
    const PassSummary second = pass();
    EXPECT_EQ(second.entries_sent, 0U);
    EXPECT_EQ(second.open_links_max, kFarApart + 1);
    link("m/1000", "z/late");
    const PassSummary third = pass();
    EXPECT_EQ(third.data_bytes_sent, 1U) << "its names are one inode again";
}

TEST_F(Passes, OnlyChangedBlocksOfALargeFileAreSent) {
    make_large("database", 8 << 20);
    pass();
    write_at("database", 100'000, 10, 'x');
    write_at("database", 5'000'000, 20'000, 'y');
    const auto delta = pass();
    EXPECT_EQ(delta.patched, 1U);
    EXPECT_LE(delta.data_bytes_sent, 4U * 16'384);
    EXPECT_GT(delta.data_bytes_sent, 20'000U);
    // Touched, but the same content: nothing of it is sent.
    ASSERT_EQ(::utimensat(AT_FDCWD, at("database").c_str(), nullptr, 0), 0);
    EXPECT_EQ(pass().data_bytes_sent, 0U);
    // Grown, cut, punched, and a hole filled.
    ASSERT_EQ(::truncate(at("database").c_str(), 12 << 20), 0);
    EXPECT_EQ(pass().data_bytes_sent, 0U);
    write_at("database", 11 << 20, 5, 'z');
    EXPECT_LE(pass().data_bytes_sent, 16'384U);
    {
        const UniqueFd fd(::open(at("database").c_str(), O_RDWR));
        ASSERT_EQ(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, 3 << 20), 0);
    }
    EXPECT_LE(pass().data_bytes_sent, 16'384U);
    ASSERT_EQ(::truncate(at("database").c_str(), 3'333'333), 0);
    EXPECT_LE(pass().data_bytes_sent, 16'384U);
}

TEST_F(Passes, AHoleUpToTheEndOfALargeFileTakesTheLastBlock) {
    constexpr off_t kBytes = 186 * 4096 - 250;
    make_large("database", kBytes);
    pass();
    ASSERT_EQ(::truncate(at("database").c_str(), 180 * 4096), 0);
    ASSERT_EQ(::truncate(at("database").c_str(), kBytes), 0);
    EXPECT_EQ(pass().patched, 1U);
}

// Six blocks apart, then those between: the extents need a block of their own, and the file has as many as if it had
// no hole.
TEST_F(Passes, AHoleIsKeptInAFileWithABlockOfExtents) {
    const UniqueFd fd(::open(at("pieces").c_str(), O_RDWR | O_CREAT, 0644));
    const std::string block(4096, 'x');
    for (const off_t first : {0, 1}) {
        for (off_t number = first; number <= (first == 0 ? 10 : 7); number += 2) {
            ASSERT_EQ(::pwrite(fd.get(), block.data(), block.size(), number * 4096), 4096);
        }
        ASSERT_EQ(::fsync(fd.get()), 0);
    }
    struct stat info {};
    ASSERT_EQ(::fstat(fd.get(), &info), 0);
    if (info.st_blocks != 11 * 8) GTEST_SKIP() << "this file system has no such block";
    pass();
}

// A store into a page that is dirty already sets no ctime; the pass must have cleaned the page before it read it.
TEST_F(Passes, AStoreThroughAMappingIsSeenAlsoInADirtyPage) {
    for (const char* name : {"small", "large"}) {
        const std::size_t bytes = name == std::string("small") ? 4096 : 1 << 20;
        make_large(name, bytes);
        const UniqueFd file(::open(at(name).c_str(), O_RDWR));
        ASSERT_EQ(::fsync(file.get()), 0);
        void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
        ASSERT_NE(memory, MAP_FAILED);
        auto* first = static_cast<volatile char*>(memory);
        *first = 'a';
        DigestOptions kept;  // (a pass would not show it here: its receiver syncs the very same file system)
        kept.digests_path = temp.path() + "/digests";
        settle();
        const auto before = digest_path(paths.source, kept);
        ASSERT_TRUE(before);
        settle();
        *first = 'b';
        const auto after = digest_path(paths.source, kept);
        ASSERT_TRUE(after);
        EXPECT_NE(to_hex(before->digest), to_hex(after->digest)) << name;
        EXPECT_GE(pass().files_sent, 1U) << name;  // it compares both trees
        ::munmap(memory, bytes);
    }
}

TEST_F(Passes, APatchThroughOneNameReachesTheOthersAndOnlyThem) {
    make_large("b", 1 << 20);
    ASSERT_EQ(::link(at("b").c_str(), at("a").c_str()), 0);
    ASSERT_EQ(::link(at("b").c_str(), at("c").c_str()), 0);
    pass();
    write_at("b", 70'000, 100, 'x');
    EXPECT_LE(pass().data_bytes_sent, 2U * 16'384);
    // One name becomes a file of its own with the old content, the others change.
    ASSERT_TRUE(run_checked({"cp", "-p", "--remove-destination", at("b"), at("copy")}));
    ASSERT_EQ(::rename(at("copy").c_str(), at("c").c_str()), 0);
    write_at("a", 200'000, 100, 'y');
    pass();
    ASSERT_EQ(::unlink(at("a").c_str()), 0);
    write_at("b", 300'000, 100, 'z');
    EXPECT_LE(pass().data_bytes_sent, 2U * 16'384);
}

TEST_F(Passes, MovedFilesAndDirectoriesAreNotSentAgain) {
    make_large("m-file", 2 << 20);
    ASSERT_TRUE(make_directories(at("m-directory/below"), 0755));
    for (int i = 0; i < 50; ++i) std::ofstream(at("m-directory/below/f" + std::to_string(i))) << std::string(5000, 'x');
    make_large("m-directory/large", 1 << 20);
    pass();
    for (const std::string prefix : {"a", "z", "n/deeper"}) {  // before, behind, elsewhere
        SCOPED_TRACE(prefix);
        ASSERT_TRUE(prefix[0] != 'n' || make_directories(at("n"), 0755));
        const auto from = [&, last = prefix == "a"   ? "m"
                                     : prefix == "z" ? "a"
                                                     : "z"](const std::string& what) { return at(last + what); };
        ASSERT_EQ(::rename(from("-file").c_str(), at(prefix + "-file").c_str()), 0);
        ASSERT_EQ(::rename(from("-directory").c_str(), at(prefix + "-directory").c_str()), 0);
        const auto delta = pass();
        EXPECT_EQ(delta.data_bytes_sent, 0U);
        EXPECT_EQ(delta.moved, 2U);
    }
    // Two directories change places, and a file goes from one to the other.
    ASSERT_TRUE(make_directories(at("other"), 0755));
    make_large("other/inside", 1 << 20);
    pass();
    ASSERT_EQ(::renameat2(AT_FDCWD, at("other").c_str(), AT_FDCWD, at("n").c_str(), RENAME_EXCHANGE), 0);
    ASSERT_EQ(::rename(at("n/inside").c_str(), at("other/inside").c_str()), 0);
    EXPECT_LE(pass().data_bytes_sent, static_cast<std::uint64_t>(1 << 20)) << "one of them at most";
    EXPECT_FALSE(path_exists(paths.staging + "/.zoneferry-moved"));
}

// As where the target's tree is a subvolume.
TEST_F(Passes, WhatMayNotBePutAsideIsSentAgain) {
    make_large("m-file", 1 << 20);
    ASSERT_TRUE(make_directories(at("m-directory/below"), 0755));
    pass();
    ASSERT_EQ(::rename(at("m-file").c_str(), at("z-file").c_str()), 0);
    ASSERT_EQ(::rename(at("m-directory").c_str(), at("z-directory").c_str()), 0);
    ::usleep(60'000);
    const auto delta = run_pass(paths, {.send = {.may_put_aside = false}});
    ASSERT_TRUE(delta) << delta.error().text();
    EXPECT_EQ(delta->moved, 0U);
    EXPECT_GE(delta->data_bytes_sent, 1U << 20U);
    EXPECT_TRUE(digests_equal(paths));
}

TEST_F(Passes, LogsThatRotateAreMoved) {
    make_large("log", 1 << 20);
    make_large("log.1", (1 << 20) + 100'000);
    pass();
    ASSERT_EQ(::rename(at("log.1").c_str(), at("log.2").c_str()), 0);
    ASSERT_EQ(::rename(at("log").c_str(), at("log.1").c_str()), 0);
    std::ofstream(at("log")) << "begun anew";
    const auto delta = pass();
    EXPECT_EQ(delta.moved, 2U);
    EXPECT_EQ(delta.data_bytes_sent, 10U);
}

TEST_F(Passes, AnInterruptedPatchSendsOnlyWhatIsNotSure) {
    make_large("database", 32 << 20);
    pass();
    for (int i = 0; i < 256; ++i) write_at("database", i * 131'072, 16'384, static_cast<char>('a' + i % 26));
    settle();
    PassOptions options;
    options.segments_between_acks = 1;
    options.send.segment_bytes = 100'000;
    options.link_holds = [](std::uint64_t number) { return number < 30; };
    ASSERT_FALSE(run_pass(paths, options));
    options.link_holds = {};
    const auto rest = pass(options);
    EXPECT_LT(rest.data_bytes_sent, 256U * 16'384 - 29 * 90'000);
    EXPECT_GT(rest.data_bytes_sent, 0U);
}

TEST_F(Passes, ADamagedBlockMapSendsTheWholeFile) {
    make_large("database", 1 << 20);
    pass();
    std::fstream(paths.catalog + ".blocks", std::ios::in | std::ios::out | std::ios::binary).seekp(200).put('!');
    write_at("database", 5, 5, 'x');
    EXPECT_EQ(pass().data_bytes_sent, static_cast<std::uint64_t>(1 << 20));
}

// ---- file attributes ----

unsigned flags_of(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY));
    unsigned flags = 0;
    EXPECT_EQ(::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags), 0);
    return flags & (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL);
}
bool set_flags(const std::string& path, unsigned wanted) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY));
    unsigned flags = 0;
    if (::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) return false;
    flags = (flags & ~static_cast<unsigned>(FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)) | wanted;
    return ::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags) == 0;
}

TEST_F(Passes, ImmutableAndOtherFlagsArriveAndDoNotStandInTheWay) {
    ASSERT_TRUE(make_directories(at("d"), 0755));
    std::ofstream(at("d/frozen")) << "content";
    make_large("d/log", 1 << 20);
    ASSERT_EQ(::link(at("d/frozen").c_str(), at("d/name").c_str()), 0);
    std::ofstream(at("nodump")) << "x";
    if (!set_flags(at("nodump"), FS_NODUMP_FL | FS_NOATIME_FL)) {
        ASSERT_FALSE(is_disk_file_system(temp.path()));
        GTEST_SKIP() << "this file system has no flags";
    }
    ASSERT_TRUE(set_flags(at("d/frozen"), FS_IMMUTABLE_FL));
    ASSERT_TRUE(set_flags(at("d/log"), FS_APPEND_FL));
    ASSERT_TRUE(set_flags(at("d"), FS_IMMUTABLE_FL));
    const auto compare = [&] {
        for (const char* name : {"/d", "/d/frozen", "/d/log", "/nodump"}) {
            EXPECT_EQ(flags_of(paths.staging + name), flags_of(paths.source + name)) << name;
        }
    };
    pass();
    compare();
    // All of it changes, with the flags still on at the target.
    ASSERT_TRUE(set_flags(at("d"), 0) && set_flags(at("d/frozen"), 0) && set_flags(at("d/log"), 0));
    std::ofstream(at("d/frozen")) << "other";
    write_at("d/log", 1000, 10, 'x');
    ASSERT_EQ(::rename(at("d/log").c_str(), at("d/a-log").c_str()), 0);
    ASSERT_EQ(::rename(at("d/a-log").c_str(), at("d/log").c_str()), 0);
    std::ofstream(at("d/new")) << "new";
    ASSERT_TRUE(set_flags(at("d/frozen"), FS_IMMUTABLE_FL));
    ASSERT_TRUE(set_flags(at("d"), FS_APPEND_FL));
    pass();
    compare();
    ASSERT_TRUE(set_flags(at("d"), 0));
    ASSERT_EQ(::rename(at("d").c_str(), at("e").c_str()), 0);
    pass();
    ASSERT_TRUE(set_flags(at("e/frozen"), 0));
    ASSERT_TRUE(remove_tree(at("e")));
    pass();
    EXPECT_TRUE(remove_tree(paths.staging));
}

TEST_F(Passes, XattrsThatStayBehindAreSaid) {
    std::ofstream(at("labelled")) << "x";
    if (::setxattr(at("labelled").c_str(), "security.zf-test", "l", 1, 0) != 0) {
        ASSERT_FALSE(is_disk_file_system(temp.path()));
        GTEST_SKIP() << "no such xattrs here";
    }
    settle();
    const auto done = run_pass(paths, {});
    ASSERT_TRUE(done);
    ASSERT_EQ(done->notes.size(), 1U);
    EXPECT_THAT(done->notes[0], HasSubstr("security.zf-test of labelled"));
}

// ---- hostile streams of the newer records ----

TEST_F(Passes, HostileOriginsStashesAndHolesAreRefused) {
    ASSERT_TRUE(replace_file(paths.staging + "/victim", "content", 0600));
    ASSERT_TRUE(replace_file(paths.staging + "/mine", "the host's", 0600));
    ASSERT_TRUE(make_directories(paths.staging + "/x/y", 0700));
    ASSERT_EQ(::symlink("../outside", (paths.staging + "/z-link").c_str()), 0);
    ASSERT_TRUE(make_directories(temp.path() + "/outside", 0700));
    ASSERT_TRUE(replace_file(temp.path() + "/outside/canary", "untouched", 0600));
    const auto refused = [&](const std::vector<Record>& records, const std::string& why) {
        TreeSegment segment;
        append_record(segment.payload, BeginRecord{});
        for (const Record& record : records) append_record(segment.payload, record);
        segment.raw_bytes = static_cast<std::uint32_t>(segment.payload.size());
        auto receiver = TreeReceiver::start(*open_directory(paths.staging), {.preserved = {"mine"}});
        ASSERT_TRUE(receiver);
        const Status done = (*receiver)->accept(segment);
        ASSERT_FALSE(done) << why;
        EXPECT_THAT(done.error().text(), HasSubstr(why));
    };
    const auto from = [](std::vector<std::string_view> path) { return Origin{Origin::Kind::path, std::move(path), 0}; };
    const Origin here{Origin::Kind::here, {}, 0};
    const auto file = [](Origin origin, std::string_view name, std::uint64_t size = 10) {
        Metadata metadata;
        metadata.mode = 0600;
        return FileRecord{std::move(origin), size, metadata, name};
    };
    refused({file(from({"a"}), "b")}, "where the pass has been");
    refused({file(from({"b"}), "b")}, "where the pass has been");
    refused({EnterRecord{from({"b", "c"}), "b"}}, "where the pass has been");
    refused({EnterRecord{{}, "b"}, EnterRecord{from({"b"}), "c"}}, "where the pass has been");
    refused({file(from({"mine"}), "a")}, "host's own");
    refused({EnterRecord{from({".zoneferry-moved"}), "!"}}, "host's own");
    refused({file(from({"x"}), "a")}, "a");                 // a directory as a file
    refused({EnterRecord{from({"victim"}), "a"}}, "a");     // a file as a directory
    refused({file(from({"z-link", "canary"}), "a")}, "a");  // through a link
    refused({file(from({"z-link"}), "a")}, "a");            // the link itself
    refused({file(from({"missing"}), "a")}, "a");
    refused({file(Origin{Origin::Kind::stash, {}, 0}, "a")}, "not put aside");
    refused({StashRecord{"x"}, EnterRecord{Origin{Origin::Kind::stash, {}, 1}, "x"}}, "not put aside");
    refused({StashRecord{"missing"}, EnterRecord{Origin{Origin::Kind::stash, {}, 0}, "n"},
             EnterRecord{Origin{Origin::Kind::stash, {}, 0}, "o"}},
            "n");
    refused({StashRecord{"mine"}}, "host's own");
    refused({StashRecord{".zoneferry-moved"}}, "host's own");
    refused({EnterRecord{{}, ".zoneferry-moved"}}, "host's own");
    refused({StashRecord{"q"}, StashRecord{"q"}}, "twice");
    refused({StashRecord{"q"}, StashRecord{"p"}}, "twice");
    refused({RemoveRecord{"q"}, StashRecord{"q"}}, "out of order");
    ASSERT_TRUE(replace_file(paths.staging + "/victim", "content", 0600));  // moved by one of the above
    refused({HoleRecord{0, 10}}, "belongs to a file");
    refused({file({}, "n"), HoleRecord{0, 10}}, "needs no holes");
    refused({file(here, "victim"), HoleRecord{0, 11}}, "behind its end");
    refused({file(here, "victim"), HoleRecord{UINT64_MAX, 2}}, "behind its end");
    refused({file(here, "victim"), HoleRecord{5, 2}, HoleRecord{0, 2}}, "out of order");
    refused({file(here, "victim"), HoleRecord{5, 0}}, "no length");
    refused({file(here, "z-link")}, "z-link");
    EXPECT_EQ(*read_file(paths.staging + "/mine", 100), "the host's");
    EXPECT_EQ(*read_file(temp.path() + "/outside/canary", 100), "untouched");
    struct stat canary {};
    ASSERT_EQ(::stat((temp.path() + "/outside/canary").c_str(), &canary), 0);
    EXPECT_EQ(canary.st_nlink, 1U);
}

// ---- digests known from before ----

TEST_F(Passes, TheSecondDigestReadsOnlyWhatChanged) {
    build_torture_tree(paths.source);
    make_large("zz-large", 3 << 20);
    settle();
    const DigestOptions fresh;
    DigestOptions kept;
    kept.digests_path = temp.path() + "/digests";
    kept.tolerate_changes = true;
    const auto plain = digest_path(paths.source, fresh);
    const auto first = digest_path(paths.source, kept);
    kept.tolerate_changes = false;
    const auto second = digest_path(paths.source, kept);
    ASSERT_TRUE(plain && first && second);
    EXPECT_EQ(first->digest, plain->digest);
    EXPECT_EQ(second->digest, plain->digest);
    EXPECT_EQ(first->bytes_read, plain->bytes_read);
    EXPECT_EQ(second->bytes_read, 0U);
    EXPECT_EQ(second->bytes, plain->bytes);
    // A changed byte with the old size and times put back is found: the change time cannot be put back.
    struct stat before {};
    ASSERT_EQ(::stat(at("zz-large").c_str(), &before), 0);
    write_at("zz-large", 1'000'000, 1, 'x');
    const timespec times[2] = {before.st_atim, before.st_mtim};
    ASSERT_EQ(::utimensat(AT_FDCWD, at("zz-large").c_str(), times, 0), 0);
    settle();
    const auto third = digest_path(paths.source, kept);
    ASSERT_TRUE(third);
    EXPECT_NE(third->digest, plain->digest);
    EXPECT_EQ(third->digest, digest_path(paths.source, fresh)->digest);
    EXPECT_EQ(third->bytes_read, static_cast<std::uint64_t>(3 << 20));
    // So are a changed xattr, a new entry, one that went, and a damaged file of digests changes nothing.
    ASSERT_EQ(::truncate(kept.digests_path.c_str(), 1000), 0);
    ASSERT_TRUE(remove_file(at("one")));
    std::ofstream(at("page2")) << "new";
    const auto fourth = digest_path(paths.source, kept);
    ASSERT_TRUE(fourth);
    EXPECT_EQ(fourth->digest, digest_path(paths.source, fresh)->digest);
}

TEST_F(Passes, WhatWasWrittenJustBeforeTheFirstDigestIsReadAgain) {
    DigestOptions kept;
    kept.digests_path = temp.path() + "/digests";
    for (int i = 0; i < 20; ++i) {
        std::ofstream(at("file")) << "before" << i;
        ASSERT_TRUE(digest_path(paths.source, kept));
        std::ofstream(at("file")) << "behind" << i;
        ASSERT_EQ(digest_path(paths.source, kept)->digest, digest_path(paths.source)->digest);
    }
}

TEST_F(Passes, RandomTreesHaveTheSameDigestWithAndWithoutKnownOnes) {
    DigestOptions kept;
    kept.digests_path = temp.path() + "/digests";
    for (std::uint64_t seed = 0; seed < 15; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        RandomTree tree(paths.source, seed);
        tree.build(20);
        for (int round = 0; round < 4; ++round) {
            ASSERT_EQ(digest_path(paths.source, kept)->digest, digest_path(paths.source)->digest);
            tree.mutate(6);
        }
    }
}

}  // namespace
}  // namespace zoneferry
