// What a push (push_target.h) has on the target's disk between its sessions, and whether it is still of use.
//
//     <parent of zonepath>/.zoneferry-push-ID/     ID: of peer and zone, so that no other peer can reach it
//         about      peer=, zone=, push=           written before anything is received
//         root/      what was received
//         digests    of it, for the next comparison (transfer/tree_digest.h)
//         placed     there while root/ has been renamed to the zonepath, to be installed there
//     STATE/pushes-here/ID                         the zonepath: where to look for the above
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/context.h"

namespace zoneferry {

struct PushAbout {
    std::string peer;
    std::string zone;
    std::string push_id;  // as the peer calls it; another one: that peer has begun anew
};

std::string push_staging_id(const std::string& peer, const std::string& zone);
// An empty one in the place of what was there.
Status make_push_staging(const AgentContext& context, const PushAbout& about, const std::string& zonepath);
Status remove_push_staging(const AgentContext& context, const std::string& staging);
// Of all pushes that have something here: their zones may be gone meanwhile.
std::vector<std::string> push_zonepaths(const AgentContext& context);
// Errc::not_found, or corrupt: it was made by something else.
Result<PushAbout> read_push_about(const std::string& staging);

struct PushVerdict {
    bool is_dead = false;  // nothing can go on from it
    std::string why;
};
// staging: the directory's path, as the system sees it.
PushVerdict judge_push(const AgentContext& context, const std::string& staging);
// Removes it if it is (still) dead. Errc::busy while something works on its zone.
Status remove_dead_push(const AgentContext& context, const std::string& staging);

}  // namespace zoneferry
