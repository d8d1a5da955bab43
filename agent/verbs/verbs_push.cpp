// p2v push: the verb; what it does is in push_source.
#include "agent/exit_codes.h"
#include "agent/push/push_source.h"
#include "agent/verbs/verb_request.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

void tell_what_is_left_out(const VerbRequest& request, const PushOutcome& outcome) {
    const auto note = [&](const std::string& text, const std::string& remedy = {}) {
        request.tell(
            news_json(MoveNews{.type = MoveNews::Type::note, .phase = "push", .message = text, .remedy = remedy}));
    };
    for (const std::string& path : outcome.left_out)
        note(printable(path) + " is another file system: left out", "give it to the zone by zonecfg add fs");
    if (outcome.changing > 0) {
        note(std::to_string(outcome.changing) +
                 " entries were written to after they were read: the zone has them as they were before",
             "stop what writes to them, and push again");
    }
}

Json installed_json(const PushWish& wish, const PushInstalled& installed) {
    if (!installed.installed) {
        const std::string why = wish.host + " could not install it: " + printable(installed.problem);
        return end_json(is_blocked(installed.findings) ? kExitBlocked : kExitAttachFailed, why, installed.remedy);
    }
    return end_json(kExitOk,
                    "zone " + wish.zone + " is installed on " + wish.host + ": " +
                        std::to_string(installed.packages_updated) + " packages updated, " +
                        std::to_string(installed.adjustments) + " adjustments; this machine is as it was",
                    "boot it there: zoneadm -z " + wish.zone + " boot; its log: " + printable(installed.log));
}

}  // namespace

Result<Json> serve_push(const VerbRequest& request) {
    PushWish wish;
    wish.host = request.text("host");
    wish.zone = request.text("zone");
    wish.unconfigure = request.flag("unconfigure");
    wish.install = wish.unconfigure || request.flag("preserve");
    wish.forget = request.flag("forget");
    wish.delete_containers = request.flag("delete_containers");
    wish.bytes_per_second = request.number("bytes_per_second");
    const auto tell = [&](const MoveNews& news) { return request.tell(news_json(news)); };
    ZF_TRY(const PushOutcome outcome, push_machine(request.context, wish, tell));
    if (wish.forget) return end_json(kExitOk, "the push to " + wish.host + ":" + wish.zone + " is given up");
    tell_what_is_left_out(request, outcome);
    if (!wish.install) {
        return end_json(
            kExitOk,
            wish.host + " has this machine's tree: sent " + format_bytes(outcome.raw_bytes) + " as " +
                format_bytes(outcome.wire_bytes) + " in " + std::to_string(outcome.passes) + " passes",
            "stop this machine's services, then: zoneferry p2v push " + wish.host + ":" + wish.zone + " -p (or -u)");
    }
    for (const Finding& finding : outcome.installed.findings) request.tell(finding_json(finding));
    for (const std::string& warning : outcome.installed.warnings)
        request.tell(news_json(MoveNews{.type = MoveNews::Type::note, .phase = wish.host, .message = warning}));
    return installed_json(wish, outcome.installed);
}

}  // namespace zoneferry
