// Verbs that only look: where moves stand, what has been, on both sides.
#include <utility>

#include "agent/exit_codes.h"
#include "agent/move/move_history.h"
#include "agent/peer_session.h"
#include "agent/verbs/verb_request.h"
#include "core/base/text.h"

namespace zoneferry {

Result<Json> serve_status(const VerbRequest& request) {
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

Result<Json> serve_history(const VerbRequest& request) {
    const std::string zone = request.text("zone");
    ZF_TRY(const std::vector<MoveRecord> records, request.context.journal.all());
    for (const MoveRecord& record : records) {
        if (!zone.empty() && record.zone != zone) continue;
        ZF_TRY(const std::vector<JournalEntry> events, request.context.journal.history(record.id));
        request.tell(history_json(record, events));
    }
    ZF_TRY(const std::vector<AuditEntry> decisions, request.context.journal.audits());
    for (const AuditEntry& entry : decisions) {
        if (!zone.empty() && entry.zone != zone) continue;
        request.tell(Json{{"v", 1},
                          {"type", "decision"},
                          {"at", format_time(entry.at_unix_ms)},
                          {"at_unix_ms", entry.at_unix_ms},
                          {"zone", entry.zone},
                          {"move", entry.move},
                          {"text", entry.text}});
    }
    return end_json(kExitOk, "");
}

namespace {

void tell_events(const VerbRequest& request, const std::string& side, const std::vector<JournalEntry>& events) {
    for (const JournalEntry& entry : events) {
        Json line = event_json(entry);
        line["side"] = side;
        request.tell(line);
    }
}

Result<HistoryReply> ask_history(AgentContext& context, const MoveRecord& record) {
    ZF_TRY(PeerSession session, PeerSession::open(context, record.peer, record.peer_address));
    ZF_TRY_STATUS(session.need("move-history"));
    HistoryRequest ask;
    ask.move_id = record.id;
    return session.ask<HistoryReply>(std::move(ask));
}

}  // namespace

Result<Json> serve_report(const VerbRequest& request) {
    ZF_TRY(const MoveRecord record, request.context.journal.resolve(request.text("move")));
    ZF_TRY(const std::vector<JournalEntry> events, request.context.journal.history(record.id));
    request.tell(move_json(record));
    request.tell(history_json(record, events));
    tell_events(request, std::string(role_name(record.role)), events);
    if (!request.flag("both")) return end_json(kExitOk, "");
    ZF_TRY(const HistoryReply there, ask_history(request.context, record));
    if (!there.known) return Error(Errc::not_found, record.peer + " knows no move " + record.id);
    const Role other = record.role == Role::source ? Role::target : Role::source;
    tell_events(request, std::string(role_name(other)), entries_of(there));
    return end_json(kExitOk, record.peer + ": " + printable(there.phase) +
                                 (there.problem.empty() ? "" : " (" + printable(there.problem) + ")"));
}

Result<Json> serve_version(const VerbRequest& request) {
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

}  // namespace zoneferry
