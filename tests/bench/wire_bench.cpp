// How fast one connection carries segments over loopback, both ends in this process. One line of result.
#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/unit/wire/two_hosts.h"

using namespace zoneferry;

int main() {
    constexpr unsigned kCount = 512;
    constexpr std::size_t kBytes = 4U << 20U;
    TwoHosts hosts;
    const ConnectionPtr client = *hosts.connect();
    const ConnectionPtr server = hosts.second_arrivals.take();
    const auto begin = std::chrono::steady_clock::now();
    std::thread sender([&] {
        Segment segment;
        segment.raw_bytes = kBytes;
        segment.payload.assign(kBytes, std::byte{0x5a});
        for (segment.number = 0; segment.number < kCount; ++segment.number) {
            if (!client->send(segment)) return;
        }
    });
    unsigned received = 0;
    while (received < kCount && server->receive(kTestTimeoutMs)) ++received;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    sender.join();
    std::printf("wire: %u segments of 4 MiB in %.2f s, %.0f MiB/s\n", received, seconds, received * 4.0 / seconds);
    return received == kCount ? 0 : 1;
}
