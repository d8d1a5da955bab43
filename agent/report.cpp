#include "agent/report.h"

#include <type_traits>

#include "agent/exit_codes.h"

namespace zoneferry {
namespace {

Json typed(const char* type) { return Json{{"v", 1}, {"type", type}}; }

Json facts_json(const HostFacts& facts) {
    return Json{{"host", facts.host},  {"machine", facts.machine}, {"kernel", facts.kernel_release},
                {"os", facts.os_name}, {"runtime", facts.runtime}, {"packages", facts.package_system}};
}

}  // namespace

Json check_json(const MoveWish& wish, const CheckReport& report) {
    Json json = typed("check");
    json["zone"] = wish.zone;
    json["host"] = wish.peer;
    json["verdict"] = is_blocked(report.findings) ? "blocked" : "ready";
    json["plan"] = report.plan_hash;
    json["bytes"] = report.tree_bytes;
    json["entries"] = report.tree_entries;
    json["running"] = report.running;
    json["shared"] = shared_kind_name(report.shared);
    json["extra_trees"] = Json::array();
    for (const ExtraTree& tree : report.extra_trees) {
        json["extra_trees"].push_back({{"path", tree.path}, {"bytes", tree.bytes}, {"entries", tree.entries}});
    }
    json["source"] = facts_json(report.source);
    json["target"] = facts_json(report.target);
    return json;
}

Json move_json(const MoveRecord& record) {
    Json json = typed("move");
    for_each_field(record, [&](const char* name, const auto& field) {
        using Field = std::remove_cvref_t<decltype(field)>;
        if constexpr (std::is_same_v<Field, Role>) {
            json[name] = role_name(field);
        } else if constexpr (std::is_same_v<Field, Phase>) {
            json[name] = phase_name(field);
        } else if constexpr (std::is_same_v<Field, ProbeState>) {
            json[name] = probe_state_name(field);
        } else if constexpr (std::is_same_v<Field, SharedKind>) {
            json[name] = shared_kind_name(field);
        } else if constexpr (std::is_same_v<Field, VerifyMode>) {
            json[name] = verify_mode_name(field);
        } else if constexpr (std::is_same_v<Field, KeepSource>) {
            json[name] = field == KeepSource::keep ? "keep" : "remove";
        } else {
            json[name] = field;
        }
    });
    json.erase("nonce");
    json.erase("manifest");  // long, and in the zonepath for who wants it
    json["in_doubt"] = is_in_doubt(record);
    json["over"] = is_over(record);
    return json;
}

Json event_json(const JournalEntry& entry) {
    Json json = typed("event");
    json["at"] = format_time(entry.at_unix_ms);
    json["at_unix_ms"] = entry.at_unix_ms;
    json["kind"] = entry.kind;
    json["text"] = entry.text;
    return json;
}

Json news_json(const MoveNews& news) {
    switch (news.type) {
        case MoveNews::Type::progress: {
            Json json = typed("progress");
            json["move"] = news.move_id;
            json["phase"] = news.phase;
            json["pass"] = news.pass;
            json["bytes_done"] = news.bytes_done;
            json["bytes_total"] = news.bytes_total;
            json["entries_done"] = news.entries_done;
            json["entries_total"] = news.entries_total;
            json["wire_bytes"] = news.wire_bytes;
            json["bytes_per_second"] = news.bytes_per_second;
            json["eta_ms"] = news.eta_ms;
            return json;
        }
        case MoveNews::Type::stand:
        case MoveNews::Type::end: {
            Json json = end_json(news.exit_code, news.message, news.remedy);
            json["move"] = news.move_id;
            json["zone"] = news.zone;
            json["phase"] = news.phase;
            if (news.type == MoveNews::Type::stand) json["type"] = "stand";
            for (const auto& [name, value] : news.summary) json[name] = value;
            return json;
        }
        case MoveNews::Type::phase:
        case MoveNews::Type::note: break;
    }
    Json json = typed(news.type == MoveNews::Type::phase ? "phase" : "note");
    json["move"] = news.move_id;
    json["phase"] = news.phase;
    json["message"] = news.message;
    json["remedy"] = news.remedy;
    return json;
}

Json end_json(const Error& error) {
    Json json = end_json(exit_code_of(error.code()), error.text(), error.remedy_text());
    json["code"] = errc_name(error.code());
    return json;
}

}  // namespace zoneferry
