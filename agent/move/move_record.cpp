#include "agent/move/move_record.h"

#include <array>

namespace zoneferry {

std::string_view role_name(Role role) { return role == Role::source ? "source" : "target"; }

std::string_view phase_name(Phase phase) {
    constexpr std::array<std::string_view, kPhaseCount> kNames{
        "begun",   "prepared", "quiesced",  "sent",       "verified",  "staged",    "released", "aborting",
        "aborted", "incoming", "ready",     "discarded",  "owned",     "activated", "returned", "finalized",
        "waiting", "paused",   "quiescing", "reclaiming", "reclaimed", "superseded"};
    const auto index = static_cast<std::size_t>(phase);
    return index < kNames.size() ? kNames[index] : "unknown";
}

std::string_view shared_kind_name(SharedKind kind) {
    constexpr std::array<std::string_view, 3> kNames{"none", "directory", "lun"};
    const auto index = static_cast<std::size_t>(kind);
    return index < kNames.size() ? kNames[index] : "unknown";
}

std::string_view probe_state_name(ProbeState state) {
    constexpr std::array<std::string_view, 3> kNames{"none", "healthy", "failed"};
    const auto index = static_cast<std::size_t>(state);
    return index < kNames.size() ? kNames[index] : "unknown";
}

std::string_view verify_mode_name(VerifyMode mode) {
    constexpr std::array<std::string_view, 3> kNames{"full", "meta", "off"};
    const auto index = static_cast<std::size_t>(mode);
    return index < kNames.size() ? kNames[index] : "unknown";
}

}  // namespace zoneferry
