// What the agent tells the command line, as JSON lines ("v": 1). Field names are promised; new ones may come.
//
//   {"type":"finding", code, side, severity, subject, source, target, message, remedy}
//   {"type":"check", zone, host, verdict, plan, bytes, entries, running, source{}, target{}}
//   {"type":"move", ...}       one record, as status and list show it
//   {"type":"event", at, kind, text}
//   {"type":"started", move, zone, host}
//   {"type":"phase"|"note", move, phase, message, remedy}
//   {"type":"progress", move, pass, bytes_done, bytes_total, entries_done, entries_total, wire_bytes,
//                      bytes_per_second, eta_ms}
//   {"type":"peer", host, address, port, may_send, may_receive}
//   {"type":"text", text}      a line to print as it is (an invitation)
//   {"type":"end", exit_code, message, remedy, ...summary}    always the last
#pragma once

#include <string>
#include <vector>

#include "agent/finding_json.h"
#include "agent/journal.h"
#include "agent/move/start_move.h"
#include "agent/move_board.h"

namespace zoneferry {

Json check_json(const MoveWish& wish, const CheckReport& report);
Json move_json(const MoveRecord& record);
Json event_json(const JournalEntry& entry);
Json news_json(const MoveNews& news);
Json end_json(const Error& error);

}  // namespace zoneferry
