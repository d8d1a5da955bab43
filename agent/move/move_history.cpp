#include "agent/move/move_history.h"

#include <algorithm>
#include <array>

#include "agent/move/move_plan.h"
#include "wire/limits.h"

namespace zoneferry {
namespace {

struct Landmark {
    std::string_view event;
    const char* until_then;  // what the time up to this event was spent on
};
constexpr std::array kLandmarks{
    Landmark{"begun", ""},
    Landmark{"prepared", "prepare"},
    Landmark{"quiescing", "sync"},
    Landmark{"quiesced", "halt"},
    Landmark{"sent", "last_pass"},
    Landmark{"verified", "verify"},
    Landmark{"staged", "stage"},
    Landmark{"ready", "receive"},
    Landmark{"released", "release"},
    Landmark{"owned", "grant"},
    Landmark{"activated", "activate"},
    Landmark{"probed", "probe"},
    Landmark{"aborting", "until_failure"},
    Landmark{"aborted", "undo"},
    Landmark{"discarded", "until_discarded"},
};

}  // namespace

std::vector<std::pair<std::string, std::int64_t>> phase_times_ms(const std::vector<JournalEntry>& events) {
    std::vector<std::pair<std::string, std::int64_t>> times;
    std::int64_t last_ms = 0;
    for (const JournalEntry& event : events) {
        const auto mark = std::find_if(kLandmarks.begin(), kLandmarks.end(),
                                       [&](const Landmark& one) { return one.event == event.kind; });
        if (mark == kLandmarks.end()) continue;
        if (*mark->until_then != '\0' && last_ms != 0) {
            times.emplace_back(mark->until_then, std::max<std::int64_t>(0, event.at_unix_ms - last_ms));
        }
        last_ms = event.at_unix_ms;
    }
    return times;
}

Json history_json(const MoveRecord& record, const std::vector<JournalEntry>& events) {
    Json json{{"v", 1},
              {"type", "history"},
              {"id", record.id},
              {"zone", record.zone},
              {"role", role_name(record.role)},
              {"peer", record.peer},
              {"phase", phase_name(record.phase)},
              {"begun_unix_ms", record.begun_unix_ms},
              {"passes", record.passes},
              {"raw_bytes", record.raw_bytes},
              {"wire_bytes", record.wire_bytes},
              {"verify", verify_mode_name(record.verify)},
              {"repairs", record.repairs},
              {"expected_down_ms", record.expected_down_ms},
              {"problem", record.problem}};
    const bool was_down = record.role == Role::source && record.was_running && record.halt_began_unix_ms != 0;
    if (was_down && record.activated_unix_ms != 0) {
        json["down_ms"] = record.activated_unix_ms - record.halt_began_unix_ms;
    }
    for (const JournalEntry& event : events) {
        if (event.kind == event_name(EventKind::pass_done) && !event.text.empty()) json["last_pass"] = event.text;
        if (event.kind == event_name(EventKind::looked_back)) {
            json["changed_unannounced"] = event.number;
            json["looked_back"] = event.text;
        }
        if (event.kind != event_name(EventKind::verified) || event.number == 0) continue;
        json["looked_at"] = event.number;
        json["looked_at_there"] = event.extra;
    }
    Json times = Json::object();
    for (const auto& [name, ms] : phase_times_ms(events)) times[name] = times.value(name, std::int64_t{0}) + ms;
    json["times_ms"] = times;
    return json;
}

HistoryReply history_reply(const MoveRecord& record, const std::vector<JournalEntry>& events) {
    HistoryReply reply;
    reply.known = true;
    reply.phase = phase_name(record.phase);
    reply.problem = record.problem;
    const std::size_t left_out = events.size() > kPastEventsMax ? events.size() - kPastEventsMax : 0;
    for (auto entry = events.begin() + static_cast<std::ptrdiff_t>(left_out); entry != events.end(); ++entry) {
        PastEvent event;
        event.at_unix_ms = entry->at_unix_ms;
        event.kind = entry->kind;
        event.text = entry->text.substr(0, 1'000);
        event.number = entry->number;
        event.extra = entry->extra;
        reply.events.push_back(std::move(event));
    }
    return reply;
}

std::vector<JournalEntry> entries_of(const HistoryReply& reply) {
    std::vector<JournalEntry> entries;
    for (const PastEvent& event : reply.events) {
        entries.push_back({event.at_unix_ms, event.kind, event.text, event.number, event.extra, false});
    }
    return entries;
}

}  // namespace zoneferry
