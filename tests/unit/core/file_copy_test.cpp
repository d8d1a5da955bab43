// A zone's own tree, copied on a file system that shares blocks between files: no space, and everything kept.
#include "core/image/file_copy.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/digest.h"
#include "core/base/process.h"
#include "core/image/directory_source.h"
#include "core/image/tree_compare.h"
#include "tests/support/fake_packages.h"
#include "tests/support/mounted_image.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

class CloneCopy : public ::testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "mounting an image needs root";
        if (const auto mounted = image_.mount(GetParam(), top()); !mounted) GTEST_SKIP() << mounted.message();
    }

    std::string top() const { return place_.path() + "/top"; }
    std::uint64_t free_bytes() const {
        const UniqueFd directory = *open_directory(top());
        EXPECT_EQ(::syncfs(directory.get()), 0);
        struct statvfs space {};
        EXPECT_EQ(::statvfs(top().c_str(), &space), 0);
        return std::uint64_t{space.f_bfree} * space.f_frsize;
    }

    TempDirectory place_;

private:
    MountedImage image_;
};

TEST_P(CloneCopy, TakesNoSpace) {
    constexpr std::size_t kFileBytes = 220U << 20U;  // it does not fit twice
    const ByteVector block = random_bytes(1U << 20U);
    std::string content;
    while (content.size() < kFileBytes) content.append(reinterpret_cast<const char*>(block.data()), block.size());
    write_file(top() + "/zone/big", content);
    write_file(top() + "/zone/small", "small\n");
    ASSERT_TRUE(make_directories(top() + "/copy", 0755));
    const std::uint64_t before_bytes = free_bytes();
    const UniqueFd source = *open_directory(top() + "/zone");
    auto writer = ImageWriter::create(*open_directory(top() + "/copy"));
    ASSERT_TRUE(writer);
    InstallReport report;
    const Status copied = copy_directory(source.get(), *writer, report, nullptr, {.scope = CopyScope::everything});
    ASSERT_TRUE(copied) << copied.error().text();
    ASSERT_TRUE(writer->finish());
    EXPECT_LT(before_bytes - free_bytes(), kFileBytes / 8);
    const Status same = require_equal_trees(source.get(), writer->root());
    EXPECT_TRUE(same) << same.error().text();
}

// They have device numbers of their own, and are no file systems of their own.
class CloneCopyOfSubvolumes : public CloneCopy {};
TEST_P(CloneCopyOfSubvolumes, AreCopiedAsDirectories) {
    write_file(top() + "/zone/file", "above");
    ASSERT_TRUE(run_checked({"btrfs", "-q", "subvolume", "create", top() + "/zone/inner"}));
    write_file(top() + "/zone/inner/below/file", "below");
    write_file(top() + "/zone/not this/file", "left out");
    ASSERT_TRUE(make_directories(top() + "/copy", 0755));
    const UniqueFd source = *open_directory(top() + "/zone");
    auto writer = ImageWriter::create(*open_directory(top() + "/copy"));
    ASSERT_TRUE(writer);
    InstallReport report;
    const DirectoryCopyRules rules{.scope = CopyScope::everything, .left_out = {"not this"}};
    const Status copied = copy_directory(source.get(), *writer, report, nullptr, rules);
    ASSERT_TRUE(copied) << copied.error().text();
    ASSERT_TRUE(writer->finish());
    EXPECT_FALSE(path_exists(top() + "/copy/not this"));
    ASSERT_TRUE(remove_tree(top() + "/zone/not this"));
    const Status same = require_equal_trees(source.get(), writer->root());
    EXPECT_TRUE(same) << same.error().text();
    // Something mounted is another file system.
    ASSERT_TRUE(run_checked({"mount", "-t", "tmpfs", "none", top() + "/zone/inner/below"}));
    ASSERT_TRUE(make_directories(top() + "/other", 0755));
    auto other = ImageWriter::create(*open_directory(top() + "/other"));
    ASSERT_TRUE(other);
    EXPECT_FALSE(copy_directory(source.get(), *other, report, nullptr, rules));
    EXPECT_EQ(::umount2((top() + "/zone/inner/below").c_str(), 0), 0);
}

INSTANTIATE_TEST_SUITE_P(FileSystems, CloneCopy, ::testing::Values("xfs", "btrfs"));
INSTANTIATE_TEST_SUITE_P(FileSystems, CloneCopyOfSubvolumes, ::testing::Values("btrfs"));

}  // namespace
}  // namespace zoneferry
