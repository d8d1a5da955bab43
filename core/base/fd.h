// File descriptors: ownership, whole reads and writes, and opening below a directory without following a link.
//
// Trees that a zone, a peer or an archive wrote are touched only through the functions here and the *at()
// system calls on held descriptors: never by a path that someone else could redirect.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace zoneferry {

class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    ~UniqueFd() { reset(); }
    UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = other.release();
        }
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset();

private:
    int fd_ = -1;
};

// Opens a path of our own host (trusted); O_CLOEXEC is added.
Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode = 0);
Result<UniqueFd> open_directory(const std::string& path);

// Opens name, which may have several components, below a directory: no symbolic link is followed, no mount
// crossed, nothing outside reached (openat2 RESOLVE_BENEATH|NO_SYMLINKS|NO_MAGICLINKS|NO_XDEV).
Result<UniqueFd> open_beneath(int directory, const std::string& name, int flags, mode_t mode = 0);
// The same for a tree that may hold mounts and links of its own, as a chroot would see it
// (RESOLVE_IN_ROOT|NO_MAGICLINKS): for package databases of a host's root.
Result<UniqueFd> open_in_root(int root, const std::string& path, int flags, mode_t mode = 0);

Status write_all(int fd, ConstBytes bytes);
// Reads to the end; more than bytes_max is an error, not a cut.
Result<std::string> read_to_end(int fd, std::uint64_t bytes_max);
// Exactly into.size() bytes; an earlier end is Errc::peer_lost.
Status read_exactly(int fd, MutableBytes into);

Result<struct stat> stat_fd(int fd);

}  // namespace zoneferry
