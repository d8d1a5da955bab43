#include "core/zone/state.h"

#include <array>

namespace zoneferry {

std::string_view state_name(ZoneState state) {
    constexpr std::array<std::string_view, 8> kNames{"configured", "incomplete",    "installed", "ready",
                                                     "running",    "shutting_down", "down",      "mounted"};
    return kNames.at(static_cast<std::size_t>(state));
}

std::optional<ZoneState> stored_state_from_name(std::string_view name) {
    for (const ZoneState state : {ZoneState::configured, ZoneState::incomplete, ZoneState::installed}) {
        if (state_name(state) == name) return state;
    }
    return std::nullopt;
}

}  // namespace zoneferry
