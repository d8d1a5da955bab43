// Any payload: decoding must not crash, and what decodes must encode and decode again to the same bytes.
#include <algorithm>
#include <cstdint>

#include "core/base/check.h"
#include "wire/codec.h"

using namespace zoneferry;

namespace {

Frame frame_of(FrameType type, ConstBytes bytes) {
    Frame frame;
    frame.type = type;
    if (type == FrameType::segment) {
        const std::size_t header_bytes = std::min(bytes.size(), kSegmentHeaderBytes);
        std::copy_n(bytes.begin(), header_bytes, frame.segment_header.begin());
        bytes = bytes.subspan(header_bytes);
    }
    frame.payload.assign(bytes.begin(), bytes.end());
    return frame;
}

void try_payload(FrameType type, ConstBytes bytes) {
    const Result<Message> message = decode_frame(frame_of(type, bytes));
    if (!message) return;
    const Result<ByteVector> encoded = encode_frame(*message);
    ZF_CHECK(encoded.has_value());
    const Result<Message> second = decode_frame(frame_of(type, ConstBytes(*encoded).subspan(kFrameHeaderBytes)));
    ZF_CHECK(second.has_value());
    const Result<ByteVector> encoded_again = encode_frame(*second);
    ZF_CHECK(encoded_again.has_value() && *encoded_again == *encoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ConstBytes bytes = std::as_bytes(std::span(data, size));
    if (size < kFrameHeaderBytes) return 0;
    const ConstBytes payload = bytes.subspan(kFrameHeaderBytes);  // as in a recorded frame
    try_payload(FrameType::control, payload);
    try_payload(FrameType::segment, payload);
    return 0;
}
