#include "transfer/page_cache.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace zoneferry {
namespace {

// linux/mman.h of 6.5; the C library has neither yet.
constexpr long kCachestatCall = 451;
struct CacheRange {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
};
struct CacheCounts {
    std::uint64_t cached = 0;
    std::uint64_t dirty = 0;
    std::uint64_t writeback = 0;
    std::uint64_t evicted = 0;
    std::uint64_t recently_evicted = 0;
};

}  // namespace

CacheGuest::CacheGuest(int file, std::uint64_t size)
    : file_(file), size_(size < kCacheFileBytesMin ? 0 : size), is_all_cold_(size_ > 0 && is_cold(0, size_)) {
    is_cold_ = is_window_cold(0);
    is_next_cold_ = is_window_cold(1);
}

CacheGuest::~CacheGuest() { drop(); }

bool CacheGuest::is_cold(std::uint64_t offset, std::uint64_t bytes) const {
    CacheRange range{offset, bytes};
    CacheCounts counts;
    return ::syscall(kCachestatCall, file_, &range, &counts, 0) == 0 && counts.cached == 0;
}

bool CacheGuest::is_window_cold(std::uint64_t window) const {
    const std::uint64_t offset = window * kCacheWindowBytes;
    return offset < size_ && (is_all_cold_ || is_cold(offset, kCacheWindowBytes));
}

void CacheGuest::drop() const {
    if (!is_cold_) return;
    (void)::posix_fadvise(file_, static_cast<off_t>(window_ * kCacheWindowBytes), kCacheWindowBytes,
                          POSIX_FADV_DONTNEED);
}

void CacheGuest::pass(std::uint64_t position) {
    if (size_ == 0) return;
    while ((window_ + 1) * kCacheWindowBytes <= position) {
        drop();
        ++window_;
        is_cold_ = is_next_cold_;
        is_next_cold_ = is_window_cold(window_ + 1);
    }
}

void WrittenFiles::begin(int file) {
    const std::lock_guard lock(mutex_);
    is_open_ = files_.size() < kCacheWrittenMax;
    if (!is_open_) return;
    UniqueFd held(::fcntl(file, F_DUPFD_CLOEXEC, 0));
    is_open_ = static_cast<bool>(held);
    if (is_open_) files_.push_back({std::move(held)});
}

void WrittenFiles::end() {
    const std::lock_guard lock(mutex_);
    if (is_open_) files_.back().has_ended = true;
    is_open_ = false;
}

void WrittenFiles::before_sync() {
    const std::lock_guard lock(mutex_);
    for (File& file : files_) file.is_due = file.has_ended;
}

void WrittenFiles::after_sync() {
    const std::lock_guard lock(mutex_);
    for (const File& file : files_) (void)::posix_fadvise(file.fd.get(), 0, 0, POSIX_FADV_DONTNEED);
    std::erase_if(files_, [](const File& file) { return file.is_due; });
}

}  // namespace zoneferry
