// Any payload: decoding must not crash, and what decodes must encode and decode again to the same bytes.
#include <cstdint>

#include "core/base/check.h"
#include "wire/codec.h"

using namespace zoneferry;

namespace {

void try_payload(FrameType type, ConstBytes bytes) {
    Frame frame;
    frame.type = type;
    frame.payload.assign(bytes.begin(), bytes.end());
    const Result<Message> message = decode_frame(std::move(frame));
    if (!message) return;
    const Result<ByteVector> encoded = encode_frame(*message);
    ZF_CHECK(encoded.has_value());
    Frame again;
    again.type = type;
    again.payload.assign(encoded->begin() + kFrameHeaderBytes, encoded->end());
    const Result<Message> second = decode_frame(std::move(again));
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
