// How install, clone and move tell what they do.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <string>

#include "core/base/text.h"
#include "core/image/progress.h"

namespace zoneferry {

// On a terminal one line that is written over; in a pipe one line a step.
class ProgressLine {
public:
    void show(const InstallProgress& progress) {
        const bool is_new_step = progress.step != step_;
        step_ = progress.step;
        if (is_terminal_) {
            std::fprintf(stderr, "\r\033[K%s: %llu files, %s", step_.c_str(),
                         static_cast<unsigned long long>(progress.files), format_bytes(progress.bytes).c_str());
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
    bool is_terminal_ = ::isatty(STDERR_FILENO) == 1;
    bool is_open_ = false;
    std::string step_;
};

}  // namespace zoneferry
