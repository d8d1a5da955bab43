// The receiving side of one pass, divided among threads: the caller hands segments in and goes back to its socket,
// one thread expands them, one writes the tree, one puts what was written on the disk and says how far that is.
//
//     accept -> [waiting] -> expand -> [expanded] -> write -> ... sync, every so many bytes or milliseconds
//
// Each queue holds at most queue_bytes_max (one segment always fits), so a slow disk holds the caller back, and TCP
// the sender. The first error ends everything: accept() and finish() return it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "transfer/receiver.h"
#include "transfer/segment.h"

namespace zoneferry {

struct IntakeOptions {
    std::size_t queue_bytes_max = std::size_t{16} << 20U;  // of each of the two queues
    // How much may be lost to a cut link: what came since the last sync.
    std::uint64_t sync_every_bytes = std::uint64_t{256} << 20U;
    int sync_every_ms = 1'000;
};

class SegmentIntake {
public:
    // on_durable is told on a thread of the intake's how many segments are on the disk; its error ends the pass.
    using OnDurable = std::function<Status(std::uint64_t durable_count)>;
    SegmentIntake(std::unique_ptr<TreeReceiver> receiver, IntakeOptions options, OnDurable on_durable);
    ~SegmentIntake();  // what was not yet written is dropped

    // The next segment in order; waits for room. One thread at a time.
    Status accept(TreeSegment segment);
    // The end of the pass: waits until all is written, on the disk and told to on_durable.
    Result<ReceiveSummary> finish(std::uint64_t segments);

private:
    struct Queue {
        std::deque<TreeSegment> segments;
        std::size_t bytes = 0;
        bool is_closed = false;
    };
    bool has_room(const Queue& queue, std::size_t bytes) const;
    bool put(Queue& queue, TreeSegment segment);  // false: the pass is over
    std::optional<TreeSegment> take(Queue& queue);
    void fail(Error error);
    void expand_all();
    void write_all_segments();
    void sync_all();

    const IntakeOptions options_;
    const OnDurable on_durable_;
    std::unique_ptr<TreeReceiver> receiver_;
    std::mutex mutex_;
    std::condition_variable changed_;
    Queue waiting_;
    Queue expanded_;
    std::uint64_t unsynced_bytes_ = 0;
    bool is_written_ = false;  // the writer has come to its end
    std::optional<Error> error_;
    std::jthread expander_;  // last: they use all the above
    std::jthread writer_;
    std::jthread syncer_;
};

}  // namespace zoneferry
