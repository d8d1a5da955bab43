// Is what the peer has received what this machine has? Of a machine that runs some entries always differ: those that
// were written to since the last pass began are told from damage by their change times, as the kernel keeps them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/peer_session.h"

namespace zoneferry {

struct PushComparison {
    bool is_equal = false;                   // the digests of the whole trees are
    std::uint64_t changed = 0;               // entries that differ and were written to since
    std::uint64_t damaged = 0;               // entries that differ although nothing was done to them
    std::vector<std::string> damaged_first;  // paths of some
};

struct PushTree {
    std::string push_id;
    std::string directory;              // where the push keeps its files (push_source.h)
    std::vector<std::string> excluded;  // paths that were not sent
    std::uint64_t entries = 0;
};

// Both sides read all that they have and keep the digest of every entry; whether they are equal.
Result<bool> digests_are_equal(AgentContext& context, PeerSession& session, const PushTree& tree);
// The same, and what differs: the next pass sends that. pass_began_ns: by file_clock_ns(), of the last pass.
Result<PushComparison> compare_push(AgentContext& context, PeerSession& session, const PushTree& tree,
                                    std::int64_t pass_began_ns);

// Pure but for looking at the path: was it, or the directory that its name is in, changed since? The path may be
// anything.
bool is_changed_since(int root, const std::string& path, bool by_its_directory, std::int64_t since_ns);

}  // namespace zoneferry
