// Digests that are told again by what the kernel announced as changed: always the same as those of the whole tree.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "tests/support/changing_tree.h"
#include "tests/support/torture_tree.h"
#include "transfer/followed_digest.h"
#include "transfer/record.h"

namespace zoneferry {
namespace {

using ::testing::HasSubstr;

Digest some_key(int byte = 7) {
    Digest key{};
    key.fill(static_cast<std::byte>(byte));
    return key;
}

class Followed : public ChangingTree {
protected:
    void SetUp() override {
        ChangingTree::SetUp();
        options.digests_path = temp.path() + "/digests";
        options.threads = 2;
        options.tolerate_changes = true;
    }

    TreeDigest fresh(int key = 7) const {
        DigestOptions plain = options;
        plain.digests_path.clear();
        plain.tolerate_changes = false;
        FollowedDigest other;
        const auto digest = other.whole(tree, plain, some_key(key), false);
        EXPECT_TRUE(digest) << digest.error().text();
        return digest ? *digest : TreeDigest{};
    }
    void begin() {
        const auto digest = followed.whole(tree, options, some_key(), true);
        ASSERT_TRUE(digest) << digest.error().text();
        first = *digest;
    }
    TreeDigest finish() {
        const auto digest = followed.again(tree, options, some_key());
        EXPECT_TRUE(digest) << digest.error().text();
        if (!digest) return {};
        const TreeDigest whole = fresh();
        EXPECT_EQ(to_hex(digest->digest), to_hex(whole.digest));
        EXPECT_EQ(digest->entries, whole.entries);
        EXPECT_EQ(digest->bytes, whole.bytes);
        return *digest;
    }
    TreeDigest finish_by_changes() {
        const TreeDigest digest = finish();
        EXPECT_EQ(followed.why_whole(), "");
        return digest;
    }

