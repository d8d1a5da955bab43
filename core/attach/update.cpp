#include "core/attach/update.h"

#include <algorithm>

#include "core/base/clock.h"

namespace zoneferry {

Result<std::chrono::milliseconds> time_left(const UpdateJob& job) {
    const std::int64_t left_ms = job.deadline_ms - SystemClock().monotonic_ms();
    if (left_ms <= 0) return Error(Errc::timed_out, "the update took longer than it may and was ended");
    return std::chrono::milliseconds(left_ms);
}

void note_once(std::vector<std::string>& notes, const std::string& note) {
    if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
}

}  // namespace zoneferry
