// Passes that visit only what the kernel announced as changed. Each test runs on an ext4 and on an xfs image of its
// own, so that nobody else's changes fill the kernel's queue.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "tests/support/changing_tree.h"
#include "tests/support/torture_tree.h"
#include "tests/support/tree_facts.h"
#include "tests/support/tree_pass.h"
#include "transfer/change_tracker.h"
#include "transfer/dirty_set.h"
#include "transfer/late_changes.h"

namespace zoneferry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Tracked : public ChangingTree {
protected:
    void SetUp() override {
        ChangingTree::SetUp();
        if (IsSkipped() || HasFatalFailure()) return;
        ASSERT_TRUE(make_directories(paths.staging, 0700));
    }

    // The complete pass: from its beginning on changes are followed.
    void begin() {
        settle();
        auto started = ChangeTracker::start(paths.source);
        ASSERT_TRUE(started) << started.error().text();
        tracker = *std::move(started);
        const auto done = run_pass(paths, {.trail = &trail});
        ASSERT_TRUE(done) << done.error().text();
        ASSERT_NE(trail, nullptr);
        sent_at_first = done->entries_sent;
    }
    // The pass over what changed since, and its proof: the trees are the same, and a walk finds nothing left to send
    // but what it cannot trust.
    PassSummary finish() {
        PassOptions options;
        options.send.tolerate_changes = false;
        if (auto changes = tracker->finish()) {
            options.send.changes = std::make_shared<ChangesSince>(ChangesSince{std::move(*trail), *std::move(changes)});
        } else {
            doubt = changes.error().text();
        }
        tracker.reset();
        const auto done = run_pass(paths, options);
        EXPECT_TRUE(done) << done.error().text();
        if (!done) return {};
        if (!done->walked_because.empty()) doubt = done->walked_because;
        EXPECT_THAT(late_paths(), ElementsAre());
        if (before_comparing) before_comparing();
        EXPECT_EQ(tree_differences(paths.source, paths.staging), "");
        settle();
        const auto walked = run_pass(paths, {});
        EXPECT_TRUE(walked) << walked.error().text();
        EXPECT_EQ(tree_differences(paths.source, paths.staging), "");
        return *done;
    }
    LateChanges late() const {
        const auto source = open_directory(paths.source);
        EXPECT_TRUE(source) << source.error().text();
        auto found = find_late_changes(*source, paths.catalog, {}, [] { return Status(); });
        EXPECT_TRUE(found) << found.error().text();
        return found ? *std::move(found) : LateChanges();
    }
    std::vector<std::string> late_paths() const {
        std::vector<std::string> told;
        for (const LateChange& change : late().first) told.push_back(change.path + (change.is_more ? " (more)" : ""));
        return told;
    }
    void set_no_dump(const std::string& name) const {
        const UniqueFd fd(::open(at(name).c_str(), O_RDONLY));
        const auto left_out = apply_file_attributes(fd.get(), {static_cast<std::uint32_t>(FileFlag::no_dump), 0});
        ASSERT_TRUE(left_out) << left_out.error().text();
        ASSERT_EQ(left_out->flags, 0U);
    }
    PassSummary finish_tracked() {
        const PassSummary done = finish();
        EXPECT_TRUE(done.is_tracked) << doubt;
        return done;
    }
    // The first entry of one side goes to the other.
    void move_one(std::uint64_t way) const {
        if (way == 0) return;
        const std::string from = way == 1 ? top + "/outside" : paths.source;
        const std::string to = way == 1 ? paths.source : top + "/outside";
        const auto names = list_directory(from);
        if (!names || names->empty()) return;
        (void)::rename((from + "/" + names->front()).c_str(), (to + "/" + names->front()).c_str());
    }
    const PassPaths paths{tree, top + "/staging", temp.path() + "/catalog"};
    std::unique_ptr<ChangeTracker> tracker;
    std::unique_ptr<PassTrail> trail;
    std::uint64_t sent_at_first = 0;
    std::string doubt;
    std::function<void()> before_comparing;
};

