#include "agent/journal.h"

#include <sqlite3.h>

#include <mutex>
#include <type_traits>
#include <utility>

#include "agent/crash_point.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr int kSchemaVersion = 4;
constexpr int kApplicationId = 0x5a46524a;  // "ZFRJ"
constexpr const char* kAuditTable =
    "audit(seq INTEGER PRIMARY KEY, at_unix_ms INTEGER NOT NULL, zone TEXT NOT NULL, move TEXT NOT NULL, "
    "text TEXT NOT NULL) STRICT";

class Statement {
public:
    static Result<Statement> prepare(sqlite3* database, const std::string& sql) {
        sqlite3_stmt* raw = nullptr;
        if (sqlite3_prepare_v2(database, sql.c_str(), -1, &raw, nullptr) != SQLITE_OK) {
            return Error(Errc::io, std::string("journal: ") + sqlite3_errmsg(database));
        }
        return Statement(database, raw);
    }
    Statement(Statement&& other) noexcept
        : database_(other.database_), raw_(std::exchange(other.raw_, nullptr)), next_(other.next_) {}
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    Statement& operator=(Statement&&) = delete;
    ~Statement() { sqlite3_finalize(raw_); }

    void bind(const std::string& text) {
        sqlite3_bind_text(raw_, next_++, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    }
    void bind(std::int64_t number) { sqlite3_bind_int64(raw_, next_++, number); }

    // True: a row is there; false: done.
    Result<bool> step() {
        switch (sqlite3_step(raw_)) {
            case SQLITE_ROW: return true;
            case SQLITE_DONE: return false;
            case SQLITE_CONSTRAINT: return Error(Errc::conflict, "journal: this move is known already");
            case SQLITE_FULL: return Error(Errc::no_space, "journal: the disk is full");
            default: return Error(Errc::io, std::string("journal: ") + sqlite3_errmsg(database_));
        }
    }
    std::string text(int column) const {
        const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(raw_, column));
        return data == nullptr ? std::string()
                               : std::string(data, static_cast<std::size_t>(sqlite3_column_bytes(raw_, column)));
    }
    std::int64_t number(int column) const { return sqlite3_column_int64(raw_, column); }

private:
    Statement(sqlite3* database, sqlite3_stmt* raw) : database_(database), raw_(raw) {}
    sqlite3* database_;
    sqlite3_stmt* raw_;
    int next_ = 1;
};

Status run(sqlite3* database, const std::string& sql) {
    char* message = nullptr;
    if (sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &message) == SQLITE_OK) return {};
    const std::string text = message == nullptr ? "unknown" : message;
    sqlite3_free(message);
    return Error(Errc::io, "journal: " + text);
}

Result<std::int64_t> ask_number(sqlite3* database, const std::string& sql) {
    ZF_TRY(Statement statement, Statement::prepare(database, sql));
    ZF_TRY(const bool row, statement.step());
    if (!row) return Error(Errc::corrupt, "journal: no answer to " + sql);
    return statement.number(0);
}

// "id, role, phase, ..." and as many "?".
struct Columns {
    Columns() {
        MoveRecord record;
        for_each_field(record, [this](const char* name, const auto& field) {
            using Field = std::remove_cvref_t<decltype(field)>;
            names += (names.empty() ? "" : ", ") + std::string(name);
            marks += marks.empty() ? "?" : ", ?";
            constexpr bool kIsText = std::is_same_v<Field, std::string>;
            definitions += (definitions.empty() ? "" : ", ") + std::string(name) +
                           (kIsText ? " TEXT NOT NULL" : " INTEGER NOT NULL") +
                           (std::string_view(name) == "id" ? " PRIMARY KEY" : "");
            additions.emplace_back(name, kIsText ? " TEXT NOT NULL DEFAULT ''" : " INTEGER NOT NULL DEFAULT 0");
        });
    }
    std::string names;
    std::string marks;
    std::string definitions;
    std::vector<std::pair<std::string, std::string>> additions;  // name, and how ALTER TABLE adds it
};

