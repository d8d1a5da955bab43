// One move as this host knows it: a plain value, kept in the journal, changed only by events (move_plan.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace zoneferry {

enum class Role { source, target };

// Where a move stands on this host. The table of who may follow whom is in move_plan.cpp.
enum class Phase {
    // source
    begun,     // journaled, nothing touched yet
    prepared,  // the target has reserved name, space and staging; passes run while the zone does
    quiesced,  // the zone is halted and frozen
    sent,      // the last pass is on the target's disk
    verified,  // both digests are equal
    staged,    // the target has voted READY
    released,  // THE COMMIT POINT: the right to run belongs to the target from here on
    aborting,  // decided to give up before the release; undoing
    aborted,
    // target
    incoming,   // name, space and staging reserved
    ready,      // promised: everything needed to run the zone is on disk here
    discarded,  // staging removed, nothing left
    // both
    owned,      // the target's durable OWNED (at the source: known of it)
    activated,  // attached at the target, and booted if it ran
    returned,   // a later move brought the zone back (rollback)
    finalized,  // the source's copy is deleted
};

enum class KeepSource { keep, remove };

struct MoveRecord {
    std::string id;
    Role role = Role::source;
    Phase phase = Phase::begun;
    std::string zone;
    std::string zone_uuid;
    std::string peer;          // the other host's name, as in its certificate
    std::string peer_address;  // "10.99.0.2:7743"
    std::string zonepath;
    std::uint64_t epoch = 0;  // before the release; the release makes it epoch + 1
    bool force = false;
    bool cold = false;
    KeepSource keep_source = KeepSource::keep;
    std::uint64_t bytes_per_second = 0;  // 0: no limit
    std::string return_of;               // the move this one undoes
    bool was_running = false;
    std::uint32_t passes = 0;          // passes begun, over all tries
    std::uint32_t running_passes = 0;  // passes completed while the zone ran
    std::uint64_t tree_bytes = 0;
    std::uint64_t tree_entries = 0;
    std::string manifest;      // target: what StageRequest brought
    std::string digest;        // of the tree that was released, hex
    std::string problem;       // why it was aborted or what is wrong now; empty: nothing
    std::string problem_code;  // errc_name of it
    bool running = false;      // target answered: the zone runs there
    std::int64_t begun_unix_ms = 0;
    std::int64_t halt_began_unix_ms = 0;
    std::int64_t activated_unix_ms = 0;

    bool operator==(const MoveRecord&) const = default;
};

std::string_view role_name(Role role);
std::string_view phase_name(Phase phase);

// Calls visit("column", field) for every field, in a fixed order; enumerations as they are. The journal's
// columns and the reports come from this one list.
template <class Record, class Visit>
void for_each_field(Record& record, Visit&& visit) {
    visit("id", record.id);
    visit("role", record.role);
    visit("phase", record.phase);
    visit("zone", record.zone);
    visit("zone_uuid", record.zone_uuid);
    visit("peer", record.peer);
    visit("peer_address", record.peer_address);
    visit("zonepath", record.zonepath);
    visit("epoch", record.epoch);
    visit("force", record.force);
    visit("cold", record.cold);
    visit("keep_source", record.keep_source);
    visit("bytes_per_second", record.bytes_per_second);
    visit("return_of", record.return_of);
    visit("was_running", record.was_running);
    visit("passes", record.passes);
    visit("running_passes", record.running_passes);
    visit("tree_bytes", record.tree_bytes);
    visit("tree_entries", record.tree_entries);
    visit("manifest", record.manifest);
    visit("digest", record.digest);
    visit("problem", record.problem);
    visit("problem_code", record.problem_code);
    visit("running", record.running);
    visit("begun_unix_ms", record.begun_unix_ms);
    visit("halt_began_unix_ms", record.halt_began_unix_ms);
    visit("activated_unix_ms", record.activated_unix_ms);
}

}  // namespace zoneferry
