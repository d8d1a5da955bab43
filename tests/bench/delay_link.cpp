// A long link between two network namespaces for kernels without netem: a TUN device "wan0" in each, and this program
// in between, which holds each packet back for the delay, sends no faster than the rate and drops what the buffer
// (the delay's bytes and a quarter of a second more) cannot hold.
//
//     delay_link NAMESPACE NAMESPACE DELAY_MS MBIT_PER_SECOND      prints "ready"; ends when stdin is closed
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Packet = std::vector<char>;

int open_tun(const std::string& network_namespace) {
    const int place = ::open(("/run/netns/" + network_namespace).c_str(), O_RDONLY | O_CLOEXEC);
    if (place < 0 || ::setns(place, CLONE_NEWNET) != 0) return -1;
    ::close(place);
    const int tun = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    ifreq request{};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    std::strncpy(request.ifr_name, "wan0", IFNAMSIZ - 1);
    return tun >= 0 && ::ioctl(tun, TUNSETIFF, &request) == 0 ? tun : -1;
}

class Direction {
public:
    Direction(int from, int to, double delay_s, double bytes_per_second)
        : from_(from),
          to_(to),
          delay_(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(delay_s))),
          bytes_per_second_(bytes_per_second),
          bytes_max_(static_cast<std::size_t>(bytes_per_second * (delay_s + 0.25))),
          reader_([this] { read_all(); }),
          writer_([this] { write_all(); }) {}

private:
    struct Held {
        Clock::time_point due;
        Packet packet;
    };

    [[noreturn]] void read_all() {
        Packet buffer(1 << 16U);
        Clock::time_point free_at = Clock::now();
        while (true) {
            const ssize_t got = ::read(from_, buffer.data(), buffer.size());
            if (got <= 0) continue;
            const auto bytes = static_cast<std::size_t>(got);
            const std::lock_guard lock(mutex_);
            if (bytes_ + bytes > bytes_max_) continue;
            const std::chrono::duration<double> takes(static_cast<double>(bytes) / bytes_per_second_);
            free_at = std::max(free_at, Clock::now()) + std::chrono::duration_cast<Clock::duration>(takes);
            bytes_ += bytes;
            held_.push_back({free_at + delay_, {buffer.begin(), buffer.begin() + got}});
            changed_.notify_one();
        }
    }
    [[noreturn]] void write_all() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [&] { return !held_.empty(); });
            const Clock::time_point due = held_.front().due;
            if (Clock::now() < due) changed_.wait_until(lock, due, [&] { return Clock::now() >= due; });
            const Packet packet = std::move(held_.front().packet);
            held_.pop_front();
            bytes_ -= packet.size();
            lock.unlock();
            (void)!::write(to_, packet.data(), packet.size());  // a device that is down loses it, as any link
            lock.lock();
        }
    }

    int from_;
    int to_;
    Clock::duration delay_;
    double bytes_per_second_;
    std::size_t bytes_max_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Held> held_;
    std::size_t bytes_ = 0;
    std::thread reader_;
    std::thread writer_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) return std::fprintf(stderr, "see the head of delay_link.cpp\n"), 2;
    const int first = open_tun(argv[1]);
    const int second = open_tun(argv[2]);
    if (first < 0 || second < 0) return std::perror("delay_link: tun"), 1;
    const double delay_s = std::atof(argv[3]) / 1e3;
    const double bytes_per_second = std::atof(argv[4]) * 1e6 / 8;
    Direction there(first, second, delay_s, bytes_per_second);
    Direction back(second, first, delay_s, bytes_per_second);
    std::printf("ready\n");
    std::fflush(stdout);
    pollfd input{STDIN_FILENO, POLLIN, 0};
    while (::poll(&input, 1, -1) < 0) {
    }
    std::_Exit(0);
}
