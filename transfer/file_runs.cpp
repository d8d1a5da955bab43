#include "transfer/file_runs.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace zoneferry {

Run RunFinder::at(std::uint64_t position) {
    if (position < run_.end) return run_;
    const off_t from = ::lseek(fd_, static_cast<off_t>(position), SEEK_DATA);
    if (from < 0 && errno == ENXIO) return run_ = {size_, size_};
    if (from < 0) return run_ = {position, size_};
    const off_t to = ::lseek(fd_, from, SEEK_HOLE);
    run_.begin = std::min(size_, static_cast<std::uint64_t>(from));
    return run_ = {run_.begin, to < 0 ? size_ : std::min(size_, static_cast<std::uint64_t>(to))};
}

Status read_whole(int fd, MutableBytes into, std::uint64_t offset) {
    while (!into.empty()) {
        const ssize_t got = ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return system_error("read", errno);
        if (got == 0) {
            std::fill(into.begin(), into.end(), std::byte{0});
            return {};
        }
        into = into.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
    return {};
}

}  // namespace zoneferry
