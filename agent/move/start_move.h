// The beginning of a move on its source: the check of both hosts, and, if nothing forbids it, the start.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/move/storage_proof.h"
#include "agent/move_desk.h"
#include "core/attach/finding.h"
#include "core/packages/update_plan.h"

namespace zoneferry {

struct MoveWish {
    std::string zone;
    std::string peer;
    std::string peer_address;  // empty: as known to the trust store
    bool force = false;
    UpdateScope update = UpdateScope::none;  // -u, -U
    bool cold = false;
    KeepSource keep_source = KeepSource::keep;
    std::uint64_t bytes_per_second = 0;
    std::string return_of;
    bool use_kept_copy = false;        // with return_of: rollback --discard
    bool hold = false;                 // --no-switch
    std::int64_t max_downtime_ms = 0;  // 0: no budget
    std::string probe;                 // empty: none
    std::int64_t probe_limit_ms = 0;
    bool rollback_on_failure = false;
    SharedWish shared = SharedWish::detect;  // --shared
    VerifyMode verify = VerifyMode::full;
};

struct CheckReport {
    std::vector<Finding> findings;  // both hosts'
    HostFacts source;
    HostFacts target;
    std::uint64_t tree_bytes = 0;
    std::uint64_t tree_entries = 0;
    bool running = false;
    SharedKind shared = SharedKind::none;
    std::string storage;                 // the LUN
    std::vector<ExtraTree> extra_trees;  // what is sent beside the zonepath
    std::optional<Error> peer_error;     // why the target could not be asked; the findings are then the source's alone
    std::string plan_hash;               // of everything that was judged; the same facts give the same hash
};

// Looks at both hosts, changes nothing on either.
Result<CheckReport> check_move(AgentContext& context, const MoveWish& wish);

struct StartedMove {
    std::string move_id;  // empty when blocked
    CheckReport check;
};
Result<StartedMove> start_move(AgentContext& context, MoveDesk& desk, const MoveWish& wish);

// A rollback, on the host that has the zone now: moves it back to where `first` brought it from.
Result<std::string> start_return(AgentContext& context, MoveDesk& desk, const MoveRecord& first,
                                 const std::string& peer_address, bool use_kept_copy);

}  // namespace zoneferry
