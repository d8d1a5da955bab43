#include <gtest/gtest.h>

#include "tests/support/temp_directory.h"
#include "tests/support/tree_pass.h"

namespace zoneferry {
namespace {

TEST(RoundTrip, UsrShareArrivesEqual) {
    TempDirectory temp;
    ASSERT_TRUE(make_directories(temp.path() + "/staging", 0700));
    const PassPaths paths{"/usr/share/doc", temp.path() + "/staging", temp.path() + "/catalog"};
    const auto first = run_pass(paths, {});
    ASSERT_TRUE(first) << first.error().text();
    EXPECT_TRUE(digests_equal(paths));
    const auto second = run_pass(paths, {});
    ASSERT_TRUE(second) << second.error().text();
    EXPECT_EQ(second->entries_sent, 0U);
    EXPECT_EQ(second->segments, 1U);
}

}  // namespace
}  // namespace zoneferry
