// The memory of a pass: the pools are sized to what is configured, and what the process really takes stays within it.
#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>
#include <zstd.h>

#include <fstream>
#include <random>

#include "tests/support/temp_directory.h"
#include "tests/support/tree_pass.h"
#include "transfer/compression_control.h"
#include "transfer/memory_budget.h"

namespace zoneferry {
namespace {

std::size_t status_bytes(const std::string& field) {
    std::ifstream status("/proc/self/status");
    std::string name;
    std::size_t kib = 0;
    while (status >> name) {
        if (name == field + ":" && status >> kib) return kib * 1024;
    }
    return 0;
}

TEST(MemoryBudget, PoolsNeverNeedMoreThanIsGiven) {
    for (std::size_t mib = 64; mib <= 2048; mib += 16) {
        for (unsigned processors = 1; processors <= 256; processors *= 2) {
            const SenderPools pools = sender_pools(mib * kMiB, processors);
            EXPECT_LE(pool_bytes(pools), mib * kMiB);
            EXPECT_GE(pools.threads, 1U);
            EXPECT_LE(pools.threads, processors);
        }
        EXPECT_LE(2 * intake_queue_bytes(mib * kMiB) + 48 * kMiB, mib * kMiB);
    }
    const SenderPools usual = sender_pools(kTransferMemoryBytes, 2);
    EXPECT_EQ(usual.threads, 2U);
    EXPECT_GT(usual.queue_bytes, 64 * kMiB) << "half a second of 1 Gbit/s";
    EXPECT_EQ(usual.dearest_mode, kCompressionModes.size() - 1);
    EXPECT_GE(sender_pools(kTransferMemoryBytes, 64).threads, 4U);
}

TEST(MemoryBudget, ContextsAreNoLargerThanTheTableSays) {
    for (const CompressionMode& mode : kCompressionModes) {
        if (mode.level == 0) continue;
        SegmentCompressor compressor;
        auto raw = std::make_shared<ByteVector>(mode.segment_bytes);
        std::mt19937 random(1);
        for (std::byte& byte : *raw) byte = static_cast<std::byte>(random() % 16);
        SharedBytes before;
        if (mode.keeps_history) before = std::make_shared<ByteVector>(*raw);
        (void)compressor.compress(0, mode, raw, nullptr);
        raw = std::make_shared<ByteVector>(mode.segment_bytes, std::byte{7});
        (void)compressor.compress(1, mode, raw, before);
        EXPECT_LE(compressor.context_bytes(), mode.context_bytes) << "level " << mode.level;
    }
}

class MemoryOfAPass : public ::testing::TestWithParam<std::size_t> {};

// Both sides in this process, the dearest compression, many threads: twice the budget, and what malloc keeps beside.
TEST_P(MemoryOfAPass, StaysWithinTheBudget) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: a pass keeps owners";
    ASSERT_GT(status_bytes("VmHWM"), 0U);
    TempDirectory temp;
    const PassPaths paths{temp.path() + "/source", temp.path() + "/staging", temp.path() + "/catalog"};
    ASSERT_TRUE(make_directories(paths.source, 0755));
    ASSERT_TRUE(make_directories(paths.staging, 0700));
    constexpr std::size_t kFileBytes = 8 * kMiB;
    std::mt19937_64 random(3);
    std::string content(kFileBytes, '\0');
    for (int i = 0; i < 20; ++i) {
        for (std::size_t at = 0; at < kFileBytes; at += 16) {  // packs to about half
            const std::uint64_t word = random();
            std::memcpy(content.data() + at, &word, 8);
        }
        std::ofstream(paths.source + "/file" + std::to_string(i), std::ios::binary) << content;
    }
    content = {};
    ::malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << "5";  // the peak counts from here
    const std::size_t before = status_bytes("VmRSS");
    PassOptions options;
    options.send.zstd_level = 9;
    options.send.compressor_threads = 16;
    options.send.memory_bytes = GetParam();
    const auto done = run_pass(paths, options);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_GT(done->raw_bytes, 20 * kFileBytes);
    const std::size_t taken = status_bytes("VmHWM") - before;
    EXPECT_LE(taken, GetParam() + 24 * kMiB) << taken / kMiB << " MiB";
}

INSTANTIATE_TEST_SUITE_P(Of, MemoryOfAPass, ::testing::Values(kTransferMemoryBytesMin, kTransferMemoryBytes));

}  // namespace
}  // namespace zoneferry
