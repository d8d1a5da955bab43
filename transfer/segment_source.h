// What a pass over the link sends: segments in order. A tree's records (sender.h) or a file system's own stream
// (bulk_sender.h).
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/result.h"
#include "transfer/compression_control.h"
#include "transfer/segment.h"

namespace zoneferry {

struct Progress {
    std::uint64_t entries = 0;        // walked
    std::uint64_t bytes = 0;          // sizes of the files walked
    std::uint64_t raw_bytes = 0;      // given out by next(), before compression
    std::uint64_t payload_bytes = 0;  // given out by next()
    bool is_tracked = false;          // entries and bytes are of what was announced as changed only
};

class SegmentSource {
public:
    virtual ~SegmentSource() = default;
    // The next segment, in order; waits for it. nullopt: the pass is all produced. One thread at a time.
    virtual Result<std::optional<TreeSegment>> next() = 0;
    // Segments 0 .. durable_count-1 are on the target's disk. Any thread.
    virtual Status acknowledge(std::uint64_t durable_count) = 0;
    virtual Progress progress() const = 0;  // any thread
    // Any thread: what the connection has done so far, for the choice of compression; and the limit, 0: none.
    virtual void note_link(const LinkCounters& counters) = 0;
    virtual void set_limit(std::uint64_t bytes_per_second) = 0;
    virtual void cancel() = 0;  // any thread; next() returns Errc::cancelled, also one that is waiting
};

}  // namespace zoneferry
