// The control group of one zone (cgroup v2). It finds all processes of a zone with no other record, and kills them.
//
//   BASE            MOUNT/zones/NAME, or the delegated unit's own group on a systemd host
//   BASE/zoneadmd   the supervisor
//   BASE/run        systemd-nspawn; it makes `supervisor` and `payload` below, so BASE/run must be the zone's alone
//
// BASE/run is removed before every start: a left-over payload/init.scope that belongs to root makes nspawn's next start
// in a user namespace fail silently.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/host_root.h"
#include "core/base/result.h"
#include "core/zone/config.h"

namespace zoneferry {

// Where this host has cgroup v2 mounted; Errc::unsupported if it has not.
Result<std::string> cgroup2_mount();

class ZoneCgroup {
public:
    // The group of this zone on a host without systemd. Errc::unsupported if no cgroup2 is mounted.
    static Result<ZoneCgroup> of_zone(const HostRoot& root, const std::string& zone);
    // The group this process is in: that of a delegated unit.
    static Result<ZoneCgroup> of_this_process();
    explicit ZoneCgroup(std::string base) : base_(std::move(base)) {}

    const std::string& base() const { return base_; }
    std::string run() const { return base_ + "/run"; }

    // Makes BASE and puts this process into BASE/zoneadmd.
    Status enter_as_supervisor() const;
    // Makes an empty BASE/run. Errc::busy if processes are in it.
    Status prepare_run() const;
    // rctl zone.max-lwps and capped-memory, where the host has the controllers; returns what could not be set.
    std::vector<std::string> apply_limits(const ZoneConfig& config) const;

    bool is_populated() const;               // any process in BASE/run
    std::vector<pid_t> supervisors() const;  // nspawn
    // Waits for BASE/run to become empty (an event, no polling); false when timeout_ms passed first.
    bool wait_empty(std::int64_t timeout_ms) const;
    Status kill_run() const;  // SIGKILL to all in BASE/run, then waits
    // Removes the empty groups; leaves what is not empty.
    void remove() const;

private:
    std::string base_;
};

}  // namespace zoneferry