    DigestOptions options;
    TreeDigest first;
    FollowedDigest followed;
};

TEST_P(Followed, NothingChangedLooksAtTheRootOnly) {
    make_tree();
    begin();
    const TreeDigest again = finish_by_changes();
    EXPECT_EQ(again.digest, first.digest);
    EXPECT_EQ(again.looked_at, 1U);
    EXPECT_EQ(again.bytes_read, 0U);
}

TEST_P(Followed, EveryKindOfChangeIsSeen) {
    make_tree();
    begin();
    change_in_every_way();
    const TreeDigest again = finish_by_changes();
    EXPECT_NE(again.digest, first.digest);
    EXPECT_LT(again.looked_at, 40U);
}

TEST_P(Followed, WhatWasWrittenWhileItWasRead) {
    make_tree();
    for (int i = 0; i < 20; ++i) {
        write("a/one", "before" + std::to_string(i));
        begin();
        write("a/one", "behind" + std::to_string(i));
        finish_by_changes();
    }
}

TEST_P(Followed, StoresThroughAMapping) {
    make_tree();
    write("mapped", std::string(100'000, 'm'));
    UniqueFd fd(::open(at("mapped").c_str(), O_RDWR));
    auto* const memory = static_cast<char*>(::mmap(nullptr, 100'000, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
    ASSERT_NE(memory, MAP_FAILED);
    memory[5] = 'n';
    begin();
    memory[6] = 'n';
    fd.reset();
    memory[80'000] = 'n';
    ::munmap(memory, 100'000);
    finish_by_changes();
}

TEST_P(Followed, DirectoriesThatMoveComeAndGo) {
    make_tree();
    ASSERT_TRUE(make_directories(outside("in/deep"), 0755));
    std::ofstream(outside("in/deep/file")) << "from outside";
    begin();
    move(at("a/b"), at("z/b2"));
    write("z/b2/c/three", "changed behind the move");
    move(at("d/many17"), at("a/many17"));
    move(at("empty"), at("aa"));
    move(outside("in"), at("a/in"));
    ASSERT_EQ(::renameat2(AT_FDCWD, at("a").c_str(), AT_FDCWD, at("z").c_str(), RENAME_EXCHANGE), 0);
    ASSERT_EQ(::unlink(at("d/four").c_str()), 0);
    ASSERT_EQ(::mkdir(at("d/four").c_str(), 0700), 0);
    finish_by_changes();
}

TEST_P(Followed, FilesOfSeveralNames) {
    make_tree();
    write("d/pair", "pair");
    link(at("d/pair"), at("a/pair"));
    settle();
    begin();
    write("a/one", "changed");
    finish_by_changes();
    const auto changes = {
        std::function<void()>([&] { write("d/pair", "written"); }),
        std::function<void()>([&] { link(at("d/pair"), at("z/pair")); }),
        std::function<void()>([&] { ASSERT_EQ(::unlink(at("z/pair").c_str()), 0); }),
        std::function<void()>([&] { move(at("a/pair"), at("a/pair2")); }),
        std::function<void()>([&] { link(at("z/five"), at("z/six")); }),
        std::function<void()>([&] { ASSERT_EQ(::unlink(at("a/pair2").c_str()), 0); }),
        std::function<void()>([&] { move(at("z"), at("aa")); }),
        std::function<void()>([&] { ASSERT_EQ(::chmod(at("aa/six").c_str(), 0600), 0); }),
        std::function<void()>([&] {
            ASSERT_EQ(::unlink(at("aa/five").c_str()), 0);
            ASSERT_EQ(::unlink(at("aa/six").c_str()), 0);
        }),
    };
    for (const auto& change : changes) {
        begin();
        change();
        EXPECT_LT(finish_by_changes().looked_at, 20U);
    }
    begin();
    link(at("a/one"), outside("one"));
    finish();
    EXPECT_THAT(followed.why_whole(), HasSubstr("not all names"));
    begin();  // now that one of them is outside, a write by it is not announced
    std::ofstream(outside("one")) << "written outside";
    finish();
    EXPECT_THAT(followed.why_whole(), HasSubstr("not all names"));
    begin();  // as if its second name had been made while the tree was read
    ASSERT_EQ(::unlink(outside("one").c_str()), 0);
    finish_by_changes();
}

TEST_P(Followed, DoubtsMeanTheWholeTree) {
    make_tree();
    finish();
    EXPECT_THAT(followed.why_whole(), HasSubstr("while the zone ran"));
    begin();
    finish_by_changes();
    finish();  // only once
    EXPECT_THAT(followed.why_whole(), HasSubstr("before"));
    begin();
    move(at("a/b"), outside("b"));
    finish();
    EXPECT_THAT(followed.why_whole(), HasSubstr("moved out"));
    begin();
    ASSERT_TRUE(digest_tree(*open_directory(tree), options));  // writes the file of digests anew
    finish();
    EXPECT_THAT(followed.why_whole(), HasSubstr("another one"));
    begin();
    ASSERT_EQ(::truncate(options.digests_path.c_str(), 5'000), 0);
    write("z/five", "changed");
    finish();
    EXPECT_NE(followed.why_whole(), "");
    begin();
    const auto other = followed.again(tree, options, some_key(8));
    ASSERT_TRUE(other);
    EXPECT_EQ(other->digest, fresh(8).digest);
    EXPECT_NE(other->digest, fresh(7).digest);
    EXPECT_NE(followed.why_whole(), "");
}

TEST_P(Followed, ExcludedNamesStayOut) {
    make_tree();
    options.excluded = {"a/b", "secret", "new/secret"};
    begin();
    write("secret", "s");
    write("a/b/two", "changed");
    EXPECT_EQ(finish_by_changes().entries, first.entries);
    begin();
    ASSERT_EQ(::mkdir(at("new").c_str(), 0755), 0);
    write("new/secret", "s");
    EXPECT_EQ(finish_by_changes().entries, first.entries + 1);
}

TEST_P(Followed, OfSomethingElseItIsWhole) {
    make_tree();
    const auto again_of = [&](const std::string& directory, const DigestOptions& other) {
        begin();
        const auto digest = followed.again(directory, other, some_key());
        EXPECT_TRUE(digest) << digest.error().text();
        EXPECT_THAT(followed.why_whole(), HasSubstr("something else"));
        DigestOptions plain = other;
        plain.digests_path.clear();
        FollowedDigest whole;
        EXPECT_EQ(digest->digest, whole.whole(directory, plain, some_key(), false)->digest);
    };
    again_of(at("a"), options);
    DigestOptions other = options;
    other.digests_path += "2";
    again_of(tree, other);
    other = options;
    other.excluded = {"a"};
    again_of(tree, other);
}

TEST_P(Followed, ItCanBeStopped) {
    make_tree();
    begin();
    write("a/one", "changed");
    std::stop_source stop;
    stop.request_stop();
    options.stop = stop.get_token();
    const auto stopped = followed.again(tree, options, some_key());
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code(), Errc::cancelled);
}

TEST_P(Followed, WhatLiesTooDeepIsRefusedAsByAWalk) {
    make_tree();
    begin();
    std::string path = tree;
    for (std::size_t depth = 0; depth < kDepthMax + 2; ++depth) {
        path += "/d";
        ASSERT_TRUE(::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) << path.size();
    }
    EXPECT_FALSE(followed.again(tree, options, some_key()));
    EXPECT_NE(followed.why_whole(), "");
}

// A second name that is made between the readings of both places: the first was read as a file of its own.
TEST_P(Followed, ANameThatIsMadeWhileTheTreeIsRead) {
    make_tree();
    for (int round = 0; round < 5; ++round) {
        const UniqueFd opened(::inotify_init1(IN_CLOEXEC));
        ASSERT_GE(::inotify_add_watch(opened.get(), at("a/one").c_str(), IN_OPEN), 0);
        std::jthread linker([&] {
            std::array<char, 4096> event{};
            EXPECT_GT(::read(opened.get(), event.data(), event.size()), 0);
            link(at("a/one"), at("z/later"));
        });
        begin();
        linker.join();
        finish();
        ASSERT_EQ(::unlink(at("z/later").c_str()), 0);
    }
}

TEST_P(Followed, RandomChangesWhileTheTreeIsRead) {
    for (std::uint64_t seed = 0; seed < 40 && !HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        RandomTree random(tree, seed);
        random.build(40);
        std::jthread changer([&] { random.mutate(20); });
        begin();
        changer.join();
        random.mutate(2);
        finish();
        ASSERT_TRUE(remove_tree(tree));
        ASSERT_TRUE(make_directories(tree, 0755));
    }
}

// What is in the places of the sum is its: swapped contents, names and groups of names give another.
TEST_P(Followed, TheKeyedDigestTellsTreesApart) {
    write("one", "1");
    write("two", "2");
    write("three", "3");
    link(at("one"), at("x"));
    const TreeDigest before = fresh();
    EXPECT_NE(fresh(8).digest, before.digest);
    ASSERT_EQ(::renameat2(AT_FDCWD, at("two").c_str(), AT_FDCWD, at("three").c_str(), RENAME_EXCHANGE), 0);
    EXPECT_NE(fresh().digest, before.digest);
    ASSERT_EQ(::renameat2(AT_FDCWD, at("two").c_str(), AT_FDCWD, at("three").c_str(), RENAME_EXCHANGE), 0);
    struct stat info {};
    ASSERT_EQ(::stat(tree.c_str(), &info), 0);
    ASSERT_EQ(::unlink(at("x").c_str()), 0);
    link(at("two"), at("x"));
    const timespec times[2] = {info.st_atim, info.st_mtim};
    ASSERT_EQ(::utimensat(AT_FDCWD, tree.c_str(), times, 0), 0);
    EXPECT_NE(fresh().digest, before.digest);
}

TEST_P(Followed, RandomChanges) {
    const char* wanted = std::getenv("ZONEFERRY_TEST_TREES");
    const std::uint64_t count = wanted == nullptr ? 60 : std::strtoull(wanted, nullptr, 10);
    std::uint64_t by_changes = 0;
    for (std::uint64_t seed = 0; seed < count && !HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        const std::string place = top + "/r" + std::to_string(seed);
        ASSERT_TRUE(make_directories(place + "/in", 0755));
        ASSERT_TRUE(make_directories(place + "/out", 0755));
        RandomTree random(place + "/in", seed);
        RandomTree elsewhere(place + "/out", seed + 1'000'000);
        random.build(12);
        elsewhere.build(2);
        const auto all = [&](FollowedDigest& digest, bool again) {
            const auto done = again ? digest.again(place + "/in", options, some_key())
                                    : digest.whole(place + "/in", options, some_key(), true);
            EXPECT_TRUE(done) << done.error().text();
            return done ? done->digest : Digest{};
        };
        all(followed, false);
        for (int round = 0; round < 3; ++round) {
            random.mutate(1);
            elsewhere.mutate(1);
            const auto names = list_directory(place + "/out");
            if (round == 1 && names && !names->empty()) {
                (void)::rename((place + "/out/" + names->front()).c_str(), (place + "/in/" + names->front()).c_str());
            }
        }
        const Digest again = all(followed, true);
        by_changes += followed.why_whole().empty() ? 1U : 0U;
        FollowedDigest other;
        DigestOptions plain = options;
        plain.digests_path.clear();
        EXPECT_EQ(again, other.whole(place + "/in", plain, some_key(), false)->digest);
    }
    EXPECT_GT(by_changes, count / 2);
}

INSTANTIATE_TEST_SUITE_P(On, Followed, ::testing::Values("ext4", "xfs"),
                         [](const auto& on) { return std::string(on.param); });

TEST(FollowedElsewhere, WithoutTrackingItIsTheWholeTree) {
    if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
    const TempDirectory temp;
    const std::string tree = temp.path() + "/tree";
    ASSERT_TRUE(make_directories(tree, 0755));
    ASSERT_EQ(::mount("none", tree.c_str(), "tmpfs", 0, ""), 0);
    std::ofstream(tree + "/file") << "content";
    const DigestOptions options;
    FollowedDigest followed;
    const auto first = followed.whole(tree, options, some_key(), true);
    const auto again = followed.again(tree, options, some_key());
    ASSERT_EQ(::umount2(tree.c_str(), 0), 0);
    ASSERT_TRUE(first && again);
    EXPECT_EQ(first->digest, again->digest);
    EXPECT_NE(followed.why_whole(), "");
}

}  // namespace
}  // namespace zoneferry
