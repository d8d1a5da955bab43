// What comes next in a move: pure functions on values, with no disk, clock or network in them.
//
// SOURCE. Each line: the phase, the events that leave it and where they lead. An event without an arrow stays.
//
//   begun       prepared -> prepared             the target has reserved name, space and staging
//   prepared    pass-begun, pass-done, running-pass-done
//               switching                        by a person: does not hold any more
//               waiting -> waiting               if `hold`, or the budget would be exceeded
//               paused -> paused                 by a person
//               quiescing -> quiescing           not while `hold`
//   waiting     pass-begun, pass-done            keeps the copy fresh; the zone runs
//               switching -> prepared            by a person: one more round of passes, then the halt
//               paused -> paused
//   paused      resumed -> prepared              by a person
//   quiescing   quiesced -> quiesced             frozen and halted
//   quiesced    pass-begun, pass-done
//               sent -> sent                     not when nothing travels
//               staged -> staged                 only when nothing travels: `uses_kept_copy`, or all of it is shared
//   sent        verified -> verified
//               repairing -> quiesced            once: what differs is sent again
//   verified    staged -> staged
//   staged      released -> released             THE COMMIT POINT
//   released    owned -> owned
//   owned       activated -> activated
//   activated   probed                           if a probe was asked for and has not answered
//               returning                        if `rollback_on_failure` and it is not healthy, once
//               looked-back                      the copy that was left was compared with what was sent
//               returned -> returned, finalized -> finalized
//   begun .. staged (also waiting, paused, quiescing)
//               aborting -> aborting             an error, a person, or the budget
//               superseded -> superseded         the target was adopted by a person: parked here
//   aborting    aborted -> aborted, superseded -> superseded
//   released, owned, activated, superseded
//               reclaiming -> reclaiming         by a person: the target is fenced
//   reclaiming  reclaimed -> reclaimed
//
// TARGET
//   incoming    ready -> ready, discarded -> discarded
//   ready       owned -> owned                   only on the source's Grant
//               adopted -> owned                 by a person: the source is fenced, or gone
//               discarded -> discarded           only on the source's word, or a person's
//   owned       activated -> activated, superseded -> superseded
//   activated   probed                           if a probe was asked for and has not answered
//               returned -> returned, finalized -> finalized
//               superseded -> superseded         the source was reclaimed by a person: parked here
//   superseded  adopted -> owned                 by a person
//
// Over: aborted, discarded, returned, finalized, reclaimed, superseded, and activated when neither probe nor return is
// awaited. In doubt: released at the source, ready at the target.
//
// Who may run the zone: before `released` only the source; from `released` on only the target, under epoch + 1; after
// a person's `reclaiming` or `adopted` only the host where it was said, under a higher epoch still. Nobody decides
// alone on a time-out: there is no way from `released` back to `aborting`, and the target leaves `ready` only on a
// Grant, on the source's word that the move was aborted, or on a person's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/move/move_record.h"
#include "core/base/result.h"

