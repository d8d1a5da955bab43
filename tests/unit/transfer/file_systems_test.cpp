// The same trees on other file systems than that of the tests' directory: both sides on btrfs, both on xfs.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "core/base/files.h"
#include "core/base/process.h"
#include "tests/support/mounted_image.h"
#include "tests/support/temp_directory.h"
#include "tests/support/torture_tree.h"
#include "tests/support/tree_facts.h"
#include "tests/support/tree_pass.h"
#include "transfer/block_list.h"

namespace zoneferry {
namespace {

class FileSystems : public ::testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "mounting an image needs root";
        if (const auto mounted = image_.mount(GetParam(), top); !mounted) GTEST_SKIP() << mounted.message();
        ASSERT_TRUE(make_directories(paths.source, 0755));
        ASSERT_TRUE(make_directories(paths.staging, 0700));
    }
    void pass(bool forget = false) const {
        ::usleep(60'000);
        const auto done = run_pass(paths, {.send = {.forget = forget}});
        ASSERT_TRUE(done) << done.error().text();
        if (holes_are_certain) {
            EXPECT_EQ(tree_differences(paths.source, paths.staging), "");
        }
        EXPECT_TRUE(digests_equal(paths));
    }

    // Of a file that was written hole by hole xfs says so, and says otherwise when its blocks are on the disk.
    bool holes_are_certain = true;
    TempDirectory temp;
    const std::string top = temp.path() + "/top";
    const PassPaths paths{top + "/source", top + "/staging", temp.path() + "/catalog"};

private:
    MountedImage image_;
};

TEST_P(FileSystems, TheTortureTreeArrives) {
    build_torture_tree(paths.source);
    holes_are_certain = GetParam() != std::string("xfs");
    pass();
    pass();
}

// Holes among it: behind the end of a file that grows xfs allocates more than is written.
TEST_P(FileSystems, RandomTreesAndTheirChangesArrive) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        SCOPED_TRACE(seed);
        RandomTree tree(paths.source, seed);
        tree.build(30);
        pass(true);
        tree.mutate(20);
        pass();
        ASSERT_TRUE(remove_tree(paths.source));
        ASSERT_TRUE(make_directories(paths.source, 0755));
    }
}

// Of btrfs a directory has one name and a size, as a file has.
TEST_P(FileSystems, OnlyFilesHaveBlocksThatMayBePatched) {
    ASSERT_TRUE(make_directories(paths.staging + "/directory/below", 0755));
    std::ofstream(paths.staging + "/file") << "content";
    const UniqueFd tree = *open_directory(paths.staging);
    for (const char* name : {"file", "directory"}) {
        std::size_t bytes = 0;
        const auto count = [&](ConstBytes part) {
            bytes += part.size();
            return Status();
        };
        const Status done = list_blocks(tree.get(), name, kBlockLogMin, ByteVector(kBlockKeyBytes), count);
        EXPECT_TRUE(done) << name << ": " << done.error().text();
        EXPECT_EQ(bytes, name == std::string("file") ? sizeof(BlockHash) : 0U);
    }
}

// Subvolumes number their inodes each for itself, so that two of them have files of one number, and of several names.
class Subvolumes : public FileSystems {};
TEST_P(Subvolumes, InTheTreeArriveAsDirectories) {
    for (const char* name : {"one", "two"}) {
        const std::string place = paths.source + "/" + name;
        ASSERT_TRUE(run_checked({"btrfs", "-q", "subvolume", "create", place}));
        std::ofstream(place + "/file") << "in " << name;
        ASSERT_EQ(::link((place + "/file").c_str(), (place + "/link").c_str()), 0);
    }
    struct stat one {};
    struct stat two {};
    ASSERT_EQ(::stat((paths.source + "/one/file").c_str(), &one), 0);
    ASSERT_EQ(::stat((paths.source + "/two/file").c_str(), &two), 0);
    ASSERT_EQ(one.st_ino, two.st_ino);
    ASSERT_TRUE(
        run_checked({"btrfs", "-q", "subvolume", "snapshot", "-r", paths.source + "/one", paths.source + "/three"}));
    pass();
    pass();
    ASSERT_EQ(::stat((paths.staging + "/two/link").c_str(), &two), 0);
    EXPECT_EQ(two.st_nlink, 2U);
    const Status removed = remove_tree(paths.source);  // the read-only one, too
    EXPECT_TRUE(removed) << removed.error().text();
}

INSTANTIATE_TEST_SUITE_P(Each, FileSystems, ::testing::Values("btrfs", "xfs"));
INSTANTIATE_TEST_SUITE_P(Of, Subvolumes, ::testing::Values("btrfs"));

}  // namespace
}  // namespace zoneferry
