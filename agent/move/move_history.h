// What a move's journal tells afterwards: how long each phase took, what travelled. Pure; and as JSON lines.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "agent/journal.h"
#include "agent/report.h"
#include "wire/messages.h"

namespace zoneferry {

// {"prepare", 120}, {"sync", 5300}, ...: from one landmark event to the next that happened, in the order of the move.
std::vector<std::pair<std::string, std::int64_t>> phase_times_ms(const std::vector<JournalEntry>& events);

// One line of `history`: the move's outcome, times and bytes.
Json history_json(const MoveRecord& record, const std::vector<JournalEntry>& events);

// A journal's events for a peer, the newest kPastEventsMax of them, and what a peer's look like as ours.
HistoryReply history_reply(const MoveRecord& record, const std::vector<JournalEntry>& events);
std::vector<JournalEntry> entries_of(const HistoryReply& reply);

}  // namespace zoneferry
