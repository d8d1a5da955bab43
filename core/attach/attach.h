// Attach: check that this host can carry a zone whose tree lies at its zonepath, and take it.
//
//     configured --attach--> installed
//
// Order: every check; then the state; then the manifest goes. A crash between the last two leaves an installed
// zone with a manifest beside it, which means nothing there. A refused attach changes nothing at all.
//
// -F leaves out what is known about software: packages, package system and machine type are not compared (what is seen
// at a glance is noted), and this host's package database is not even read. It works without a manifest, and renames it
// to SUNWattached.xml. State, zonepath and brand are checked, and who may run the zone (core/zone/owner_record.h) is
// asked, in every case.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/attach/finding.h"
#include "core/attach/manifest.h"
#include "core/base/host_root.h"
#include "core/packages/compare.h"
#include "core/zone/store.h"

namespace zoneferry {

struct AttachOptions {
    bool force = false;  // -F
    std::string
        host;  // this host's name, for the record beside the tree (core/zone/claim.h); empty: as the system has it
    std::string uuid;  // the zone's, kept by a move; empty: a new one
};

struct AttachOutcome {
    Differences differences;        // not empty: not attached, and nothing was changed
    std::vector<Finding> findings;  // the same, one each, for --format json
    bool attached = false;
    std::vector<std::string> notes;  // what a person should know, one sentence each
};

// What an attach stands on: everything but the hosts' software is judged when it is made, and nothing is changed.
struct AttachGround {
    ZoneConfig config;
    UniqueFd zonepath;                 // sound, and held
    std::optional<Manifest> manifest;  // none: a forced attach of a zone without one
};
// Errors as attach_zone's; notes as AttachOutcome's.
Result<AttachGround> check_attach_ground(const HostRoot& root, const ZoneName& name, bool force,
                                         std::vector<std::string>& notes);
// Machine, architecture and package system of the source against this host's: Errc::blocked.
Status check_host_fits(const HostRoot& root, const Manifest& manifest, const Inventory& local,
                       std::vector<std::string>& notes);
// Takes a tree that was detached by hand, and keeps its uuid. Errc::not_owner.
Status claim_tree(const HostRoot& root, const ZoneLock& lock, const ZoneConfig& config, AttachOptions& options);
// The end of every attach.
void put_manifest_away(int zonepath, bool force, std::vector<std::string>& notes);

// Errors: Errc::conflict (state), invalid (zonepath, manifest), not_found (no manifest), not_owner, blocked
// (another brand; unless forced another machine or package system).
Result<AttachOutcome> attach_zone(const HostRoot& root, const ZoneLock& lock, const ZoneName& name,
                                  const AttachOptions& options = {});

// Whether this host could take the zone of a manifest: everything that can be known without its tree, packages
// seen through the directories that the manifest's configuration inherits. Nothing is read but this host's
// databases and nothing is changed; the zone need not exist here. For `attach -n` and a move's check.
struct AttachCheck {
    Differences differences;
    std::vector<Finding> findings;  // all, the differences among them
};
Result<AttachCheck> check_attach(const HostRoot& root, const Manifest& manifest);

// Pure: all findings about brand, machine, architecture, package system, packages and operating system.
// local is the local inventory for the same zone. Codes: BRAND_UNSUPPORTED, MACHINE_MISMATCH,
// ARCHITECTURE_MISMATCH, PACKAGE_SYSTEM_MISMATCH, OS_DIFFERS, PACKAGE_STATE, and those of differences_findings.
std::vector<Finding> attach_findings(const Manifest& source, const Inventory& local, const HostFacts& local_facts);
// The part of it that a forced move keeps; a forced attach keeps only BRAND_UNSUPPORTED.
std::vector<Finding> host_findings(const Manifest& source, const Inventory& local, const HostFacts& local_facts);

// Whether software of the one runs on the other: equal, or sun4u and sun4v.
bool is_same_machine(std::string_view source, std::string_view target);

// For `zonecfg create -a`: the configuration in the manifest at zonepath, under this name and path. notes tell
// what the source's administrator set that reaches into this host.
Result<ZoneConfig> config_from_detached(const HostRoot& root, const std::string& zonepath, const ZoneName& name,
                                        std::vector<std::string>& notes);

}  // namespace zoneferry
