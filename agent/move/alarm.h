// Rings once after a time, on a thread of its own, unless it is destroyed before.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace zoneferry {

class Alarm {
public:
    // ring must be thread-safe and must not destroy this alarm.
    Alarm(std::int64_t after_ms, std::function<void()> ring)
        : thread_([this, after_ms, ring = std::move(ring)](const std::stop_token& stop) {
              std::unique_lock lock(mutex_);
              changed_.wait_for(lock, stop, std::chrono::milliseconds(after_ms), [] { return false; });
              if (!stop.stop_requested()) ring();
          }) {}

private:
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::jthread thread_;  // last: it uses the others
};

}  // namespace zoneferry
