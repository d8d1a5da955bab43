#include "transfer/bulk_receiver.h"

#include <string>

namespace zoneferry {

Status BulkReceiver::accept(const TreeSegment& segment) {
    if (segment.number != count_) return Error(Errc::protocol, "a segment of the stream is missing");
    ZF_TRY(const ConstBytes raw, expander_.expand(segment));
    ZF_TRY_STATUS(sink_->write(raw));
    ++count_;
    return {};
}

Status BulkReceiver::finish(std::uint64_t segments) {
    if (segments != count_) {
        return Error(Errc::protocol,
                     "the stream ended after " + std::to_string(count_) + " segments, not " + std::to_string(segments));
    }
    return sink_->finish();
}

}  // namespace zoneferry
