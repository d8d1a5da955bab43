// Between the walk and the socket: raw segments are compressed by a small pool and come out in their order. At most
// threads + kSlotsBesideThreads segments exist at a time, so memory is fixed and a slow link stops the walk. How a
// segment is packed is decided when it is pushed, by the control.
//
// Where the link is known, what it takes in a second may be packed beforehand, within the memory for that: while it is
// busy with what does not shrink, the processors work at what follows.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "transfer/compression_control.h"
#include "transfer/segment.h"

namespace zoneferry {

constexpr std::size_t kSlotsBesideThreads = 3;
constexpr unsigned kCompressorThreadsMax = 64;

class SegmentPipeline {
public:
    // The control outlives the pipeline.
    // queue_bytes: of segments, beside the slots. begin_thread is called first on each of its threads.
    SegmentPipeline(
        unsigned threads, CompressionControl& control, std::size_t queue_bytes = 0,
        const std::function<void()>& begin_thread = [] {});
    ~SegmentPipeline();  // cancels

    // Waits for room; false once cancelled.
    bool push(std::uint64_t number, ByteVector raw);
    // No more will be pushed: the walk is done, or ended by this error.
    void close(Status outcome);
    // The next in order; nullopt after the last; the walk's error after what came before it.
    Result<std::optional<TreeSegment>> next();
    void cancel();
    bool is_cancelled() const;

private:
    struct Slot {
        std::uint64_t number = 0;
        std::size_t mode = 0;
        std::shared_ptr<ByteVector> raw;
        SharedBytes before;  // the history that it is packed with
        TreeSegment segment;
        std::size_t held_bytes = 0;
        bool is_done = false;
    };
    bool has_room(std::size_t bytes) const;
    void hold(Slot& slot, std::size_t bytes);
    void compress_all();
    TreeSegment compress(SegmentCompressor& compressor, Slot& slot);

    CompressionControl& control_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<Slot>> slots_;    // in order, until given out
    std::deque<std::shared_ptr<Slot>> waiting_;  // those no thread has taken yet
    SharedBytes kept_;                           // the segment pushed last, if its mode keeps history
    std::size_t slots_max_;
    std::size_t queue_bytes_;
    std::size_t held_bytes_ = 0;  // by the slots
    std::optional<Status> outcome_;
    bool cancelled_ = false;
    std::vector<std::jthread> threads_;  // last: they use all the above
};

}  // namespace zoneferry
