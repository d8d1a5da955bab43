#include "agent/journal.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/fake_packages.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

struct FixedClock final : Clock {
    std::int64_t monotonic_ms() const override { return 1; }
    std::int64_t unix_ms() const override { return 1'700'000'000'000; }
};

class JournalFile : public testing::Test {
protected:
    Result<Journal> open() { return Journal::open(path, clock); }
    static MoveRecord record(const std::string& id, const std::string& zone = "web01") {
        MoveRecord move;
        move.id = id;
        move.zone = zone;
        return move;
    }
    static void execute(const std::string& file, const std::string& sql) {
        sqlite3* database = nullptr;
        ASSERT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
        EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
        sqlite3_close(database);
    }

    TempDirectory directory;
    std::string path = directory.path() + "/journal.db";
    FixedClock clock;
};

// Every field another than its default: what is not stored or mixed up shows.
MoveRecord full_record() {
    MoveRecord full;
    int next = 1;
    for_each_field(full, [&](const char* name, auto& field) {
        using Field = std::remove_cvref_t<decltype(field)>;
        const int value = next++;
        if constexpr (std::is_same_v<Field, std::string>) {
            field = std::string(name) + "'; DROP TABLE moves; --\xff" + std::string(1, '\0') + std::to_string(value);
        } else if constexpr (std::is_same_v<Field, Role>) {
            field = Role::target;
        } else if constexpr (std::is_same_v<Field, Phase>) {
            field = Phase::ready;
        } else if constexpr (std::is_same_v<Field, KeepSource>) {
            field = KeepSource::remove;
        } else if constexpr (std::is_same_v<Field, ProbeState>) {
            field = ProbeState::failed;
        } else if constexpr (std::is_same_v<Field, bool>) {
            field = true;
        } else {
            field = static_cast<Field>(~std::uint64_t{0} / 2 - static_cast<unsigned>(value));
        }
    });
    full.id = "ab12";
    return full;
}

TEST_F(JournalFile, EveryFieldComesBack) {
    const MoveRecord full = full_record();
    const MoveRecord empty;
    for_each_field(full, [&](const char* name, const auto& field) {
        for_each_field(empty, [&](const char* other, const auto& default_value) {
            if constexpr (std::is_same_v<decltype(field), decltype(default_value)>) {
                if (std::string_view(name) != other) return;
                EXPECT_NE(field, default_value) << name;
            }
        });
    });
    ASSERT_TRUE(open()->add(full));
    EXPECT_EQ(**open()->find("ab12"), full);
}

TEST_F(JournalFile, EachStepIsThereAfterAReopen) {
    ASSERT_TRUE(open()->add(record("ab")));
    MoveRecord last = **open()->find("ab");
    for (const EventKind event : {EventKind::prepared, EventKind::pass_begun, EventKind::running_pass_done,
                                  EventKind::quiescing, EventKind::quiesced, EventKind::sent, EventKind::verified,
                                  EventKind::staged, EventKind::released, EventKind::owned, EventKind::activated}) {
        const auto after = open()->apply("ab", MoveEvent{.kind = event, .text = "text", .number = 7, .flag = true});
        ASSERT_TRUE(after) << event_name(event);
        EXPECT_EQ(**open()->find("ab"), *after);
        EXPECT_NE(*after, last) << event_name(event);
        last = *after;
    }
    const auto history = open()->history("ab");
    ASSERT_EQ(history->size(), 12U);
    EXPECT_EQ(history->front().kind, "begun");
    EXPECT_EQ(history->back().kind, "activated");
    EXPECT_EQ(history->back().at_unix_ms, clock.unix_ms());
}

TEST_F(JournalFile, ARefusedEventLeavesNoTrace) {
    auto journal = *open();
    ASSERT_TRUE(journal.add(record("ab")));
    EXPECT_EQ(journal.apply("ab", {.kind = EventKind::released}).error().code(), Errc::conflict);
    EXPECT_EQ(journal.apply("zz", {.kind = EventKind::prepared}).error().code(), Errc::not_found);
    EXPECT_EQ(journal.add(record("ab")).error().code(), Errc::conflict);
    EXPECT_EQ(**journal.find("ab"), record("ab"));
    EXPECT_EQ(journal.history("ab")->size(), 1U);
    EXPECT_FALSE(*journal.find("zz"));
}

TEST_F(JournalFile, MovesAreFoundByIdByItsBeginningAndByZone) {
    auto journal = *open();
    MoveRecord first = record("ab01", "web01");
    first.begun_unix_ms = 100;
    MoveRecord second = record("ab02", "web01");
    second.begun_unix_ms = 200;
    ASSERT_TRUE(journal.add(second));
    ASSERT_TRUE(journal.add(first));
    ASSERT_TRUE(journal.add(record("cd", "db01")));
    EXPECT_EQ(journal.resolve("web01")->id, "ab02") << "the newest";
    EXPECT_EQ(journal.resolve("ab01")->id, "ab01");
    EXPECT_EQ(journal.resolve("c")->id, "cd");
    EXPECT_EQ(journal.resolve("ab").error().code(), Errc::usage);
    for (const std::string none : {"", "x", "%", "_b01", "AB01"}) {
        EXPECT_EQ(journal.resolve(none).error().code(), Errc::not_found) << none;
    }
    EXPECT_EQ(journal.all()->size(), 3U);
    EXPECT_EQ(journal.all()->back().id, "ab02");
}

