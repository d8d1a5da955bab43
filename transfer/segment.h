// A segment: some records, compressed as one zstd frame (or raw where that gains nothing). It is the unit of
// compression, of acknowledgement and so of resume. The records in it continue where the segment before ended.
//
// On a slow link segments share history: one that is `kept` is remembered on both sides as raw bytes, and the next
// may have been packed with it as a prefix (`follows`). Otherwise a segment is self-contained.
//
// Short matches do not pay in everything: of text with digits or keys in it they cost more than the literals that they
// spare. Modes that look for short ones pack a piece of the segment with them and without, and do as made it smaller.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "transfer/compression_control.h"

namespace zoneferry {

constexpr std::size_t kSegmentTargetBytes = 7 * 1024 * 1024;  // raw; a segment is closed once it has that much
constexpr std::size_t kSegmentRawBytesMax = 8 * 1024 * 1024;  // raw; the receiver refuses more
constexpr int kWindowLogMax = 24;                             // 16 MiB: two segments; what a frame may make us hold

// Bits of the encoding.
enum class Encoding : std::uint8_t {
    raw = 0,
    zstd = 1,
    raw_kept = 0x10,
    zstd_kept = 0x11,
    zstd_follows_kept = 0x31,
};
bool is_encoding(std::uint8_t value);
constexpr bool is_packed(Encoding encoding) { return (static_cast<unsigned>(encoding) & 1U) != 0; }
constexpr bool is_kept(Encoding encoding) { return (static_cast<unsigned>(encoding) & 0x10U) != 0; }
constexpr bool follows(Encoding encoding) { return (static_cast<unsigned>(encoding) & 0x20U) != 0; }

struct TreeSegment {
    TreeSegment() {}
    std::uint64_t number = 0;
    std::uint32_t raw_bytes = 0;
    Encoding encoding = Encoding::raw;
    ByteVector payload;
};

using SharedBytes = std::shared_ptr<const ByteVector>;

// One per thread; keeps its context.
class SegmentCompressor {
public:
    SegmentCompressor();
    ~SegmentCompressor();
    SegmentCompressor(SegmentCompressor&&) noexcept;
    // before: the raw bytes of the segment before, if that one is kept; null for the first, and in modes without
    // history. What does not shrink stays raw.
    TreeSegment compress(std::uint64_t number, const CompressionMode& mode, std::shared_ptr<ByteVector> raw,
                         const SharedBytes& before);
    // What a sample of it would be packed to, as a share of its size.
    double sample_ratio(ConstBytes raw);
    // Whether packing it with short matches, too, makes it smaller: judged by a piece of it.
    bool short_matches_pay(ConstBytes raw);
    bool has_tried() const;             // to pack the latest segment: a sample may have said that it would not shrink
    std::size_t context_bytes() const;  // what it holds now, without its output

private:
    struct State;
    std::unique_ptr<State> state_;
};

class SegmentExpander {
public:
    SegmentExpander();
    ~SegmentExpander();
    SegmentExpander(SegmentExpander&&) noexcept;
    // The raw bytes, valid until the next call: exactly segment.raw_bytes of them, or Errc::protocol.
    Result<ConstBytes> expand(const TreeSegment& segment);
    // The same, with the raw bytes as the segment's own payload. Segments in order.
    Status expand_in_place(TreeSegment& segment);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace zoneferry
