// A segment: some records, compressed as one zstd frame (or raw where that gains nothing). It is the unit of
// compression, of acknowledgement and so of resume. Segments are self-contained for the decompressor only; the
// records in them continue where the segment before ended.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace zoneferry {

constexpr std::size_t kSegmentTargetBytes = 2 * 1024 * 1024;  // raw; a segment is closed once it has that much
constexpr std::size_t kSegmentRawBytesMax = 4 * 1024 * 1024;  // raw; the receiver refuses more
constexpr int kWindowLogMax = 23;                             // 8 MiB: what a frame may make the decoder hold

enum class Encoding : std::uint8_t { raw = 0, zstd = 1 };

struct TreeSegment {
    TreeSegment() {}
    std::uint64_t number = 0;
    std::uint32_t raw_bytes = 0;
    Encoding encoding = Encoding::raw;
    ByteVector payload;
};

// One per thread; keeps its context.
class SegmentCompressor {
public:
    explicit SegmentCompressor(int zstd_level);  // 0: never compress
    ~SegmentCompressor();
    SegmentCompressor(SegmentCompressor&&) noexcept;
    TreeSegment compress(std::uint64_t number, ByteVector raw);

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
    // The same, with the raw bytes as the segment's own payload.
    Status expand_in_place(TreeSegment& segment);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace zoneferry
