#include "agent/move/downtime.h"

#include <algorithm>
#include <string_view>

namespace zoneferry {
namespace {

constexpr std::uint64_t kDefaultPassRate = 50ULL << 20U;     // bytes a second, without a pass to go by
constexpr std::uint64_t kDefaultVerifyRate = 200ULL << 20U;  // bytes a second
constexpr std::int64_t kVerifyEntriesPerMs = 20;
constexpr std::int64_t kDefaultHaltMs = 5'000;
constexpr std::int64_t kDefaultStageMs = 1'000;
constexpr std::int64_t kDefaultActivateMs = 2'000;
constexpr std::int64_t kDefaultBootMs = 5'000;

std::int64_t at_rate_ms(std::uint64_t bytes, std::uint64_t rate) {
    return static_cast<std::int64_t>(bytes / (rate / 1000));
}

// From the last event of one kind to the next of the other; nullopt: they did not both happen.
std::optional<std::int64_t> between(const std::vector<JournalEntry>& events, std::string_view from,
                                    std::string_view to) {
    std::optional<std::int64_t> began;
    for (const JournalEntry& event : events) {
        if (event.kind == from) began = event.at_unix_ms;
        if (event.kind == to && began) return std::max<std::int64_t>(0, event.at_unix_ms - *began);
    }
    return std::nullopt;
}

// As the newest move took it: of this zone, else (any_zone) of another.
std::int64_t measured(const std::vector<PastMove>& past, const std::string& zone, bool any_zone, std::string_view from,
                      std::string_view to, std::int64_t otherwise) {
    std::optional<std::int64_t> of_another;
    for (const PastMove& move : past) {
        const auto took = between(move.events, from, to);
        if (!took) continue;
        if (move.zone == zone) return *took;
        if (!of_another) of_another = took;
    }
    return any_zone ? of_another.value_or(otherwise) : otherwise;
}

}  // namespace

FixedCosts fixed_costs(const std::vector<PastMove>& past, const std::string& zone, bool runs, std::uint64_t bytes,
                       std::uint64_t entries) {
    const std::int64_t verify_ms =
        at_rate_ms(bytes, kDefaultVerifyRate) + static_cast<std::int64_t>(entries) / kVerifyEntriesPerMs;
    FixedCosts costs;
    if (runs) costs.halt_ms = measured(past, zone, true, "quiescing", "quiesced", kDefaultHaltMs);
    costs.verify_ms = measured(past, zone, false, "sent", "verified", verify_ms);
    costs.stage_ms = measured(past, zone, true, "verified", "staged", kDefaultStageMs);
    costs.activate_ms =
        measured(past, zone, true, "released", "activated", kDefaultActivateMs + (runs ? kDefaultBootMs : 0));
    return costs;
}

std::int64_t expected_downtime_ms(const FixedCosts& costs, std::optional<std::int64_t> last_pass_ms,
                                  std::uint64_t bytes) {
    return costs.halt_ms + last_pass_ms.value_or(at_rate_ms(bytes, kDefaultPassRate)) + costs.verify_ms +
           costs.stage_ms + costs.activate_ms;
}

SwitchChoice choose_switch(bool hold, std::int64_t budget_ms, std::int64_t expected_ms,
                           const std::vector<PassTime>& passes) {
    constexpr std::size_t kPassesMax = 10;
    if (hold) return SwitchChoice::wait;
    if (budget_ms <= 0 || expected_ms <= budget_ms) return SwitchChoice::now;
    if (passes.empty() || passes.size() >= kPassesMax) return SwitchChoice::wait;
    const bool shrinks = passes.size() == 1 || passes.back().ms < passes[passes.size() - 2].ms * 9 / 10;
    return shrinks ? SwitchChoice::pass_again : SwitchChoice::wait;
}

std::int64_t release_deadline_ms(std::int64_t budget_ms, const FixedCosts& costs) {
    return std::max<std::int64_t>(1, budget_ms - costs.activate_ms);
}

}  // namespace zoneferry
