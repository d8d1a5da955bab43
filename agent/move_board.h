// What watchers see of the moves: the news of each, kept in memory, many readers. Closing a watcher changes
// nothing; an agent that restarts begins a new board from its journal.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace zoneferry {

struct MoveNews {
    // stand: nothing more happens until a person says so (waiting, paused); the move is not over.
    enum class Type { phase, progress, note, stand, end };
    Type type = Type::note;
    std::uint64_t seq = 0;  // given by the board
    std::string move_id;
    std::string zone;
    std::string phase;    // as phase_name
    std::string message;  // for people, one sentence
    std::string remedy;
    // progress of the present pass
    std::uint32_t pass = 0;
    std::uint64_t bytes_done = 0;
    std::uint64_t bytes_total = 0;
    std::uint64_t entries_done = 0;
    std::uint64_t entries_total = 0;
    std::uint64_t wire_bytes = 0;
    std::uint64_t bytes_per_second = 0;
    std::int64_t eta_ms = -1;  // -1: not known
    // at a stand and at the end
    int exit_code = 0;
    std::vector<std::pair<std::string, std::int64_t>> summary;  // "down_ms" -> 1240
};

class MoveBoard {
public:
    void publish(MoveNews news);
    // News of one move with a seq above `after`; waits up to timeout_ms for the first. Empty: none came.
    std::vector<MoveNews> wait(const std::string& move_id, std::uint64_t after, int timeout_ms);
    std::optional<MoveNews> latest(const std::string& move_id) const;
    // Wakes all waiters for good: the agent stops.
    void close();
    bool is_closed() const;

private:
    static constexpr std::size_t kNewsMax = 400;  // per move; the oldest go first
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, std::deque<MoveNews>> news_;
    std::uint64_t last_seq_ = 0;
    bool closed_ = false;
};

}  // namespace zoneferry