TEST_F(JournalFile, ForeignNewerAndDamagedFilesAreNotUsed) {
    { ASSERT_TRUE(open()->add(record("ab"))); }
    const std::string good = *read_file(path, 1 << 20);
    const auto expect_refused = [&](Errc code, const std::string& what) {
        const auto opened = open();
        ASSERT_FALSE(opened) << what;
        EXPECT_EQ(opened.error().code(), code) << what << ": " << opened.error().text();
        EXPECT_NE(opened.error().text().find("no zone is booted, released or deleted here"), std::string::npos);
        EXPECT_FALSE(opened.error().remedy_text().empty());
    };
    execute(path, "PRAGMA user_version=5");
    expect_refused(Errc::unsupported, "newer");
    write_file(path, good);
    execute(path, "PRAGMA application_id=77");
    expect_refused(Errc::corrupt, "foreign");
    write_file(path,
               "this is no database, but it is long enough to be taken for one by a careless reader........"
               "...............................................................");
    expect_refused(Errc::io, "text");
    write_file(path, good.substr(0, good.size() - 4096));
    {
        const auto opened = open();
        EXPECT_FALSE(opened) << "truncated";
    }
    // A damaged page of the table. (SQLite has no checksums: only damage to its structure can be seen.)
    std::string damaged = good;
    for (std::size_t page = 4096; page + 16 < damaged.size(); page += 4096) damaged.replace(page, 16, 16, '\x5a');
    write_file(path, damaged);
    EXPECT_FALSE(open());
    write_file(path, good);
    EXPECT_TRUE(open());
}

// As version 1 wrote it: 27 columns, events without `extra`, no audit.
void make_version_1(const std::string& path, const char* moves_columns, const char* values,
                    void (*execute)(const std::string&, const std::string&)) {
    execute(path, std::string("CREATE TABLE moves(") + moves_columns +
                      ") STRICT; CREATE TABLE events(move TEXT NOT NULL, seq INTEGER PRIMARY KEY, at_unix_ms INTEGER "
                      "NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, code TEXT NOT NULL, number INTEGER NOT NULL,"
                      " flag INTEGER NOT NULL) STRICT; INSERT INTO moves VALUES(" +
                      values +
                      "); INSERT INTO events VALUES('ab', 1, 5, 'begun', '', '', 0, 0);"
                      "PRAGMA application_id=1514558026; PRAGMA user_version=1");
}

TEST_F(JournalFile, AJournalOfVersion1IsBroughtUpAndItsMoveGoesOn) {
    make_version_1(path,
                   "id TEXT NOT NULL PRIMARY KEY, role INTEGER NOT NULL, phase INTEGER NOT NULL, zone TEXT NOT NULL, "
                   "zone_uuid TEXT NOT NULL, peer TEXT NOT NULL, peer_address TEXT NOT NULL, zonepath TEXT NOT NULL, "
                   "epoch INTEGER NOT NULL, force INTEGER NOT NULL, cold INTEGER NOT NULL, keep_source INTEGER NOT "
                   "NULL, bytes_per_second INTEGER NOT NULL, return_of TEXT NOT NULL, was_running INTEGER NOT NULL, "
                   "passes INTEGER NOT NULL, running_passes INTEGER NOT NULL, tree_bytes INTEGER NOT NULL, "
                   "tree_entries INTEGER NOT NULL, manifest TEXT NOT NULL, digest TEXT NOT NULL, problem TEXT NOT "
                   "NULL, problem_code TEXT NOT NULL, running INTEGER NOT NULL, begun_unix_ms INTEGER NOT NULL, "
                   "halt_began_unix_ms INTEGER NOT NULL, activated_unix_ms INTEGER NOT NULL",
                   "'ab', 0, 6, 'web01', 'uuid', 'host2', '10.0.0.2:7743', '/zones/web01', 4, 0, 0, 1, 0, '', 1, 2, "
                   "1, 10, 11, '', 'd1', '', '', 0, 100, 200, 0",
                   execute);
    {
        auto journal = open();
        ASSERT_TRUE(journal) << journal.error().text();
        const MoveRecord record = **journal->find("ab");
        EXPECT_EQ(std::tuple(record.phase, record.zone, record.epoch, record.keep_source, record.halt_began_unix_ms),
                  std::tuple(Phase::released, "web01", 4U, KeepSource::remove, 200));
        EXPECT_EQ(holder_epoch(record), 5U);
        EXPECT_TRUE(journal->apply("ab", {.kind = EventKind::owned, .number = 5}));
        EXPECT_EQ(journal->history("ab")->size(), 2U);
        EXPECT_TRUE(journal->audit("web01", "ab", "a person's word"));
    }
    EXPECT_EQ((*open()->find("ab"))->phase, Phase::owned);
    EXPECT_EQ(open()->audits()->front().text, "a person's word");
}

