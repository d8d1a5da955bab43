#include "transfer/devices.h"

#include <sys/stat.h>

namespace zoneferry {

bool may_travel(DevicePolicy policy, std::uint32_t mode, std::uint32_t major, std::uint32_t minor) {
    if (policy == DevicePolicy::all) return true;
    if (!S_ISCHR(mode)) return false;
    if (major == 1) return minor == 3 || minor == 5 || minor == 7 || minor == 8 || minor == 9;  // null .. urandom
    return major == 5 && minor <= 2;                                                            // tty console ptmx
}

}  // namespace zoneferry
