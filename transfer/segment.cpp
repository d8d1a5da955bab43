#include "transfer/segment.h"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace zoneferry {
namespace {

constexpr std::size_t kSamplePieces = 4;
constexpr std::size_t kSamplePieceBytes = 16 * 1024;
constexpr double kNotWorthPacking = 0.97;
constexpr int kWindowLog = 23;  // of a segment by itself: all of it. The levels' own are for larger inputs or smaller.
constexpr std::size_t kPieceBytes = 128 * 1024;  // of less the difference does not show
constexpr int kPieceLevel = 3;                   // the first that takes matches of five bytes
constexpr int kPieceLongMinMatch = 7;
// Where the processor is what is scarce, the checksum of a frame (a twelfth of its cost) is left to TLS and the
// digests.
constexpr int kLevelWithChecksum = 3;

}  // namespace

bool is_encoding(std::uint8_t value) {
    switch (static_cast<Encoding>(value)) {
        case Encoding::raw:
        case Encoding::zstd:
        case Encoding::raw_kept:
        case Encoding::zstd_kept:
        case Encoding::zstd_follows_kept: return true;
    }
    return false;
}

struct SegmentCompressor::State {
    using Context = std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)>;
    Context context{ZSTD_createCCtx(), &ZSTD_freeCCtx};
    Context sampler{ZSTD_createCCtx(), &ZSTD_freeCCtx};
    std::array<std::byte, kSamplePieces * kSamplePieceBytes> sample{};
    ByteVector sample_packed{ByteVector(ZSTD_compressBound(kPieceBytes))};
    ByteVector packed;

    std::size_t packed_piece(ConstBytes piece, int min_match);
    void set_mode(const CompressionMode& mode, bool has_short_matches);
    bool has_tried = false;
    bool was_poor = false;  // the segment before did not shrink: the next is sampled before it is packed
};

SegmentCompressor::SegmentCompressor() : state_(std::make_unique<State>()) {
    ZF_CHECK(state_->context != nullptr && state_->sampler != nullptr);
}
SegmentCompressor::~SegmentCompressor() = default;
SegmentCompressor::SegmentCompressor(SegmentCompressor&&) noexcept = default;

double SegmentCompressor::sample_ratio(ConstBytes raw) {
    std::size_t filled = 0;
    for (std::size_t piece = 0; piece < kSamplePieces; ++piece) {
        const ConstBytes from = raw.subspan(raw.size() / kSamplePieces * piece);
        const std::size_t bytes = std::min(from.size(), kSamplePieceBytes);
        std::memcpy(state_->sample.data() + filled, from.data(), bytes);
        filled += bytes;
    }
    const std::size_t got =
        ZSTD_compressCCtx(state_->sampler.get(), state_->sample_packed.data(), state_->sample_packed.size(),
                          state_->sample.data(), filled, kCompressionModes[kSampleMode].level);
    return ZSTD_isError(got) != 0 || filled == 0 ? 1 : static_cast<double>(got) / static_cast<double>(filled);
}

std::size_t SegmentCompressor::State::packed_piece(ConstBytes piece, int min_match) {
    ZSTD_CCtx_reset(sampler.get(), ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(sampler.get(), ZSTD_c_compressionLevel, kPieceLevel);
    ZSTD_CCtx_setParameter(sampler.get(), ZSTD_c_minMatch, min_match);
    return ZSTD_compress2(sampler.get(), sample_packed.data(), sample_packed.size(), piece.data(), piece.size());
}

bool SegmentCompressor::short_matches_pay(ConstBytes raw) {
    const std::size_t bytes = std::min(raw.size(), kPieceBytes);
    const ConstBytes piece = raw.subspan((raw.size() - bytes) / 2, bytes);
    return state_->packed_piece(piece, 0) <= state_->packed_piece(piece, kPieceLongMinMatch);
}

void SegmentCompressor::State::set_mode(const CompressionMode& mode, bool has_short_matches) {
    const auto set = [&](ZSTD_cParameter name, int value) {
        ZF_CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(context.get(), name, value)) == 0);
    };
    ZSTD_CCtx_reset(context.get(), ZSTD_reset_session_and_parameters);
    set(ZSTD_c_compressionLevel, mode.level);
    set(ZSTD_c_checksumFlag, mode.level >= kLevelWithChecksum ? 1 : 0);
    set(ZSTD_c_contentSizeFlag, 1);
    set(ZSTD_c_hashLog, mode.hash_log);
    set(ZSTD_c_minMatch, has_short_matches ? 0 : mode.long_min_match);
    set(ZSTD_c_windowLog, mode.keeps_history ? kWindowLogMax : kWindowLog);
    if (mode.keeps_history) set(ZSTD_c_enableLongDistanceMatching, 1);
}

