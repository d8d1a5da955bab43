// The receiving side of one pass: segments in, a tree below the staging directory out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "transfer/decoder.h"
#include "transfer/devices.h"
#include "transfer/segment.h"

namespace zoneferry {

struct ReceiveOptions {
    std::vector<std::string> preserved;  // names directly below staging that are ours and no stream may touch
    DevicePolicy devices = DevicePolicy::known;
    std::uint64_t entries_max = DecodeLimits{}.entries_max;
    std::uint64_t bytes_max = DecodeLimits{}.bytes_max;  // of data in one pass
    unsigned writers = 2;                                // threads that write
};

struct ReceiveSummary {
    std::uint64_t segments = 0;
    std::uint64_t entries = 0;       // written in this pass
    std::uint64_t bytes = 0;         // of file data
    std::vector<std::string> notes;  // what this file system could not take over, one sentence each
};

// One object per pass and connection; one thread at a time, but make_durable() may run beside accepting. Any Error is
// final: throw the object away. What was acknowledged before stays good, and the sender's next pass repairs the rest.
class TreeReceiver {
public:
    // staging: a directory that only root can reach (0700), on the file system where the zone will live.
    static Result<std::unique_ptr<TreeReceiver>> start(UniqueFd staging, ReceiveOptions options);
    ~TreeReceiver();

    // Segments in order, from 0. Hostile input is refused with the entry named; nothing outside staging is touched.
    Status accept(const TreeSegment& segment);
    // The same for a segment that was expanded before.
    Status accept_raw(std::uint64_t number, ConstBytes raw);
    // Puts everything accepted so far on the disk; returns how many segments that are (to acknowledge).
    Result<std::uint64_t> make_durable();
    // The end of the pass was reached after exactly that many segments, and everything is on the disk.
    Result<ReceiveSummary> finish(std::uint64_t segments);

private:
    TreeReceiver();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace zoneferry
