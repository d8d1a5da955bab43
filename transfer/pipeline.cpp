#include "transfer/pipeline.h"

#include <algorithm>
#include <chrono>

#include "core/base/clock.h"

namespace zoneferry {

namespace {

constexpr std::uint64_t kSampleEvery = 4;  // segments, to see what packing them would give

}  // namespace

SegmentPipeline::SegmentPipeline(unsigned threads, CompressionControl& control, std::size_t queue_bytes,
                                 const std::function<void()>& begin_thread)
    : control_(control),
      slots_max_(std::clamp(threads, 1U, kCompressorThreadsMax) + kSlotsBesideThreads),
      queue_bytes_(queue_bytes) {
    for (std::size_t i = 0; i + kSlotsBesideThreads < slots_max_; ++i) {
        threads_.emplace_back([this, begin_thread] {
            begin_thread();
            compress_all();
        });
    }
}

SegmentPipeline::~SegmentPipeline() { cancel(); }

bool SegmentPipeline::has_room(std::size_t bytes) const {
    return slots_.size() < slots_max_ || held_bytes_ + bytes <= std::min(queue_bytes_, control_.bytes_worth_queueing());
}

void SegmentPipeline::hold(Slot& slot, std::size_t bytes) {
    held_bytes_ = held_bytes_ - slot.held_bytes + bytes;
    slot.held_bytes = bytes;
}

bool SegmentPipeline::push(std::uint64_t number, ByteVector raw) {
    auto slot = std::make_shared<Slot>();
    slot->number = number;
    slot->mode = control_.mode();
    const std::size_t bytes = raw.capacity();
    slot->raw = std::make_shared<ByteVector>(std::move(raw));
    const bool keeps_history = kCompressionModes[slot->mode].keeps_history;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return cancelled_ || has_room(bytes); });
    if (cancelled_) return false;
    hold(*slot, bytes);
    if (keeps_history) slot->before = kept_;
    kept_ = keeps_history ? slot->raw : nullptr;
    slots_.push_back(slot);
    waiting_.push_back(std::move(slot));
    changed_.notify_all();
    return true;
}

void SegmentPipeline::close(Status outcome) {
    const std::lock_guard lock(mutex_);
    outcome_ = std::move(outcome);
    changed_.notify_all();
}

Result<std::optional<TreeSegment>> SegmentPipeline::next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock,
                  [&] { return cancelled_ || (slots_.empty() ? outcome_.has_value() : slots_.front()->is_done); });
    if (cancelled_) return Error(Errc::cancelled, "the transfer was asked to stop");
    if (slots_.empty()) {
        if (!*outcome_) return outcome_->error();
        return std::optional<TreeSegment>();
    }
    const std::shared_ptr<Slot> slot = std::move(slots_.front());
    slots_.pop_front();
    hold(*slot, 0);
    changed_.notify_all();
    return std::make_optional(std::move(slot->segment));
}

void SegmentPipeline::cancel() {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    changed_.notify_all();
}

bool SegmentPipeline::is_cancelled() const {
    const std::lock_guard lock(mutex_);
    return cancelled_;
}

TreeSegment SegmentPipeline::compress(SegmentCompressor& compressor, Slot& slot) {
    const std::size_t raw_bytes = slot.raw->size();
    if (slot.number % kSampleEvery == 0) control_.note_sample(slot.mode, compressor.sample_ratio(*slot.raw));
    const auto begin = std::chrono::steady_clock::now();
    const std::int64_t begin_cpu_ns = thread_processor_ns();
    TreeSegment segment = compressor.compress(slot.number, kCompressionModes[slot.mode], slot.raw, slot.before);
    slot.raw.reset();
    slot.before.reset();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (compressor.has_tried()) {
        control_.note_compressed(slot.mode, raw_bytes, segment.payload.size(),
                                 {took.count(), 1e-9 * static_cast<double>(thread_processor_ns() - begin_cpu_ns)});
    }
    return segment;
}

void SegmentPipeline::compress_all() {
    SegmentCompressor compressor;
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [&] { return cancelled_ || !waiting_.empty(); });
        if (cancelled_) return;
        const std::shared_ptr<Slot> slot = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        TreeSegment segment = compress(compressor, *slot);
        lock.lock();
        hold(*slot, segment.payload.capacity());
        slot->segment = std::move(segment);
        slot->is_done = true;
        changed_.notify_all();
    }
}

}  // namespace zoneferry
