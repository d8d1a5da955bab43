#include "transfer/segment.h"

#include <zstd.h>

#include <string>

namespace zoneferry {

struct SegmentCompressor::State {
    int level = 1;
    std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context{ZSTD_createCCtx(), &ZSTD_freeCCtx};
};

SegmentCompressor::SegmentCompressor(int zstd_level) : state_(std::make_unique<State>()) {
    ZF_CHECK(state_->context != nullptr);
    state_->level = zstd_level;
    ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_compressionLevel, zstd_level);
    ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_contentSizeFlag, 1);
}
SegmentCompressor::~SegmentCompressor() = default;
SegmentCompressor::SegmentCompressor(SegmentCompressor&&) noexcept = default;

TreeSegment SegmentCompressor::compress(std::uint64_t number, ByteVector raw) {
    TreeSegment segment;
    segment.number = number;
    segment.raw_bytes = static_cast<std::uint32_t>(raw.size());
    if (state_->level != 0 && raw.size() > 64) {
        // Room for 1/32 less than raw only: what does not fit is not worth the other side's time.
        ByteVector packed(raw.size() - raw.size() / 32);
        const std::size_t got =
            ZSTD_compress2(state_->context.get(), packed.data(), packed.size(), raw.data(), raw.size());
        if (ZSTD_isError(got) == 0) {
            segment.encoding = Encoding::zstd;
            segment.payload.assign(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(got));
            return segment;
        }
    }
    segment.payload = std::move(raw);
    return segment;
}

struct SegmentExpander::State {
    std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context{ZSTD_createDCtx(), &ZSTD_freeDCtx};
    ByteVector raw;
};

SegmentExpander::SegmentExpander() : state_(std::make_unique<State>()) {
    ZF_CHECK(state_->context != nullptr);
    ZSTD_DCtx_setParameter(state_->context.get(), ZSTD_d_windowLogMax, kWindowLogMax);
}
SegmentExpander::~SegmentExpander() = default;
SegmentExpander::SegmentExpander(SegmentExpander&&) noexcept = default;

Result<ConstBytes> SegmentExpander::expand(const TreeSegment& segment) {
    const auto refuse = [&](const char* why) {
        return Error(Errc::protocol, "segment " + std::to_string(segment.number) + " of the stream " + why);
    };
    if (segment.raw_bytes == 0 || segment.raw_bytes > kSegmentRawBytesMax) return refuse("declares an impossible size");
    if (segment.encoding == Encoding::raw) {
        if (segment.payload.size() != segment.raw_bytes) return refuse("is not of its declared size");
        return ConstBytes(segment.payload);
    }
    if (segment.encoding != Encoding::zstd) return refuse("has an unknown encoding");
    const ByteVector& payload = segment.payload;
    if (payload.size() > segment.raw_bytes) return refuse("is longer than what it packs");
    // One frame, no more and no less, that itself declares the same size.
    if (ZSTD_getFrameContentSize(payload.data(), payload.size()) != segment.raw_bytes ||
        ZSTD_findFrameCompressedSize(payload.data(), payload.size()) != payload.size()) {
        return refuse("is not one frame of its declared size");
    }
    state_->raw.resize(segment.raw_bytes);
    ZSTD_inBuffer in{payload.data(), payload.size(), 0};
    ZSTD_outBuffer out{state_->raw.data(), state_->raw.size(), 0};
    ZSTD_DCtx_reset(state_->context.get(), ZSTD_reset_session_only);
    const std::size_t left = ZSTD_decompressStream(state_->context.get(), &out, &in);
    if (ZSTD_isError(left) != 0 || left != 0 || out.pos != out.size || in.pos != in.size) {
        return refuse("is damaged");
    }
    return ConstBytes(state_->raw);
}

Status SegmentExpander::expand_in_place(TreeSegment& segment) {
    ZF_TRY([[maybe_unused]] const ConstBytes raw, expand(segment));
    if (segment.encoding == Encoding::raw) return {};
    segment.payload.swap(state_->raw);
    segment.encoding = Encoding::raw;
    return {};
}

}  // namespace zoneferry
