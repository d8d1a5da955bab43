// A file of its own for the same reason as link_use.cpp: the kernel's header and glibc's do not mix.
#include "wire/socket_buffers.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace zoneferry {
namespace {

void set(int socket, int level, int option, std::size_t bytes) {
    const int value = static_cast<int>(bytes);
    (void)::setsockopt(socket, level, option, &value, sizeof value);
}

// The kernel sets twice of what it is given, for its own headers.
void set_buffer(int socket, int force, int plain, std::size_t bytes) {
    const int value = static_cast<int>(bytes);
    if (::setsockopt(socket, SOL_SOCKET, force, &value, sizeof value) != 0) set(socket, SOL_SOCKET, plain, bytes);
}

std::size_t half_of_buffer(int socket, int option) {
    int value = 0;
    socklen_t bytes = sizeof value;
    if (::getsockopt(socket, SOL_SOCKET, option, &value, &bytes) != 0) return 0;
    return static_cast<std::size_t>(value) / 2;
}

}  // namespace

void prepare_listener(int socket) { set_buffer(socket, SO_RCVBUFFORCE, SO_RCVBUF, kWindowBytes); }

void restrain_stranger(int socket) { set(socket, SOL_SOCKET, SO_RCVBUF, kStrangerBufferBytes); }

void open_window(int socket) {
    set_buffer(socket, SO_SNDBUFFORCE, SO_SNDBUF, kWindowBytes);
    set_buffer(socket, SO_RCVBUFFORCE, SO_RCVBUF, kWindowBytes);
    set(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentBytesMax);
}

WindowBytes window_of(int socket) {
    tcp_info info{};
    socklen_t bytes = sizeof info;
    if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0) return {};
    const std::size_t told_at_most = std::size_t{0xffff} << info.tcpi_rcv_wscale;
    return {half_of_buffer(socket, SO_SNDBUF), std::min(half_of_buffer(socket, SO_RCVBUF), told_at_most)};
}

}  // namespace zoneferry
