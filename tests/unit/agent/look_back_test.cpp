// The look at the copy that a move leaves behind: what it makes of what it finds, and that nothing goes unlooked at.
#include "agent/move/look_back.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include "agent/janitor.h"
#include "agent/move/move_history.h"
#include "tests/support/mounted_image.h"
#include "tests/unit/agent/two_agents.h"
#include "transfer/resume.h"

namespace zoneferry {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

JournalEntry past(const std::string& kind, const std::string& text = {}) { return {0, kind, text, 0, 0, false}; }

TEST(LookBack, IsWantedOnceAfterATrackedLastPass) {
    EXPECT_FALSE(wants_look_back({past("pass-done"), past("activated")})) << "passes of a running zone say nothing";
    EXPECT_TRUE(wants_look_back({past("pass-done"), past("pass-done", "tracked"), past("activated")}));
    EXPECT_FALSE(wants_look_back({past("pass-done", "walked: a queue ran over"), past("activated")}));
    EXPECT_FALSE(
        wants_look_back({past("pass-done", "tracked"), past("repairing"), past("pass-done", "walked: again")}));
    EXPECT_FALSE(wants_look_back({past("pass-done", "tracked"), past("looked-back")}));
}

TEST(LookBack, WordsForChattrNameEveryAttribute) {
    EXPECT_EQ(chattr_words({}), "-aAcCdDimPS");
    EXPECT_EQ(chattr_words({static_cast<std::uint32_t>(FileFlag::immutable), 0}), "+i -aAcCdDmPS");
    EXPECT_EQ(chattr_words({kFileFlagsAll, 7}), "-p 7 +aAcCdDimPS");
}

MoveRecord moved() {
    MoveRecord record;
    record.zone = "web01";
    record.peer = "host2";
    record.zonepath = "/zones/web01";
    return record;
}

TEST(LookBack, TellsWhatToTypeInTheZone) {
    LateChanges found;
    EXPECT_EQ(looked_back_event(moved(), found).text, "");
    found.looked_at = 9;
    found.count = 1;
    found.first = {{"root/etc/a", false, {static_cast<std::uint32_t>(FileFlag::append), 0}}};
    const MoveEvent event = looked_back_event(moved(), found);
    EXPECT_EQ(event.text,
              "1 entry of zone web01 changed after it was last sent, which the kernel did not announce (file "
              "attributes): root/etc/a; host2 has what was before, and the copy here is kept; on host2 type: zoneadm "
              "-z web01 login chattr +a -AcCdDimPS /etc/a");
    EXPECT_EQ(std::tuple(event.number, event.flag, event.extra), std::tuple(1, false, 9));
}

TEST(LookBack, APathOfTheZoneIsNeverAShellWord) {
    LateChanges found;
    found.count = 14;
    found.first = {{"root/$(reboot)", false, {}}, {"root/a\nb", false, {}}, {"root/'", false, {}},
                   {"root/ ;x", false, {}},       {"beside", false, {}},    {"root", false, {}}};
    std::string text = looked_back_event(moved(), found).text;
    EXPECT_THAT(text, HasSubstr(" and 8 more; "));
    EXPECT_THAT(text, HasSubstr("compare /zones/web01 on both"));
    EXPECT_THAT(text, Not(HasSubstr("chattr")));
    EXPECT_THAT(text, Not(HasSubstr("\n")));
    found.is_more = true;
    found.first.push_back({"root/more", true, {}});
    text = looked_back_event(moved(), found).text;
    EXPECT_THAT(text, HasSubstr("not only file attributes"));
    EXPECT_THAT(text, Not(HasSubstr("chattr"))) << "its contents are not there either";
}

class LookBackTest : public TwoAgents {
protected:
    void SetUp() override {
        TwoAgents::SetUp();
        if (IsSkipped()) return;
        // Nobody else's changes are announced there.
        if (const auto mounted = image_.mount("ext4", one.path("/zones")); !mounted) GTEST_SKIP() << mounted.message();
        one.make_zone("web01", "/zones/web01");
    }
    void TearDown() override { one.stop(); }