bool SegmentCompressor::has_tried() const { return state_->has_tried; }

std::size_t SegmentCompressor::context_bytes() const {
    return ZSTD_sizeof_CCtx(state_->context.get()) + ZSTD_sizeof_CCtx(state_->sampler.get()) + sizeof(State) +
           state_->sample_packed.capacity();
}

TreeSegment SegmentCompressor::compress(std::uint64_t number, const CompressionMode& mode,
                                        std::shared_ptr<ByteVector> raw, const SharedBytes& before) {
    TreeSegment segment;
    segment.number = number;
    segment.raw_bytes = static_cast<std::uint32_t>(raw->size());
    state_->has_tried = false;
    if (mode.level != 0 && raw->size() > 64 && (before || !state_->was_poor || sample_ratio(*raw) < kNotWorthPacking)) {
        state_->has_tried = true;
        ZSTD_CCtx* const context = state_->context.get();
        state_->set_mode(mode, mode.long_min_match == 0 || short_matches_pay(*raw));
        if (before) ZSTD_CCtx_refPrefix(context, before->data(), before->size());
        // Room for 1/32 less than raw only: what does not fit is not worth the other side's time.
        state_->packed.resize(raw->size());
        const std::size_t got =
            ZSTD_compress2(context, state_->packed.data(), raw->size() - raw->size() / 32, raw->data(), raw->size());
        state_->was_poor = ZSTD_isError(got) != 0;
        if (!state_->was_poor) {
            segment.encoding = !mode.keeps_history ? Encoding::zstd
                               : before            ? Encoding::zstd_follows_kept
                                                   : Encoding::zstd_kept;
            segment.payload.assign(state_->packed.begin(), state_->packed.begin() + static_cast<std::ptrdiff_t>(got));
            return segment;
        }
    }
    if (mode.keeps_history) {
        segment.encoding = Encoding::raw_kept;
        segment.payload = *raw;
    } else {
        segment.payload = std::move(*raw);
    }
    return segment;
}

struct SegmentExpander::State {
    std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context{ZSTD_createDCtx(), &ZSTD_freeDCtx};
    ByteVector raw;
    ByteVector kept;  // of the segment before, if it was kept
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
    if (!is_encoding(static_cast<std::uint8_t>(segment.encoding))) return refuse("has an unknown encoding");
    const ByteVector& payload = segment.payload;
    if (!is_packed(segment.encoding)) {
        if (payload.size() != segment.raw_bytes) return refuse("is not of its declared size");
        state_->kept.clear();
        if (is_kept(segment.encoding)) state_->kept = payload;
        return ConstBytes(payload);
    }
    if (payload.size() > segment.raw_bytes) return refuse("is longer than what it packs");
    if (follows(segment.encoding) && state_->kept.empty()) return refuse("follows one that was not kept");
    // One frame, no more and no less, that itself declares the same size.
    if (ZSTD_getFrameContentSize(payload.data(), payload.size()) != segment.raw_bytes ||
        ZSTD_findFrameCompressedSize(payload.data(), payload.size()) != payload.size()) {
        return refuse("is not one frame of its declared size");
    }
    state_->raw.resize(segment.raw_bytes);
    ZSTD_inBuffer in{payload.data(), payload.size(), 0};
    ZSTD_outBuffer out{state_->raw.data(), state_->raw.size(), 0};
    ZSTD_DCtx_reset(state_->context.get(), ZSTD_reset_session_only);
    if (follows(segment.encoding)) {
        ZSTD_DCtx_refPrefix(state_->context.get(), state_->kept.data(), state_->kept.size());
    } else {
        ZSTD_DCtx_refPrefix(state_->context.get(), nullptr, 0);
    }
    const std::size_t left = ZSTD_decompressStream(state_->context.get(), &out, &in);
    if (ZSTD_isError(left) != 0 || left != 0 || out.pos != out.size || in.pos != in.size) {
        return refuse("is damaged");
    }
    state_->kept.clear();
    if (is_kept(segment.encoding)) state_->kept = state_->raw;
    return ConstBytes(state_->raw);
}

Status SegmentExpander::expand_in_place(TreeSegment& segment) {
    ZF_TRY([[maybe_unused]] const ConstBytes raw, expand(segment));
    if (is_packed(segment.encoding)) segment.payload.swap(state_->raw);
    segment.encoding = Encoding::raw;
    return {};
}

}  // namespace zoneferry
