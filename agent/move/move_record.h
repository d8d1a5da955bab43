// One move as this host knows it: a plain value, kept in the journal, changed only by events (move_plan.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace zoneferry {

enum class Role { source, target };

// Where a move stands on this host. The table of who may follow whom is at the head of move_plan.h. The numbers are
// stored in the journal: new phases are added at the end, none is ever renumbered.
enum class Phase {
    // source
    begun = 0,     // journaled, nothing touched yet
    prepared = 1,  // the target has reserved name, space and staging; passes run while the zone does
    quiesced = 2,  // the zone is halted and frozen
    sent = 3,      // the last pass is on the target's disk
    verified = 4,  // both digests are equal
    staged = 5,    // the target has voted READY
    released = 6,  // THE COMMIT POINT: the right to run belongs to the target from here on
    aborting = 7,  // decided to give up before the release; undoing
    aborted = 8,
    // target
    incoming = 9,    // name, space and staging reserved
    ready = 10,      // promised: everything needed to run the zone is on disk here
    discarded = 11,  // staging removed, nothing left
    // both
    owned = 12,      // the target's durable OWNED (at the source: known of it)
    activated = 13,  // attached at the target, and booted if it ran
    returned = 14,   // a later move brought the zone back (rollback)
    finalized = 15,  // the source's copy is deleted
    // source
    waiting = 16,     // all but the last pass is done; the zone runs, the copy is kept fresh until `switch`
    paused = 17,      // the user stopped the passes; the zone runs, the target keeps what it has
    quiescing = 18,   // decided to switch: the zone is being frozen and halted
    reclaiming = 19,  // a person has said that the zone is this host's again; being put right
    reclaimed = 20,
    // both
    superseded = 21,  // the other host holds a higher epoch by a person's word: the zone is parked here
};
constexpr int kPhaseCount = 22;

enum class KeepSource { keep, remove };

// How both hosts reach the tree. Stored in the journal and sent: never renumbered.
enum class SharedKind {
    none = 0,       // the target has a copy of its own: the tree travels
    directory = 1,  // one mounted file system on both hosts
    lun = 2,        // a block device that both see: unmounted here, mounted there
};

// What is compared after the last pass.
enum class VerifyMode { full = 0, meta = 1, off = 2 };

// What the probe after the activation has said.
enum class ProbeState { none = 0, healthy = 1, failed = 2 };

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
    std::uint32_t running_passes = 0;  // rounds of passes completed while the zone ran
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
    // since journal version 2
    bool hold = false;                     // do not switch by itself: --no-switch, or over the budget
    std::int64_t max_downtime_ms = 0;      // the budget; 0: none
    std::int64_t expected_down_ms = 0;     // the last estimate; 0: none was made
    bool uses_kept_copy = false;           // a return that takes the kept copy as it is (rollback --discard)
    std::string probe;                     // "tcp:PORT", "cmd:WORD WORD"; empty: none
    std::int64_t probe_limit_ms = 0;       // how long it may take to succeed
    bool rollback_on_failure = false;      // bring the zone back when it does not boot or its probe fails
    ProbeState probed = ProbeState::none;  // what the probe has said
    std::string returned_by;               // the move that brings the zone back; "-": it cannot be brought back
    std::uint64_t owned_epoch = 0;         // under which the present holder has it; 0: epoch + 1 (see holder_epoch)
    bool promise_asked = false;            // source: the target may have promised, so it is asked before an undo
    std::string peer_host_id;              // of the host that this move began with; empty: not known
    std::uint64_t raw_bytes = 0;           // in all passes, before compression
    std::uint64_t wire_bytes = 0;          // in all passes, as sent
    // since journal version 3
    SharedKind shared =
        SharedKind::none;  // source and target have one and the same tree: nothing of it is ever deleted
    std::string storage;   // of a LUN: core/zone/storage.h
    std::string nonce;     // in the owner record beside the tree while it is handed over
    VerifyMode verify = VerifyMode::full;
    std::uint64_t repairs = 0;  // entries that differed after the last pass and were sent again
    // since journal version 4
    std::string extra_trees;  // file systems outside the zonepath that travel with the zone: moved_tree.h

    bool operator==(const MoveRecord&) const = default;
};

std::string_view role_name(Role role);
std::string_view phase_name(Phase phase);
std::string_view shared_kind_name(SharedKind kind);
std::string_view probe_state_name(ProbeState state);
std::string_view verify_mode_name(VerifyMode mode);

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
    visit("hold", record.hold);
    visit("max_downtime_ms", record.max_downtime_ms);
    visit("expected_down_ms", record.expected_down_ms);
    visit("uses_kept_copy", record.uses_kept_copy);
    visit("probe", record.probe);
    visit("probe_limit_ms", record.probe_limit_ms);
    visit("rollback_on_failure", record.rollback_on_failure);
    visit("probed", record.probed);
    visit("returned_by", record.returned_by);
    visit("owned_epoch", record.owned_epoch);
    visit("promise_asked", record.promise_asked);
    visit("peer_host_id", record.peer_host_id);
    visit("raw_bytes", record.raw_bytes);
    visit("wire_bytes", record.wire_bytes);
    visit("shared", record.shared);
    visit("storage", record.storage);
    visit("nonce", record.nonce);
    visit("verify", record.verify);
    visit("repairs", record.repairs);
    visit("extra_trees", record.extra_trees);
}

}  // namespace zoneferry
