// Segments, packed in every mode, with and without those before them; and the pipeline that packs them.
#include <gtest/gtest.h>
#include <zstd.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

#include "core/base/digest.h"
#include "core/base/text.h"
#include "transfer/compression_control.h"
#include "transfer/pipeline.h"
#include "transfer/segment.h"

namespace zoneferry {
namespace {

ByteVector text_with(std::uint64_t seed, std::size_t bytes) {
    ByteVector made;
    while (made.size() < bytes) {
        append_bytes(made, as_bytes("line " + std::to_string(seed++ * 2'654'435'761U) + " of a file\n"));
    }
    made.resize(bytes);
    return made;
}

// Every change between modes, with and without history, comes out as it went in.
TEST(SegmentHistory, AnyOrderOfModesComesBack) {
    SegmentCompressor compressor;
    SegmentExpander expander;
    SharedBytes before;
    std::uint64_t number = 0;
    for (std::size_t first = 0; first < kCompressionModes.size(); ++first) {
        for (std::size_t second = 0; second < kCompressionModes.size(); ++second) {
            for (const std::size_t index : {first, second}) {
                const CompressionMode& mode = kCompressionModes[index];
                const ByteVector raw = number % 3 == 2 ? random_bytes(200'000) : text_with(number / 2, 200'000);
                const auto shared = std::make_shared<ByteVector>(raw);
                const SharedBytes history = mode.keeps_history ? before : nullptr;
                TreeSegment segment = compressor.compress(number, mode, shared, history);
                before = mode.keeps_history ? SharedBytes(shared) : nullptr;
                ASSERT_TRUE(expander.expand_in_place(segment)) << number;
                ASSERT_EQ(segment.payload, raw) << number;
                ++number;
            }
        }
    }
}

// Records as programs have them: one of some hundred words of five bytes, and a number.
ByteVector records_with(std::uint32_t seed, std::size_t bytes) {
    std::mt19937 random(seed);
    std::array<std::uint64_t, 300> kinds{};
    for (std::uint64_t& kind : kinds) kind = random() * std::uint64_t{0x9e3779b97f4a7c15};
    ByteVector made;
    while (made.size() < bytes) {
        const std::uint64_t kind = kinds.at(random() % kinds.size());
        const auto* const begin = reinterpret_cast<const std::byte*>(&kind);
        append_bytes(made, ConstBytes(begin, 5));
        made.push_back(static_cast<std::byte>(random()));
    }
    made.resize(bytes);
    return made;
}

// As of configuration: few words, and a key of its own for each entry.
ByteVector keys_with(std::uint32_t seed, std::size_t bytes) {
    std::mt19937 random(seed);
    std::array<std::byte, 48> key{};
    ByteVector made;
    while (made.size() < bytes) {
        for (std::byte& byte : key) byte = static_cast<std::byte>(random());
        append_bytes(made, as_bytes("[the entry is]\nkey = " + to_hex(key) + "\n"));
    }
    made.resize(bytes);
    return made;
}

std::size_t packed_bytes(const ByteVector& raw, const CompressionMode& mode) {
    return SegmentCompressor().compress(0, mode, std::make_shared<ByteVector>(raw), nullptr).payload.size();
}

TEST(ShortMatches, AreLeftOutOnlyWhereThatMakesLess) {
    SegmentCompressor compressor;
    for (const std::size_t bytes : {std::size_t{100'000}, kMiB}) {
        const ByteVector keys = keys_with(7, bytes);
        const ByteVector records = records_with(7, bytes);
        EXPECT_FALSE(compressor.short_matches_pay(keys)) << bytes;
        EXPECT_TRUE(compressor.short_matches_pay(records)) << bytes;
        for (const CompressionMode& mode : kCompressionModes) {
            if (mode.long_min_match == 0) continue;
            CompressionMode with = mode;
            with.long_min_match = 0;
            EXPECT_LT(packed_bytes(keys, mode), 0.99 * static_cast<double>(packed_bytes(keys, with))) << mode.level;
            EXPECT_EQ(packed_bytes(records, mode), packed_bytes(records, with)) << mode.level;
        }
    }
    EXPECT_TRUE(compressor.short_matches_pay(ByteVector(70))) << "no difference: as the level has it";
}

// A peer of any version opens what does not follow another segment: one frame of 16 MiB window at most.
TEST(ShortMatches, FramesAreOrdinaryOnes) {
    std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> plain{ZSTD_createDCtx(), &ZSTD_freeDCtx};
    ASSERT_EQ(ZSTD_isError(ZSTD_DCtx_setParameter(plain.get(), ZSTD_d_windowLogMax, 24)), 0U);
    for (const CompressionMode& mode : kCompressionModes) {
        if (mode.level == 0) continue;
        const ByteVector raw = keys_with(1, mode.segment_bytes);
        const TreeSegment segment = SegmentCompressor().compress(0, mode, std::make_shared<ByteVector>(raw), nullptr);
        ASSERT_TRUE(is_packed(segment.encoding));
        ByteVector back(raw.size());
        ZSTD_inBuffer in{segment.payload.data(), segment.payload.size(), 0};
        ZSTD_outBuffer out{back.data(), back.size(), 0};
        EXPECT_EQ(ZSTD_decompressStream(plain.get(), &out, &in), 0U) << mode.level;
        EXPECT_EQ(back, raw) << mode.level;
    }
}

TEST(SegmentHistory, MakesTheNextSegmentSmaller) {
    SegmentCompressor compressor;
    const CompressionMode& mode = kCompressionModes.back();
    const auto raw = std::make_shared<ByteVector>(random_bytes(300'000));
    const auto half_new = std::make_shared<ByteVector>(*raw);
    append_bytes(*half_new, text_with(1, 300'000));
    const TreeSegment alone = compressor.compress(0, mode, half_new, nullptr);
    const TreeSegment after = compressor.compress(1, mode, half_new, raw);
    EXPECT_LT(after.payload.size() + 250'000, alone.payload.size());
    SegmentExpander expander;
    EXPECT_FALSE(expander.expand(after)) << "its history is not there";
}

// A sample says that it would not shrink: what that takes is no speed of the mode, nor is its ratio.
TEST(SegmentCompressor, WhatWasNotPackedWasNotTried) {
    SegmentCompressor compressor;
    const CompressionMode& mode = kCompressionModes[kSampleMode];
    const auto compress = [&](const ByteVector& raw) {
        (void)compressor.compress(0, mode, std::make_shared<ByteVector>(raw), nullptr);
        return compressor.has_tried();
    };
    EXPECT_TRUE(compress(random_bytes(kMiB)));
    EXPECT_FALSE(compress(random_bytes(kMiB)));
    EXPECT_TRUE(compress(text_with(1, kMiB)));
    (void)compressor.compress(0, kCompressionModes[kRawMode], std::make_shared<ByteVector>(kMiB), nullptr);
    EXPECT_FALSE(compressor.has_tried());
}

// Noise between text: the mode goes on as it was, and is not thought to have become endlessly fast, or useless.
TEST(SegmentPipeline, WhatIsNotPackedSaysNothingOfTheMode) {
    CompressionControl control(1, std::nullopt, kSampleMode);
    control.note_link({5'000'000, 1'000'000, 0, 8 * kMiB, 1'000'000});
    SegmentPipeline pipeline(1, control);
    std::uint64_t number = 0;
    const auto send = [&](const ByteVector& raw) {
        ASSERT_TRUE(pipeline.push(number++, raw));
        ASSERT_TRUE(pipeline.next());
    };
    const ByteVector noise = random_bytes(2 * kMiB);
    for (int i = 0; i < 4; ++i) send(text_with(1, 2 * kMiB));
    const std::size_t before = control.mode();
    EXPECT_NE(before, kRawMode);
    for (int i = 0; i < 60; ++i) send(noise);
    EXPECT_EQ(control.mode(), before);
}

// The walk's side of the memory bound: no more raw segments are taken in than the pipeline may hold.
TEST(SegmentPipeline, HoldsNoMoreThanItsSlots) {
    CompressionControl control(2, 1);
    SegmentPipeline pipeline(2, control);
    std::atomic<std::uint64_t> pushed{0};
    std::jthread walker([&] {
        while (pipeline.push(pushed, ByteVector(100'000))) ++pushed;
    });
    for (std::uint64_t taken = 0; taken < 50; ++taken) {
        const auto segment = pipeline.next();
        ASSERT_TRUE(segment && *segment);
        EXPECT_EQ((*segment)->number, taken);
        EXPECT_LE(pushed, taken + 1 + 5 + 1);
    }
    pipeline.cancel();
}

// Where the link is known, segments are packed for as long as it takes, within the memory.
TEST(SegmentPipeline, FillsItsQueueForAKnownLink) {
    constexpr std::size_t kSegmentBytes = 100'000;
    for (const std::size_t queue_bytes : {std::size_t{2'000'000}, std::size_t{100'000'000}}) {
        CompressionControl control(2, 0);
        SegmentPipeline pipeline(2, control, queue_bytes);
        control.note_link({5'000'000, 1'000'000, 0, 8 * kMiB, 1'000'000});  // 5 MB/s
        const std::uint64_t most = std::min<std::size_t>(queue_bytes, 5'000'000) / kSegmentBytes;
        std::atomic<std::uint64_t> pushed{0};
        std::jthread walker([&] {
            while (pipeline.push(pushed, ByteVector(kSegmentBytes))) ++pushed;
        });
        while (pushed < most) std::this_thread::yield();
        for (std::uint64_t taken = 0; taken < 20; ++taken) {
            const auto segment = pipeline.next();
            ASSERT_TRUE(segment && *segment);
            EXPECT_EQ((*segment)->number, taken);
            EXPECT_LE(pushed, taken + 1 + most + 1);
        }
        pipeline.cancel();
    }
}

}  // namespace
}  // namespace zoneferry
