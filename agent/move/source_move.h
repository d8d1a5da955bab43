// The source's side of one move: carries out what move_plan says comes next, journals it, and starts again
// where the journal stands after a broken link or a restarted agent.
//
//   prepare       lock the zone; the target reserves name, space and staging
//   running pass  the tree, then what changed since, while the zone runs
//   decide        halt now, pass again, or wait: --no-switch, and the budget for the downtime
//   keep fresh    waits for a person's `switch`, with a pass now and then; the zone is not locked meanwhile
//   quiesce       owner record frozen, zone halted
//   final pass    what changed; nothing may vanish now
//   verify        both digests
//   stage         the target attaches in its staging and votes READY
//   release       THE COMMIT POINT: journaled RELEASED, then the owner record
//   grant         told to the target until it answers Owned
//   confirm       zone detached here; the target answers Activated
//   probe, return what the target's probe says, and the way back if that was asked for
//   settle copy   what is left here is compared with what was sent (look_back.h); it is deleted if that was asked for
// Any failure before the release undoes everything: the zone runs at the source as before. After it, the
// grant is repeated until the target answers; nobody else may run the zone meanwhile.
//
// source_move.cpp is the frame: steps, requests of people, failures, telling. source_sync.cpp has the steps before the
// release, source_handover.cpp those after it and the undo, source_transfer.cpp one pass over the link, source_bulk.cpp
// the one that the file systems make among themselves, source_verify.cpp all that is compared.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "agent/context.h"
#include "agent/move/alarm.h"
#include "agent/move/downtime.h"
#include "agent/move/move_plan.h"
#include "agent/move/moved_tree.h"
#include "agent/peer_session.h"
#include "agent/rate_window.h"
#include "core/zone/store.h"
#include "transfer/comparison.h"
#include "transfer/followed_digest.h"
#include "transfer/tree_digest.h"

namespace zoneferry {

class BlockListTaker;
class ChangeTracker;
class PassTrail;
class BulkTransport;
class SegmentSource;
struct ChangesSince;

// What a person, or the budget, wants of a move that is under way.
struct MoveRequest {
    enum class Kind { abort, pause, resume, switch_over, reclaim };
    Kind kind = Kind::abort;
    std::string reason;           // for the journal
    Errc code = Errc::cancelled;  // abort: why
    std::int64_t budget_ms = 0;   // switch_over: the new one; 0: none
    std::int64_t epoch = 0;       // reclaim: the new one
};

class SourceMove {
public:
    SourceMove(AgentContext& context, MoveRecord record);
    ~SourceMove();

    // Runs until the move is over or the agent stops. Call it on a thread of its own.
    void run();
    // Thread-safe: carried out at the next step, if the table of move_plan allows it there; an abort does not wait for
    // a slow link or a silent peer. An abort that waits is not replaced by another request.
    void request(MoveRequest request);
    // Thread-safe: at most so many bytes per second from now on, until the agent ends; 0: no limit.
    void set_limit(std::uint64_t bytes_per_second);
    // Thread-safe: ends what the move waits for (a slow link, an answer), so that it looks around.
    void interrupt();
    // run() has ended by an exception: told to log and watchers; the move goes on when the agent starts again.
    void report_fault(const Error& error);

    // Thread-safe: run() has come to its end.
    bool is_done() const { return done_; }
    const std::string& id() const { return record_.id; }
    const std::string& peer() const { return peer_; }

private:
    void run_steps();
    Status perform(SourceStep step);
    Status prepare();
    Status running_pass();
    Status decide();
    Status keep_fresh();
    Status sleep();
    Status quiesce();
    Status final_pass();
    Status verify();
    Status stage();
    Status release();
    Status grant();
    Status confirm();
    Status await_probe();
    Status bring_back();
    Status reclaim();
    Status abort();

