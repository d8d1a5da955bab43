#include "agent/move/staging_update.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "agent/move/moved_tree.h"
#include "core/attach/attach.h"
#include "core/attach/detach.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/update/crash_step.h"
#include "core/update/zone_update.h"
#include "core/zone/zonepath.h"

namespace zoneferry {
namespace {

std::string marker(AgentContext& context, const MoveRecord& record) {
    return move_directory(context.root, record.id) + "/updating";
}

Result<UniqueFd> open_staged_root(AgentContext& context, const MoveRecord& record) {
    ZF_TRY(const UniqueFd staging, open_directory(staging_path(context.root, zonepath_tree(record), record.id)));
    return open_beneath(staging.get(), "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

void tell(AgentContext& context, const MoveRecord& record, const std::string& message) {
    context.board.publish(MoveNews{.type = MoveNews::Type::phase,
                                   .move_id = record.id,
                                   .zone = record.zone,
                                   .phase = std::string(phase_name(record.phase)),
                                   .message = message});
}

void tell_progress(AgentContext& context, const MoveRecord& record, const UpdateProgress& progress) {
    MoveNews news{.type = MoveNews::Type::note, .move_id = record.id, .zone = record.zone};
    news.phase = phase_name(record.phase);
    news.message = "update: " + progress.doing + " " + printable(progress.package) + ", " +
                   std::to_string(progress.packages_done) + " of " + std::to_string(progress.packages) + " packages";
    context.board.publish(std::move(news));
}

Status change_staging(AgentContext& context, const MoveRecord& record, const Manifest& manifest, const UpdatePlan& plan,
                      int root) {
    ZF_TRY_STATUS(make_directories(move_directory(context.root, record.id), 0700));
    ZF_TRY_STATUS(replace_file(marker(context, record), "", 0600));
    ZF_TRY(UpdateLog log, UpdateLog::open(context.root, record.zone));
    tell(context, record,
         "updating " + std::to_string(plan.steps.size()) + " packages of the zone, " + format_bytes(plan.bytes()) +
             "; log: " + log.host_path());
    UpdateHooks hooks;
    hooks.at_step = crash_at_update_step;
    std::string last;
    hooks.progress = [&](const UpdateProgress& progress) {
        if (progress.package == last) return;
        last = progress.package;
        tell_progress(context, record, progress);
    };
    std::vector<std::string> notes;
    ZF_TRY_STATUS(update_tree(context.root, manifest.config, plan, root, log, hooks, notes));
    for (const std::string& note : notes) tell(context, record, note);
    return {};
}

}  // namespace

Status add_update(const HostRoot& root, UpdateScope scope, Manifest& manifest) {
    if (scope == UpdateScope::none) return {};
    ZF_TRY(const UniqueFd tree, open_zone_root(root, manifest.config.zonepath));
    ZoneUpdate update;
    update.scope = scope;
    ZF_TRY(update.zone, take_zone_inventory(root, manifest.config, tree.get()));
    manifest.update = std::move(update);
    return {};
}

Result<Manifest> make_move_manifest(const HostRoot& root, const ZoneConfig& config, const std::string& earlier) {
    ZF_TRY(Manifest manifest, make_manifest(root, config));
    if (earlier.empty()) return manifest;
    ZF_TRY(const Manifest wish, parse_manifest(earlier));
    if (wish.update) ZF_TRY_STATUS(add_update(root, wish.update->scope, manifest));
    return manifest;
}

Result<std::vector<Finding>> judge_update(const HostRoot& root, const Manifest& manifest) {
    ZF_TRY(const UpdatePlan plan, plan_announced_update(root, manifest.config, manifest.update->zone,
                                                        manifest.update->scope, manifest.inventory));
    return update_plan_findings(plan);
}

Result<std::vector<Finding>> update_staging(AgentContext& context, const MoveRecord& record, const Manifest& manifest) {
    ZF_TRY(const UniqueFd root, open_staged_root(context, record));
    ZF_TRY(const UpdatePlan plan,
           plan_zone_update(context.root, manifest.config, root.get(), manifest.update->scope, manifest.inventory));
    if (plan.is_refused()) return update_plan_findings(plan);
    if (plan.steps.empty()) return std::vector<Finding>();
    Status changed = change_staging(context, record, manifest, plan, root.get());
    if (changed && ::syncfs(root.get()) != 0) changed = system_error("making the updated zone durable", errno);
    if (!changed) {
        const std::string text =
            "updating the zone's packages on " + context.settings.name + ": " + changed.error().text();
        return Error(Errc::blocked, text).remedy("see /var/log/zoneferry/zones/" + record.zone + ".update.log there");
    }
    return std::vector<Finding>();
}

Result<bool> discard_half_updated(AgentContext& context, const MoveRecord& record) {
    if (record.phase != Phase::incoming || !path_exists(marker(context, record))) return false;
    ZF_TRY_STATUS(remove_tree(staging_path(context.root, zonepath_tree(record), record.id)));
    ZF_TRY_STATUS(remove_file(marker(context, record)));
    return true;
}

Status forget_updating(AgentContext& context, const MoveRecord& record) { return remove_file(marker(context, record)); }

}  // namespace zoneferry
