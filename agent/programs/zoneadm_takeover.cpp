#include "agent/programs/zoneadm_takeover.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "agent/fence.h"
#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/claim.h"

namespace zoneferry {
namespace {

std::string held_by(const std::string& zone, const OwnerRecord& holder) {
    return "zone " + zone + " is held by host " + printable(holder.host) + " since " +
           format_time(holder.since_unix_ms) + " (" + std::string(ownership_name(holder.state)) + ", epoch " +
           std::to_string(holder.epoch) + ")";
}

// The name is typed, also into a pipe: what must not happen is that nobody thought about it.
Status ask_for_name(const std::string& zone, const OwnerRecord& holder) {
    std::fprintf(stderr,
                 "zoneadm: %s\n"
                 "If that host runs it, now or later, both write to one tree and destroy it. Cut that host off first.\n"
                 "Type the zone's name to take it over: ",
                 held_by(zone, holder).c_str());
    std::string line;
    std::getline(std::cin, line);
    if (line == zone) return {};
    return Error(Errc::not_owner, held_by(zone, holder) + "; nothing was changed")
        .remedy("type its name when asked; or, for a script: zoneadm -z " + zone +
                " attach -F --takeover --yes --peer-is-fenced");
}

Status audit(VerbContext& context, const std::string& text) {
    const std::string directory = context.root.at("/var/log/zoneferry");
    ZF_TRY_STATUS(make_directories(directory, 0755));
    ZF_TRY(const UniqueFd log, open_file(directory + "/audit.log", O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0600));
    ZF_TRY_STATUS(write_all(log.get(), as_bytes(format_time(SystemClock().unix_ms()) + " " + text + "\n")));
    return ::fsync(log.get()) == 0 ? Status() : Status(system_error("syncing " + directory + "/audit.log", errno));
}

}  // namespace

Status take_over(VerbContext& context, const TakeoverArguments& arguments) {
    ZF_TRY(const HeldZone held, hold_zone(context));
    const std::string zone = held.entry.name.str();
    ZF_TRY(const std::optional<OwnerRecord> holder, holder_elsewhere(context.root, held.entry.name, held.config));
    if (!holder) return {};
    if (held.entry.state != ZoneState::configured) {
        return Error(Errc::conflict, "zone " + zone + " is " + std::string(state_name(held.entry.state)) +
                                         " here; only a configured zone is attached")
            .remedy("zoneferry status " + zone + "; to make a parked zone this host's: zoneferry resolve " + zone +
                    " --adopt");
    }
    if (!arguments.yes) ZF_TRY_STATUS(ask_for_name(zone, *holder));
    ZF_TRY(const Settings settings, load_settings(context.root));
    const std::string& host = settings.name;
    ZF_TRY_STATUS(fence_host(context.root, settings, holder->host, zone));
    ZF_TRY_STATUS(
        audit(context, "uid " + std::to_string(::getuid()) + " on " + host + " takes over: " + held_by(zone, *holder)));
    ZF_TRY(const bool is_new, bring_lun(context.root, held.entry.name, LunUse::take_over));
    Status taken = take_over_by_hand(context.root, held.lock, held.config.zonepath, *holder, host);
    if (!taken && is_new) (void)put_lun_away(context.root, held.config);
    return taken;
}

}  // namespace zoneferry