    static void set_no_dump(const std::string& path) {
        const UniqueFd fd(::open(path.c_str(), O_RDONLY));
        ASSERT_TRUE(apply_file_attributes(fd.get(), {static_cast<std::uint32_t>(FileFlag::no_dump), 0}));
    }
    std::string move_with(const std::function<void()>& before_switch, KeepSource keep) {
        MoveWish wish{.zone = "web01", .peer = "host2"};
        wish.hold = true;
        wish.keep_source = keep;
        const auto started = start_move(one.context(), one.desk(), wish);
        EXPECT_TRUE(started) << started.error().text();
        one.wait_for(started->move_id, MoveNews::Type::stand);
        before_switch();
        EXPECT_TRUE(one.desk().request(started->move_id, {.kind = MoveRequest::Kind::switch_over}));
        end = one.wait_for(started->move_id, MoveNews::Type::end);
        return started->move_id;
    }
    Json told(const std::string& id) { return history_json(one.record(id), *one.journal().history(id)); }
    // As after a crash between the switch and the look.
    void forget_look(const std::string& id) {
        one.stop();
        sqlite3* database = nullptr;
        ASSERT_EQ(sqlite3_open(one.path("/var/lib/zoneferry/journal.db").c_str(), &database), SQLITE_OK);
        const std::string sql = "DELETE FROM events WHERE kind = 'looked-back' AND move = '" + id + "'";
        EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
        EXPECT_EQ(sqlite3_changes(database), 1);
        sqlite3_close(database);
        one.start(one.port());
    }
    Result<MoveRecord> finalize(const std::string& id) { return finalize_move(one.context(), one.record(id)); }

    const std::string hostname = one.path("/zones/web01/root/etc/hostname");
    MoveNews end;

private:
    MountedImage image_;
};

TEST_F(LookBackTest, NothingIsFoundAndTheCopyGoes) {
    const std::string id = move_with([this] { write_file(hostname, "announced\n"); }, KeepSource::remove);
    ASSERT_EQ(told(id)["last_pass"], "tracked");
    EXPECT_EQ(one.phase(id), Phase::finalized);
    EXPECT_EQ(told(id)["looked_back"], "");
    EXPECT_EQ(told(id)["changed_unannounced"], 0);
    EXPECT_FALSE(path_exists(hostname));
}

TEST_F(LookBackTest, AttributesAreToldAndTheCopyIsKept) {
    const std::string id = move_with([this] { set_no_dump(hostname); }, KeepSource::remove);
    ASSERT_EQ(told(id)["last_pass"], "tracked");
    EXPECT_EQ(one.phase(id), Phase::activated);
    EXPECT_EQ(end.exit_code, kExitOk) << end.message;
    EXPECT_THAT(one.heard(id), HasSubstr("login chattr +d -aAcCDimPS /etc/hostname"));
    EXPECT_THAT(std::string(told(id)["looked_back"]), HasSubstr("root/etc/hostname"));
    EXPECT_EQ(told(id)["changed_unannounced"], 1);
    EXPECT_TRUE(path_exists(hostname)) << "the only place where they are";
    const auto done = finalize(id);
    EXPECT_TRUE(done) << "a person has been told: " << done.error().text();
    EXPECT_FALSE(path_exists(hostname));
}

TEST_F(LookBackTest, NothingIsDeletedUnlookedAt) {
    const std::string id = move_with([this] { set_no_dump(hostname); }, KeepSource::keep);
    forget_look(id);
    const auto refused = finalize(id);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::conflict);
    EXPECT_THAT(refused.error().text(), HasSubstr("root/etc/hostname"));
    EXPECT_TRUE(path_exists(hostname));
    EXPECT_TRUE(finalize(id)) << "it has been told now";
}

TEST_F(LookBackTest, WhatCannotBeSeenAnyMoreIsSaid) {
    const std::string id = move_with([] {}, KeepSource::keep);
    forget_look(id);
    const std::string prefix = move_file(one.root(), zonepath_tree(one.record(id)), id, "catalog");
    ASSERT_TRUE(forget_catalogs(CatalogPaths(prefix)));
    const auto refused = finalize(id);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text(), HasSubstr("cannot be seen any more"));
    EXPECT_TRUE(path_exists(hostname));
    EXPECT_TRUE(finalize(id));
}

TEST_F(LookBackTest, ContentsThatWereNotSentAreAFailedMove) {
    const std::string id = move_with([] {}, KeepSource::keep);
    EXPECT_EQ(end.exit_code, kExitOk);
    forget_look(id);
    write_file(hostname, "by somebody, into the copy\n");
    const auto after = look_back(one.context(), one.record(id));
    ASSERT_TRUE(after) << after.error().text();
    const MoveNews news = end_news(*after);
    EXPECT_EQ(news.exit_code, kExitSwitchFailed);
    EXPECT_THAT(news.message, HasSubstr("has changes that were never sent"));
    EXPECT_THAT(std::string(told(id)["looked_back"]), HasSubstr("not only file attributes"));
}

TEST_F(LookBackTest, AMoveThatWalkedNeedsNone) {
    one.context().settings.change_tracking = false;
    const std::string id = move_with([this] { set_no_dump(hostname); }, KeepSource::keep);
    EXPECT_FALSE(told(id).contains("looked_back"));
    const UniqueFd there(::open(two.path("/zones/web01/root/etc/hostname").c_str(), O_RDONLY));
    EXPECT_EQ(read_file_attributes(there.get())->flags, static_cast<std::uint32_t>(FileFlag::no_dump));
}

}  // namespace
}  // namespace zoneferry
