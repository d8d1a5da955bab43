// The command line of zoneferry: its verbs and options, and the request to the agent that they make.
#pragma once

#include <cstdint>
#include <string>

#include "agent/finding_json.h"
#include "core/base/result.h"

namespace CLI {
class App;
}

namespace zoneferry {

struct Words {
    std::string root = "/";
    std::string format = "text";
    bool quiet = false;
    std::string zone, host, move, peer, bwlimit;
    std::string shared = "auto";
    std::string max_downtime, verify = "full", probe = "none", probe_limit = "30s", may_send, may_receive;
    bool dry_run = false, update = false, update_all = false, force = false, cold = false, keep = false, remove = false;
    bool no_switch = false, rollback_on_failed_probe = false, discard = false, both = false;
    std::string place;  // HOST:ZONE of p2v push
    bool forget = false;
    bool preserve = false, unconfigure = false, delete_containers = false;
    bool reclaim = false, adopt = false, fenced = false, yes = false;
    std::uint32_t ttl_minutes = 15;
};

// Tells the parser of every verb; what it reads goes into words, which must outlive it.
void describe(CLI::App& app, Words& words);
// Errc::usage for words that contradict each other.
Result<Json> request_of(const CLI::App& app, const Words& words);

}  // namespace zoneferry
