// Frames: how messages lie in the TLS stream. All numbers little endian.
//
//     offset  size  field
//          0     4  magic       "ZFRY"
//          4     1  type        1 control, 2 segment, 3 ping, 4 goodbye
//          5     1  flags       0; a set bit is refused
//          6     2  reserved    0
//          8     4  length      of the payload that follows
//         12     4  crc         CRC-32C of bytes 0..11
//         16  length  payload
//
// control: one Cap'n Proto message (zone_move.capnp), unpacked, of exactly one segment.
// segment: pass u32, raw_bytes u32, number u64, encoding u8, seven zero bytes, then the payload.
// ping:    empty; says "I live" when there is nothing else to say. It is not answered: each side sends its own.
// goodbye: empty; the last frame of a side. A stream that ends without one was cut.
//
// TLS already protects every byte; the CRC catches our own bugs and a lost frame boundary before a length is
// believed. A length above the type's limit is refused before anything is allocated.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "wire/limits.h"

namespace zoneferry {

inline constexpr std::size_t kFrameHeaderBytes = 16;
inline constexpr std::size_t kSegmentHeaderBytes = 24;

enum class FrameType : std::uint8_t { control = 1, segment = 2, ping = 3, goodbye = 4 };

struct Frame {
    Frame() {}
    FrameType type = FrameType::ping;
    std::array<std::byte, kSegmentHeaderBytes> segment_header{};  // of a segment; the rest is its payload
    ByteVector payload;                                           // aligned for Cap'n Proto: operator new gives 16
};

// Writes a header to the first 16 bytes at `to`.
void store_frame_header(FrameType type, std::uint32_t payload_bytes, std::byte* to);
// A frame without payload, ready to send.
ByteVector empty_frame(FrameType type);

// Cuts a stream of bytes into frames; does no I/O. After an error every further feed gives the same error.
class FrameParser {
public:
    // join: only control frames, pings and goodbye, and no larger than kJoinBytesMax.
    explicit FrameParser(bool join) : join_(join) {}

    // Takes all the bytes. Errc::protocol: not our frames; Errc::unsupported: a type or flag of a newer version.
    Status feed(ConstBytes bytes);
    std::optional<Frame> next();
    bool is_between_frames() const { return header_filled_ == 0; }

private:
    Status begin_frame();
    Status judge_header() const;
    std::size_t take_segment_header(ConstBytes bytes);
    std::size_t payload_bytes_max(FrameType type) const;

    bool join_;
    std::array<std::byte, kFrameHeaderBytes> header_{};
    std::size_t header_filled_ = 0;
    std::size_t payload_bytes_ = 0;  // without a segment's header
    std::size_t segment_header_missing_ = 0;
    Frame frame_;
    std::deque<Frame> ready_;
    std::optional<Error> error_;
};

}  // namespace zoneferry
