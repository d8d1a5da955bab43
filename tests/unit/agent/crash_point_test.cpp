#include "agent/crash_point.h"

#include <gtest/gtest.h>

namespace zoneferry {
namespace {

TEST(CrashPoint, NamesMomentEventAndPerhapsTheRole) {
    EXPECT_TRUE(is_crash_point("before:released", Role::source, CrashMoment::before, EventKind::released));
    EXPECT_TRUE(is_crash_point("source:after:owned", Role::source, CrashMoment::after, EventKind::owned));
    EXPECT_FALSE(is_crash_point("source:after:owned", Role::target, CrashMoment::after, EventKind::owned));
    EXPECT_FALSE(is_crash_point("after:owned", Role::target, CrashMoment::before, EventKind::owned));
    EXPECT_FALSE(is_crash_point("", Role::target, CrashMoment::before, EventKind::owned));
    EXPECT_FALSE(is_crash_point("after:own", Role::target, CrashMoment::after, EventKind::owned));
}

}  // namespace
}  // namespace zoneferry
