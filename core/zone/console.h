// The console of a zone: a pseudo-terminal whose master zoneadmd holds. What the zone prints goes to a log file of at
// most 1 MiB (then it starts afresh: a zone must not fill the host's disk).
#pragma once

#include <string>

#include "core/base/fd.h"

namespace zoneferry {

class Console {
public:
    static Result<Console> open(const std::string& log_path);
    int master() const { return master_.get(); }
    int slave() const { return slave_.get(); }
    void close_slave() { slave_.reset(); }
    void drain();  // copies what is there to the log; does not wait
    // The last line printed, safe to show.
    std::string last_line() const;

private:
    Console(UniqueFd master, UniqueFd slave, UniqueFd log)
        : master_(std::move(master)), slave_(std::move(slave)), log_(std::move(log)) {}
    UniqueFd master_;
    UniqueFd slave_;
    UniqueFd log_;
    std::size_t log_bytes_ = 0;
    std::string tail_;
};

}  // namespace zoneferry
