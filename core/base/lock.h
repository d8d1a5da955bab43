// An exclusive lock on a file, held as long as the object lives and freed by the kernel when its process dies.
// flock(2), so two holders in one process exclude each other as well.
#pragma once

#include <string>

#include "core/base/fd.h"

namespace zoneferry {

class FileLock {
public:
    // Takes the lock or says at once (Errc::busy) that another holds it; the file is made if missing.
    static Result<FileLock> try_take(const std::string& path);
    // Waits until it is free, for short critical sections.
    static Result<FileLock> take(const std::string& path);

private:
    explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace zoneferry
