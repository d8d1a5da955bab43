// What the scratch zone's first process does, from its birth to the end of the program that it runs. It is a copy of a
// process that may have many threads, made without exec: it must make system calls only. No memory is allocated, no
// lock is taken; all that it needs was prepared in ScratchPlan.
#pragma once

#include <linux/filter.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/attach/scratch_zone.h"

namespace zoneferry {

// The fences that a test can take away, to see that each of the others holds alone. Always all, outside of tests.
struct ScratchGuards {
    bool shifted_ids = true;
    bool capabilities = true;
    bool seccomp = true;
    bool landlock = true;
    bool process_limit = true;
};

inline constexpr std::size_t kScratchTreesMax = 64;  // the zone and the binds; the kernel sends 253 at most

struct ScratchPlan {
    const ScratchSpec* spec = nullptr;
    ScratchGuards guards;
    std::vector<sock_filter> filter;
    std::vector<const char*> argv;         // ends with a null pointer
    std::vector<const char*> environment;  // the same
    std::uint32_t processes_max = 0;
};

// What init tells its maker, on the control socket.
struct ScratchMessage {
    enum class Kind : std::int32_t { failed = 1, not_found, ended };
    Kind kind = Kind::failed;
    std::int32_t value = 0;        // errno; for ended: wait status
    std::array<char, 240> step{};  // what failed, ends with a zero byte
};

// A path's first component is one that the scratch zone makes itself: true for what may be made, false for the zone's.
bool scratch_owns(const ScratchSpec& spec, std::string_view path);

// Runs in the new namespaces. First receives one message on control with the detached trees: the zone, then the binds;
// that message also says that its ids are mapped.
[[noreturn]] void be_scratch_init(const ScratchPlan& plan, int control, int input, int output);

// run_in_scratch_zone with fewer fences: for tests only.
Result<int> run_with_guards(const ScratchSpec& spec, const std::vector<std::string>& argv,
                            const std::vector<std::string>& environment, const ScratchGuards& guards);

}  // namespace zoneferry
