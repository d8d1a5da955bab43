// What a sender holds back for others: so many bytes per second, and its place in the kernel's queues.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace zoneferry {

// This thread, on Linux: after everything else that wants the processor or the disk.
void step_back();

// A token bucket holding at most a quarter of a second's bytes. Thread-safe.
class RateLimit {
public:
    explicit RateLimit(std::uint64_t bytes_per_second) : rate_(static_cast<double>(bytes_per_second)) {}
    void set(std::uint64_t bytes_per_second) {
        const std::lock_guard lock(mutex_);
        rate_ = static_cast<double>(bytes_per_second);
        tokens_ = 0;
        last_ = SteadyClock::now();
        ++changes_;
        changed_.notify_all();
    }
    void wake() {
        const std::lock_guard lock(mutex_);
        changed_.notify_all();
    }
    // Waits until so many bytes may go; a limit changed meanwhile holds at once.
    template <class IsOver>
    void wait_for(std::uint64_t bytes, IsOver is_over) {
        std::unique_lock lock(mutex_);
        if (rate_ <= 0) return;
        refill();
        tokens_ -= static_cast<double>(bytes);
        const std::uint64_t changes = changes_;
        while (rate_ > 0 && tokens_ < 0 && changes == changes_ && !is_over()) {
            changed_.wait_for(lock, std::chrono::duration<double>(-tokens_ / rate_));
            refill();
        }
    }

private:
    using SteadyClock = std::chrono::steady_clock;
    void refill() {
        const auto now = SteadyClock::now();
        tokens_ = std::min(rate_ / 4, tokens_ + std::chrono::duration<double>(now - last_).count() * rate_);
        last_ = now;
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    double rate_;
    double tokens_ = 0;
    std::uint64_t changes_ = 0;
    SteadyClock::time_point last_ = SteadyClock::now();
};

}  // namespace zoneferry
