// A tree that came in by another way than our records (bulk_transport.h): what these would have refused must not lie in
// it unseen, since what is equal on both sides is not sent again.
#pragma once

#include <cstdint>
#include <functional>

#include "core/base/fd.h"
#include "transfer/devices.h"

namespace zoneferry {

struct ReceivedTreeLimits {
    std::uint64_t entries_max = 0;
    std::uint64_t bytes_max = 0;  // allocated; blocks that files share count for each of them
    DevicePolicy devices = DevicePolicy::known;
};

// Looks at every entry, by held descriptors. Removed: devices that may not travel, extended attributes that are the
// host's; the ordinary pass sends what the source has there, and is refused by name. Errc::protocol, the tree is of no
// use: more than the limits, files or directories beyond those of the stream, a subvolume or a mount in it.
Status check_received_tree(UniqueFd tree, const ReceivedTreeLimits& limits, const std::function<Status()>& go_on);

}  // namespace zoneferry
