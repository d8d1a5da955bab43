// Gathers what preflight.h judges: looks at this host, changes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/move/preflight.h"
#include "core/attach/manifest.h"

namespace zoneferry {

// `move_id`: the move that asks, whose own reservation is no conflict; `return_of` as in CheckRequest.
Result<TargetView> view_target(AgentContext& context, const MoveDemand& demand, const std::string& move_id,
                               const std::string& return_of);
Result<SourceView> view_source(AgentContext& context, const ZoneConfig& config);

// Packages, machine and brand: what an attach of this zone would ask here.
Result<std::vector<Finding>> check_packages(AgentContext& context, const Manifest& manifest, bool force);

// All that the target finds: packages, machine and brand (core/attach), then the host itself.
Result<std::vector<Finding>> check_target(AgentContext& context, const Manifest& manifest, const MoveDemand& demand,
                                          const std::string& move_id, const std::string& return_of, bool force);

std::string parent_of(const std::string& path);  // "/" of "/a"
// The deepest directory of the path that exists, as a path of the machine: where a new tree would lie.
std::string nearest_existing(const HostRoot& root, std::string path);
struct FreeSpace {
    std::string file_system;  // its type: "ext4"
    std::uint64_t bytes = 0;
    std::uint64_t inodes = 0;  // 0: it has no fixed number of them
};
// For a new entry of that directory, which need not exist.
Result<FreeSpace> free_space(const HostRoot& root, const std::string& directory);
// Something is mounted at this very path.
bool is_mount_point(const HostRoot& root, const std::string& path);
// Is one of the paths the other, or above it?
bool overlap(const std::string& one, const std::string& other);

// Why a zone must not be put at this zonepath: its parents must exist, belong to root, be no links and not be
// writable by others, and it lies in no system directory. Empty: sound.
std::string zonepath_problem(const HostRoot& root, const std::string& zonepath);

}  // namespace zoneferry
