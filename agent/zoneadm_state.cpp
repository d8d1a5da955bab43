// The verbs about a zone on disk: verify, uninstall, mark.
#include <cstdio>

#include "agent/zoneadm_verbs.h"
#include "core/base/files.h"
#include "core/zone/network.h"
#include "core/zone/nspawn.h"
#include "core/zone/owner_record.h"
#include "core/zone/zonepath.h"

namespace zoneferry {
namespace {

// Only a zone that is ours and not moving may be taken apart.
Status check_removable(VerbContext& context, const HeldZone& held) {
    ZF_TRY(const RuntimeStatus now, context.runtime.status(held.entry.name));
    if (now.state != ZoneState::installed || now.supervised) {
        return Error(Errc::conflict, "zone " + held.entry.name.str() + " is running")
            .remedy("zoneadm -z " + held.entry.name.str() + " halt");
    }
    if (held.entry.state == ZoneState::configured) {
        return Error(Errc::conflict, "zone " + held.entry.name.str() + " is not installed");
    }
    Status ours = may_boot(context.root, held.entry.name, held.config.zonepath);
    if (!ours) return std::move(ours).error().during("uninstalling is refused");
    return {};
}

// What the zones subsystem itself put below the zonepath. Anything else is somebody's and stays.
Status remove_content(const UniqueFd& zonepath) {
    for (const char* name : {"root", "dev", "lu", "SUNWattached.xml"})
        ZF_TRY_STATUS(remove_tree_at(zonepath.get(), name));
    return {};
}

}  // namespace

int run_verify(VerbContext& context) {
    const auto config = context.store.config(*context.zone);
    if (!config) return report_error(config.error());
    std::vector<std::string> problems = config_problems(*config);
    const auto note = [&](const Status& checked) {
        if (!checked) problems.push_back(checked.error().text());
    };
    const auto zonepath = open_zonepath(context.root, config->zonepath);
    if (!zonepath && zonepath.error().code() != Errc::not_found) problems.push_back(zonepath.error().text());
    note(check_network(*config));
    if (const auto command = nspawn_command(context.root, *config); !command)
        problems.push_back(command.error().text());
    for (const std::string& problem : problems) std::fprintf(stderr, "zoneadm: %s\n", problem.c_str());
    return problems.empty() ? 0 : 1;
}

int run_uninstall(VerbContext& context) {
    const bool force = context.arguments.size() == 1 && context.arguments[0] == "-F";
    if (!force && !context.arguments.empty()) return report_usage("uninstall [-F]");
    auto held = hold_zone(context);
    if (!held) return report_error(held.error());
    const std::string name = held->entry.name.str();
    if (const Status may = check_removable(context, *held); !may) return report_error(may.error());
    if (!force) {
        return report_error(Error(Errc::usage, "uninstall removes everything in " + held->config.zonepath +
                                                   "/root and cannot be undone")
                                .remedy("zoneadm -z " + name + " uninstall -F"));
    }
    if (held->entry.state == ZoneState::installed) {
        const Status marked = context.store.change_state(held->lock, ZoneState::installed, ZoneState::incomplete);
        if (!marked) return report_error(marked.error());
    }
    const auto zonepath = open_zonepath(context.root, held->config.zonepath);
    if (zonepath) {
        if (Status removed = remove_content(*zonepath); !removed) return report_error(removed.error());
        (void)OwnerStore(context.root).remove(held->entry.name, held->config.zonepath);
        const auto rest = list_directory_fd(zonepath->get());
        if (rest && !rest->empty())
            std::fprintf(stderr, "zoneadm: %s holds other files, which were left\n", held->config.zonepath.c_str());
    } else if (zonepath.error().code() != Errc::not_found) {
        return report_error(zonepath.error());
    }
    const Status done = context.store.change_state(held->lock, ZoneState::incomplete, ZoneState::configured);
    return done ? 0 : report_error(done.error());
}

int run_mark(VerbContext& context) {
    if (context.arguments.size() != 1 || context.arguments[0] != "incomplete") return report_usage("mark incomplete");
    auto held = hold_zone(context);
    if (!held) return report_error(held.error());
    const auto now = context.runtime.status(held->entry.name);
    if (now && now->state != ZoneState::installed) {
        return report_error(Error(Errc::conflict, "zone " + held->entry.name.str() + " is running"));
    }
    const Status done = context.store.change_state(held->lock, ZoneState::installed, ZoneState::incomplete);
    return done ? 0 : report_error(done.error());
}

}  // namespace zoneferry
