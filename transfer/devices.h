// Which device nodes may travel. A zone's /dev holds a few harmless ones that every zone has; anything else would
// hand the zone a piece of the target's hardware that merely has the same numbers.
#pragma once

#include <cstdint>

namespace zoneferry {

enum class DevicePolicy : std::uint8_t {
    known,  // only null zero full random urandom tty console ptmx; others are refused, by name
    all,    // any: for trees that are not zones
};

bool may_travel(DevicePolicy policy, std::uint32_t mode, std::uint32_t major, std::uint32_t minor);

}  // namespace zoneferry
