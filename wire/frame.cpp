#include "wire/frame.h"

#include <algorithm>
#include <string>

namespace zoneferry {
namespace {

constexpr std::uint32_t kMagic = 0x5952465a;  // "ZFRY"
constexpr std::size_t kCrcOffset = 12;

constexpr std::array<std::uint32_t, 256> make_crc_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = (value & 1U) != 0 ? (value >> 1U) ^ 0x82f63b78U : value >> 1U;
        table[i] = value;
    }
    return table;
}
constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();

std::uint32_t crc32c(ConstBytes bytes) {
    std::uint32_t crc = 0xffffffffU;
    for (const std::byte byte : bytes) {
        crc = (crc >> 8U) ^ kCrcTable[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xffU];
    }
    return ~crc;
}

Error protocol_error(const std::string& what) {
    return Error(Errc::protocol, "the peer does not speak our protocol: " + what);
}

}  // namespace

void store_frame_header(FrameType type, std::uint32_t payload_bytes, std::byte* to) {
    store_little_endian(kMagic, to);
    to[4] = static_cast<std::byte>(type);
    to[5] = to[6] = to[7] = std::byte{0};
    store_little_endian(payload_bytes, to + 8);
    store_little_endian(crc32c(ConstBytes(to, kCrcOffset)), to + kCrcOffset);
}

ByteVector empty_frame(FrameType type) {
    ByteVector frame(kFrameHeaderBytes);
    store_frame_header(type, 0, frame.data());
    return frame;
}

Status FrameParser::feed(ConstBytes bytes) {
    if (error_) return *error_;
    while (!bytes.empty()) {
        if (header_filled_ < kFrameHeaderBytes) {
            const std::size_t take = std::min(bytes.size(), kFrameHeaderBytes - header_filled_);
            std::copy_n(bytes.begin(), take, header_.begin() + static_cast<std::ptrdiff_t>(header_filled_));
            header_filled_ += take;
            bytes = bytes.subspan(take);
            if (header_filled_ < kFrameHeaderBytes) return {};
            if (Status begun = begin_frame(); !begun) {
                error_ = begun.error();
                return begun;
            }
        }
        bytes = bytes.subspan(take_segment_header(bytes));
        const std::size_t take = std::min(bytes.size(), payload_bytes_ - frame_.payload.size());
        append_bytes(frame_.payload, bytes.first(take));
        bytes = bytes.subspan(take);
        if (segment_header_missing_ == 0 && frame_.payload.size() == payload_bytes_) {
            ready_.push_back(std::move(frame_));
            frame_ = Frame();
            header_filled_ = 0;
        }
    }
    return {};
}

Status FrameParser::begin_frame() {
    ZF_TRY_STATUS(judge_header());
    frame_.type = static_cast<FrameType>(header_[4]);
    payload_bytes_ = load_little_endian<std::uint32_t>(ConstBytes(header_).subspan(8, 4));
    segment_header_missing_ = 0;
    if (frame_.type == FrameType::segment) {
        if (payload_bytes_ < kSegmentHeaderBytes) return protocol_error("a segment is shorter than its header");
        segment_header_missing_ = kSegmentHeaderBytes;
        payload_bytes_ -= kSegmentHeaderBytes;
    }
    frame_.payload.reserve(payload_bytes_);
    return {};
}

// A segment's header lies apart from its payload, so that the payload need not be moved. Returns how much was taken.
std::size_t FrameParser::take_segment_header(ConstBytes bytes) {
    const std::size_t take = std::min(bytes.size(), segment_header_missing_);
    const auto at = static_cast<std::ptrdiff_t>(kSegmentHeaderBytes - segment_header_missing_);
    std::copy_n(bytes.begin(), take, frame_.segment_header.begin() + at);
    segment_header_missing_ -= take;
    return take;
}

Status FrameParser::judge_header() const {
    const ConstBytes header(header_);
    if (load_little_endian<std::uint32_t>(header) != kMagic) return protocol_error("a frame has another mark");
    if (load_little_endian<std::uint32_t>(header.subspan(kCrcOffset)) != crc32c(header.first(kCrcOffset))) {
        return protocol_error("a frame header's checksum is wrong");
    }
    const auto type = static_cast<FrameType>(header[4]);
    if (type < FrameType::control || type > FrameType::goodbye) {
        return Error(Errc::unsupported,
                     "the peer sent a frame of the unknown type " + std::to_string(std::to_integer<int>(header[4])));
    }
    if (header[5] != std::byte{0} || header[6] != std::byte{0} || header[7] != std::byte{0}) {
        return Error(Errc::unsupported, "the peer set a frame flag that this version does not know");
    }
    const std::size_t bytes = load_little_endian<std::uint32_t>(header.subspan(8));
    if (bytes > payload_bytes_max(type)) {
        return protocol_error("a frame of " + std::to_string(bytes) + " bytes, at most " +
                              std::to_string(payload_bytes_max(type)) + " are allowed here");
    }
    return {};
}

std::size_t FrameParser::payload_bytes_max(FrameType type) const {
    switch (type) {
        case FrameType::control: return join_ ? kJoinBytesMax : kControlBytesMax;
        case FrameType::segment: return join_ ? 0 : kSegmentHeaderBytes + kSegmentPayloadBytesMax;
        case FrameType::ping:
        case FrameType::goodbye: return 0;
    }
    return 0;
}

std::optional<Frame> FrameParser::next() {
    if (ready_.empty()) return std::nullopt;
    Frame frame = std::move(ready_.front());
    ready_.pop_front();
    return frame;
}

}  // namespace zoneferry
