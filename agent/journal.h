// The journal: every move this host takes part in, and every event of each, in SQLite.
//
// A change is durable when the function returns: rollback journal, synchronous=EXTRA (FULL does not sync the
// directory after the rollback journal is unlinked, so a power cut could undo an acknowledged commit), one
// connection, one process; the programs ask the agent and never open the file.
//
//   moves(id primary key, one column for each field of MoveRecord)
//   events(move, seq, at_unix_ms, kind, text, code, number, flag, extra)
//   audit(seq, at_unix_ms, zone, move, text): what a person has decided
//
// Version 2 added columns to both and the table audit; a journal of version 1 is brought up when it is opened, in one
// transaction. An older Zoneferry refuses the newer one.
//
// A journal that fails quick_check, or is of a newer version, is not opened: the agent then boots, releases
// and deletes nothing, and says so.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/move/move_plan.h"
#include "agent/move/move_record.h"
#include "core/base/clock.h"
#include "core/base/result.h"

namespace zoneferry {

struct JournalEntry {
    std::int64_t at_unix_ms = 0;
    std::string kind;
    std::string text;
    std::int64_t number = 0;
    std::int64_t extra = 0;
    bool flag = false;
};

struct AuditEntry {
    std::int64_t at_unix_ms = 0;
    std::string zone;
    std::string move;
    std::string text;
};

class Journal {
public:
    static Result<Journal> open(const std::string& path, const Clock& clock);
    ~Journal();
    Journal(Journal&&) noexcept;
    Journal& operator=(Journal&&) noexcept;

    // Adds a new move; Errc::conflict if its id is known.
    Status add(const MoveRecord& record);
    // Folds the event into the stored record and returns the new one. All or nothing.
    Result<MoveRecord> apply(const std::string& move_id, const MoveEvent& event);

    Result<std::optional<MoveRecord>> find(const std::string& move_id) const;
    // The id itself, or the one move whose id begins so, or the newest move of the zone named so.
    Result<MoveRecord> resolve(const std::string& move_or_zone) const;
    Result<std::vector<MoveRecord>> all() const;  // oldest first
    Result<std::vector<JournalEntry>> history(const std::string& move_id) const;

    // What a person has decided about a zone: kept for good.
    Status audit(const std::string& zone, const std::string& move_id, const std::string& text);
    Result<std::vector<AuditEntry>> audits() const;  // oldest first
    // Removes a move that is over, with its events; the caller has looked (gc.h).
    Status forget(const std::string& move_id);

private:
    struct State;
    explicit Journal(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace zoneferry
