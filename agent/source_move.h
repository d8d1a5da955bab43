// The source's side of one move: carries out what move_plan says comes next, journals it, and starts again
// where the journal stands after a broken link or a restarted agent.
//
//   prepare       lock the zone; the target reserves name, space and staging
//   running pass  the tree, then what changed since, while the zone runs
//   quiesce       owner record frozen, zone halted
//   final pass    what changed; nothing may vanish now
//   verify        both digests
//   stage         the target attaches in its staging and votes READY
//   release       THE COMMIT POINT: journaled RELEASED, then the owner record
//   grant         told to the target until it answers Owned
//   confirm       zone detached here; the target answers Activated
// Any failure before the release undoes everything: the zone runs at the source as before. After it, the
// grant is repeated until the target answers; nobody else may run the zone meanwhile.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/move_plan.h"
#include "agent/peer_session.h"
#include "agent/rate_window.h"
#include "core/zone/store.h"

namespace zoneferry {

class TreeSender;

class SourceMove {
public:
    SourceMove(AgentContext& context, MoveRecord record);
    ~SourceMove();

    // Runs until the move is over or the agent stops. Call it on a thread of its own.
    void run();
    // Thread-safe: gives the move up at its next step, if it can still be given up.
    void request_abort(const std::string& reason);
    // Thread-safe: at most so many bytes per second from now on, until the agent ends; 0: no limit.
    void set_limit(std::uint64_t bytes_per_second);
    // Thread-safe: ends what the move waits for (a slow link, an answer), so that it looks around.
    void interrupt();
    // run() has ended by an exception: told to log and watchers; the move goes on when the agent starts again.
    void report_fault(const Error& error);

    // Thread-safe: run() has come to its end.
    bool is_done() const { return done_; }
    const std::string& id() const { return record_.id; }

private:
    void run_steps();
    Status perform(SourceStep step);
    Status prepare();
    Status running_pass();
    Status quiesce();
    Status final_pass();
    Status verify();
    Status stage();
    Status release();
    Status grant();
    Status confirm();
    Status abort();

    Status ensure_lock();
    Status ensure_session();
    Status ensure_prepared();  // the session knows this move: PrepareRequest again after a reconnect
    Status run_pass(bool is_final, PassTime& took);
    Status pump(TreeSender& sender, std::uint32_t pass);
    Status detach_here();
    Status journal(MoveEvent event);
    bool go_on_after(SourceStep step, Error error);  // false: leave the move to a later start
    void decide_abort(const Error& error);
    bool wants_abort() const;
    bool pause_before_retry();  // false: the agent stops
    std::string zone_tree() const { return context_.root.at(record_.zonepath); }

    void tell_phase(const std::string& message);
    void tell_note(const std::string& message, const std::string& remedy = {});
    void tell_progress(const TreeSender& sender, std::uint32_t pass);
    void tell_end();

    AgentContext& context_;
    MoveRecord record_;
    std::optional<ZoneLock> lock_;
    std::optional<PeerSession> session_;
    bool session_is_prepared_ = false;
    bool staging_is_fresh_ = true;
    std::vector<PassTime> pass_times_;
    int failures_ = 0;
    std::int64_t failing_since_ms_ = 0;
    std::uint64_t wire_bytes_ = 0;
    std::uint64_t raw_bytes_ = 0;
    std::vector<std::pair<std::string, std::int64_t>> times_ms_;  // "halt" -> ms, for the report
    std::atomic<bool> done_ = false;
    std::mutex interrupt_mutex_;
    TreeSender* sending_ = nullptr;           // guarded: what interrupt() wakes
    std::shared_ptr<Connection> talking_to_;  // guarded
    std::uint64_t bytes_per_second_ = 0;      // guarded; 0: no limit
    RateWindow rate_;
    std::atomic<bool> abort_requested_ = false;
    std::string abort_reason_;
    Activated activated_;
};

}  // namespace zoneferry