void bind_record(Statement& statement, const MoveRecord& record) {
    for_each_field(record, [&](const char*, const auto& field) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(field)>, std::string>) {
            statement.bind(field);
        } else {
            statement.bind(static_cast<std::int64_t>(field));
        }
    });
}

MoveRecord read_record(const Statement& statement) {
    MoveRecord record;
    int column = 0;
    for_each_field(record, [&](const char*, auto& field) {
        using Field = std::remove_cvref_t<decltype(field)>;
        if constexpr (std::is_same_v<Field, std::string>) {
            field = statement.text(column++);
        } else {
            field = static_cast<Field>(statement.number(column++));
        }
    });
    return record;
}

}  // namespace

struct Journal::State {
    ~State() { sqlite3_close(database); }

    Status configure() {
        ZF_TRY_STATUS(run(database,
                          "PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA; PRAGMA locking_mode=EXCLUSIVE;"
                          "PRAGMA trusted_schema=OFF; PRAGMA mmap_size=0"));
        ZF_TRY(const std::int64_t version, ask_number(database, "PRAGMA user_version"));
        ZF_TRY(const std::int64_t application, ask_number(database, "PRAGMA application_id"));
        if (version == 0 && application == 0) return create();
        if (application != kApplicationId) return Error(Errc::corrupt, "this file is not a Zoneferry journal");
        if (version > kSchemaVersion) {
            return Error(Errc::unsupported,
                         "the journal was written by a newer Zoneferry (version " + std::to_string(version) + ")");
        }
        ZF_TRY_STATUS(check());
        ZF_TRY(const bool complete, has_every_column());
        return version < kSchemaVersion || !complete ? migrate() : Status();
    }
    // Between two releases columns were added without a new version.
    Result<bool> has_every_column() {
        for (const auto& [column, type] : Columns().additions) {
            ZF_TRY(const bool known, has_column("moves", column));
            if (!known) return false;
        }
        return true;
    }
    Result<bool> has_column(const std::string& table, const std::string& column) {
        ZF_TRY(Statement statement,
               Statement::prepare(database, "SELECT count(*) FROM pragma_table_info(?) WHERE name = ?"));
        statement.bind(table);
        statement.bind(column);
        ZF_TRY(const bool row, statement.step());
        return row && statement.number(0) > 0;
    }
    Status add_column(const std::string& table, const std::string& column, const std::string& type) {
        ZF_TRY(const bool known, has_column(table, column));
        return known ? Status() : run(database, "ALTER TABLE " + table + " ADD COLUMN " + column + type);
    }
    // Every version so far has only added columns and tables. All or nothing: a crash leaves the older version.
    Status migrate() {
        return transaction([&]() -> Status {
            for (const auto& [column, type] : Columns().additions) ZF_TRY_STATUS(add_column("moves", column, type));
            ZF_TRY_STATUS(add_column("events", "extra", " INTEGER NOT NULL DEFAULT 0"));
            ZF_TRY_STATUS(run(database, std::string("CREATE TABLE IF NOT EXISTS ") + kAuditTable));
            return run(database, "PRAGMA user_version=" + std::to_string(kSchemaVersion));
        });
    }
    Status create() {
        return run(database,
                   "BEGIN IMMEDIATE; CREATE TABLE moves(" + Columns().definitions +
                       ") STRICT;"
                       "CREATE TABLE events(move TEXT NOT NULL, seq INTEGER PRIMARY KEY, at_unix_ms INTEGER NOT "
                       "NULL, kind TEXT NOT NULL, text TEXT NOT NULL, code TEXT NOT NULL, number INTEGER NOT NULL,"
                       " flag INTEGER NOT NULL, extra INTEGER NOT NULL) STRICT;"
                       "CREATE INDEX events_of_move ON events(move, seq); CREATE TABLE " +
                       kAuditTable +
                       "; "
                       "PRAGMA application_id=" +
                       std::to_string(kApplicationId) + "; PRAGMA user_version=" + std::to_string(kSchemaVersion) +
                       "; COMMIT");
    }
    Status check() {
        ZF_TRY(Statement statement, Statement::prepare(database, "PRAGMA quick_check"));
        ZF_TRY(const bool row, statement.step());
        if (!row || statement.text(0) != "ok")
            return Error(Errc::corrupt, "quick_check: " + printable(statement.text(0)));
        return {};
    }
    Status write_event(const std::string& move, const MoveEvent& event) {
        ZF_TRY(Statement insert,
               Statement::prepare(database,
                                  "INSERT INTO events(move, at_unix_ms, kind, text, code, number, flag, extra) "
                                  "VALUES(?, ?, ?, ?, ?, ?, ?, ?)"));
        insert.bind(move);
        insert.bind(clock->unix_ms());
        insert.bind(std::string(event_name(event.kind)));
        // A manifest is kept in the record; the event only says that it came.
        insert.bind(event.kind == EventKind::ready ? std::string() : event.text);
        insert.bind(event.code);
        insert.bind(event.number);
        insert.bind(static_cast<std::int64_t>(event.flag));
        insert.bind(event.extra);
        ZF_TRY([[maybe_unused]] const bool row, insert.step());
        return {};
    }
    Status write_record(const MoveRecord& record, const char* how) {
        const Columns columns;
        ZF_TRY(Statement insert, Statement::prepare(database, std::string(how) + " INTO moves(" + columns.names +
                                                                  ") VALUES(" + columns.marks + ")"));
        bind_record(insert, record);
        ZF_TRY([[maybe_unused]] const bool row, insert.step());
        return {};
    }
    // Runs work in one transaction.
    template <class Work>
    Status transaction(Work work) {
        ZF_TRY_STATUS(run(database, "BEGIN IMMEDIATE"));
        Status done = work();
        if (done) done = run(database, "COMMIT");
        if (!done) (void)run(database, "ROLLBACK");
        return done;
    }
    Result<std::vector<MoveRecord>> select(const std::string& condition, const std::vector<std::string>& arguments) {
        ZF_TRY(Statement statement,
               Statement::prepare(database, "SELECT " + Columns().names + " FROM moves " + condition));
        for (const std::string& argument : arguments) statement.bind(argument);
        std::vector<MoveRecord> records;
        while (true) {
            ZF_TRY(const bool row, statement.step());
            if (!row) return records;
            records.push_back(read_record(statement));
        }
    }

