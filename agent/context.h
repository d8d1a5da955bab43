// What every part of the agent works with. main() makes it once and hands it down; nothing reaches for a global.
#pragma once

#include <atomic>
#include <mutex>

#include "agent/journal.h"
#include "agent/move_board.h"
#include "agent/peer_runs.h"
#include "agent/settings.h"
#include "certs/trust_store.h"
#include "core/base/clock.h"
#include "core/base/host_root.h"
#include "wire/network.h"

namespace zoneferry {

std::string new_run_id();

struct AgentContext {
    HostRoot root;
    Settings settings;
    std::string host_id;  // as HostFacts has it
    const Clock& clock;
    Journal& journal;
    MoveBoard& board;
    TrustStore& trust;
    Network& network;
    std::atomic<bool> stopping = false;  // set once: every loop ends at its next journaled point
    std::string run_id = new_run_id();   // of this start of the agent: peer_runs.h
    PeerRuns runs;
    std::mutex beginning;  // held from looking whether a name is free until the journal has the move that takes it
};

// Where a move keeps its catalogs: ROOT/var/lib/zoneferry/moves/ID.
std::string move_directory(const HostRoot& root, const std::string& move_id);
// The file of digests of this side (tree_digest.h); another one where contents do not count.
std::string digests_path(const HostRoot& root, const std::string& move_id, bool contents);
// The hidden places of a move beside the zonepath, on the same file system so that one rename moves them.
std::string staging_path(const HostRoot& root, const std::string& zonepath, const std::string& move_id);
std::string kept_path(const HostRoot& root, const std::string& zonepath, const std::string& move_id);
std::string trash_path(const HostRoot& root, const std::string& zonepath, const std::string& move_id);

// Only while a file system's own transport is at work: the source's snapshot, and what the target receives.
std::string snapshot_path(const HostRoot& root, const std::string& zonepath, const std::string& move_id);
std::string received_path(const HostRoot& root, const std::string& zonepath, const std::string& move_id);

std::string push_staging_path(const HostRoot& root, const std::string& zonepath, const std::string& id);

// Names directly below a zonepath that belong to this host and never travel.
const std::vector<std::string>& excluded_names();

std::string new_move_id();

}  // namespace zoneferry
