#include "transfer/pipeline.h"

#include <algorithm>

namespace zoneferry {

SegmentPipeline::SegmentPipeline(unsigned threads, int zstd_level) : slots_max_(std::clamp(threads, 1U, 64U) + 3) {
    for (std::size_t i = 0; i + 3 < slots_max_; ++i)
        threads_.emplace_back([this, zstd_level] { compress_all(zstd_level); });
}

SegmentPipeline::~SegmentPipeline() { cancel(); }

bool SegmentPipeline::push(std::uint64_t number, ByteVector raw) {
    auto slot = std::make_shared<Slot>();
    slot->number = number;
    slot->raw = std::move(raw);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return cancelled_ || slots_.size() < slots_max_; });
    if (cancelled_) return false;
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

void SegmentPipeline::compress_all(int zstd_level) {
    SegmentCompressor compressor(zstd_level);
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [&] { return cancelled_ || !waiting_.empty(); });
        if (cancelled_) return;
        const std::shared_ptr<Slot> slot = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        TreeSegment segment = compressor.compress(slot->number, std::move(slot->raw));
        lock.lock();
        slot->segment = std::move(segment);
        slot->is_done = true;
        changed_.notify_all();
    }
}

}  // namespace zoneferry