// Journals that agents of that version have written: golden/journal, by `iterdump` of python's sqlite3.
TEST_F(JournalFile, JournalsOfVersion2GoOn) {
    const auto restore = [&](const std::string& name) {
        execute(path, *read_file(GOLDEN_DIRECTORY "/journal/" + name, 1 << 20));
    };
    restore("version_2_source.sql");
    {
        auto journal = open();
        ASSERT_TRUE(journal) << journal.error().text();
        const MoveRecord kept = *journal->resolve("kept01");
        EXPECT_EQ(std::tuple(kept.role, kept.phase, kept.peer), std::tuple(Role::source, Phase::activated, "host2"));
        EXPECT_TRUE(is_over(kept));
        const MoveRecord ready = *journal->resolve("rdy01");
        EXPECT_EQ(std::tuple(ready.role, ready.phase, ready.shared, ready.verify, ready.repairs),
                  std::tuple(Role::source, Phase::verified, SharedKind::none, VerifyMode::full, 0U));
        EXPECT_EQ(next_source_step(ready), SourceStep::stage);
        EXPECT_TRUE(journal->apply(ready.id, {.kind = EventKind::staged}));
        EXPECT_TRUE(journal->apply(ready.id, {.kind = EventKind::released}));
        EXPECT_GT(journal->history(ready.id)->size(), 5U);
    }
    EXPECT_EQ(open()->resolve("rdy01")->phase, Phase::released);

    ASSERT_EQ(::unlink(path.c_str()), 0);
    restore("version_2_target.sql");
    auto journal = open();
    ASSERT_TRUE(journal) << journal.error().text();
    const MoveRecord ready = *journal->resolve("rdy01");
    EXPECT_EQ(std::tuple(ready.role, ready.phase), std::tuple(Role::target, Phase::ready));
    EXPECT_NE(ready.manifest.find("rdy01"), std::string::npos);
    EXPECT_TRUE(is_in_doubt(ready));
    EXPECT_EQ(next_target_step(*journal->apply(ready.id, {.kind = EventKind::owned, .flag = true})),
              TargetStep::activate);
}

// As the agents of 2026-11-22, 06:00 wrote it: version 3, but two columns came later.
TEST_F(JournalFile, ColumnsThatAreMissingAreAdded) {
    { ASSERT_TRUE(open()->add(record("ab"))); }
    execute(path, "ALTER TABLE moves DROP COLUMN verify; ALTER TABLE moves DROP COLUMN repairs");
    const auto journal = open();
    ASSERT_TRUE(journal) << journal.error().text();
    EXPECT_EQ(**journal->find("ab"), record("ab"));
}

TEST_F(JournalFile, AMoveCanBeForgottenWithItsEvents) {
    auto journal = *open();
    ASSERT_TRUE(journal.add(record("ab")));
    ASSERT_TRUE(journal.add(record("cd")));
    ASSERT_TRUE(journal.forget("ab"));
    EXPECT_FALSE(*journal.find("ab"));
    EXPECT_TRUE(journal.history("ab")->empty());
    EXPECT_EQ(journal.all()->size(), 1U);
}

TEST_F(JournalFile, AnotherProcessIsKeptOut) {
    auto journal = *open();
    ASSERT_TRUE(journal.add(record("ab")));
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const auto second = Journal::open(path, clock);
        ::_exit(second && second->find("ab") ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "two agents would have worked with one journal";
    EXPECT_TRUE(journal.apply("ab", {.kind = EventKind::prepared}));
}

// In a child, so that the limit ends with it.
TEST_F(JournalFile, AFullDiskIsSaidToBeFullAndChangesNothing) {
    {
        auto journal = *open();
        ASSERT_TRUE(journal.add(record("ab")));
    }
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        auto journal = Journal::open(path, clock);
        const rlimit limit{64 << 10, 64 << 10};
        if (!journal || ::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(2);
        MoveRecord large = record("cd");
        large.manifest = std::string(1 << 20, 'x');
        const Status added = journal->add(large);
        if (added) ::_exit(3);
        if (added.error().code() != Errc::no_space && added.error().code() != Errc::io) ::_exit(4);
        if (journal->find("cd") && *journal->find("cd")) ::_exit(5);
        ::_exit(journal->apply("ab", {.kind = EventKind::prepared}) ? 0 : 6);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << WEXITSTATUS(status);
    EXPECT_EQ((*open()->find("ab"))->phase, Phase::prepared);
}

}  // namespace
}  // namespace zoneferry
