// How a connection was used, from the kernel's own counters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace zoneferry {

// Since the connection began.
struct LinkUse {
    std::uint64_t acknowledged_bytes = 0;
    std::uint64_t busy_us = 0;              // something was under way
    std::uint64_t receiver_limited_us = 0;  // of this, the time that the peer's window was what held us back
    std::size_t waiting_bytes = 0;          // now, in our own queue
};

std::optional<LinkUse> read_link_use(int socket);

}  // namespace zoneferry
