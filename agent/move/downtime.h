// How long will the zone be down? Computed before it is halted, from what was measured: purely.
//
//   expected = halt + last pass + verify + stage + activate
//
// The last pass: as long as the last one that ran beside the zone; none yet: the whole tree at kDefaultPassRate. The
// others: as the newest finished move of this zone took them; halt, stage and activate else as the newest one of any
// zone of this host, and what was never measured as the defaults say, which are meant to be too long rather than too
// short.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/journal.h"
#include "agent/move/move_plan.h"

namespace zoneferry {

struct FixedCosts {
    std::int64_t halt_ms = 0;
    std::int64_t verify_ms = 0;
    std::int64_t stage_ms = 0;
    std::int64_t activate_ms = 0;  // the grant, attach and boot
};

// A move of the past with its events, as the journal has them.
struct PastMove {
    std::string zone;
    std::vector<JournalEntry> events;
};
// past: newest first. bytes, entries: of the tree that is to move.
FixedCosts fixed_costs(const std::vector<PastMove>& past, const std::string& zone, bool runs, std::uint64_t bytes,
                       std::uint64_t entries);

// last_pass_ms: nullopt when none has run yet.
std::int64_t expected_downtime_ms(const FixedCosts& costs, std::optional<std::int64_t> last_pass_ms,
                                  std::uint64_t bytes);

// What to do when the passes are over. budget_ms 0: none.
enum class SwitchChoice {
    now,
    pass_again,  // over the budget, but the passes still get shorter
    wait,        // over the budget, or asked to wait
};
SwitchChoice choose_switch(bool hold, std::int64_t budget_ms, std::int64_t expected_ms,
                           const std::vector<PassTime>& passes);

// How long the zone may be down before the release has to be given up: what comes after it is kept free. At least 1.
std::int64_t release_deadline_ms(std::int64_t budget_ms, const FixedCosts& costs);

}  // namespace zoneferry
