// Copies a tree in process, sender to receiver, and with tar | tar; prints both. Usage: transfer_bench SOURCE SCRATCH
// [zstd-level [threads]]. SCRATCH is an empty directory on the target's file system; it is emptied again.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "transfer/receiver.h"
#include "transfer/sender.h"
#include "transfer/tree_digest.h"

namespace zoneferry {
namespace {

using Seconds = std::chrono::duration<double>;

// What the socket is between two agents: a short queue, so that both sides work at once.
class Queue {
public:
    void put(std::optional<TreeSegment> segment) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return queue_.size() < 4; });
        queue_.push_back(std::move(segment));
        changed_.notify_all();
    }
    std::optional<TreeSegment> take() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !queue_.empty(); });
        auto segment = std::move(queue_.front());
        queue_.pop_front();
        changed_.notify_all();
        return segment;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::optional<TreeSegment>> queue_;
};

Result<PassSummary> copy(const std::string& source, const std::string& scratch, int level, unsigned threads) {
    SendOptions options;
    options.catalog_path_prefix = scratch + "/catalog";
    options.zstd_level = level;
    options.compressor_threads = threads;
    ZF_TRY(UniqueFd tree, open_directory(source));
    ZF_TRY(UniqueFd staging, open_directory(scratch + "/staging"));
    ZF_TRY(auto sender, TreeSender::start(std::move(tree), options));
    ZF_TRY(auto receiver, TreeReceiver::start(std::move(staging), {}));
    Queue queue;
    Status received;
    std::uint64_t count = 0;
    std::thread writer([&] {
        while (auto segment = queue.take()) {
            if (received) received = receiver->accept(*segment);
            ++count;
        }
    });
    Result<std::optional<TreeSegment>> segment = sender->next();
    while (segment && *segment) {
        queue.put(*std::move(segment));
        segment = sender->next();
    }
    queue.put(std::nullopt);
    writer.join();
    if (!segment) return std::move(segment).error();
    ZF_TRY_STATUS(std::move(received));
    ZF_TRY_STATUS(receiver->finish(count));
    ZF_TRY_STATUS(sender->acknowledge(count));
    return sender->finish();
}

int run(const std::string& source, const std::string& scratch, int level, unsigned threads) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    (void)make_directories(scratch + "/staging", 0700);
    (void)make_directories(scratch + "/tar", 0700);
    for (const char* pass : {"full copy", "second pass"}) {
        const auto start = std::chrono::steady_clock::now();
        const auto done = copy(source, scratch, level, threads);
        if (!done) return std::fprintf(stderr, "%s\n", done.error().text().c_str()), 1;
        const double seconds = Seconds(std::chrono::steady_clock::now() - start).count();
        std::printf("%-12s %6.2f s  %8.1f MB/s  %8.1f MB data  %8.1f MB payload  %llu entries\n", pass, seconds,
                    static_cast<double>(done->data_bytes_sent) / 1e6 / seconds,
                    static_cast<double>(done->data_bytes_sent) / 1e6, static_cast<double>(done->payload_bytes) / 1e6,
                    static_cast<unsigned long long>(done->entries));
    }
    struct rusage usage {};
    ::getrusage(RUSAGE_SELF, &usage);
    std::printf("peak memory  %ld MB\n", usage.ru_maxrss / 1024);
    for (const std::string& side : {source, scratch + "/staging"}) {
        const auto start = std::chrono::steady_clock::now();
        auto tree = open_directory(side);
        const auto digest = digest_tree(*std::move(tree), {.excluded = {}, .threads = threads, .stop = {}});
        if (!digest) return std::fprintf(stderr, "%s\n", digest.error().text().c_str()), 1;
        std::printf("digest       %6.2f s  %s\n", Seconds(std::chrono::steady_clock::now() - start).count(),
                    to_hex(digest->digest).substr(0, 16).c_str());
    }
    // tar has no in-process form; two tars and a sync, as one would type it.
    const std::string command =
        "tar -C \"$1\" --xattrs --xattrs-include='*' --acls -cf - . | tar -C \"$2\" --xattrs "
        "--xattrs-include='*' --acls -xpf - && sync -f \"$2\"";
    const auto start = std::chrono::steady_clock::now();
    const auto tar = run_checked({"bash", "-c", command, "bash", source, scratch + "/tar"}, {.timeout_ms = 600'000});
    if (!tar) std::printf("%s\n", tar.error().text().c_str());
    std::printf("tar | tar    %6.2f s\n", Seconds(std::chrono::steady_clock::now() - start).count());
    (void)remove_tree(scratch + "/tar");
    (void)remove_tree(scratch + "/staging");
    (void)remove_file(scratch + "/catalog.base");
    return 0;
}

}  // namespace
}  // namespace zoneferry

int main(int argc, char** argv) {
    if (argc < 3) return std::fprintf(stderr, "usage: transfer_bench SOURCE SCRATCH [zstd-level [threads]]\n"), 2;
    return zoneferry::run(argv[1], argv[2], argc > 3 ? std::atoi(argv[3]) : 1,
                          argc > 4 ? static_cast<unsigned>(std::atoi(argv[4])) : 2);
}