TEST_P(Tracked, NothingChangedVisitsNothing) {
    make_tree();
    begin();
    const auto done = finish_tracked();
    EXPECT_EQ(done.entries_sent, 0U);
    EXPECT_LE(done.entries, 1U) << "the root";
}

TEST_P(Tracked, EveryKindOfChangeIsSeen) {
    make_tree();
    begin();
    change_in_every_way();
    const auto done = finish_tracked();
    EXPECT_LT(done.entries, 40U);
}

TEST_P(Tracked, AttributesThatChangeAloneAreFoundAfterwards) {
    make_tree();
    begin();
    for (const char* name : {"a/one", "a/b/c", "d", "z/five", "z"}) set_no_dump(name);
    UniqueFd(::open(at("d/four").c_str(), O_RDWR)).reset();  // announced, and unchanged: "d" is only gone through
    write("z/five", "announced as well, and so sent with its attributes, and those of its directory");
    auto changes = tracker->finish();
    ASSERT_TRUE(changes) << changes.error().text();
    PassOptions options;
    options.send.changes = std::make_shared<ChangesSince>(ChangesSince{std::move(*trail), *std::move(changes)});
    const auto done = run_pass(paths, options);
    ASSERT_TRUE(done) << done.error().text();
    ASSERT_TRUE(done->is_tracked) << done->walked_because;
    EXPECT_THAT(late_paths(), ElementsAre("a/b/c", "a/one", "d"));
    EXPECT_EQ(late().first.at(0).attributes.flags, static_cast<std::uint32_t>(FileFlag::no_dump));
    EXPECT_FALSE(late().is_more);

    write("a/one", "after the last pass");
    write("new", "new");
    ASSERT_EQ(::unlink(at("a/b/two").c_str()), 0);
    EXPECT_THAT(late_paths(), ElementsAre("a/b/c", "a/b/two (more)", "a/b (more)", "a/one (more)", "d", "new (more)"));
    EXPECT_EQ(late().count, 6U);
    EXPECT_TRUE(late().is_more);
}

