// Locks on the storage itself, which every host that shares it sees: open-file-description locks on one file beside the
// tree. A network or cluster file system carries them between hosts, and gives them up for a host that is gone.
//
//   ZONEPATH/.zoneferry-lease    empty; byte 0: the zone runs, byte 1: somebody is changing the owner record
//
// On a file system of one host, and on a LUN, they only hold within that host and cost nothing. Where a file system has
// no locks at all there is no lease; the owner record stands alone then.
#pragma once

#include <string>

#include "core/base/fd.h"

namespace zoneferry {

// Held by zoneadmd for as long as the zone runs.
class ZoneLease {
public:
    // directory: the zonepath as it is opened. Errc::not_owner when another host (or an older zoneadmd) holds it.
    static Result<ZoneLease> take(const std::string& directory);
    // True if somebody holds it: the zone runs somewhere.
    static Result<bool> is_held(const std::string& directory);

private:
    explicit ZoneLease(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

// Held while an owner record on shared storage is read and replaced.
class StorageLock {
public:
    static Result<StorageLock> take(const std::string& directory);

private:
    explicit StorageLock(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace zoneferry
