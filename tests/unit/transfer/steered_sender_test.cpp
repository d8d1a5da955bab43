// A sender that somebody steers while it works: its limit, its priority.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "tests/support/temp_directory.h"
#include "tests/support/tree_pass.h"

namespace zoneferry {
namespace {

constexpr int kLowestBestEffort = (2 << 13U) | 7;  // linux/ioprio.h

// Threads of this process that gave up both processor and disk to others.
int threads_in_background() {
    int count = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        const int id = std::stoi(task.path().filename().string());
        if (::getpriority(PRIO_PROCESS, static_cast<id_t>(id)) != 10) continue;
        count += ::syscall(SYS_ioprio_get, 1, id) == kLowestBestEffort ? 1 : 0;
    }
    return count;
}

class SteeredSender : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(make_directories(paths.source, 0755));
        std::ofstream(paths.source + "/file") << std::string(100'000, 'x');
    }
    std::unique_ptr<TreeSender> start(SendOptions options) {
        options.catalog_path_prefix = paths.catalog;
        options.zstd_level = 0;
        auto sender = TreeSender::start(*open_directory(paths.source), options);
        EXPECT_TRUE(sender) << sender.error().text();
        return *std::move(sender);
    }
    TempDirectory temp;
    const PassPaths paths{temp.path() + "/source", temp.path() + "/staging", temp.path() + "/catalog"};
};

TEST_F(SteeredSender, ALimitThatIsLiftedLetsGoWhatWaitsForIt) {
    SendOptions options;
    options.bytes_per_second = 1;  // the file would take a day
    const auto sender = start(options);
    auto segment = std::async(std::launch::async, [&] { return sender->next(); });
    EXPECT_EQ(segment.wait_for(std::chrono::milliseconds(200)), std::future_status::timeout);
    sender->set_limit(0);
    const auto got = segment.get();
    ASSERT_TRUE(got);
    ASSERT_TRUE(*got);
    EXPECT_GT((*got)->payload.size(), 100'000U);
}

TEST_F(SteeredSender, ALimitThatIsSetHoldsTheNextSegment) {
    SendOptions options;
    options.segment_bytes = 1;
    std::ofstream(paths.source + "/second") << std::string(100'000, 'y');
    const auto sender = start(options);
    ASSERT_TRUE(sender->next());
    sender->set_limit(1);
    auto segment = std::async(std::launch::async, [&] { return sender->next(); });
    EXPECT_EQ(segment.wait_for(std::chrono::milliseconds(200)), std::future_status::timeout);
    sender->cancel();
    EXPECT_FALSE(segment.get());
}

TEST_F(SteeredSender, InTheBackgroundItsThreadsStepBackAndElseTheyDoNot) {
    for (const bool in_background : {true, false}) {
        SendOptions options;
        options.in_background = in_background;
        options.compressor_threads = 2;
        const auto sender = start(options);
        ASSERT_TRUE(sender->next());  // the compressors have begun
        EXPECT_EQ(threads_in_background() > 0, in_background);
    }
}

}  // namespace
}  // namespace zoneferry
