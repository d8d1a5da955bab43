// The receiving end of a BulkSender: segments in, a tree in staging out. What is not finished is dropped.
#pragma once

#include <cstdint>
#include <memory>

#include "transfer/bulk_transport.h"
#include "transfer/segment.h"

namespace zoneferry {

class BulkReceiver {
public:
    explicit BulkReceiver(std::unique_ptr<BulkSink> sink) : sink_(std::move(sink)) {}

    // In order, from 0; waits until the sink has taken it. Any error is final.
    Status accept(const TreeSegment& segment);
    // The end was reached after exactly that many segments.
    Status finish(std::uint64_t segments);

private:
    std::unique_ptr<BulkSink> sink_;
    SegmentExpander expander_;
    std::uint64_t count_ = 0;
};

}  // namespace zoneferry
