// The moves under way on this host: starts and stops the threads of source moves, and sees to it that only one
// session at a time works on an incoming move.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "agent/context.h"
#include "agent/move/source_move.h"

namespace zoneferry {

class MoveDesk {
public:
    explicit MoveDesk(AgentContext& context) : context_(context) {}
    ~MoveDesk() { stop(); }

    // Journals a new source move and runs it; Errc::busy while another one of that zone is under way.
    Status start(const MoveRecord& record);
    // After a start of the agent: goes on with every move that this host leads. Incoming ones are the janitor's.
    void resume_all();
    // Hands a person's request to a source move; Errc::conflict when the move is not led from here, or is where that
    // cannot be done.
    Status request(const std::string& move_id, MoveRequest request);
    // A person takes the zone back (resolve.h): by the move's thread if it has one, else noted here and run again.
    Status reclaim(const std::string& move_id, MoveRequest request);
    // A peer that is no longer trusted: what it works on here, and what works with it, is interrupted.
    void cut(const std::string& peer);
    // What a source move may send from now on; 0: no limit.
    Status limit(const std::string& move_id, std::uint64_t bytes_per_second);
    void stop();

    // Held by the session that works on an incoming move. Claiming it again closes the older session's
    // connection and waits until that has let go.
    class Claim {
    public:
        Claim(MoveDesk& desk, std::string move_id) : desk_(&desk), move_id_(std::move(move_id)) {}
        Claim(Claim&& other) noexcept
            : desk_(std::exchange(other.desk_, nullptr)), move_id_(std::move(other.move_id_)) {}
        Claim& operator=(Claim&&) = delete;
        Claim(const Claim&) = delete;
        Claim& operator=(const Claim&) = delete;
        ~Claim();

    private:
        MoveDesk* desk_;
        std::string move_id_;
    };
    Result<Claim> claim(const std::string& move_id, std::shared_ptr<Connection> connection);
    // The same for work that can wait: Errc::busy while a session has it.
    Result<Claim> try_claim(const std::string& move_id);
    bool is_claimed(const std::string& move_id) const;
    // A thread or a session works on it now: more news of it will come.
    bool is_working_on(const std::string& move_id) const;

private:
    void run_in_thread(MoveRecord record);

    struct Running {
        std::unique_ptr<SourceMove> move;
        std::jthread thread;
    };
    AgentContext& context_;
    mutable std::mutex mutex_;
    std::condition_variable released_;
    std::map<std::string, Running> running_;
    std::map<std::string, std::shared_ptr<Connection>> claims_;
    bool stopped_ = false;
};

}  // namespace zoneferry
