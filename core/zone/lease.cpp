#include "core/zone/lease.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace zoneferry {
namespace {

constexpr const char* kLeaseName = ".zoneferry-lease";
constexpr off_t kRunsByte = 0;
constexpr off_t kRecordByte = 1;

bool has_no_locks(int error) { return error == EOPNOTSUPP || error == ENOSYS || error == EINVAL; }

// NFS without a lock service on one of its ends: it has locks, and they do not work now.
Error refused(const std::string& doing, const std::string& directory, int error) {
    if (error != ENOLCK) return system_error(doing + " in " + directory, error);
    return Error(Errc::io, "the storage of " + directory +
                               " gives no locks now (No locks available), so nothing tells whether the zone runs on "
                               "another host; it is not touched here")
        .remedy("start the lock service of that storage on both ends (NFS 3: rpc.statd), or mount it with NFS 4");
}

Result<UniqueFd> open_lease(const std::string& directory) {
    ZF_TRY(const UniqueFd place, open_directory(directory));
    return open_beneath(place.get(), kLeaseName, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
}

struct flock byte_lock(off_t byte) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return lock;
}

}  // namespace

Result<ZoneLease> ZoneLease::take(const std::string& directory) {
    ZF_TRY(UniqueFd fd, open_lease(directory));
    struct flock lock = byte_lock(kRunsByte);
    if (::fcntl(fd.get(), F_OFD_SETLK, &lock) == 0 || has_no_locks(errno)) return ZoneLease(std::move(fd));
    if (errno == EAGAIN || errno == EACCES) {
        return Error(Errc::not_owner, "the zone in " + directory +
                                          " runs already, on this host or on another one that " +
                                          "shares this storage: the lease is held")
            .remedy("find out where it runs (zoneadm list -v on every host) and halt it there");
    }
    return refused("take the lease", directory, errno);
}

Result<bool> ZoneLease::is_held(const std::string& directory) {
    ZF_TRY(const UniqueFd fd, open_lease(directory));
    struct flock lock = byte_lock(kRunsByte);
    if (::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0) return lock.l_type != F_UNLCK;
    if (has_no_locks(errno)) return false;
    return refused("ask for the lease", directory, errno);
}

Result<StorageLock> StorageLock::take(const std::string& directory) {
    ZF_TRY(UniqueFd fd, open_lease(directory));
    struct flock lock = byte_lock(kRecordByte);
    while (::fcntl(fd.get(), F_OFD_SETLKW, &lock) != 0) {
        if (errno == EINTR) continue;
        if (has_no_locks(errno)) break;
        return refused("lock the owner record", directory, errno);
    }
    return StorageLock(std::move(fd));
}

}  // namespace zoneferry
