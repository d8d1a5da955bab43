// Boots, halts and enters zones of one host. Each running zone has a zoneadmd of its own (zoneadmd.h); this class
// starts it, finds it again and talks to it, so any program may use it and may die at any time.
//
//   ROOT/run/zoneferry/zones/NAME/   config.xml (what the zone runs with), record ({pid, start time, boot id} and
//   cgroup of
//                                    zoneadmd), control and boot (sockets, control.h)
//   ROOT/var/log/zoneferry/zones/    NAME.log (zoneadmd's talk), NAME.console
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/host_root.h"
#include "core/base/process.h"
#include "core/zone/cgroup.h"
#include "core/zone/store.h"

namespace zoneferry {

struct RuntimeStatus {
    ZoneState state = ZoneState::installed;  // installed (not running), ready (starting), running, shutting_down
    pid_t leader = 0;                        // the zone's init as seen from here; 0: none or not known
    bool ready = false;                      // its init said that it has started everything
    bool supervised = false;                 // a zoneadmd answers; false and running: it was killed, halt cleans up

    // It runs, or will unless somebody halts it.
    bool is_up() const { return supervised || state == ZoneState::running; }
};

struct BootOptions {
    int start_timeout_ms = 30'000;  // until its init runs
    int wait_ready_ms = 60'000;     // then until its init says that it is up; 0: do not wait
};

struct BootReport {
    pid_t leader = 0;
    bool ready = false;  // false: it runs, but did not say so in time
    std::int64_t total_ms = 0;
    std::vector<std::pair<std::string, std::int64_t>> steps;  // name, ms; "start", "network", "ready"
};

class Runtime {
public:
    // zoneadmd is the program; empty: beside this program, else /usr/lib/zoneferry/zoneadmd.
    explicit Runtime(HostRoot root, std::string zoneadmd = "");

    Result<RuntimeStatus> status(const ZoneName& name) const;

    // Errc::not_owner if the right to run the zone is elsewhere: asked first, here and in zoneadmd, so nobody can
    // forget. Errc::conflict if it is not installed or runs already. Nothing is left behind when it fails.
    Result<BootReport> boot(const ZoneLock& lock, const ZoneEntry& entry, const ZoneConfig& config,
                            const BootOptions& options = {});
    // Boots it unless it runs. A start or a halt that outlived the program that began it is waited for first.
    Status ensure_runs(const ZoneLock& lock, const ZoneEntry& entry, const ZoneConfig& config,
                       const BootOptions& options = {});
    // Orderly, then by force after grace_ms. A zone that does not run is no error. On return all its processes are
    // gone.
    Status halt(const ZoneLock& lock, const ZoneName& name, int grace_ms = 10'000);
    Result<BootReport> reboot(const ZoneLock& lock, const ZoneEntry& entry, const ZoneConfig& config,
                              const BootOptions& options = {});

    // Runs argv as root in the running zone (empty: a login shell) and waits; its exit status as a shell tells it. With
    // tty the command gets a terminal of its own, relayed to ours: the zone never holds the host's terminal. Forks:
    // only for single-threaded programs.
    Result<int> run_in_zone(const ZoneName& name, const std::vector<std::string>& argv, bool tty);

    std::string run_directory(const ZoneName& name) const { return root_.run_directory() + "/zones/" + name.str(); }
    std::string console_log(const ZoneName& name) const {
        return root_.at("/var/log/zoneferry/zones/") + name.str() + ".console";
    }

private:
    Result<RuntimeStatus> settled_status(const ZoneName& name) const;
    Status check_bootable(const ZoneEntry& entry, const ZoneConfig& config) const;
    Status start_zoneadmd(const ZoneName& name) const;
    Result<BootReport> follow_boot(const UniqueFd& listener, const BootOptions& options) const;
    // Ends what a killed zoneadmd left: processes, links, addresses, files.
    Status clean_up(const ZoneName& name, int grace_ms) const;
    Result<ZoneCgroup> cgroup_of(const ZoneName& name) const;

    HostRoot root_;
    std::string zoneadmd_;
};

// The record of a running zoneadmd.
struct SupervisorRecord {
    ProcessIdentity process;
    std::string cgroup;  // BASE of ZoneCgroup
};
Result<SupervisorRecord> read_supervisor_record(const std::string& run_directory);
Status write_supervisor_record(const std::string& run_directory, const SupervisorRecord& record);

}  // namespace zoneferry
