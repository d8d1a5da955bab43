// Passes of the stream in one process, for counting what they cost: see counted_work_test.py.
// Usage: counted_pass SOURCE SCRATCH PASSES [STAT_THREADS]. Prints a line per pass: entries sent, segments, allocations
// (calls of operator new), all of both sides. SCRATCH is an empty directory. STAT_THREADS (stat_ahead.h) is 0 where
// work is counted: what threads say to each other depends on the moment.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "core/base/files.h"
#include "tests/support/tree_pass.h"

namespace {
std::atomic<std::uint64_t> allocations{0};
}

void* operator new(std::size_t bytes) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

// Debian 12's valgrind does not know openat2; over the trees of this test openat does the same, for one call as well.
extern "C" long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
extern "C" long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {
    if (number != SYS_openat2) return __real_syscall(number, a, b, c, d, e, f);
    const auto* how = reinterpret_cast<const open_how*>(c);
    return ::openat(static_cast<int>(a), reinterpret_cast<const char*>(b), static_cast<int>(how->flags), how->mode);
}

namespace zoneferry {
namespace {

int run(const std::string& source, const std::string& scratch, int passes, unsigned stat_threads) {
    const PassPaths paths{source, scratch + "/staging", scratch + "/catalog"};
    if (!make_directories(paths.staging, 0700)) return 1;
    PassOptions options;
    options.send.zstd_level = 0;  // the work of the library is not ours to count
    options.send.segment_bytes = 1 << 20;
    options.send.stat_threads = stat_threads;
    for (int pass = 0; pass < passes; ++pass) {
        const std::uint64_t before = allocations;
        const auto done = run_pass(paths, options);
        if (!done) return std::fprintf(stderr, "%s\n", done.error().text().c_str()), 1;
        std::printf("%llu %llu %llu\n", static_cast<unsigned long long>(done->entries_sent),
                    static_cast<unsigned long long>(done->segments),
                    static_cast<unsigned long long>(allocations - before));
    }
    return 0;
}

}  // namespace
}  // namespace zoneferry

int main(int argc, char** argv) {
    if (argc != 4 && argc != 5) {
        return std::fprintf(stderr, "usage: counted_pass SOURCE SCRATCH PASSES [STAT_THREADS]\n"), 2;
    }
    return zoneferry::run(argv[1], argv[2], std::atoi(argv[3]), argc == 5 ? std::atoi(argv[4]) : 0);
}
