#include "transfer/bulk_sender.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "transfer/pipeline.h"
#include "transfer/rate_limit.h"

namespace zoneferry {

struct BulkSender::State {
    State(std::unique_ptr<BulkSource> from, const BulkSendOptions& options, const SenderPools& pools)
        : source(std::move(from)),
          control(pools.threads, std::nullopt, pools.dearest_mode),
          pipeline(pools.threads, control, pools.queue_bytes,
                   [is_background = options.in_background] {
                       if (is_background) step_back();
                   }),
          limit(options.bytes_per_second) {
        control.set_limit(options.bytes_per_second);
    }

    Status read_all() {
        for (std::uint64_t number = 0;; ++number) {
            ByteVector raw(std::min(kSegmentTargetBytes, kCompressionModes[control.mode()].segment_bytes));
            std::size_t filled = 0;
            while (filled < raw.size()) {
                ZF_TRY(const std::size_t got, source->read(MutableBytes(raw).subspan(filled)));
                if (got == 0) break;
                filled += got;
            }
            const bool is_last = filled < raw.size();
            raw.resize(filled);
            if (filled > 0 && !pipeline.push(number, std::move(raw))) return Error(Errc::cancelled, "asked to stop");
            if (is_last) return {};
        }
    }

    std::unique_ptr<BulkSource> source;
    CompressionControl control;
    SegmentPipeline pipeline;
    RateLimit limit;
    std::atomic<std::uint64_t> raw_bytes{0};
    std::atomic<std::uint64_t> payload_bytes{0};
    std::jthread reader;  // last: it uses all the above
};

BulkSender::BulkSender(std::unique_ptr<BulkSource> source, const BulkSendOptions& options)
    : state_(std::make_unique<State>(std::move(source), options,
                                     sender_pools(options.memory_bytes, options.compressor_threads))) {
    state_->reader = std::jthread([&state = *state_, is_background = options.in_background] {
        if (is_background) step_back();
        state.pipeline.close(state.read_all());
    });
}

BulkSender::~BulkSender() { cancel(); }

Result<std::optional<TreeSegment>> BulkSender::next() {
    State& state = *state_;
    ZF_TRY(std::optional<TreeSegment> segment, state.pipeline.next());
    if (!segment) return segment;
    state.limit.wait_for(segment->payload.size(), [&] { return state.pipeline.is_cancelled(); });
    if (state.pipeline.is_cancelled()) return Error(Errc::cancelled, "the transfer was asked to stop");
    state.raw_bytes += segment->raw_bytes;
    state.payload_bytes += segment->payload.size();
    return segment;
}

Status BulkSender::acknowledge(std::uint64_t /*durable_count*/) {
    return Error(Errc::protocol, "the target acknowledges parts of a stream that is taken as a whole only");
}

Progress BulkSender::progress() const {
    return {.bytes = state_->raw_bytes, .raw_bytes = state_->raw_bytes, .payload_bytes = state_->payload_bytes};
}

void BulkSender::note_link(const LinkCounters& counters) { state_->control.note_link(counters); }

void BulkSender::set_limit(std::uint64_t bytes_per_second) {
    state_->control.set_limit(bytes_per_second);
    state_->limit.set(bytes_per_second);
}

void BulkSender::cancel() {
    state_->source->cancel();
    state_->pipeline.cancel();
    state_->limit.wake();
}

}  // namespace zoneferry
