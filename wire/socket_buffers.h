// How much of a connection may be under way: a long fat link is filled only by a window of its rate times its delay,
// 12.5 MB at 1 Gbit/s and 100 ms. The kernel's tuning stops at tcp_wmem and tcp_rmem, usually 4 and 6 MB, of which half
// is room for its own headers; so both are raised by hand on proven connections.
//
//     sender     a large buffer, of which hardly anything may wait unsent (TCP_NOTSENT_LOWAT): what waits, waits with
//                us, where a limit, an abort and the choice of compression see it
//     receiver   a large buffer; how large a window can ever be is settled by the listener, when a stranger connects,
//                so the listener has it, what it accepts has a small one until its certificate is proven
//
// Without CAP_NET_ADMIN the kernel gives less (net.core.wmem_max, rmem_max), and the link is slower, not wrong.
#pragma once

#include <cstddef>
#include <cstdint>

namespace zoneferry {

// What fits under way at 1 Gbit/s and 100 ms, and a quarter more for what is lost and sent again.
inline constexpr std::size_t kWindowBytes = 16U << 20U;
inline constexpr std::size_t kUnsentBytesMax = 1U << 20U;
inline constexpr std::size_t kStrangerBufferBytes = 64U << 10U;

// Before listen(): the windows of what it will accept.
void prepare_listener(int socket);
// An accepted socket that has not proven who it is.
void restrain_stranger(int socket);
// A connection whose other end is proven.
void open_window(int socket);

// What the kernel has granted: bytes that may be under way from here, and to here.
struct WindowBytes {
    std::size_t outward = 0;
    std::size_t inward = 0;
};
WindowBytes window_of(int socket);

}  // namespace zoneferry
