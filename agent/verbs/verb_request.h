// What the functions behind the verbs share: the request, the following of a move, and their names. verbs.cpp picks one
// by its name; verbs_move.cpp begins and ends moves, verbs_look.cpp only looks, verbs_word.cpp carries out what a
// person decides, verbs_trust.cpp is about trust. Each returns its last line.
#pragma once

#include <functional>
#include <string>

#include "agent/context.h"
#include "agent/move_desk.h"
#include "agent/report.h"
#include "agent/verbs/control_server.h"

namespace zoneferry {

struct VerbRequest {
    AgentContext& context;
    MoveDesk& desk;
    const std::function<void()>& trust_changed;
    const Json& json;
    const SendLine& send;

    std::string text(const char* key) const {
        const auto found = json.find(key);
        return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
    }
    bool flag(const char* key) const {
        const auto found = json.find(key);
        return found != json.end() && found->is_boolean() && found->get<bool>();
    }
    std::uint64_t number(const char* key) const {
        const auto found = json.find(key);
        return found != json.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
    }
    bool tell(const Json& line) const { return send(json_line(line)); }
};

// Passes on the news of a move until its end, or until the client or the agent goes. With until_stand also until
// nothing more happens without a person. The last line is the result.
Json follow(const VerbRequest& request, const std::string& move_id, bool until_stand = false);

// What a deed that is done already has come to, or is still coming to.
Json follow_last(const VerbRequest& request, const std::string& move_id);

Result<Json> serve_check(const VerbRequest& request);
Result<Json> serve_move(const VerbRequest& request);
Result<Json> serve_watch(const VerbRequest& request);
Result<Json> serve_abort(const VerbRequest& request);
Result<Json> serve_limit(const VerbRequest& request);
Result<Json> serve_pause(const VerbRequest& request);
Result<Json> serve_resume(const VerbRequest& request);
Result<Json> serve_switch(const VerbRequest& request);
Result<Json> serve_rollback(const VerbRequest& request);
Result<Json> serve_finalize(const VerbRequest& request);

Result<Json> serve_push(const VerbRequest& request);

Result<Json> serve_status(const VerbRequest& request);
Result<Json> serve_history(const VerbRequest& request);
Result<Json> serve_report(const VerbRequest& request);
Result<Json> serve_version(const VerbRequest& request);

Result<Json> serve_resolve(const VerbRequest& request);
Result<Json> serve_gc(const VerbRequest& request);

Result<Json> serve_trust_init(const VerbRequest& request);
Result<Json> serve_trust_invite(const VerbRequest& request);
Result<Json> serve_trust_join(const VerbRequest& request);
Result<Json> serve_trust_list(const VerbRequest& request);
Result<Json> serve_trust_remove(const VerbRequest& request);
Result<Json> serve_trust_rights(const VerbRequest& request);

}  // namespace zoneferry
