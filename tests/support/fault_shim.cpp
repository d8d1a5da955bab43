// Faults at a chosen call of the agent: preloaded (LD_PRELOAD) into zoneferryd by the fault tests, never part of the
// product. Every call of the C library that changes a disk, a socket, a mount or a process is counted; at the call
// whose number the test has chosen the agent is killed, stopped, or told an error.
//
// The test and the agent share one page, the file named by ZONEFERRY_FAULTS (little endian; fault_points.py):
//
//     u64 count         calls so far, of the classes in `classes`
//     u64 at            the number of the call where it happens; 0: never
//     u64 until         errors: all calls from `at` and before this one
//     u32 action        1 SIGKILL before the call, 2 SIGSTOP before it, 3 the call fails with `error`, 4 SIGKILL after,
//                       5 SIGSTOP before it and SIGKILL after
//     i32 error         0: the call is left out, and says that all is well
//     u32 classes       1 names (rename, unlink, mkdir, create ...), 2 file data, 4 sync, 8 socket, 16 mount and spawn
//     u32 fired
//     i64 clock_s       added to what CLOCK_REALTIME says
//     char call[64]     the name of the call where it happened
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

namespace {

enum Class : uint32_t { kNames = 1, kData = 2, kSync = 4, kSocket = 8, kProcess = 16 };

struct Page {
    std::atomic<uint64_t> count;
    uint64_t at;
    uint64_t until;
    uint32_t action;
    int32_t error;
    uint32_t classes;
    uint32_t fired;
    int64_t clock_s;
    char call[64];
};

Page* page() {
    static Page* const shared = []() -> Page* {
        const char* path = getenv("ZONEFERRY_FAULTS");
        if (path == nullptr || strcmp(program_invocation_short_name, "zoneferryd") != 0) return nullptr;
        const int fd = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC));
        if (fd < 0) return nullptr;
        void* place = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        syscall(SYS_close, fd);
        return place == MAP_FAILED ? nullptr : static_cast<Page*>(place);
    }();
    return shared;
}

// What the agent starts (zoneadmd, nspawn, the zone) runs without this; what starts the agent hands it on.
__attribute__((constructor)) void only_this_process() {
    if (strcmp(program_invocation_short_name, "zoneferryd") != 0) return;
    (void)page();
    unsetenv("LD_PRELOAD");
}

// True when the call shall fail; errno is set. Sets kill_after when the agent dies after it.
bool counted(const char* name, uint32_t kind, bool& kill_after) {
    kill_after = false;
    Page* shared = page();
    if (shared == nullptr || (shared->classes & kind) == 0) return false;
    const uint64_t number = shared->count.fetch_add(1) + 1;
    if (shared->at == 0 || number < shared->at) return false;
    if (shared->action == 3 && number < shared->until) {
        if (shared->fired++ == 0) strncpy(shared->call, name, sizeof shared->call - 1);
        errno = shared->error;
        return true;
    }
    if (number != shared->at) return false;
    strncpy(shared->call, name, sizeof shared->call - 1);
    shared->fired = 1;
    if (shared->action == 1) kill(getpid(), SIGKILL);
    if (shared->action == 2 || shared->action == 5) raise(SIGSTOP);  // to this thread: it goes no further
    kill_after = shared->action == 4 || shared->action == 5;
    return false;
}

bool is_disk_or_socket(int fd, uint32_t& kind) {
    struct stat info {};
    if (syscall(SYS_fstat, fd, &info) != 0) return false;
    kind = S_ISSOCK(info.st_mode) ? kSocket : kData;
    return S_ISREG(info.st_mode) || S_ISSOCK(info.st_mode);
}

}  // namespace

