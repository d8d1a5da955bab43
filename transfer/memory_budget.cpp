#include "transfer/memory_budget.h"

#include <algorithm>

#include "transfer/compression_control.h"
#include "transfer/pipeline.h"
#include "transfer/segment.h"

namespace zoneferry {
namespace {

constexpr std::size_t kConnectionBytes = 8 * kMiB;  // wire's queue of one way
constexpr std::size_t kQueueBytesUseful = 16 * kMiB;
// Received, not yet taken; being expanded, with its history and its result; being written.
constexpr std::size_t kReceiverHandsBytes = 5 * kSegmentRawBytesMax;

}  // namespace

std::size_t pool_bytes(const SenderPools& pools) {
    const CompressionMode& mode = kCompressionModes[pools.dearest_mode];
    // Being read, being sent, and the history of the next.
    const std::size_t hands = 3 * mode.segment_bytes;
    const std::size_t slots = (pools.threads + kSlotsBesideThreads) * mode.segment_bytes;
    const std::size_t packing = pools.threads * (mode.context_bytes + mode.segment_bytes);
    return kConnectionBytes + hands + slots + packing + pools.queue_bytes;
}

SenderPools sender_pools(std::size_t memory_bytes, unsigned processors) {
    SenderPools pools;
    for (pools.dearest_mode = kCompressionModes.size() - 1; pools.dearest_mode > 0; --pools.dearest_mode) {
        if (pool_bytes(pools) <= memory_bytes) break;
    }
    while (pools.threads < std::min(processors, kCompressorThreadsMax)) {
        const SenderPools more{pools.threads + 1, pools.dearest_mode};
        if (pool_bytes(more) > memory_bytes) break;
        pools = more;
    }
    const std::size_t taken = pool_bytes(pools);
    pools.queue_bytes = taken < memory_bytes ? (memory_bytes - taken) / 4 * 3 : 0;
    return pools;
}

std::size_t intake_queue_bytes(std::size_t memory_bytes) {
    const std::size_t beside = kConnectionBytes + kReceiverHandsBytes;
    const std::size_t left = memory_bytes > beside ? (memory_bytes - beside) / 2 : 0;
    return std::clamp(left, kMiB, kQueueBytesUseful);
}

}  // namespace zoneferry
