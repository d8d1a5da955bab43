// The verbs about a zone on disk: verify, uninstall, mark.
#include <cstdio>

#include "agent/programs/zoneadm_verbs.h"
#include "core/attach/host_check.h"
#include "core/attach/zone_tree.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/claim.h"
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
        return Error(Errc::conflict, "zone " + held.entry.name.str() + " is not installed: nothing is there to remove")
            .remedy("to delete its configuration: zonecfg -z " + held.entry.name.str() + " delete");
    }
    Status ours = may_boot(context.root, held.entry.name, held.config.zonepath);
    if (!ours) return std::move(ours).error().during("uninstalling is refused");
    return {};
}

// Removing stops at a mount, half way: it is refused before it begins.
Status check_no_mounts(int zonepath) {
    ZF_TRY(const std::vector<std::string> mounts, mounts_below(zonepath));
    if (mounts.empty()) return {};
    return Error(Errc::conflict, "these file systems are still mounted below the zonepath: " +
                                     printable(join(mounts, ", ")) + "; nothing was changed")
        .remedy("umount " + printable(mounts.back()));
}

// What the zones subsystem itself put below the zonepath. Anything else is somebody's and stays. lu first: without
// root, what is left of a broken update would say nothing true.
Status remove_content(const UniqueFd& zonepath) {
    for (const char* name : {"lu", "root", "dev", "SUNWattached.xml", ".zoneferry-lease"})
        ZF_TRY_STATUS(remove_tree_at(zonepath.get(), name));
    return {};
}

}  // namespace

int run_verify(VerbContext& context) {
    if (!context.arguments.empty()) return report_usage("verify");
    const auto entry = context.store.find(*context.zone);
    if (!entry) return report_error(entry.error());
    const auto config = context.store.config(*context.zone);
    if (!config) return report_error(config.error());
    std::vector<std::string> problems = config_problems(*config);
    if (problems.empty()) {
        const HostCheck check = check_host(context.root, *config);
        problems = check.problems;
        for (const std::string& note : check.notes) std::fprintf(stderr, "zoneadm: note: %s\n", note.c_str());
        if (const auto command = nspawn_command(context.root, *config); !command)
            problems.push_back(command.error().text());
        if (entry->state == ZoneState::installed && check.problems.empty()) {
            if (const auto tree = open_zone_tree(context.root, config->zonepath); !tree)
                problems.push_back(tree.error().text());
        }
    }
    for (const std::string& problem : problems) std::fprintf(stderr, "zoneadm: %s\n", problem.c_str());
    if (problems.empty()) return 0;
    std::fprintf(stderr, "  try: mend it on this host, or with zonecfg -z %s\n", config->name.c_str());
    return 1;
}

int run_uninstall(VerbContext& context) {
    const bool force = context.arguments.size() == 1 && context.arguments[0] == "-F";
    if (!force && !context.arguments.empty()) return report_usage("uninstall [-F]");
    if (!force) {
        // Asked before the lock is taken: a question left open stops nobody.
        if (const auto known = context.store.find(*context.zone); !known) return report_error(known.error());
        const std::string& name = context.zone->str();
        const auto answer = ask("Remove everything in the root of zone " + name + "? This cannot be undone");
        if (!answer) {
            return report_error(Error(Errc::conflict, "uninstalling zone " + name +
                                                          " cannot be undone and there is no terminal to ask at; "
                                                          "nothing was changed")
                                    .remedy("zoneadm -z " + name + " uninstall -F"));
        }
        if (!*answer) return 0;
    }
    auto held = hold_zone(context);
    if (!held) return report_error(held.error());
    if (const Status may = check_removable(context, *held); !may) return report_error(may.error());
    // An empty mount point must not be taken for the zone's tree.
    if (const auto lun = bring_lun(context.root, held->entry.name, LunUse::boot); !lun)
        return report_error(lun.error());
    const auto zonepath = open_zonepath(context.root, held->config.zonepath);
    if (zonepath) {
        if (const Status free = check_no_mounts(zonepath->get()); !free) return report_error(free.error());
    }
    if (held->entry.state == ZoneState::installed) {
        const Status marked = context.store.change_state(held->lock, ZoneState::installed, ZoneState::incomplete);
        if (!marked) return report_error(marked.error());
    }
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
    if (!now) return report_error(now.error());
    if (now->state != ZoneState::installed || now->supervised) {
        return report_error(Error(Errc::conflict, "zone " + held->entry.name.str() + " is running")
                                .remedy("zoneadm -z " + held->entry.name.str() + " halt"));
    }
    const Status done = context.store.change_state(held->lock, ZoneState::installed, ZoneState::incomplete);
    return done ? 0 : report_error(done.error());
}

}  // namespace zoneferry
