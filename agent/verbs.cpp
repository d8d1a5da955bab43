#include "agent/verbs.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/exit_codes.h"
#include "agent/finish.h"
#include "agent/guarded.h"
#include "agent/join.h"
#include "agent/peer_session.h"
#include "agent/report.h"
#include "agent/start_move.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

// What a verb works with. Each verb returns its last line.
struct Request {
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

MoveWish wish_of(const Request& request) {
    MoveWish wish;
    wish.zone = request.text("zone");
    wish.peer = request.text("host");
    wish.force = request.flag("force");
    wish.cold = request.flag("cold");
    wish.keep_source = request.flag("remove_source") ? KeepSource::remove : KeepSource::keep;
    wish.bytes_per_second = request.number("bytes_per_second");
    return wish;
}

Json tell_check(const Request& request, const MoveWish& wish, const CheckReport& report) {
    for (const Finding& finding : report.findings) request.tell(finding_json(finding));
    request.tell(check_json(wish, report));
    if (report.peer_error) return end_json(*report.peer_error);
    if (!is_blocked(report.findings)) return end_json(kExitOk, "the move would work");
    return end_json(kExitBlocked, "the move would not work; nothing was touched on either host");
}

// Passes on the news of a move until its end, or until the client or the agent goes.
Json follow(const Request& request, const std::string& move_id) {
    std::uint64_t seen = 0;
    constexpr int kLookAgainMs = 1'000;
    while (!request.context.stopping) {
        const std::vector<MoveNews> fresh = request.context.board.wait(move_id, seen, kLookAgainMs);
        for (const MoveNews& news : fresh) {
            seen = news.seq;
            if (news.type == MoveNews::Type::end) return news_json(news);
            if (!request.tell(news_json(news))) return end_json(kExitDetached, "the watcher has gone");
        }
        if (!fresh.empty() || request.desk.is_working_on(move_id)) continue;
        const auto record = request.context.journal.find(move_id);
        if (record && *record && is_over(**record)) return news_json(end_news(**record));
    }
    return end_json(kExitInterrupted, "the agent is stopping; the move goes on when it starts again",
                    "zoneferry watch " + move_id);
}

Result<Json> serve_check(const Request& request) {
    const MoveWish wish = wish_of(request);
    ZF_TRY(const CheckReport report, check_move(request.context, wish));
    return tell_check(request, wish, report);
}

Result<Json> serve_move(const Request& request) {
    const MoveWish wish = wish_of(request);
    ZF_TRY(const StartedMove started, start_move(request.context, request.desk, wish));
    const Json verdict = tell_check(request, wish, started.check);
    if (started.move_id.empty()) return verdict;
    Json line{{"v", 1}, {"type", "started"}, {"move", started.move_id}, {"zone", wish.zone}, {"host", wish.peer}};
    request.tell(line);
    return follow(request, started.move_id);
}

Result<Json> serve_status(const Request& request) {
    if (request.text("move").empty()) {
        ZF_TRY(const std::vector<MoveRecord> records, request.context.journal.all());
        for (const MoveRecord& record : records) request.tell(move_json(record));
        return end_json(kExitOk, "");
    }
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    request.tell(move_json(record));
    ZF_TRY(const std::vector<JournalEntry> entries, request.context.journal.history(record.id));
    for (const JournalEntry& entry : entries) request.tell(event_json(entry));
    if (const auto news = request.context.board.latest(record.id); news && news->type == MoveNews::Type::progress) {
        request.tell(news_json(*news));
    }
    if (is_in_doubt(record)) {
        return end_json(kExitInDoubt, "in doubt: the zone is down until " + record.peer + " answers",
                        "bring " + record.peer + " and its agent back; the move ends by itself");
    }
    return end_json(kExitOk, "");
}

Result<Json> serve_watch(const Request& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    return follow(request, record.id);
}

Result<Json> serve_limit(const Request& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    const std::uint64_t rate = request.number("bytes_per_second");
    ZF_TRY_STATUS(request.desk.limit(record.id, rate));
    return end_json(kExitOk, rate == 0 ? "no limit" : "at most " + format_bytes(rate) + " a second");
}

Result<Json> serve_abort(const Request& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    ZF_TRY_STATUS(request.desk.request(record.id, {.reason = "aborted by the user"}));
    Json last = follow(request, record.id);
    if (last.value("phase", "") == "aborted") {
        last["exit_code"] = static_cast<int>(kExitOk);
        last["message"] = "aborted; zone " + record.zone + " is on this host as before";
    } else if (last.value("exit_code", 0) == kExitOk) {
        last["exit_code"] = static_cast<int>(kExitBusy);
        last["message"] = "too late to abort: " + last.value("message", "");
    }
    return last;
}

// The host that has the zone moves it back; we are its target and watch.
Result<Json> serve_rollback(const Request& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    std::string back;
    if (record.role == Role::target) {
        if (record.phase != Phase::activated) {
            return Error(Errc::conflict, "move " + record.id + " is " + std::string(phase_name(record.phase)) +
                                             ": there is nothing to bring back");
        }
        ZF_TRY(back, start_return(request.context, request.desk, record, record.peer_address));
    } else {
        if (record.phase != Phase::activated) {
            return Error(Errc::conflict, "move " + record.id + " is " + std::string(phase_name(record.phase)) +
                                             ": only a completed move that is not finalized can be rolled back")
                .remedy(can_abort(record) ? "zoneferry abort " + record.id : "");
        }
        ZF_TRY(PeerSession session, PeerSession::open(request.context, record.peer, record.peer_address));
        ReturnRequest ask;
        ask.move_id = record.id;
        ZF_TRY(const ReturnReply reply, session.ask<ReturnReply>(std::move(ask), kWorkTimeoutMs));
        back = reply.move_id;
    }
    request.tell(Json{{"v", 1}, {"type", "started"}, {"move", back}, {"zone", record.zone}, {"host", record.peer}});
    return follow(request, back);
}

Result<Json> serve_finalize(const Request& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    ZF_TRY(const MoveRecord after, finalize_move(request.context, record));
    return news_json(end_news(after));
}

Result<Json> serve_version(const Request& request) {
    const std::string host = request.text("host");
    Json line{{"v", 1}, {"type", "version"}, {"host", request.context.settings.name}, {"version", ZONEFERRY_VERSION}};
    request.tell(line);
    if (host.empty()) return end_json(kExitOk, "");
    ZF_TRY(const PeerSession session, PeerSession::open(request.context, host));
    request.tell(Json{{"v", 1},
                      {"type", "version"},
                      {"host", session.hello().host},
                      {"version", session.hello().version},
                      {"protocol", session.hello().protocol}});
    return end_json(kExitOk, "");
}

Result<Json> serve_trust_init(const Request& request) {
    ZF_TRY_STATUS(request.context.trust.init(request.context.settings.name, request.context.clock.unix_ms()));
    request.trust_changed();
    return end_json(kExitOk, "host " + request.context.settings.name + " has an authority and a certificate",
                    "invite another host: zoneferry trust invite HOST");
}

Result<Json> serve_trust_invite(const Request& request) {
    std::vector<std::string> addresses;
    for (const std::string& address : request.context.settings.addresses) {
        addresses.push_back(join_address({address, request.context.settings.port}));
    }
    if (addresses.empty()) {
        return Error(Errc::not_found, "this host has no address that another one could reach")
            .remedy("set addresses = [\"...\"] in /etc/zoneferry/agent.toml");
    }
    ZF_TRY(const Invitation invitation,
           request.context.trust.invite(request.text("host"), addresses, static_cast<int>(request.number("ttl_s")),
                                        request.context.clock.unix_ms()));
    request.tell(Json{{"v", 1}, {"type", "text"}, {"text", invitation.text()}});
    return end_json(kExitOk, "valid once, for " + std::to_string(request.number("ttl_s") / 60) + " minutes",
                    "on " + request.text("host") + ": zoneferry trust join, and give it that line");
}

Result<Json> serve_trust_join(const Request& request) {
    ZF_TRY(const std::string inviter, join(request.context, request.text("invitation")));
    request.trust_changed();
    return end_json(kExitOk, "this host and " + inviter + " trust each other");
}

Result<Json> serve_trust_list(const Request& request) {
    ZF_TRY(const std::vector<Peer> peers, request.context.trust.peers());
    for (const Peer& peer : peers) {
        request.tell(Json{{"v", 1},
                          {"type", "peer"},
                          {"host", peer.host},
                          {"address", peer.address},
                          {"port", peer.port},
                          {"may_send", peer.may_send},
                          {"may_receive", peer.may_receive}});
    }
    return end_json(kExitOk, "");
}

Result<Json> serve_trust_remove(const Request& request) {
    ZF_TRY_STATUS(request.context.trust.remove_peer(request.text("host")));
    return end_json(kExitOk, request.text("host") + " is not trusted any more");
}

using Verb = Result<Json> (*)(const Request&);
constexpr std::array kVerbs{
    std::pair<std::string_view, Verb>{"check", serve_check},
    std::pair<std::string_view, Verb>{"move", serve_move},
    std::pair<std::string_view, Verb>{"status", serve_status},
    std::pair<std::string_view, Verb>{"watch", serve_watch},
    std::pair<std::string_view, Verb>{"abort", serve_abort},
    std::pair<std::string_view, Verb>{"limit", serve_limit},
    std::pair<std::string_view, Verb>{"rollback", serve_rollback},
    std::pair<std::string_view, Verb>{"finalize", serve_finalize},
    std::pair<std::string_view, Verb>{"version", serve_version},
    std::pair<std::string_view, Verb>{"trust-init", serve_trust_init},
    std::pair<std::string_view, Verb>{"trust-invite", serve_trust_invite},
    std::pair<std::string_view, Verb>{"trust-join", serve_trust_join},
    std::pair<std::string_view, Verb>{"trust-list", serve_trust_list},
    std::pair<std::string_view, Verb>{"trust-remove", serve_trust_remove},
};

}  // namespace

void serve_request(AgentContext& context, MoveDesk& desk, const std::function<void()>& trust_changed,
                   const std::string& line, const SendLine& send) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) {
        send(json_line(end_json(kExitUsage, "the request is not a JSON object")));
        return;
    }
    const Request request{context, desk, trust_changed, json, send};
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