#define REAL(name) static auto* const real = reinterpret_cast<decltype(&name)>(dlsym(RTLD_NEXT, #name))
#define COUNTED(name, kind, result, call)                                 \
    bool kill_after = false;                                              \
    if (counted(#name, kind, kill_after)) return errno == 0 ? 0 : result; \
    const auto done = call;                                               \
    if (kill_after) kill(getpid(), SIGKILL);                              \
    return done

#define WRAP(kind, type, name, declared, passed) \
    extern "C" type name declared {              \
        REAL(name);                              \
        COUNTED(name, kind, -1, real passed);    \
    }
// For those that also go to pipes and event descriptors, which are no state.
#define WRAP_FD(type, name, declared, passed)                 \
    extern "C" type name declared {                           \
        REAL(name);                                           \
        uint32_t kind = kData;                                \
        if (!is_disk_or_socket(fd, kind)) return real passed; \
        COUNTED(name, kind, -1, real passed);                 \
    }

WRAP_FD(ssize_t, write, (int fd, const void* data, size_t size), (fd, data, size))
WRAP_FD(ssize_t, writev, (int fd, const iovec* parts, int count), (fd, parts, count))
WRAP_FD(ssize_t, pwrite, (int fd, const void* data, size_t size, off_t at), (fd, data, size, at))
WRAP_FD(ssize_t, pwrite64, (int fd, const void* data, size_t size, off64_t at), (fd, data, size, at))
WRAP_FD(ssize_t, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags))
WRAP_FD(ssize_t, send, (int fd, const void* data, size_t size, int flags), (fd, data, size, flags))
WRAP(kSync, int, fsync, (int fd), (fd))
WRAP(kSync, int, fdatasync, (int fd), (fd))
WRAP(kSync, int, syncfs, (int fd) noexcept, (fd))
WRAP(kData, int, ftruncate, (int fd, off_t size) noexcept, (fd, size))
WRAP(kData, int, ftruncate64, (int fd, off64_t size) noexcept, (fd, size))
WRAP(kData, int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
WRAP(kData, int, fallocate64, (int fd, int mode, off64_t at, off64_t size), (fd, mode, at, size))
WRAP(kNames, int, rename, (const char* from, const char* to) noexcept, (from, to))
WRAP(kNames, int, renameat, (int a, const char* from, int b, const char* to) noexcept, (a, from, b, to))
WRAP(kNames, int, renameat2, (int a, const char* from, int b, const char* to, unsigned flags) noexcept,
     (a, from, b, to, flags))
WRAP(kNames, int, unlink, (const char* path) noexcept, (path))
WRAP(kNames, int, unlinkat, (int at, const char* path, int flags) noexcept, (at, path, flags))
WRAP(kNames, int, rmdir, (const char* path) noexcept, (path))
WRAP(kNames, int, mkdir, (const char* path, mode_t mode) noexcept, (path, mode))
WRAP(kNames, int, mkdirat, (int at, const char* path, mode_t mode) noexcept, (at, path, mode))
WRAP(kNames, int, linkat, (int a, const char* from, int b, const char* to, int flags) noexcept, (a, from, b, to, flags))
WRAP(kNames, int, symlinkat, (const char* to, int at, const char* path) noexcept, (to, at, path))
WRAP(kNames, int, mknodat, (int at, const char* path, mode_t mode, dev_t device) noexcept, (at, path, mode, device))
WRAP(kNames, int, fchmod, (int fd, mode_t mode) noexcept, (fd, mode))
WRAP(kNames, int, fchmodat, (int at, const char* path, mode_t mode, int flags) noexcept, (at, path, mode, flags))
WRAP(kNames, int, fchown, (int fd, uid_t user, gid_t group) noexcept, (fd, user, group))
WRAP(kNames, int, fchownat, (int at, const char* path, uid_t user, gid_t group, int flags) noexcept,
     (at, path, user, group, flags))
WRAP(kNames, int, utimensat, (int at, const char* path, const timespec* times, int flags) noexcept,
     (at, path, times, flags))
WRAP(kNames, int, futimens, (int fd, const timespec* times) noexcept, (fd, times))
WRAP(kNames, int, fsetxattr, (int fd, const char* name, const void* data, size_t size, int flags) noexcept,
     (fd, name, data, size, flags))
WRAP(kProcess, int, mount,
     (const char* from, const char* to, const char* type, unsigned long flags, const void* data) noexcept,
     (from, to, type, flags, data))
WRAP(kProcess, int, umount2, (const char* path, int flags) noexcept, (path, flags))

// Answers with an error number, not with -1.
extern "C" int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                           const posix_spawnattr_t* attributes, char* const argv[], char* const environment[]) {
    REAL(posix_spawn);
    COUNTED(posix_spawn, kProcess, errno, real(pid, path, actions, attributes, argv, environment));
}

extern "C" int open(const char* path, int flags, ...) {
    static auto* const real = reinterpret_cast<int (*)(const char*, int, ...)>(dlsym(RTLD_NEXT, "open"));
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if ((flags & O_CREAT) == 0) return real(path, flags, mode);
    COUNTED(open, kNames, -1, real(path, flags, mode));
}
extern "C" int open64(const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open(path, flags | O_LARGEFILE, mode);
}

// openat2 and the newest *at calls have no wrapper in the C library of Debian 12.
extern "C" long syscall(long number, ...) noexcept {
    static auto* const real = reinterpret_cast<long (*)(long, ...)>(dlsym(RTLD_NEXT, "syscall"));
    va_list rest;
    va_start(rest, number);
    long words[6];
    for (long& word : words) word = va_arg(rest, long);
    va_end(rest);
    const auto call = [&] { return real(number, words[0], words[1], words[2], words[3], words[4], words[5]); };
    constexpr long kSetxattrat = 463;
    constexpr long kFchmodat2 = 452;
    const bool creates = number == SYS_openat2 && (reinterpret_cast<const open_how*>(words[2])->flags & O_CREAT) != 0;
    if (!creates && number != kSetxattrat && number != kFchmodat2) return call();
    COUNTED(syscall, kNames, -1, call());
}

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
    static auto* const real = reinterpret_cast<int (*)(clockid_t, timespec*)>(dlsym(RTLD_NEXT, "clock_gettime"));
    const int done = real(clock, time);
    const Page* shared = page();
    if (done == 0 && clock == CLOCK_REALTIME && shared != nullptr) time->tv_sec += shared->clock_s;
    return done;
}
extern "C" time_t time(time_t* into) noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    if (into != nullptr) *into = now.tv_sec;
    return now.tv_sec;
}
