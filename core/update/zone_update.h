// A zone's update on this host: its plan, from the zone's own package database, and carrying it out on a tree.
//
// Here nothing is undone: the tree is a copy (attach_update.h) or the staging of a move, whose source still has the
// zone.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/attach/update.h"
#include "core/base/host_root.h"
#include "core/packages/update_plan.h"
#include "core/update/update_log.h"
#include "core/zone/config.h"

namespace zoneferry {

// Of a whole update, however many packages: a package's script that never ends must end.
inline constexpr std::int64_t kUpdateLimitMs = 3'600'000;

struct UpdateHooks {
    std::function<void(const UpdateProgress&)> progress;
    std::function<void(const std::string&)> at_step;  // for tests: a place to die; may be empty, as progress may
};

// What the zone itself holds, by its own database and this host's policy. Hostile: bounded, no link of it is followed
// out of it.
Result<Inventory> take_zone_inventory(const HostRoot& root, const ZoneConfig& config, int zone_root);

// scope is not none. manifest: to compare with, if there is one.
Result<UpdatePlan> plan_zone_update(const HostRoot& root, const ZoneConfig& config, int zone_root, UpdateScope scope,
                                    const std::optional<Inventory>& manifest);
// The same where the zone's tree is not here yet: from what its host says it holds (take_zone_inventory there).
Result<UpdatePlan> plan_announced_update(const HostRoot& root, const ZoneConfig& config, const Inventory& zone,
                                         UpdateScope scope, const std::optional<Inventory>& manifest);

// Does all steps of a plan that is not refused on the tree at zone_root, and writes the logs. On error the tree is in
// no known state. notes: what a person should know.
Status update_tree(const HostRoot& root, const ZoneConfig& config, const UpdatePlan& plan, int zone_root,
                   UpdateLog& log, const UpdateHooks& hooks, std::vector<std::string>& notes);

}  // namespace zoneferry
