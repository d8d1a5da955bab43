#include "agent/verbs/verbs.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/exit_codes.h"
#include "agent/guarded.h"
#include "agent/verbs/verb_request.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

using Verb = Result<Json> (*)(const VerbRequest&);
constexpr std::array kVerbs{
    std::pair<std::string_view, Verb>{"check", serve_check},
    std::pair<std::string_view, Verb>{"move", serve_move},
    std::pair<std::string_view, Verb>{"p2v-push", serve_push},
    std::pair<std::string_view, Verb>{"status", serve_status},
    std::pair<std::string_view, Verb>{"watch", serve_watch},
    std::pair<std::string_view, Verb>{"abort", serve_abort},
    std::pair<std::string_view, Verb>{"limit", serve_limit},
    std::pair<std::string_view, Verb>{"pause", serve_pause},
    std::pair<std::string_view, Verb>{"resume", serve_resume},
    std::pair<std::string_view, Verb>{"switch", serve_switch},
    std::pair<std::string_view, Verb>{"rollback", serve_rollback},
    std::pair<std::string_view, Verb>{"finalize", serve_finalize},
    std::pair<std::string_view, Verb>{"resolve", serve_resolve},
    std::pair<std::string_view, Verb>{"gc", serve_gc},
    std::pair<std::string_view, Verb>{"history", serve_history},
    std::pair<std::string_view, Verb>{"report", serve_report},
    std::pair<std::string_view, Verb>{"version", serve_version},
    std::pair<std::string_view, Verb>{"trust-init", serve_trust_init},
    std::pair<std::string_view, Verb>{"trust-invite", serve_trust_invite},
    std::pair<std::string_view, Verb>{"trust-join", serve_trust_join},
    std::pair<std::string_view, Verb>{"trust-list", serve_trust_list},
    std::pair<std::string_view, Verb>{"trust-remove", serve_trust_remove},
    std::pair<std::string_view, Verb>{"trust-rights", serve_trust_rights},
};

}  // namespace

void serve_request(AgentContext& context, MoveDesk& desk, const std::function<void()>& trust_changed,
                   const std::string& line, const SendLine& send) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) {
        send(json_line(end_json(kExitUsage, "the request is not a JSON object")));
        return;
    }
    const VerbRequest request{context, desk, trust_changed, json, send};
    const std::string verb = request.text("verb");
    const auto found = std::find_if(kVerbs.begin(), kVerbs.end(), [&](const auto& row) { return row.first == verb; });
    if (found == kVerbs.end()) {
        send(json_line(end_json(kExitUsage, "this agent knows no verb '" + printable(verb) + "'")));
        return;
    }
    const Status done = guarded([&] {
        const Result<Json> last = found->second(request);
        send(json_line(last ? *last : end_json(last.error())));
    });
    if (done) return;
    spdlog::error("{}: {}", verb, done.error().text());
    send(json_line(end_json(done.error())));
}

}  // namespace zoneferry
