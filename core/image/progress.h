// What an install tells while it runs and at its end: values.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace zoneferry {

struct InstallProgress {
    std::string step;  // "checking", "copying", "unpacking", "setting up", "updating", "adjusting"
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    std::uint64_t done = 0;   // of the step, in a unit of its own
    std::uint64_t total = 0;  // 0: not known
};
// Called from the installing thread, about every thousand files and at each step. May be empty.
using InstallProgressCallback = std::function<void(const InstallProgress&)>;

struct InstallReport {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    std::size_t packages = 0;           // host packages: how many the zone now has
    std::vector<std::string> warnings;  // one sentence each
};

inline constexpr std::uint64_t kProgressEveryFiles = 1000;
inline constexpr std::size_t kWarningsMax = 1000;

}  // namespace zoneferry
