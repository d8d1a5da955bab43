// How zoneadmd is started: on a systemd host as a delegated unit of its own, else as a process that leaves our session.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>

#include "core/base/files.h"
#include "core/zone/runtime.h"

namespace zoneferry {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> out;
    for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
    out.push_back(nullptr);
    return out;
}

// zoneadmd forks and its first process ends at once, so that this wait is short and init becomes its parent.
Status spawn_detached(const std::vector<std::string>& argv, const std::string& log) {
    const std::vector<std::string> environment{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                               "LC_ALL=C.UTF-8"};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    // A lock or a socket of the caller must not live on in a process that lives as long as the zone.
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    pid_t pid = 0;
    const int failed = ::posix_spawn(&pid, argv[0].c_str(), &actions, &attributes, pointers(argv).data(),
                                     pointers(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failed != 0) return system_error("start " + argv[0], failed);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    return Error(Errc::io, argv[0] + " did not start; see " + log);
}

}  // namespace

Status Runtime::start_zoneadmd(const ZoneName& name) const {
    std::vector<std::string> argv{zoneadmd_, "--root", root_.directory(), "-z", name.str()};
    if (root_.is_real() && path_exists("/run/systemd/system")) {
        std::vector<std::string> unit{
            "systemd-run", "--quiet", "--collect", "--unit=zoneferry-zone-" + name.str(),
            "--description=Zone " + name.str(), "--slice=zones.slice",
            // Its own delegated cgroup; stopping the unit asks zoneadmd, which halts the zone.
            "-p", "Delegate=yes", "-p", "KillMode=mixed", "-p", "TimeoutStopSec=120", "--"};
        argv.emplace_back("--unit");
        unit.insert(unit.end(), argv.begin(), argv.end());
        return run_checked(unit);
    }
    return spawn_detached(argv, root_.at("/var/log/zoneferry/zones/") + name.str() + ".log");
}

}  // namespace zoneferry
