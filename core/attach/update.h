// What an engine of an update on attach is given, and what it promises. The plan is decided
// (core/packages/update_plan.h); the tree that is changed is a working copy or a move's staging (core/update), so an
// engine needs no undo of its own: on any error the whole tree is thrown away.
//
//   dpkg   dpkg_update.cpp: dpkg itself, with the host's installed versions as packages
//   svr4   svr4_update.cpp: pkgremove and pkginstall from the spooled package data
//
// Promises: every step of the plan is done when it returns without an error; a package or script that failed is an
// error. Nothing of the zone is executed but in the scratch zone; no path in the zone's tree is followed by the host.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/packages/update_plan.h"

namespace zoneferry {

struct UpdateProgress {
    std::string doing;    // "packing", "removing", "installing", "configuring"
    std::string package;  // the one it is about
    std::size_t packages_done = 0;
    std::size_t packages = 0;  // of the plan
    std::uint64_t files = 0;   // handled so far, where it is known
};

struct UpdateJob {
    const UpdatePlan& plan;
    int zone_root = -1;                                   // the tree to change; the caller's
    std::string host_root;                                // the global zone's root, a path of ours
    std::vector<std::string> inherited;                   // directories that the zone sees through the host, absolute
    std::string zone;                                     // its name
    std::string work_directory;                           // of the host, root's own, empty; the caller removes it
    std::int64_t deadline_ms = 0;                         // of the whole update, monotonic: what runs then is ended
    std::function<void(std::string_view)> log;            // one line, printable; never null
    std::function<void(const UpdateProgress&)> progress;  // never null
    std::function<void(const std::string&)> at_step;      // "packed", "package:NAME", ...: for tests; never null
    std::vector<std::string>* notes = nullptr;            // what a person should know, one sentence each
};

// What is left of the time for one run in the scratch zone; Errc::timed_out when nothing is.
Result<std::chrono::milliseconds> time_left(const UpdateJob& job);
void note_once(std::vector<std::string>& notes, const std::string& note);

Status apply_dpkg_update(const UpdateJob& job);
Status apply_svr4_update(const UpdateJob& job);

}  // namespace zoneferry