    sqlite3* database = nullptr;
    const Clock* clock = nullptr;
    std::mutex mutex;
};

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}
Journal::~Journal() = default;
Journal::Journal(Journal&&) noexcept = default;
Journal& Journal::operator=(Journal&&) noexcept = default;

Result<Journal> Journal::open(const std::string& path, const Clock& clock) {
    auto state = std::make_unique<State>();
    state->clock = &clock;
    const int opened = sqlite3_open_v2(path.c_str(), &state->database,
                                       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
    Status done = opened == SQLITE_OK ? state->configure() : Status(Error(Errc::io, sqlite3_errstr(opened)));
    if (!done) {
        return std::move(done)
            .error()
            .during("the journal " + path + " cannot be used, so no zone is booted, released or deleted here")
            .remedy("restore it from a backup, or move it away after reading docs/recovery.md");
    }
    return Journal(std::move(state));
}

Status Journal::add(const MoveRecord& record) {
    const std::lock_guard guard(state_->mutex);
    crash_point(record.role, CrashMoment::before, EventKind::begun);
    Status done = state_->transaction([&]() -> Status {
        ZF_TRY_STATUS(state_->write_record(record, "INSERT"));
        return state_->write_event(record.id, MoveEvent{.kind = EventKind::begun});
    });
    if (done) crash_point(record.role, CrashMoment::after, EventKind::begun);
    return done;
}

Result<MoveRecord> Journal::apply(const std::string& move_id, const MoveEvent& event) {
    const std::lock_guard guard(state_->mutex);
    MoveRecord after;
    Status done = state_->transaction([&]() -> Status {
        ZF_TRY(std::vector<MoveRecord> found, state_->select("WHERE id = ?", {move_id}));
        if (found.empty()) return Error(Errc::not_found, "no move " + printable(move_id));
        ZF_TRY(after, fold(std::move(found.front()), event));
        crash_point(after.role, CrashMoment::before, event.kind);
        ZF_TRY_STATUS(state_->write_record(after, "INSERT OR REPLACE"));
        return state_->write_event(move_id, event);
    });
    if (!done) return std::move(done).error();
    crash_point(after.role, CrashMoment::after, event.kind);
    return after;
}

Result<std::optional<MoveRecord>> Journal::find(const std::string& move_id) const {
    const std::lock_guard guard(state_->mutex);
    ZF_TRY(std::vector<MoveRecord> found, state_->select("WHERE id = ?", {move_id}));
    if (found.empty()) return std::optional<MoveRecord>();
    return std::optional<MoveRecord>(std::move(found.front()));
}

Result<MoveRecord> Journal::resolve(const std::string& move_or_zone) const {
    const std::lock_guard guard(state_->mutex);
    ZF_TRY(std::vector<MoveRecord> by_zone,
           state_->select("WHERE zone = ? ORDER BY begun_unix_ms, rowid", {move_or_zone}));
    if (!by_zone.empty()) return std::move(by_zone.back());
    ZF_TRY(std::vector<MoveRecord> by_id,
           state_->select("WHERE substr(id, 1, length(?)) = ? ORDER BY begun_unix_ms, rowid",
                          {move_or_zone, move_or_zone}));
    if (move_or_zone.empty() || by_id.empty()) {
        return Error(Errc::not_found, "there is no move or moved zone '" + printable(move_or_zone) + "' on this host")
            .remedy("zoneferry list");
    }
    if (by_id.size() > 1) return Error(Errc::usage, "several moves begin with '" + printable(move_or_zone) + "'");
    return std::move(by_id.front());
}

Result<std::vector<MoveRecord>> Journal::all() const {
    const std::lock_guard guard(state_->mutex);
    return state_->select("ORDER BY begun_unix_ms, rowid", {});
}

Result<std::vector<JournalEntry>> Journal::history(const std::string& move_id) const {
    const std::lock_guard guard(state_->mutex);
    ZF_TRY(Statement statement, Statement::prepare(state_->database,
                                                   "SELECT at_unix_ms, kind, text, number, extra, flag FROM events "
                                                   "WHERE move = ? ORDER BY seq"));
    statement.bind(move_id);
    std::vector<JournalEntry> entries;
    while (true) {
        ZF_TRY(const bool row, statement.step());
        if (!row) return entries;
        entries.push_back({statement.number(0), statement.text(1), statement.text(2), statement.number(3),
                           statement.number(4), statement.number(5) != 0});
    }
}

Status Journal::audit(const std::string& zone, const std::string& move_id, const std::string& text) {
    const std::lock_guard guard(state_->mutex);
    ZF_TRY(Statement insert,
           Statement::prepare(state_->database, "INSERT INTO audit(at_unix_ms, zone, move, text) VALUES(?, ?, ?, ?)"));
    insert.bind(state_->clock->unix_ms());
    insert.bind(zone);
    insert.bind(move_id);
    insert.bind(text);
    ZF_TRY([[maybe_unused]] const bool row, insert.step());
    return {};
}

Result<std::vector<AuditEntry>> Journal::audits() const {
    const std::lock_guard guard(state_->mutex);
    ZF_TRY(Statement statement,
           Statement::prepare(state_->database, "SELECT at_unix_ms, zone, move, text FROM audit ORDER BY seq"));
    std::vector<AuditEntry> entries;
    while (true) {
        ZF_TRY(const bool row, statement.step());
        if (!row) return entries;
        entries.push_back({statement.number(0), statement.text(1), statement.text(2), statement.text(3)});
    }
}

Status Journal::forget(const std::string& move_id) {
    const std::lock_guard guard(state_->mutex);
    return state_->transaction([&]() -> Status {
        for (const char* what : {"DELETE FROM events WHERE move = ?", "DELETE FROM moves WHERE id = ?"}) {
            ZF_TRY(Statement statement, Statement::prepare(state_->database, what));
            statement.bind(move_id);
            ZF_TRY([[maybe_unused]] const bool row, statement.step());
        }
        return {};
    });
}

}  // namespace zoneferry
