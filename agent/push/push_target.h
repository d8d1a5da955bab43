// A physical machine that a peer pushes here (`zoneferry p2v push`), the target's side: a tree is received beside the
// zonepath of a zone that is configured, by passes as of a move, and installed as `zoneadm install -d -` does.
//
// There is no journal and no release: the machine stays what it is. What was received (push_staging.h) stays between
// two sessions, until it is installed. After a refusal it stays as well (the next pass only brings what changed); after
// a failure it goes. Of each peer and zone there is one push.
#pragma once

#include <string>

#include "agent/context.h"
#include "core/zone/store.h"
#include "wire/messages.h"

namespace zoneferry {

class PushTarget {
public:
    // The zone must be configured here, whole-root, its zonepath empty, and there must be room. Holds the zone's lock.
    static Result<PushTarget> open(AgentContext& context, const PushRequest& request, const std::string& peer);

    const std::string& id() const { return id_; }
    const std::string& zone() const { return config_.name; }
    bool is_fresh() const { return is_fresh_; }
    std::uint64_t tree_bytes() const { return tree_bytes_; }
    std::uint64_t tree_entries() const { return tree_entries_; }
    Result<UniqueFd> staging_root() const;
    std::string digests() const;  // path of the file of digests of what was received
    Status give_up();             // removes what was received
    PushInstalled install(const PushInstall& request);

private:
    PushTarget(AgentContext& context, ZoneLock lock) : context_(&context), lock_(std::move(lock)) {}
    Status put_in_place() const;
    Status put_back() const;

    AgentContext* context_;
    ZoneLock lock_;
    ZoneConfig config_;
    std::string id_;       // as the peer calls it
    std::string staging_;  // path, as the system sees it
    bool is_fresh_ = true;
    std::uint64_t tree_bytes_ = 0;
    std::uint64_t tree_entries_ = 0;
};

}  // namespace zoneferry
