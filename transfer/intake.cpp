#include "transfer/intake.h"

#include <chrono>

namespace zoneferry {

SegmentIntake::SegmentIntake(std::unique_ptr<TreeReceiver> receiver, IntakeOptions options, OnDurable on_durable)
    : options_(options),
      on_durable_(std::move(on_durable)),
      receiver_(std::move(receiver)),
      expander_([this] { expand_all(); }),
      writer_([this] { write_all_segments(); }),
      syncer_([this] { sync_all(); }) {}

SegmentIntake::~SegmentIntake() { fail(Error(Errc::cancelled, "the receiving of the pass was given up")); }

Status SegmentIntake::accept(TreeSegment segment) {
    if (put(waiting_, std::move(segment))) return {};
    const std::lock_guard lock(mutex_);
    return error_ ? Status(*error_) : Status(Error(Errc::protocol, "a segment came after the end of its pass"));
}

Result<ReceiveSummary> SegmentIntake::finish(std::uint64_t segments) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.is_closed = true;
        changed_.notify_all();
    }
    for (std::jthread* thread : {&expander_, &writer_, &syncer_}) {
        if (thread->joinable()) thread->join();
    }
    {
        const std::lock_guard lock(mutex_);
        if (error_) return *error_;
    }
    ZF_TRY(const ReceiveSummary summary, receiver_->finish(segments));
    ZF_TRY_STATUS(on_durable_(summary.segments));
    return summary;
}

bool SegmentIntake::has_room(const Queue& queue, std::size_t bytes) const {
    return queue.segments.empty() || queue.bytes + bytes <= options_.queue_bytes_max;
}

bool SegmentIntake::put(Queue& queue, TreeSegment segment) {
    const std::size_t bytes = segment.payload.size();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return error_ || queue.is_closed || has_room(queue, bytes); });
    if (error_ || queue.is_closed) return false;
    queue.bytes += bytes;
    queue.segments.push_back(std::move(segment));
    changed_.notify_all();
    return true;
}

std::optional<TreeSegment> SegmentIntake::take(Queue& queue) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return error_ || !queue.segments.empty() || queue.is_closed; });
    if (error_ || queue.segments.empty()) return std::nullopt;
    TreeSegment segment = std::move(queue.segments.front());
    queue.segments.pop_front();
    queue.bytes -= segment.payload.size();
    changed_.notify_all();
    return segment;
}

void SegmentIntake::fail(Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    changed_.notify_all();
}

void SegmentIntake::expand_all() {
    SegmentExpander expander;
    while (std::optional<TreeSegment> segment = take(waiting_)) {
        if (Status done = expander.expand_in_place(*segment); !done) return fail(std::move(done).error());
        if (!put(expanded_, *std::move(segment))) return;
    }
    const std::lock_guard lock(mutex_);
    expanded_.is_closed = true;
    changed_.notify_all();
}

void SegmentIntake::write_all_segments() {
    while (std::optional<TreeSegment> segment = take(expanded_)) {
        if (Status done = receiver_->accept_raw(segment->number, segment->payload); !done) {
            return fail(std::move(done).error());
        }
        const std::lock_guard lock(mutex_);
        unsynced_bytes_ += segment->payload.size();
        if (unsynced_bytes_ >= options_.sync_every_bytes) changed_.notify_all();
    }
    const std::lock_guard lock(mutex_);
    is_written_ = true;
    changed_.notify_all();
}

void SegmentIntake::sync_all() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait_for(lock, std::chrono::milliseconds(options_.sync_every_ms),
                          [&] { return error_ || is_written_ || unsynced_bytes_ >= options_.sync_every_bytes; });
        if (error_ || is_written_) return;  // the rest is finish()'s
        if (unsynced_bytes_ == 0) continue;
        unsynced_bytes_ = 0;
        lock.unlock();
        const Result<std::uint64_t> durable = receiver_->make_durable();
        Status told = durable ? on_durable_(*durable) : Status(durable.error());
        lock.lock();
        if (told) continue;
        if (!error_) error_ = std::move(told).error();
        changed_.notify_all();
        return;
    }
}

}  // namespace zoneferry
