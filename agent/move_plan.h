// What comes next in a move: pure functions on values, with no disk, clock or network in them.
//
// Source                                              Target
//   begun -> prepared -> quiesced -> sent               incoming -> ready
//         -> verified -> staged -> RELEASED                      -> owned -> activated
//         -> owned -> activated                                  -> returned | finalized
//         -> returned | finalized
//   begun .. staged -> aborting -> aborted              incoming, ready -> discarded
//
// Before `released` only the source may run the zone, from `released` on only the target may; so there is no
// way from `released` back to `aborting`, and the target leaves `ready` only on a Grant or on the source's
// word that the move was aborted: nobody decides alone on a time-out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/move_record.h"
#include "core/base/result.h"

namespace zoneferry {

enum class EventKind {
    begun,
    pass_begun,  // number: unused
    prepared,
    running_pass_done,
    quiesced,  // number: unix ms at which the halt began
    sent,
    verified,  // text: the digest
    staged,
    released,
    owned,
    activated,  // number: unix ms; flag: the zone runs; text: what went wrong, if anything
    aborting,   // text: why; code
    aborted,    // flag: the zone runs here as before; text: why it could not be started, if so
    ready,      // text: the manifest
    discarded,  // text: why
    returned,
    finalized,
};

struct MoveEvent {
    EventKind kind = EventKind::begun;
    std::string text;
    std::string code;
    std::int64_t number = 0;
    bool flag = false;
};

std::string_view event_name(EventKind kind);

// The record after the event; Errc::conflict when the table does not allow the event there.
Result<MoveRecord> fold(MoveRecord record, const MoveEvent& event);

enum class SourceStep {
    prepare,
    running_pass,
    quiesce,
    final_pass,
    verify,
    stage,
    release,
    grant,    // repeated until the target has answered Owned
    confirm,  // waits for Activated
    abort,    // goes on with an abort that was decided
    rest,     // nothing to do by itself: activated, or over
};
SourceStep next_source_step(const MoveRecord& record);

enum class TargetStep {
    wait,      // for the source
    activate,  // owns the zone: attach and boot it, whoever is listening
    rest,
};
TargetStep next_target_step(const MoveRecord& record);

// True while the zone's home is still the source and the move can be undone.
bool can_abort(const MoveRecord& record);
// True when nothing more happens without the user.
bool is_over(const MoveRecord& record);
// True when the zone is down and only the other side, or the user, can end that.
bool is_in_doubt(const MoveRecord& record);

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
