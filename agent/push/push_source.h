// `zoneferry p2v push HOST:ZONE`: the live machine is sent into a zone that is configured on a peer, through the stream
// of a move. Passes while it runs; then, when a person has stopped its services, the last one, after which the peer
// installs it. The machine stays what it is: nothing is halted, released or deleted.
//
//     STATE/pushes/HOST:ZONE/id        made once: what the peer has belongs to it
//     STATE/pushes/HOST:ZONE/catalog*  what the peer has (transfer/catalog.h); a push that broke off goes on from it
//     STATE/pushes/HOST:ZONE/digests   of this machine's entries (transfer/tree_digest.h)
//
// Before the peer installs it the whole of both trees is compared by digest (push_verify.h).
// Not sent: /proc /sys /dev /run /tmp, other file systems, this agent's state and logs, and this host's zones.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/move_board.h"
#include "wire/messages.h"

namespace zoneferry {

struct PushWish {
    std::string host;
    std::string zone;
    bool install = false;  // the last pass, and then the install
    bool unconfigure = false;
    bool delete_containers = false;
    bool forget = false;  // give the push up: nothing of it stays here or there
    std::uint64_t bytes_per_second = 0;
};

struct PushOutcome {
    std::vector<std::string> left_out;  // other file systems: paths
    std::uint32_t passes = 0;
    std::uint64_t raw_bytes = 0;
    std::uint64_t wire_bytes = 0;
    std::uint64_t changing = 0;  // entries that were written to after the last pass had read them
    bool is_installed = false;
    PushInstalled installed;
};

// tell: for whoever watches; false: nobody does any more, and the push ends. Works on the calling thread.
Result<PushOutcome> push_machine(AgentContext& context, const PushWish& wish,
                                 const std::function<bool(const MoveNews&)>& tell);

// Paths below the root, without a leading slash, that are no part of an image of this host.
Result<std::vector<std::string>> pushed_without(const HostRoot& root, std::vector<std::string>& other_file_systems);

}  // namespace zoneferry
