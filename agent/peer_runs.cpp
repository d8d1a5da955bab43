#include "agent/peer_runs.h"

#include <algorithm>

#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::size_t kRunsMax = 16;  // older ones are forgotten

}  // namespace

std::string PeerRuns::hear(const std::string& host, const std::string& run, const std::string& address,
                           const std::string& known_at, std::int64_t began_ms, std::int64_t now_ms) {
    if (run.empty()) return {};  // an older version
    const std::lock_guard guard(mutex_);
    Host& seen = hosts_[host];
    if (!seen.runs.empty() && seen.runs.back().id == run) return {};
    const std::string before = seen.runs.empty() ? known_at : seen.runs.back().address;
    const auto known = std::find_if(seen.runs.begin(), seen.runs.end(), [&](const Run& one) { return one.id == run; });
    const bool is_new = known == seen.runs.end();
    if (!is_new && began_ms <= seen.changed_ms) return {};  // said by an agent that has ended since
    if (!is_new) {
        seen.doubled_until_ms = now_ms + kDoubledMs;
        seen.runs.erase(known);
    }
    if (seen.runs.size() == kRunsMax) seen.runs.erase(seen.runs.begin());
    seen.runs.push_back({run, address});
    seen.changed_ms = now_ms;
    return is_new && before != address ? before : std::string();
}

void PeerRuns::found_another(const std::string& host, const std::string& run, const std::string& address,
                             std::int64_t now_ms) {
    const std::lock_guard guard(mutex_);
    Host& seen = hosts_[host];
    if (run.empty() || seen.runs.empty() || seen.runs.back().id == run) return;
    std::erase_if(seen.runs, [&](const Run& one) { return one.id == run; });
    seen.runs.insert(seen.runs.end() - 1, {run, address});
    seen.doubled_until_ms = now_ms + kDoubledMs;
}

Status PeerRuns::check(const std::string& host, std::int64_t now_ms) const {
    const std::lock_guard guard(mutex_);
    const auto seen = hosts_.find(host);
    if (seen == hosts_.end() || now_ms >= seen->second.doubled_until_ms) return {};
    const std::vector<Run>& runs = seen->second.runs;
    return Error(Errc::doubled, host + " is there twice, at " + printable(runs.back().address) + " and at " +
                                    printable(runs[runs.size() - 2].address) +
                                    ": one of them is a copy of the other; nothing is done with either")
        .remedy("end the copy: see \"The host was cloned\" in docs/recovery.md");
}

}  // namespace zoneferry
