// Large files pass through the kernel's page cache and leave it as it was: what nobody had in it goes again.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "core/base/fd.h"

namespace zoneferry {

constexpr std::uint64_t kCacheFileBytesMin = 1 << 20;  // smaller ones do not crowd anything out
constexpr std::uint64_t kCacheWindowBytes = 8U << 20U;
constexpr std::size_t kCacheWrittenMax = 64;  // descriptors held for files that were written

// A file that is read from its beginning to its end. Of a file that was not cached at all everything is dropped behind
// the reader; of another, windows of which no page was cached (where the kernel reads ahead by more than a window, it
// makes such windows look cached, and they stay). A kernel that cannot say (before 6.5) keeps all.
class CacheGuest {
public:
    // The descriptor must outlive it.
    CacheGuest(int file, std::uint64_t size);
    ~CacheGuest();
    CacheGuest(const CacheGuest&) = delete;
    CacheGuest& operator=(const CacheGuest&) = delete;

    // All before position was read.
    void pass(std::uint64_t position);

private:
    bool is_cold(std::uint64_t offset, std::uint64_t bytes) const;
    bool is_window_cold(std::uint64_t window) const;
    void drop() const;

    int file_;
    std::uint64_t size_;
    bool is_all_cold_;
    std::uint64_t window_ = 0;
    bool is_cold_ = false;
    bool is_next_cold_ = false;  // asked before the kernel reads ahead into it
};

// Files that are written, and dropped from the cache once they are on the disk. One thread writes, another may sync.
class WrittenFiles {
public:
    // A large file is being written from now on, up to end().
    void begin(int file);
    void end();
    // Around a sync of the file system: what was written before it is dropped after it.
    void before_sync();
    void after_sync();

private:
    struct File {
        UniqueFd fd;
        bool has_ended = false;
        bool is_due = false;  // had ended before the sync under way began
    };
    std::mutex mutex_;
    std::vector<File> files_;
    bool is_open_ = false;  // the last one has not ended
};

}  // namespace zoneferry
