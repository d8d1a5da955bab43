#include "core/base/lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "core/base/text.h"

namespace zoneferry {
namespace {

Result<UniqueFd> locked(const std::string& path, int operation) {
    ZF_TRY(UniqueFd fd, open_file(path, O_RDWR | O_CREAT, 0600));
    while (::flock(fd.get(), operation) != 0) {
        if (errno == EINTR) continue;
        if (errno == EWOULDBLOCK) return Error(Errc::busy, printable(path) + " is locked by another operation");
        return system_error("lock " + printable(path), errno);
    }
    return fd;
}

}  // namespace

Result<FileLock> FileLock::try_take(const std::string& path) {
    ZF_TRY(UniqueFd fd, locked(path, LOCK_EX | LOCK_NB));
    return FileLock(std::move(fd));
}

Result<FileLock> FileLock::take(const std::string& path) {
    ZF_TRY(UniqueFd fd, locked(path, LOCK_EX));
    return FileLock(std::move(fd));
}

}  // namespace zoneferry
