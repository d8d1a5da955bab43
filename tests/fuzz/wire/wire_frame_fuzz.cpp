// Any bytes in any pieces: the parser must not crash, and must find the same frames as in one piece.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/base/check.h"
#include "wire/frame.h"

using namespace zoneferry;

namespace {

// The frames up to the first error.
std::vector<ByteVector> parse(ConstBytes bytes, std::size_t piece_bytes, bool join) {
    FrameParser parser(join);
    std::vector<ByteVector> frames;
    while (!bytes.empty()) {
        const std::size_t take = std::min(piece_bytes, bytes.size());
        const Status fed = parser.feed(bytes.first(take));
        while (std::optional<Frame> frame = parser.next()) frames.push_back(std::move(frame->payload));
        if (!fed) break;
        bytes = bytes.subspan(take);
    }
    return frames;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const ConstBytes bytes = std::as_bytes(std::span(data, size));
    const bool join = (data[0] & 1U) != 0;
    const std::size_t piece_bytes = 1U + data[0] / 2U;
    for (const std::size_t skip : {std::size_t{0}, std::size_t{1}}) {  // 0: recorded frames start at the first byte
        const ConstBytes stream = bytes.subspan(skip);
        ZF_CHECK(parse(stream, piece_bytes, join) == parse(stream, stream.size(), join));
    }
    return 0;
}
