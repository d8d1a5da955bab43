// Entries are looked at by several threads ahead of the walk, so that a pass in which hardly anything changed does not
// wait for one system call after the other.
//
//     job: waiting --a helper, or the walk itself--> running --> done --the walk comes to it--> gone
//
// A job is the next kRunNames names of a large directory, or a directory that the walk enters soon: its names, and the
// states of the first kInnerNames. The walk posts jobs in its own order; where it would wait for one, it does what
// nobody has begun. So with n processors n look at entries, and without helpers there are no jobs.
//
// What guarantees that no change is missed:
//   - What was seen here serves for one question only: is the entry as it was in the base? If so, it was so at a moment
//     after this pass began, and what the target has of it was right at that moment. Everything else (directories, what
//     changed, vanished or is new) is looked at again by the walk in its turn, and only that is described and sent.
//   - A change after that moment carries a later ctime than the base has (the base trusts nothing that was changed
//     within a clock tick of its reading, reading.h), so the next pass sees it; names that came or went after a
//     directory was listed are seen by the next pass because each one lists every directory. Both hold for a walk
//     without helpers as well: they make the moment earlier, never earlier than the pass.
//   - Announced changes are followed from before the pass, and the final pass begins after the zone was halted.
//   - A directory's names are used only if the one that the walk then opens is the same inode.
//
// Memory: kJobsMax jobs at once; a directory of more than kInnerBytesMax is listed by the walk only, in its turn.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/base/fd.h"
#include "transfer/attributes.h"

namespace zoneferry {

constexpr std::size_t kRunNames = 256;
constexpr std::size_t kRunsAhead = 4;  // of a directory
constexpr std::size_t kInnerNames = 1024;
constexpr std::size_t kInnerAhead = 8;               // directories within a directory
constexpr std::uint64_t kInnerBytesMax = 64 * 1024;  // as statx tells: some thousand names
constexpr std::size_t kJobsMax = 64;                 // posted and not yet gone
constexpr std::size_t kLookIntoDepthMax = 64;        // a descriptor is held for each level
constexpr unsigned kStatThreadsMax = 3;

// One less than there are processors: the walk is a thread, too.
unsigned stat_threads_default();

// The helpers. Used by one thread, that of the walk.
class StatAhead {
public:
    class Job {
    public:
        Job() = default;
        Job(const Job&) = delete;
        Job& operator=(const Job&) = delete;
        virtual ~Job() = default;
        virtual void work() = 0;  // on any thread

    private:
        friend class StatAhead;
        enum class State { waiting, running, done };
        State state_ = State::waiting;
    };

    // threads: at least one; they begin with the first job.
    StatAhead(unsigned threads, std::function<void()> begin_thread);
    ~StatAhead();
    StatAhead(const StatAhead&) = delete;
    StatAhead& operator=(const StatAhead&) = delete;

    // False: kJobsMax are there.
    bool post(std::shared_ptr<Job> job);
    // Returns when the job is done, and does jobs itself meanwhile. It is gone then.
    void finish(const std::shared_ptr<Job>& job);
    // Nobody asks for it any more.
    void drop(const std::shared_ptr<Job>& job);
    std::size_t jobs() const { return jobs_; }

private:
    void help();
    std::shared_ptr<Job> next_job();
    void work_on(Job& job, std::unique_lock<std::mutex>& lock);

    unsigned thread_count_;
    std::function<void()> begin_thread_;
    std::size_t jobs_ = 0;
    std::mutex mutex_;
    std::condition_variable posted_;
    std::condition_variable done_;
    std::deque<std::shared_ptr<Job>> waiting_;
    bool has_ended_ = false;
    std::vector<std::jthread> threads_;  // last: they use all the above
};

// Of names in a directory; none: it could not be told.
using EntryStats = std::vector<std::optional<EntryStat>>;

// A directory as it was seen ahead of the walk.
struct AheadListing {
    std::uint64_t inode = 0;  // 0: it was not
    std::vector<std::string> names;
    EntryStats stats;  // of the first of them
};

// The entries of one directory, for a walk that asks in their order.
class DirectoryAhead {
public:
    // fd: of the directory, kept open by the caller. looks_into: its directories, too.
    DirectoryAhead(StatAhead& helpers, int fd, AheadListing listing, bool looks_into);
    ~DirectoryAhead();
    DirectoryAhead(const DirectoryAhead&) = delete;
    DirectoryAhead& operator=(const DirectoryAhead&) = delete;

    const std::vector<std::string>& names() const;
    // The state of names[index], each index not lower than the last. Null: not known. Until the next call.
    const EntryStat* stat(std::size_t index);
    // What was seen of the directory called names[index]; its inode is 0 if nothing was.
    AheadListing listing(std::size_t index);

private:
    struct Shared;
    struct Run;
    struct Inner;
    void next_run();
    void post_runs();
    void look_into(std::size_t index);
    bool can_share();

    StatAhead& helpers_;
    int fd_;
    bool looks_into_;
    std::shared_ptr<Shared> shared_;
    EntryStats stats_;  // from stats_begin_ on
    std::size_t stats_begin_ = 0;
    std::deque<std::shared_ptr<Run>> runs_;
    std::size_t posted_end_ = 0;  // of the runs
    std::deque<std::shared_ptr<Inner>> inner_;
    std::size_t looked_end_ = 0;  // for directories
};

}  // namespace zoneferry
