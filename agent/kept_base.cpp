#include "agent/kept_base.h"

#include <algorithm>

#include "core/base/files.h"
#include "transfer/tree_copy.h"

namespace zoneferry {

bool has_copy_as_base(AgentContext& context, const MoveRecord& record) {
    return record.role == Role::target && !record.return_of.empty() && !record.uses_kept_copy &&
           path_exists(context.root.at(record.zonepath) + "/root");
}

Status take_copy_as_base(AgentContext& context, const MoveRecord& record) {
    if (record.phase != Phase::incoming || !has_copy_as_base(context, record)) return {};
    ZF_TRY(UniqueFd staging, open_directory(staging_path(context.root, record.zonepath, record.id)));
    ZF_TRY(const std::vector<std::string> present, list_directory_fd(staging.get()));
    const std::vector<std::string>& ours = excluded_names();
    const auto is_ours = [&](const std::string& name) {
        return std::find(ours.begin(), ours.end(), name) != ours.end();
    };
    if (!std::all_of(present.begin(), present.end(), is_ours)) return {};
    ZF_TRY(UniqueFd kept, open_directory(context.root.at(record.zonepath)));
    const auto go_on = [&context] {
        return context.stopping ? Status(Error(Errc::cancelled, "the agent is stopping")) : Status();
    };
    Status copied = copy_tree(std::move(kept), std::move(staging),
                              {move_directory(context.root, record.id) + "/copy", excluded_names(), go_on});
    if (!copied) return Error(std::move(copied).error().during("copying what was kept of the zone here"));
    return {};
}

}  // namespace zoneferry
