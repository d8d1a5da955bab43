#include "core/base/fd.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/text.h"

namespace zoneferry {

void UniqueFd::reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd) return system_error("open " + printable(path), errno);
    return fd;
}

Result<UniqueFd> open_directory(const std::string& path) { return open_file(path, O_RDONLY | O_DIRECTORY); }

namespace {

Result<UniqueFd> open_resolved(int directory, const std::string& name, int flags, mode_t mode, std::uint64_t resolve) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(static_cast<unsigned>(flags | O_CLOEXEC));
    how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
    how.resolve = resolve;
    long fd = -1;
    do {
        fd = ::syscall(SYS_openat2, directory, name.c_str(), &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    if (fd < 0) return system_error("open " + printable(name), errno);
    return UniqueFd(static_cast<int>(fd));
}

}  // namespace

Result<UniqueFd> open_beneath(int directory, const std::string& name, int flags, mode_t mode) {
    return open_resolved(directory, name, flags, mode,
                         RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
}

Result<UniqueFd> open_in_root(int root, const std::string& path, int flags, mode_t mode) {
    return open_resolved(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

Status write_all(int fd, ConstBytes bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0) {
            if (errno == EINTR) continue;
            return system_error("write", errno);
        }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

Result<std::string> read_to_end(int fd, std::uint64_t bytes_max) {
    std::string text;
    std::array<char, 65536> buffer{};
    while (true) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0) {
            if (errno == EINTR) continue;
            return system_error("read", errno);
        }
        if (got == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(got));
        if (text.size() > bytes_max) {
            return Error(Errc::invalid, "larger than the limit of " + format_bytes(bytes_max));
        }
    }
}

Status read_exactly(int fd, MutableBytes into) {
    while (!into.empty()) {
        const ssize_t got = ::read(fd, into.data(), into.size());
        if (got < 0) {
            if (errno == EINTR) continue;
            return system_error("read", errno);
        }
        if (got == 0) return Error(Errc::peer_lost, "the other side closed early");
        into = into.subspan(static_cast<std::size_t>(got));
    }
    return {};
}

Result<struct stat> stat_fd(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return system_error("stat", errno);
    return info;
}

}  // namespace zoneferry
