#include "agent/guarded.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "agent/move/move_plan.h"

namespace zoneferry {
namespace {

TEST(Guarded, TurnsWhatIsThrownIntoAnError) {
    EXPECT_TRUE(guarded([] {}));
    const Status known = guarded([] { throw std::runtime_error("no memory"); });
    ASSERT_FALSE(known);
    EXPECT_NE(known.error().text().find("no memory"), std::string::npos);
    EXPECT_FALSE(guarded([] { throw 7; }));
}

TEST(WantsDeletion, OnlyOfAHealthyActivatedMoveThatAskedForIt) {
    MoveRecord record;
    record.role = Role::source;
    record.phase = Phase::activated;
    record.keep_source = KeepSource::remove;
    record.was_running = record.running = true;
    EXPECT_TRUE(wants_deletion(record));
    for (auto spoil :
         {+[](MoveRecord& r) { r.keep_source = KeepSource::keep; }, +[](MoveRecord& r) { r.running = false; },
          +[](MoveRecord& r) { r.problem = "no boot"; }, +[](MoveRecord& r) { r.role = Role::target; },
          +[](MoveRecord& r) { r.phase = Phase::owned; }, +[](MoveRecord& r) { r.phase = Phase::finalized; }}) {
        MoveRecord other = record;
        spoil(other);
        EXPECT_FALSE(wants_deletion(other));
    }
}

}  // namespace
}  // namespace zoneferry
