// A rate over the last five seconds, so that a watcher sees what happens now and not the average since the beginning.
#pragma once

#include <cstdint>
#include <deque>

namespace zoneferry {

class RateWindow {
public:
    // How far it has come at that time, both ascending; returns what comes per second (0 while that is not known).
    std::uint64_t add(std::int64_t now_ms, std::uint64_t done) {
        samples_.push_back({now_ms, done});
        while (samples_.size() > 2 && samples_[1].at_ms <= now_ms - kWindowMs) samples_.pop_front();
        const std::int64_t took_ms = now_ms - samples_.front().at_ms;
        if (took_ms <= 0) return 0;
        return (done - samples_.front().done) * 1000 / static_cast<std::uint64_t>(took_ms);
    }

private:
    static constexpr std::int64_t kWindowMs = 5'000;
    struct Sample {
        std::int64_t at_ms;
        std::uint64_t done;
    };
    std::deque<Sample> samples_;
};

}  // namespace zoneferry
