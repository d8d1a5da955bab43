// The scratch zone: where package tools work on a zone that is not to be trusted (seed 2: "pkg operations will be
// performed within the scratch zone"). One program is run with the zone's tree and nothing else of the host.
//
//   root_is_zone      the zone's own root is /: dpkg runs with the zone's own userland
//   not root_is_zone  / is a small memory file system, read-only, with the host's directories that were asked for;
//                     the zone is shown at /a: SVR4 class and package scripts run with the host's userland
//
// What stands between the zone and its host (each has a test that fails without it, scratch_zone_test.cpp):
//
//   namespaces     mount, pid, ipc, uts, net, cgroup and user, all new; the pid namespace's init is ours, so that with
//   it
//                  every process ends. No network, not even loopback. The zone's ids are ids of nobody on the host,
//                  where its file system can be id-mapped; else identical, which still takes all power over the host.
//   mounts         made from held descriptors; in the zone's tree no link is followed. Host's directories read-only,
//                  nosuid, nodev; /proc read-only; /dev holds null, zero, full, random, urandom; no /sys.
//   capabilities   kKeptCapabilities (scratch_child.cpp), no_new_privs
//   seccomp        scratch_filter.h: mounts, namespaces, tracing, devices, kernel modules, keys, clocks, odd sockets
//   Landlock       no device nodes; beside the zone's tree, /run and /tmp nothing can be written. Where the kernel has
//   it. limits         time; processes and memory (cgroup v2 where the controllers are, processes also by
//   RLIMIT_NPROC);
//                  output; no core files; first to go when memory is short
//
// When the caller dies, the scratch zone's init sees its end of the control socket close and ends, and all with it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

// A directory of the host, shown read-only.
struct ReadOnlyBind {
    std::string host_path;  // trusted: resolved as the host sees it
    std::string inside;     // absolute; made where the scratch zone's own memory is, else a directory of the zone
    // Its files belong to whom the host says. Otherwise they are nobody's and only what all may read can be read: right
    // for directories that hold secrets beside what is needed.
    bool with_owners = true;
};

// A small file or link in the scratch zone's own memory: below /run or /tmp; without root_is_zone anywhere outside /a.
struct ScratchFile {
    std::string path;
    std::string content;
    mode_t mode = 0644;
};
struct ScratchLink {
    std::string path;
    std::string target;
};

struct ScratchSpec {
    int zone_root_fd = -1;  // the zone's root, an open directory; stays the caller's. Mounts below it are not shown
    bool root_is_zone = true;
    std::uint32_t id_base = 0;  // uid_base(zone); 0: ids are not shifted
    std::vector<ReadOnlyBind> binds;
    std::vector<ScratchFile> files;
    std::vector<ScratchLink> links;
    std::string input;  // what the program reads from its stdin
    uid_t user = 0;     // who the program is, as the zone numbers its users; not root: without any capability
    gid_t group = 0;
    std::chrono::milliseconds limit{600'000};
    std::uint32_t processes_max = 1024;
    std::uint64_t memory_bytes_max = 2ULL << 30;             // where the host has cgroup v2's memory controller
    std::uint64_t output_bytes_max = 8ULL << 20;             // more is thrown away, and said once
    std::function<void(std::string_view)> log = nullptr;     // each line of output: printable, at most 4 KiB
    std::function<void(const std::string&)> warn = nullptr;  // a protection that this host cannot give, one sentence
};

// Runs argv[0], an absolute path inside, with exactly this environment ("A=b"), and waits.
// On return, also with an error, every process of it has ended and nothing of it is left on the host.
// The exit status as a shell tells it; 127 when the program is not there. Errc::timed_out after the limit;
// Errc::unsupported when the host lacks user namespaces; Errc::invalid for paths that are not plain and absolute, or a
// zone whose /dev, /proc, /run or /tmp is not a directory.
// May be called from any thread; several at a time.
Result<int> run_in_scratch_zone(const ScratchSpec& spec, const std::vector<std::string>& argv,
                                const std::vector<std::string>& environment);

}  // namespace zoneferry
