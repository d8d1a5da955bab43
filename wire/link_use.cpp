// A file of its own: the kernel's header, which has all the fields, and glibc's, which asio brings, do not mix.
#include "wire/link_use.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace zoneferry {

std::optional<LinkUse> read_link_use(int socket) {
    tcp_info info{};
    socklen_t bytes = sizeof info;
    if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0) return std::nullopt;
    return LinkUse{info.tcpi_bytes_acked, info.tcpi_busy_time, info.tcpi_rwnd_limited, 0};
}

}  // namespace zoneferry
