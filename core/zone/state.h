// The states of a zone, numbered and named as in Solaris. Only configured, incomplete and installed are stored; the
// others are what the runtime sees.
//
//   configured --install/attach--> installed --boot--> ready -> running --halt--> shutting_down -> down -> installed
//        ^                            |                      (incomplete: an install or update broke off)
//        '-------- detach/uninstall --'
#pragma once

#include <optional>
#include <string_view>

namespace zoneferry {

enum class ZoneState {
    configured = 0,
    incomplete = 1,
    installed = 2,
    ready = 3,
    running = 4,
    shutting_down = 5,
    down = 6,
    mounted = 7
};

std::string_view state_name(ZoneState state);                            // "shutting_down"
std::optional<ZoneState> stored_state_from_name(std::string_view name);  // of the three that are stored

}  // namespace zoneferry