    Status ensure_lock();
    Status ensure_session();
    Status ensure_prepared();  // the session knows this move: PrepareRequest again after a reconnect
    Result<PrepareRequest> prepare_request();
    Result<bool> zone_runs();
    Status pass_and_note(bool is_final);
    FixedCosts costs();
    std::int64_t expected_ms();
    Status wait_for_switch(std::int64_t expected, bool over_budget);
    void arm_budget();
    struct PassOutcome {
        PassTime took;
        std::string how;  // of the last pass: for the history
    };
    Result<PassOutcome> run_pass(bool is_final);
    Result<PassOutcome> send_tree(const MovedTree& tree, bool is_final);
    void follow_changes();
    std::shared_ptr<const ChangesSince> take_changes();
    Status pump(SegmentSource& sender, const MovedTree& tree, std::uint32_t pass);
    // source_bulk.cpp
    Status send_bulk_first(bool is_final);
    Status send_bulk(const BulkTransport& transport, bool is_final);
    void remove_stale_snapshot();
    std::string bulk_marker() const;  // there if what the target has began as a transport's tree
    // source_verify.cpp
    struct Reading {
        bool tolerate_changes = false;
        bool contents = true;
        bool wants_list = false;         // the digests of all entries of the target
        bool follows = false;            // what changes from now on counts when it is asked for again
        bool doubts_attributes = false;  // what has file attributes here counts as differing
    };
    Status digest_while_running();
    struct Difference {
        MovedTree tree;
        Digest here{};
        Digest there{};
    };
    Result<std::pair<TreeDigest, VerifyReply>> digest_both_sides(const MovedTree& tree, Reading reading);
    Result<TreeDigest> digest_here(const MovedTree& tree, const DigestOptions& options, bool is_keyed, bool follows);
    Result<TreeComparison> compare_with_target(const MovedTree& tree, Reading reading);
    Status find_out_what_is_there(const MovedTree& tree, bool is_final);
    Status repair(const Reading& reading, const std::vector<Difference>& differences);
    Status fetch_block_maps(const MovedTree& tree, const std::vector<LargeDifference>& files);
    Status take_block_lists(const MovedTree& tree, BlockListTaker& taker, const std::vector<LargeDifference>& files);
    std::string list_path(const MovedTree& tree) const { return file_of(tree, "their-digests"); }
    std::string catalog_prefix(const MovedTree& tree) const { return file_of(tree, "catalog"); }
    std::string file_of(const MovedTree& tree, const char* name) const {
        return move_file(context_.root, tree, record_.id, name);
    }

    Status detach_here();
    Status settle_copy();
    Status note_activated();
    Status park_if_adopted();
    Status journal(MoveEvent event);

    void hang_up();
    void take_request();
    void carry_out(const MoveRequest& request);
    void give_up_now();
    bool go_on_after(SourceStep step, Error error);  // false: leave the move to a later start
    bool wait_for_request(std::int64_t timeout_ms);  // true: one has come, or the agent stops
    bool pause_before_retry();                       // false: the agent stops
    // An error when the work in hand shall end: the agent stops, or a request waits that must not wait longer.
    Status check_undisturbed() const;

    void tell_phase(const std::string& message);
    void tell_note(const std::string& message, const std::string& remedy = {});
    void tell_stand(const std::string& message, const std::string& remedy, int exit_code);
    void tell_progress(const SegmentSource& sender, const MovedTree& tree, std::uint32_t pass);
    void tell_end();

    AgentContext& context_;
    MoveRecord record_;
    const std::string peer_;  // as record_.peer, for other threads
    std::optional<ZoneLock> lock_;
    std::optional<PeerSession> session_;
    bool session_is_prepared_ = false;
    std::set<std::uint32_t> fresh_trees_;  // numbers of those of which the target has nothing
    bool target_has_copy_ = false;         // of the zonepath, from an earlier move; staging may become that
    std::vector<std::string> transports_;  // that the target can receive by
    std::vector<PassTime> pass_times_;
    std::unique_ptr<ChangeTracker> tracker_;  // of the running pass that is under way, or was the last
    std::unique_ptr<PassTrail> trail_;        // of that pass, if it came to its end
    FollowedDigest digest_;                   // of the zonepath
    const Digest digest_key_ = random_digest();
    std::string untracked_because_ = "no pass ran before it";
    int failures_ = 0;
    std::int64_t failing_since_ms_ = 0;
    std::uint64_t wire_bytes_ = 0;
    std::uint64_t raw_bytes_ = 0;
    std::vector<std::pair<std::string, std::int64_t>> times_ms_;  // "halt" -> ms, for the report
    std::optional<Error> giving_up_;                              // an abort that is not in the journal yet
    std::atomic<bool> done_ = false;
    std::mutex interrupt_mutex_;
    std::condition_variable woken_;
    std::optional<MoveRequest> request_;      // guarded
    std::atomic<bool> is_urgent_ = false;     // that request ends the work in hand
    SegmentSource* sending_ = nullptr;        // guarded: what interrupt() wakes
    std::stop_source digesting_;              // guarded: ends the reading of a comparison
    std::shared_ptr<Connection> talking_to_;  // guarded
    std::uint64_t bytes_per_second_ = 0;      // guarded; 0: no limit
    RateWindow rate_;
    Activated activated_;
    std::optional<Alarm> budget_;  // last: it rings into the others
};

}  // namespace zoneferry
