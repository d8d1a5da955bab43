// Verbs by which a person decides: who has a zone in doubt, and what rubbish goes.
#include <utility>

#include "agent/exit_codes.h"
#include "agent/fence.h"
#include "agent/gc.h"
#include "agent/resolve.h"
#include "agent/verbs/verb_request.h"
#include "core/zone/owner_record.h"
#include "core/zone/store.h"

namespace zoneferry {
namespace {

constexpr const char* kParkedRisk =
    "The zone was parked because another host holds it under a higher epoch. If that host runs it, it runs twice.";

// The risk is told, and the zone's name asked for, before anything is done.
Json ask_for_name(const VerbRequest& request, const std::string& zone, const std::string& risk) {
    request.tell(Json{{"v", 1}, {"type", "risk"}, {"zone", zone}, {"text", risk}});
    return end_json(kExitUsage, "nothing was done: the zone's name was not typed",
                    "add --yes to decide without being asked");
}

bool is_confirmed(const VerbRequest& request, const std::string& zone) {
    return request.flag("yes") || request.text("confirmed") == zone;
}

Result<Json> resolve_parked(const VerbRequest& request, const std::string& zone, const Error& otherwise) {
    const bool adopts = request.text("word") == "adopt";
    const auto name = ZoneName::create(zone);
    const auto config = name ? ZoneStore(request.context.root).config(*name) : Result<ZoneConfig>(name.error());
    if (!adopts || !config) return otherwise;
    const auto owner = OwnerStore(request.context.root).load(*name, config->zonepath);
    if (!owner || !*owner || (*owner)->state != Ownership::parked) return otherwise;
    if (!is_confirmed(request, zone)) return ask_for_name(request, zone, kParkedRisk);
    if (!request.flag("fenced")) {
        return Error(Errc::in_doubt, (*owner)->host + " holds zone " + zone + " and may be running it")
            .remedy("only when that host is off, wiped or cut off for good: add --peer-is-fenced");
    }
    ZF_TRY_STATUS(fence_host(request.context.root, request.context.settings, (*owner)->host, zone));
    ZF_TRY_STATUS(unpark(request.context, zone, "root"));
    return end_json(kExitOk, "zone " + zone + " belongs to this host", "zoneadm -z " + zone + " boot");
}

}  // namespace

Result<Json> serve_resolve(const VerbRequest& request) {
    const Word word = request.text("word") == "adopt" ? Word::adopt : Word::reclaim;
    const auto record = request.context.journal.resolve(request.text("move"));
    if (!record) return resolve_parked(request, request.text("move"), record.error());
    const auto plan = plan_resolution(*record, word, request.context.settings.name);
    if (!plan) return resolve_parked(request, record->zone, plan.error());
    if (!is_confirmed(request, record->zone)) return ask_for_name(request, record->zone, plan->risk);
    const PeerWord peer = ask_peer_about(request.context, *record);
    ZF_TRY_STATUS(check_deed(*record, plan->deed, peer, request.flag("fenced")));
    if (request.flag("fenced")) {
        ZF_TRY_STATUS(fence_host(request.context.root, request.context.settings, record->peer, record->zone));
    }
    ZF_TRY_STATUS(carry_out(request.context, request.desk, *record, plan->deed, "root"));
    return follow_last(request, record->id);
}

Result<Json> serve_gc(const VerbRequest& request) {
    const bool dry_run = request.flag("dry_run");
    ZF_TRY(const std::vector<Leftover> leftovers, find_leftovers(request.context));
    std::size_t removed = 0;
    std::size_t kept = 0;
    for (const Leftover& leftover : leftovers) {
        const bool goes = leftover.may_go && !request.desk.is_working_on(leftover.move_id);
        Status done = goes && !dry_run ? remove_leftover(request.context, leftover) : Status();
        ++(goes && done ? removed : kept);
        request.tell(Json{{"v", 1},
                          {"type", "leftover"},
                          {"what", leftover.what},
                          {"move", leftover.move_id},
                          {"path", leftover.path},
                          {"removed", goes && !dry_run && done.has_value()},
                          {"may_go", goes},
                          {"why", done ? leftover.why : done.error().text()}});
    }
    return end_json(kExitOk, std::to_string(removed) + (dry_run ? " would be removed, " : " removed, ") +
                                 std::to_string(kept) + " kept");
}

}  // namespace zoneferry
