// Large files leave the page cache as they found it, on both sides. What is cached is asked by mincore.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "tests/support/disk_file_system.h"
#include "tests/support/temp_directory.h"
#include "tests/support/tree_pass.h"

namespace zoneferry {
namespace {

constexpr std::size_t kBytes = std::size_t{24} << 20U;
constexpr std::size_t kPage = 4096;

class PageCache : public ::testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: a pass keeps owners";
        ASSERT_TRUE(make_directories(paths.source, 0755));
        ASSERT_TRUE(make_directories(paths.staging, 0700));
        std::ofstream(large) << std::string(kBytes, 'x');
        const UniqueFd fd(::open(large.c_str(), O_RDONLY));
        ASSERT_EQ(::fsync(fd.get()), 0);
        ASSERT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
        if (cached_pages(large) == 0) return;
        ASSERT_FALSE(is_disk_file_system(temp.path()));
        GTEST_SKIP() << "this file system does not drop what it is told to";
    }
    static std::size_t cached_pages(const std::string& path) {
        const UniqueFd fd(::open(path.c_str(), O_RDONLY));
        void* const memory = ::mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, fd.get(), 0);
        if (memory == MAP_FAILED) return SIZE_MAX;
        std::vector<unsigned char> pages(kBytes / kPage);
        const int asked = ::mincore(memory, kBytes, pages.data());
        ::munmap(memory, kBytes);
        if (asked != 0) return SIZE_MAX;
        return static_cast<std::size_t>(std::count_if(pages.begin(), pages.end(), [](auto page) { return page & 1U; }));
    }

    TempDirectory temp;
    const PassPaths paths{temp.path() + "/source", temp.path() + "/staging", temp.path() + "/catalog"};
    const std::string large = paths.source + "/large";
};

TEST_F(PageCache, AColdLargeFileStaysCold) {
    ASSERT_TRUE(run_pass(paths, {}));
    EXPECT_EQ(cached_pages(large), 0U) << "read";
    EXPECT_EQ(cached_pages(paths.staging + "/large"), 0U) << "written";
    // The digest's reading, too.
    ASSERT_TRUE(digests_equal(paths));
    EXPECT_EQ(cached_pages(large), 0U);
    EXPECT_EQ(cached_pages(paths.staging + "/large"), 0U);
}

TEST_F(PageCache, WhatWasCachedStaysCached) {
    {
        std::ifstream file(large);
        std::string content(kBytes, '\0');
        file.read(content.data(), kBytes);
    }
    const std::size_t before = cached_pages(large);
    ASSERT_GT(before, kBytes / kPage / 2);
    ASSERT_TRUE(run_pass(paths, {}));
    EXPECT_GE(cached_pages(large), before);
}

TEST_F(PageCache, ABlocksComparisonOfAColdFileLeavesItCold) {
    ASSERT_TRUE(run_pass(paths, {}));
    {
        const UniqueFd fd(::open(large.c_str(), O_RDWR));
        ASSERT_EQ(::pwrite(fd.get(), "y", 1, 5'000'000), 1);
        ASSERT_EQ(::fsync(fd.get()), 0);
        ASSERT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
    }
    const auto done = run_pass(paths, {});
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(done->patched, 1U);
    EXPECT_EQ(cached_pages(large), 0U);
    EXPECT_EQ(cached_pages(paths.staging + "/large"), 0U);
}

}  // namespace
}  // namespace zoneferry
