// Fuzz target: segments through expander and decoder into a sink that does nothing. The first byte chooses: 0 takes the
// rest as raw records, else it is one zstd segment that declares as many KiB.
#include <cstddef>
#include <cstdint>

#include "transfer/decoder.h"
#include "transfer/segment.h"

namespace zoneferry {
namespace {

class NullSink final : public TreeSink {
public:
    Status begin(const BeginRecord&) override { return {}; }
    Status enter(const EnterRecord&) override { return {}; }
    Status leave(const LeaveRecord&) override { return {}; }
    Status file(const FileRecord&) override { return {}; }
    Status data(const DataRecord&) override { return {}; }
    Status file_end() override { return {}; }
    Status link(const LinkRecord&) override { return {}; }
    Status symlink(const SymlinkRecord&) override { return {}; }
    Status special(const SpecialRecord&) override { return {}; }
    Status remove(const RemoveRecord&) override { return {}; }
    Status stash(const StashRecord&) override { return {}; }
    Status hole(const HoleRecord&) override { return {}; }
    Status end() override { return {}; }
};

}  // namespace
}  // namespace zoneferry

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace zoneferry;
    if (size == 0) return 0;
    const ConstBytes input = std::as_bytes(std::span(data, size)).subspan(1);
    NullSink sink;
    TreeDecoder decoder(sink, {1000, 1 << 20, {"preserved"}});
    if (data[0] == 0) {
        (void)decoder.decode(input);
        return 0;
    }
    TreeSegment segment;
    segment.encoding = Encoding::zstd;
    segment.raw_bytes = data[0] * 1024U;
    segment.payload.assign(input.begin(), input.end());
    SegmentExpander expander;
    const auto raw = expander.expand(segment);
    if (raw) (void)decoder.decode(*raw);
    return 0;
}