TEST_P(Tracked, StoresThroughAMappingAreSeenWhenItGoes) {
    make_tree();
    write("mapped", std::string(100'000, 'm'));
    UniqueFd fd(::open(at("mapped").c_str(), O_RDWR));
    auto* const memory = static_cast<char*>(::mmap(nullptr, 100'000, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
    ASSERT_NE(memory, MAP_FAILED);
    memory[5] = 'n';  // the page is dirty before the pass
    begin();
    memory[6] = 'n';
    memory[70'000] = 'n';
    fd.reset();  // the mapping keeps the file open
    memory[80'000] = 'n';
    ::munmap(memory, 100'000);
    finish_tracked();
}

TEST_P(Tracked, DirectoriesThatMoveWithin) {
    make_tree();
    begin();
    move(at("a/b"), at("z/b2"));
    write("z/b2/c/three", "changed behind the move");
    move(at("d/many17"), at("a/many17"));
    move(at("empty"), at("aa"));
    move(at("aa"), at("empty2"));
    const auto done = finish_tracked();
    EXPECT_GT(done.moved, 0U);
}

TEST_P(Tracked, ExchangedAndReplaced) {
    make_tree();
    begin();
    ASSERT_EQ(::renameat2(AT_FDCWD, at("a").c_str(), AT_FDCWD, at("z").c_str(), RENAME_EXCHANGE), 0);
    ASSERT_EQ(::unlink(at("d/four").c_str()), 0);
    ASSERT_EQ(::mkdir(at("d/four").c_str(), 0700), 0);
    ASSERT_EQ(::rmdir(at("empty").c_str()), 0);
    write("empty", "a file now");
    write("temporary", "written aside");
    move(at("temporary"), at("d/many3"));
    finish_tracked();
}

TEST_P(Tracked, DirectoriesThatComeAndGo) {
    make_tree();
    ASSERT_TRUE(make_directories(outside("in/deep"), 0755));
    std::ofstream(outside("in/deep/file")) << "from outside";
    begin();
    std::ofstream(outside("in/deep/file2")) << "written while it lay outside";
    move(outside("in"), at("a/in"));
    write("a/in/deep/file", "written behind the move");
    finish_tracked();
}

TEST_P(Tracked, ADirectoryThatLeftIsADoubt) {
    make_tree();
    begin();
    move(at("a/b"), outside("b"));
    EXPECT_FALSE(finish().is_tracked);
    EXPECT_THAT(doubt, HasSubstr("moved out"));
}

TEST_P(Tracked, ADirectoryThatWasOutsideForAWhile) {
    make_tree();
    begin();
    move(at("a/b"), outside("b"));
    std::ofstream(outside("b/c/three")) << "written outside";
    std::ofstream(outside("b/c/new")) << "made outside";
    move(outside("b"), at("a/b"));
    finish_tracked();
}

TEST_P(Tracked, HardLinksMadeAndCut) {
    make_tree();
    write("d/pair", "pair");
    link(at("d/pair"), at("a/pair"));
    write("d/other", "other");
    link(at("d/other"), at("z/other"));
    begin();
    link(at("a/b/c/three"), at("d/three"));  // the old name is not announced
    link(at("d/pair"), at("z/pair"));
    ASSERT_EQ(::unlink(at("d/other").c_str()), 0);
    finish_tracked();
}

TEST_P(Tracked, AWriteThroughOneNameIsSeenThroughAll) {
    make_tree();
    write("d/pair", "pair");
    link(at("d/pair"), at("a/pair"));
    begin();
    write("d/pair", "written");
    finish_tracked();
}

TEST_P(Tracked, AWriteThroughANameThatIsNoMore) {
    make_tree();
    begin();
    link(at("z/five"), at("a/five"));
    write("a/five", "through a name of a moment");
    ASSERT_EQ(::unlink(at("a/five").c_str()), 0);
    finish_tracked();
}

// Such a name was gone before the complete pass already: the kernel still announces the write by it.
TEST_P(Tracked, AWriteThroughADescriptorOfAnOlderName) {
    make_tree();
    ASSERT_TRUE(make_directories(at("gone"), 0755));
    const UniqueFd fd(::open(at("gone/temporary").c_str(), O_WRONLY | O_CREAT, 0644));
    link(at("gone/temporary"), at("d/kept"));
    const UniqueFd unnamed(::open(at("a").c_str(), O_TMPFILE | O_WRONLY, 0644));
    ASSERT_TRUE(unnamed);
    const std::string unnamed_path = "/proc/self/fd/" + std::to_string(unnamed.get());
    ASSERT_EQ(::linkat(AT_FDCWD, unnamed_path.c_str(), AT_FDCWD, at("z/named").c_str(), AT_SYMLINK_FOLLOW), 0);
    ASSERT_EQ(::unlink(at("gone/temporary").c_str()), 0);
    ASSERT_EQ(::rmdir(at("gone").c_str()), 0);
    begin();
    ASSERT_TRUE(write_all(fd.get(), as_bytes("written through it")));
    ASSERT_TRUE(write_all(unnamed.get(), as_bytes("this too")));
    finish_tracked();
}

TEST_P(Tracked, AWriteThroughANameOutside) {
    make_tree();
    write("d/shared", "shared");
    link(at("d/shared"), outside("shared"));
    begin();
    std::ofstream(outside("shared")) << "written outside";
    before_comparing = [this] { ASSERT_EQ(::unlink(outside("shared").c_str()), 0); };  // the target has no such name
    finish_tracked();
}

TEST_P(Tracked, ALinkedFileThatCameWithADirectory) {
    make_tree();
    ASSERT_TRUE(make_directories(outside("in"), 0755));
    link(at("z/five"), outside("in/five"));
    begin();
    move(outside("in"), at("a/in"));  // sorts before z
    finish_tracked();
}

TEST_P(Tracked, TooMuchIsWalked) {
    make_tree();
    begin();
    std::string name = at("a/");
    for (std::size_t i = 0; i <= kDirtyNamesMax; ++i) {
        ASSERT_EQ(::mknod((name + std::to_string(i)).c_str(), S_IFREG | 0600, 0), 0);
        ASSERT_EQ(::unlink((name + std::to_string(i)).c_str()), 0);
    }
    EXPECT_FALSE(finish().is_tracked);
    EXPECT_THAT(doubt, ::testing::AnyOf(HasSubstr("overflowed"), HasSubstr("more names")));
}

TEST_P(Tracked, AMountBelowIsFound) {
    make_tree();
    begin();
    ASSERT_EQ(::mount("none", at("a/b").c_str(), "tmpfs", 0, ""), 0);
    const auto changes = tracker->finish();
    ASSERT_EQ(::umount2(at("a/b").c_str(), 0), 0);
    ASSERT_FALSE(changes);
    EXPECT_THAT(changes.error().text(), HasSubstr("mounted below"));
}

TEST_P(Tracked, AnotherPassInBetweenMakesItWalk) {
    make_tree();
    begin();
    write("a/one", "changed");
    ASSERT_TRUE(run_pass(paths, {}));
    EXPECT_FALSE(finish().is_tracked);
    EXPECT_THAT(doubt, HasSubstr("not that of the pass before"));
}

// Cut anywhere, its successor walks and the trees are the same.
TEST_P(Tracked, InterruptedItIsWalked) {
    for (std::uint64_t cut_at = 0; cut_at < 3; ++cut_at) {
        RandomTree changing(paths.source, 50 + cut_at);
        changing.build(40);
        begin();
        changing.mutate(30);
        auto changes = tracker->finish();
        ASSERT_TRUE(changes) << changes.error().text();
        PassOptions options;
        options.send.segment_bytes = 10'000;
        options.segments_between_acks = 1;
        options.send.changes = std::make_shared<ChangesSince>(ChangesSince{*trail, *std::move(changes)});
        options.link_holds = [cut_at](std::uint64_t number) { return number != cut_at; };
        (void)run_pass(paths, options);
        const auto again = run_pass(paths, {.send = {.tolerate_changes = false}});
        ASSERT_TRUE(again) << again.error().text();
        EXPECT_EQ(tree_differences(paths.source, paths.staging), "");
    }
}

// Random changes, also of and from a place outside, between the passes.
TEST_P(Tracked, RandomChanges) {
    const char* wanted = std::getenv("ZONEFERRY_TEST_TREES");
    const std::uint64_t count = wanted == nullptr ? 60 : std::strtoull(wanted, nullptr, 10);
    std::uint64_t tracked = 0;
    for (std::uint64_t seed = 0; seed < count && !HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        RandomTree inside(paths.source, seed);
        RandomTree elsewhere(top + "/outside", seed + 1'000'000);
        std::mt19937_64 random(seed);
        inside.build(20);
        elsewhere.build(2);
        begin();
        for (int round = 0; round < 3; ++round) {
            inside.mutate(4);
            elsewhere.mutate(1);
            move_one(random() % 3);
        }
        tracked += finish().is_tracked ? 1U : 0U;
    }
    EXPECT_GT(tracked, count / 3);
}

INSTANTIATE_TEST_SUITE_P(On, Tracked, ::testing::Values("ext4", "xfs"),
                         [](const auto& on) { return std::string(on.param); });

TEST(TrackedElsewhere, FileSystemsThatDoNotTellAllAreRefused) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    const auto refused = ChangeTracker::start("/proc");
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text(), HasSubstr("ext4 and xfs"));
}

}  // namespace
}  // namespace zoneferry
