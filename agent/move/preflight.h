// Would this zone work on that host? Pure judgement over two views that were gathered elsewhere
// (preflight_view.h): everything is found at once, and nothing is touched. Packages, machine and brand are
// judged by core/attach; the codes are listed in docs/findings.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/move/extra_check.h"
#include "agent/move/move_record.h"
#include "core/attach/finding.h"
#include "core/attach/host_facts.h"
#include "core/zone/config.h"

namespace zoneferry {

// What every file system takes as a symbolic link's target: xfs no more, ext4 and btrfs nearly 4 KiB.
constexpr std::size_t kEveryLinkBytesMax = 1023;

// What the zone needs of a host.
struct MoveDemand {
    ZoneConfig config;
    HostFacts source;
    std::uint64_t tree_bytes = 0;
    std::uint64_t tree_entries = 0;
    bool is_return = false;                // a rollback: the kept copy and its configuration are expected here
    std::int64_t clock_skew_ms = 0;        // the source's clock less the target's, as their hellos showed
    SharedKind shared = SharedKind::none;  // the tree lies on storage that both hosts have
    std::string storage;                   // the LUN
    bool has_fs_proofs = false;            // the source's numbers lie in what the zone mounts: storage_proof.h
    bool updates = false;                  // -u: a shared tree is copied for it, beside itself
    std::string long_link;                 // a symbolic link of more than kEveryLinkBytesMax bytes; empty: none
    std::vector<ExtraTree> extra_trees;    // what is sent beside the zonepath
    bool use_kept_copy = false;            // a rollback that takes the kept copy as it is
};

struct AddressConflict {
    std::string address;
    std::string holder;  // "zone db01", "interface br0", "02:00:..:17"
};

// What the target offers it.
struct TargetView {
    HostFacts host;
    std::string zone_state;     // of a zone with the same name; empty: none
    std::string kept_by_move;   // the move of ours that left that zone here as its kept copy; empty: none
    bool is_kept_copy = false;  // that zone is the released copy which a rollback replaces
    std::string incoming_move;  // another move that brings a zone of this name; empty: none
    bool zonepath_exists = false;
    bool zonepath_mounted = false;  // it is a mount point
    std::string zonepath_problem;   // a sentence, e.g. "/export is writable by others"; empty: sound
    std::string file_system;        // type of the file system below the zonepath: "ext4"
    std::uint64_t free_bytes = 0;
    std::uint64_t free_inodes = 0;  // 0: the file system has no fixed number of them
    std::vector<std::string> missing_inherited;
    std::vector<std::string> missing_sources;     // fs resources whose special is not there
    std::vector<std::string> different_sources;   // fs resources whose special is not the source's, and is written to
    std::vector<std::string> missing_interfaces;  // net resources whose physical is not there
    std::vector<AddressConflict> address_conflicts;
    std::int64_t clock_skew_ms = 0;
    std::vector<ExtraPlace> extra_places;
};
// What this host mounts of itself into the zone is sent with the zone.
bool travels(const MoveDemand& demand, const std::string& special);
// A zone cannot run on such a file system.
bool lacks_id_mapping(const std::string& file_system);
// What of this host the zone would reach; a part of judge_target().
std::vector<Finding> judge_reach(const ZoneConfig& config);
std::vector<Finding> judge_target(const MoveDemand& demand, const TargetView& view);

// How the zone stands on its source.
struct SourceView {
    std::string state;                       // as zoneadm list names it
    std::string owner_problem;               // the boot gate's sentence; empty: this host has the right to run it
    std::string busy_move;                   // a move of this zone that is under way; empty: none
    std::vector<std::string> mounts_inside;  // mount points below the zonepath in the global zone
    std::string file_system;
    bool runtime_present = true;
    bool root_missing = false;    // its storage is not mounted, or the tree is gone
    std::string storage_problem;  // a sentence: it does not lie on the LUN that its configuration declares
};
std::vector<Finding> judge_source(const MoveDemand& demand, const SourceView& view);

// Space that must stay free beside the zone's own bytes: metadata, and room for the host to go on.
std::uint64_t space_needed_bytes(std::uint64_t tree_bytes, std::uint64_t tree_entries);

}  // namespace zoneferry
