// The one door to time. Deadlines and rates use the monotonic clock; only what people read uses the wall clock.
#pragma once

#include <cstdint>
#include <string>

namespace zoneferry {

class Clock {
public:
    virtual ~Clock() = default;
    virtual std::int64_t monotonic_ms() const = 0;
    virtual std::int64_t unix_ms() const = 0;
};

class SystemClock final : public Clock {
public:
    std::int64_t monotonic_ms() const override;
    std::int64_t unix_ms() const override;
};

// Processor time that the calling thread has had.
std::int64_t thread_processor_ns();

// "2026-11-21T21:40:07Z"
std::string format_time(std::int64_t unix_ms);

}  // namespace zoneferry
