#include "transfer/reading.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>

#include <cerrno>
#include <ctime>

namespace zoneferry {

// The clock that file systems stamp with.
std::int64_t file_clock_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool is_racy(const EntryStat& stat, std::int64_t read_at_ns) {
    const std::int64_t margin_from = read_at_ns - kRacyMarginNs;
    const std::int64_t seconds = margin_from / 1'000'000'000;
    if (stat.ctime_seconds != seconds) return stat.ctime_seconds > seconds;
    return stat.ctime_nanoseconds >= margin_from % 1'000'000'000;
}

bool settle_pages(int file) {
    struct statfs system {};
    if (::fstatfs(file, &system) != 0) return false;
    if (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC) return false;
    constexpr unsigned kAll = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    return ::sync_file_range(file, 0, 0, kAll) == 0;
}

bool is_gone(const Error& error) {
    const int number = error.system_error();
    return number == ENOENT || number == ENOTDIR || number == ELOOP || number == ENXIO || number == EISDIR;
}

// O_NOATIME: reading a zone must not change it; refused to all but the owner and root.
Result<UniqueFd> open_to_read(int directory, const std::string& name, int flags) {
    auto fd = open_beneath(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME | flags);
    if (!fd && fd.error().system_error() == EPERM) {
        return open_beneath(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | flags);
    }
    return fd;
}

}  // namespace zoneferry
