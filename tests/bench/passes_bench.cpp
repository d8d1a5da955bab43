// What a second pass costs, in process, without a link. Usage: passes_bench SCRATCH [entries...]
//   - 64 writes of 16 KiB scattered over a file of 512 MiB: time, data, and what was read again;
//   - for each number of entries (default 10000 100000 1000000): a full pass, a pass with nothing changed, one with 1 %
//     changed, each walked and tracked (change_tracker.h; on ext4 and xfs); seconds, and the peak memory of this
//     process so far, which must not grow with the entries.
// SCRATCH is an empty directory; it is emptied again.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "core/base/files.h"
#include "tests/support/tree_pass.h"
#include "transfer/change_tracker.h"

namespace zoneferry {
namespace {

long peak_memory_kib() {
    struct rusage usage {};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

struct Tracking {
    std::unique_ptr<ChangeTracker> tracker;
    std::unique_ptr<PassTrail> trail;
};

// With from: only what was announced since that pass. With following: announced from this pass on.
bool timed_pass(const PassPaths& paths, const std::string& what, Tracking* following = nullptr,
                Tracking* from = nullptr) {
    PassOptions options;
    options.send.zstd_level = 0;
    if (following != nullptr) {
        auto started = ChangeTracker::start(paths.source);
        if (!started) return std::fprintf(stderr, "%s\n", started.error().text().c_str()), false;
        following->tracker = *std::move(started);
        options.trail = &following->trail;
    }
    const auto start = std::chrono::steady_clock::now();
    if (from != nullptr) {
        auto changes = from->tracker->finish();
        if (!changes) return std::fprintf(stderr, "%s\n", changes.error().text().c_str()), false;
        options.send.changes =
            std::make_shared<ChangesSince>(ChangesSince{std::move(*from->trail), *std::move(changes)});
    }
    const auto done = run_pass(paths, options);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (!done) return std::fprintf(stderr, "%s\n", done.error().text().c_str()), false;
    if (!done->walked_because.empty()) std::printf("walked: %s\n", done->walked_because.c_str());
    std::printf("%-34s %8.3f s  %10.3f MB payload  %8llu sent  peak %ld KiB\n", what.c_str(), took.count(),
                static_cast<double>(done->payload_bytes) / 1e6, static_cast<unsigned long long>(done->entries_sent),
                peak_memory_kib());
    return true;
}

void write_file(const std::string& path, std::size_t bytes, std::mt19937_64& random) {
    std::string content(bytes, '\0');
    for (std::size_t i = 0; i + 8 <= bytes; i += 8) {
        const std::uint64_t word = random();
        std::memcpy(content.data() + i, &word, 8);
    }
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644));
    (void)write_all(fd.get(), as_bytes(content));
}

bool scattered_writes(const PassPaths& paths) {
    std::mt19937_64 random(1);
    const UniqueFd fd(::open((paths.source + "/database").c_str(), O_RDWR | O_CREAT, 0644));
    std::string block(1 << 20, '\0');
    for (int i = 0; i < 512; ++i) {
        for (std::size_t at = 0; at < block.size(); at += 8) {
            const std::uint64_t word = random();
            std::memcpy(block.data() + at, &word, 8);
        }
        (void)write_all(fd.get(), as_bytes(block));
    }
    ::usleep(50'000);
    if (!timed_pass(paths, "512 MiB, full")) return false;
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 64; ++i) {
            block.assign(16384, static_cast<char>('a' + i % 26 + round));
            const auto at = static_cast<off_t>(random() % ((512U << 20U) - 16384));
            if (::pwrite(fd.get(), block.data(), block.size(), at) < 0) return false;
        }
        ::usleep(50'000);
        if (!timed_pass(paths, "512 MiB, 64 writes of 16 KiB")) return false;
    }
    return remove_tree(paths.source + "/database").has_value() && timed_pass(paths, "removed");
}

// As the source does it: once while the zone runs, then when it is halted.
bool timed_digests(const PassPaths& paths, const std::string& label) {
    for (const char* which : {"first digest", "second digest"}) {
        const auto start = std::chrono::steady_clock::now();
        const auto digest = digest_path(
            paths.source, {.excluded = {}, .threads = 2, .stop = {}, .digests_path = paths.catalog + ".digests"});
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        if (!digest) return std::fprintf(stderr, "%s\n", digest.error().text().c_str()), false;
        std::printf("%-34s %8.3f s  %10.3f MB read\n", (label + which).c_str(), took.count(),
                    static_cast<double>(digest->bytes_read) / 1e6);
    }
    return remove_file(paths.catalog + ".digests").has_value();
}

bool many_entries(const PassPaths& paths, int entries) {
    std::mt19937_64 random(2);
    const std::string label = std::to_string(entries) + " entries, ";
    for (int i = 0; i < entries; ++i) {
        const std::string directory = paths.source + "/" + std::to_string(i / 1000);
        if (i % 1000 == 0 && !make_directories(directory, 0755)) return false;
        write_file(directory + "/file" + std::to_string(i), random() % 64, random);
    }
    ::usleep(50'000);
    const auto change_some = [&] {
        for (int i = 0; i < entries; i += 100) {
            write_file(paths.source + "/" + std::to_string(i / 1000) + "/file" + std::to_string(i), 64, random);
        }
        ::usleep(50'000);
    };
    Tracking tracking;
    bool good = timed_pass(paths, label + "full") && timed_pass(paths, label + "nothing changed", &tracking) &&
                timed_pass(paths, label + "the same, tracked", nullptr, &tracking) && timed_digests(paths, label);
    change_some();
    good = good && timed_pass(paths, label + "1 % changed", &tracking);
    change_some();
    return good && timed_pass(paths, label + "the same, tracked", nullptr, &tracking);
}

int run(const std::string& scratch, const std::vector<int>& sizes) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const PassPaths paths{scratch + "/source", scratch + "/staging", scratch + "/catalog"};
    const auto clean = [&] {
        for (const std::string& path : {paths.source, paths.staging}) {
            if (!remove_tree(path) || !make_directories(path, 0700)) return false;
        }
        return remove_file(paths.catalog + ".base").has_value() && remove_file(paths.catalog + ".blocks").has_value();
    };
    bool good = clean() && scattered_writes(paths);
    for (const int entries : sizes) good = good && clean() && many_entries(paths, entries);
    (void)clean();
    (void)remove_tree(paths.source);
    (void)remove_tree(paths.staging);
    return good ? 0 : 1;
}

}  // namespace
}  // namespace zoneferry

int main(int argc, char** argv) {
    if (argc < 2) return std::fprintf(stderr, "usage: passes_bench SCRATCH [entries...]\n"), 2;
    std::vector<int> sizes;
    for (int i = 2; i < argc; ++i) sizes.push_back(std::atoi(argv[i]));
    if (sizes.empty()) sizes = {10'000, 100'000, 1'000'000};
    return zoneferry::run(argv[1], sizes);
}
