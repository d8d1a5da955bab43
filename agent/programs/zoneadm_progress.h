// How install, clone and move tell what they do.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <string>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/image/progress.h"

namespace zoneferry {

// On a terminal one line that is written over; in a pipe one line a step. With how long the step will still take, where
// that can be known. With is_json one object a step goes to stdout:
//   {"v":1, "type":"install-progress", step, files, bytes, done, total}
class ProgressLine {
public:
    explicit ProgressLine(bool is_json = false) : is_json_(is_json) {}

    void show(const InstallProgress& progress) {
        const bool is_new_step = progress.step != step_;
        step_ = progress.step;
        if (is_new_step) began_ms_ = clock_.monotonic_ms();
        if (is_json_) {
            if (is_new_step) show_json(progress);
        } else if (is_terminal_) {
            std::fprintf(stderr, "\r\033[K%s: %llu files, %s%s", step_.c_str(),
                         static_cast<unsigned long long>(progress.files), format_bytes(progress.bytes).c_str(),
                         rest(progress).c_str());
            is_open_ = true;
        } else if (is_new_step) {
            std::fprintf(stderr, "%s\n", step_.c_str());
        }
    }
    void end() {
        if (is_open_) std::fputs("\r\033[K", stderr);
        is_open_ = false;
    }

private:
    // The steps' names are ours: nothing to escape.
    static void show_json(const InstallProgress& progress) {
        std::printf(
            R"({"v":1,"type":"install-progress","step":"%s","files":%llu,"bytes":%llu,"done":%llu,"total":%llu})"
            "\n",
            progress.step.c_str(), static_cast<unsigned long long>(progress.files),
            static_cast<unsigned long long>(progress.bytes), static_cast<unsigned long long>(progress.done),
            static_cast<unsigned long long>(progress.total));
        std::fflush(stdout);
    }

    std::string rest(const InstallProgress& progress) const {
        if (progress.total == 0 || progress.done == 0 || progress.done > progress.total) return {};
        const double fraction = static_cast<double>(progress.done) / static_cast<double>(progress.total);
        const auto elapsed_ms = static_cast<double>(clock_.monotonic_ms() - began_ms_);
        const auto left_ms = static_cast<std::int64_t>(elapsed_ms / fraction - elapsed_ms);
        return ", " + std::to_string(static_cast<int>(fraction * 100)) + "%, ETA " + format_duration_ms(left_ms);
    }

    SystemClock clock_;
    bool is_json_;
    bool is_terminal_ = ::isatty(STDERR_FILENO) == 1;
    bool is_open_ = false;
    std::int64_t began_ms_ = 0;
    std::string step_;
};

}  // namespace zoneferry
