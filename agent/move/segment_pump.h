// The segments of one pass over a connection, on either side. The moves use it and so do the benchmarks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "core/base/result.h"
#include "transfer/intake.h"
#include "transfer/segment_source.h"
#include "wire/connection.h"

namespace zoneferry {

// Sends what the sender makes until the pass is over and the target has said that it is done, and tells the sender
// what the target acknowledges. `before_each` is asked before each segment (its error ends the pass), `after_each`
// is told when one is on its way. On an error the sender is cancelled and the connection may be closed.
Status send_segments(Connection& connection, SegmentSource& sender, std::uint32_t pass,
                     const std::function<Status()>& before_each, const std::function<void()>& after_each);

// A wire segment as transfer's. Errc::protocol: an encoding that does not exist.
Result<TreeSegment> take_segment(Segment&& segment);

// For a program's start: memory of segments is kept when it is freed, instead of being given back to the kernel and
// cleared by it, page by page, for the next one.
void keep_freed_segments();

}  // namespace zoneferry
