#include "core/update/zone_update.h"

#include <utility>

#include "core/attach/detach.h"
#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

Result<PackageSet> host_set(const HostRoot& root, const ZoneConfig& config, const HostPolicy& policy, int host) {
    auto set = take_package_set(host, dependency_scope(config), policy);
    if (!set) return std::move(set).error().during("reading the packages of " + root.directory());
    return set;
}

// Spools and the like, removed at the end; what an update left that was killed is removed at the next beginning.
class WorkDirectory {
public:
    static Result<WorkDirectory> make(const HostRoot& root, const std::string& zone) {
        WorkDirectory work;
        work.path_ = root.state_directory() + "/updates/" + zone;
        ZF_TRY_STATUS(remove_tree(work.path_));
        ZF_TRY_STATUS(make_directories(work.path_, 0700));
        return work;
    }
    WorkDirectory(WorkDirectory&& other) noexcept : path_(std::exchange(other.path_, "")) {}
    WorkDirectory& operator=(WorkDirectory&&) = delete;
    WorkDirectory(const WorkDirectory&) = delete;
    WorkDirectory& operator=(const WorkDirectory&) = delete;
    ~WorkDirectory() {
        if (!path_.empty()) (void)remove_tree(path_);
    }
    const std::string& path() const { return path_; }

private:
    WorkDirectory() = default;
    std::string path_;
};

}  // namespace

Result<Inventory> take_zone_inventory(const HostRoot& root, const ZoneConfig& config, int zone_root) {
    ZF_TRY(const UniqueFd host, open_directory(root.directory()));
    ZF_TRY(const HostPolicy policy, HostPolicy::load(host.get()));
    auto set = take_package_set(zone_root, dependency_scope(config), policy);
    if (!set) return std::move(set).error().during("reading the packages of zone " + config.name);
    return inventory_of(*set);
}

Result<UpdatePlan> plan_zone_update(const HostRoot& root, const ZoneConfig& config, int zone_root, UpdateScope scope,
                                    const std::optional<Inventory>& manifest) {
    ZF_TRY(const UniqueFd host, open_directory(root.directory()));
    ZF_TRY(const HostPolicy policy, HostPolicy::load(host.get()));
    ZF_TRY(const PackageSet here, host_set(root, config, policy, host.get()));
    auto there = take_package_set(zone_root, dependency_scope(config), policy);
    if (!there) return std::move(there).error().during("reading the packages of zone " + config.name);
    return plan_update(*there, here, scope == UpdateScope::everything, manifest);
}

Result<UpdatePlan> plan_announced_update(const HostRoot& root, const ZoneConfig& config, const Inventory& zone,
                                         UpdateScope scope, const std::optional<Inventory>& manifest) {
    ZF_TRY(const UniqueFd host, open_directory(root.directory()));
    ZF_TRY(const HostPolicy policy, HostPolicy::load(host.get()));
    ZF_TRY(const PackageSet here, host_set(root, config, policy, host.get()));
    return plan_update(package_set_of(zone), here, scope == UpdateScope::everything, manifest);
}

Status update_tree(const HostRoot& root, const ZoneConfig& config, const UpdatePlan& plan, int zone_root,
                   UpdateLog& log, const UpdateHooks& hooks, std::vector<std::string>& notes) {
    ZF_CHECK(!plan.is_refused());
    ZF_TRY(const WorkDirectory work, WorkDirectory::make(root, config.name));
    UpdateJob job{plan};
    job.zone_root = zone_root;
    job.host_root = root.directory();
    job.inherited = config.inherited_directories;
    job.zone = config.name;
    job.work_directory = work.path();
    job.log = [&log](std::string_view line) { log.add(line); };
    job.progress = [&hooks](const UpdateProgress& progress) {
        if (hooks.progress) hooks.progress(progress);
    };
    job.at_step = [&hooks](const std::string& step) {
        if (hooks.at_step) hooks.at_step(step);
    };
    job.notes = &notes;
    const SystemClock clock;
    const std::int64_t began_ms = clock.monotonic_ms();
    job.deadline_ms = began_ms + kUpdateLimitMs;
    log.add("update of zone " + config.name);
    const std::string text = update_plan_text(plan);
    for (const std::string_view line : split(text, '\n')) {
        if (!line.empty()) log.add(line);
    }
    Status done = plan.system == PackageSystem::dpkg ? apply_dpkg_update(job) : apply_svr4_update(job);
    const std::string took = " after " + format_duration_ms(clock.monotonic_ms() - began_ms);
    if (!done) {
        log.add_always("FAILED" + took + ": " + done.error().text());
        return done;
    }
    log.add_always("done" + took + ": " + std::to_string(plan.steps.size()) + " packages");
    if (Status logged = log.write_into_zone(zone_root, plan.system); !logged) {
        notes.push_back("the zone has no log of its update: " + logged.error().text());
    }
    job.at_step("logged");
    return {};
}

}  // namespace zoneferry
