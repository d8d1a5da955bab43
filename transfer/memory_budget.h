// How large the pools of one side of a pass may be, so that all of them together stay within one number: pure.
//
//   sender     the queue of the connection, segments that are read, wait, are packed or go out, and for each thread
//              that packs its context and its output; so many threads, and so dear a compression, as fit. Three
//              quarters of what is left are for segments that wait until the link has taken those before (pipeline.h)
//   receiver   the queue of the connection, two queues of segments, and what is in the hands between them
// What a move needs beside (indexes of moved entries, the set of changes) has bounds of its own, see their headers.
#pragma once

#include <cstddef>

namespace zoneferry {

constexpr std::size_t kTransferMemoryBytes = std::size_t{256} << 20U;    // of each side, if nothing is configured
constexpr std::size_t kTransferMemoryBytesMin = std::size_t{64} << 20U;  // one thread, and segments of 6 MiB

struct SenderPools {
    unsigned threads = 1;          // that pack
    std::size_t dearest_mode = 0;  // of kCompressionModes
    std::size_t queue_bytes = 0;   // of segments, beside the slots of the threads
};
SenderPools sender_pools(std::size_t memory_bytes, unsigned processors);
// What these pools hold at most.
std::size_t pool_bytes(const SenderPools& pools);

// Of each of the two queues of segments.
std::size_t intake_queue_bytes(std::size_t memory_bytes);

}  // namespace zoneferry
