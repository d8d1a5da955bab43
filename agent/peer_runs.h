// Is a peer there twice? A clone of a host that kept its machine-id, too, has the same name, key and journal, and would
// run the same zones. Its agent and the original's cannot tell, but whoever speaks with both can: every start of an
// agent makes a random number, the run id, and tells it in the hello.
//
//   - An agent that ended does not come back: a run that is heard after a newer one of the same host lives beside it.
//   - A run that is new, and speaks from another address than the one before: we look there. If the run before (or
//     another one) answers, there are two. So a clone is found before it has booted anything.
//
// What counts as heard is a request after the hello was answered, in a session that began after the newer run was
// heard: what a killed agent had sent last proves nothing.
//
// While a host is doubled nothing but a refusal is answered to either (Errc::doubled), and both, when they ask who
// holds their zones, learn of it and boot none (core/zone/state_binding.h). That ends by itself kDoubledMs after they
// were last heard by turns. Kept in memory only: after a restart of this agent they have to be heard again.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

constexpr std::int64_t kDoubledMs = 5 * 60'000;

// All times are of the monotonic clock, in ms. Safe for threads.
class PeerRuns {
public:
    // host speaks to us in this run, and listens at address ("10.0.0.2:7743"); its session began at began_ms. known_at:
    // where it is said to listen. Returns the address where another run of it may be, empty: nowhere to look.
    std::string hear(const std::string& host, const std::string& run, const std::string& address,
                     const std::string& known_at, std::int64_t began_ms, std::int64_t now_ms);
    // At that address another run answered than the one that spoke to us.
    void found_another(const std::string& host, const std::string& run, const std::string& address,
                       std::int64_t now_ms);
    // Errc::doubled while the host is there twice: where, and what to do.
    Status check(const std::string& host, std::int64_t now_ms) const;

private:
    struct Run {
        std::string id;
        std::string address;
    };
    struct Host {
        std::vector<Run> runs;        // the one heard last stands last
        std::int64_t changed_ms = 0;  // since when that one is the last
        std::int64_t doubled_until_ms = 0;
    };
    mutable std::mutex mutex_;
    std::map<std::string, Host> hosts_;  // peers of the trust store only
};

}  // namespace zoneferry