namespace zoneferry {

enum class EventKind {
    begun,
    pass_begun,  // number: unused
    prepared,
    running_pass_done,
    quiesced,  // number: unix ms at which the halt began; 0: as quiescing said
    sent,
    verified,  // text: the digest
    staged,
    released,
    owned,      // number: the epoch under which the target has it; 0: epoch + 1. At the target flag: boot it
    activated,  // number: unix ms; flag: the zone runs; text: what went wrong, if anything
    aborting,   // text: why; code
    aborted,    // flag: the zone runs here as before; text: why it could not be started, if so; code: not-owner when
                // the zone was found to be elsewhere, so that there was nothing to take back
    ready,      // text: the manifest; code: the nonce of shared storage
    discarded,  // text: why
    returned,
    finalized,
    pass_done,    // number: raw bytes; extra: bytes on the wire; flag: it was the last one; text: how, if it was:
                  // "tracked", or "walked: " and why
    waiting,      // number: expected downtime in ms; flag: over the budget; text: why
    switching,    // number: the new budget in ms, 0: none; flag: the zone runs now
    paused,       // text: who asked
    resumed,      // flag: the zone runs now
    quiescing,    // number: unix ms at which the halt begins; flag: the zone runs now; extra: expected downtime in ms
    probed,       // flag: healthy; text: what is wrong
    returning,    // text: the id of the move that brings it back; empty: that is not possible, code says why
    adopted,      // number: the new epoch; text: who said so
    reclaiming,   // number: the new epoch; text: who said so
    reclaimed,    // flag: the zone runs here; text: why it could not be started, if so
    superseded,   // number: the higher epoch; text: who holds it
    repairing,    // number: how many entries differ, at least 1; text: the first of them
    looked_back,  // number: how many entries differ; flag: not in file attributes only; extra: how many were looked at;
                  // text: empty if none, else what a person has to know before the copy may go
};
constexpr int kEventCount = 31;

struct MoveEvent {
    EventKind kind = EventKind::begun;
    std::string text;
    std::string code;
    std::int64_t number = 0;
    bool flag = false;
    std::int64_t extra = 0;
};

std::string_view event_name(EventKind kind);

// The record after the event; Errc::conflict when the table does not allow the event there.
Result<MoveRecord> fold(MoveRecord record, const MoveEvent& event);
// Would the table allow it now?
bool allows(const MoveRecord& record, EventKind event);

enum class SourceStep {
    prepare,
    running_pass,
    decide,      // halt the zone now, pass again, or wait: by hold and budget
    keep_fresh,  // waits for a person, with a pass now and then
    sleep,       // paused: waits for a person
    quiesce,
    final_pass,
    verify,
    stage,
    release,
    grant,        // repeated until the target has answered Owned
    confirm,      // waits for Activated
    await_probe,  // asks the target what its probe has said
    bring_back,   // asks the target to move it back
    reclaim,      // goes on with what a person has decided
    abort,        // goes on with an abort that was decided
    rest,         // nothing to do by itself: activated, or over
};
SourceStep next_source_step(const MoveRecord& record);

enum class TargetStep {
    wait,      // for the source
    activate,  // owns the zone: attach and boot it, whoever is listening
    probe,     // is it well?
    rest,
};
TargetStep next_target_step(const MoveRecord& record);

// Does the target take trees that lie there already (moved_tree.h)? Then no pass, no staging and no digest belong to
// the move.
bool brings_no_bytes(const MoveRecord& record);

// True while the zone's home is still the source and the move can be undone.
bool can_abort(const MoveRecord& record);
// True when nothing more happens without the user.
bool is_over(const MoveRecord& record);
// An aborted move whose zone was not its own to give back: it had been away meanwhile, or is.
bool was_found_elsewhere(const MoveRecord& record);
// True when the zone is down and only the other side, or the user, can end that.
bool is_in_doubt(const MoveRecord& record);
// True while the zone is down for this move and can still be started at the source: the budget's clock ticks.
bool is_down_before_release(const MoveRecord& record);

// The epoch under which the zone is held once the target, or the host that took it back, has it.
std::uint64_t holder_epoch(const MoveRecord& record);
// The epoch for a person's word: above what either side of the move may hold, and above `known` (an owner record's).
std::uint64_t epoch_by_word(const MoveRecord& record, std::uint64_t known);

// A probe was asked for, the zone runs, and nothing has been said yet.
bool awaits_probe(const MoveRecord& record);
// At the target as it was here: attached, running if it ran, and its probe content.
bool is_healthy(const MoveRecord& record);

// True when the source shall delete its copy by itself: asked for when the move began, and the zone is well there.
bool wants_deletion(const MoveRecord& record);

// One more pass while the zone runs? Only while the passes get markedly shorter and the last one was long:
// what is left then fits into the downtime.
struct PassTime {
    std::int64_t ms = 0;
    std::uint64_t bytes = 0;
};
bool wants_another_running_pass(const std::vector<PassTime>& passes);

}  // namespace zoneferry
