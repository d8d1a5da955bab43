// The stream of a BulkSource in segments: packed, limited and counted as a tree's records are. A segment is a piece of
// that stream; where it is cut means nothing, and none can be sent again: what is cut off is lost (bulk_transport.h).
#pragma once

#include <memory>

#include "transfer/bulk_transport.h"
#include "transfer/memory_budget.h"
#include "transfer/segment_source.h"

namespace zoneferry {

struct BulkSendOptions {
    std::uint64_t bytes_per_second = 0;  // of payload; 0: no limit
    unsigned compressor_threads = 1;
    std::size_t memory_bytes = kTransferMemoryBytes;
    bool in_background = false;  // reads and compresses at low priority
};

class BulkSender final : public SegmentSource {
public:
    BulkSender(std::unique_ptr<BulkSource> source, const BulkSendOptions& options);
    ~BulkSender() override;

    Result<std::optional<TreeSegment>> next() override;
    Status acknowledge(std::uint64_t durable_count) override;
    Progress progress() const override;
    void note_link(const LinkCounters& counters) override;
    void set_limit(std::uint64_t bytes_per_second) override;
    void cancel() override;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace zoneferry
