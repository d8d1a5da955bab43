// Other programs: run one to its end with its output caught, and recognise a process again later.
// Arguments are an array; there is no shell anywhere.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fd.h"

namespace zoneferry {

struct ProcessResult {
    int exit_status = 0;  // as a shell tells it: 128 + signal when killed
    std::string output;   // stdout and stderr together, cut at output_bytes_max
};

struct ProcessOptions {
    int timeout_ms = 60'000;  // then SIGKILL and Errc::timed_out
    std::size_t output_bytes_max = 1 << 20;
    std::string input;                     // given on stdin
    std::vector<std::string> environment;  // "A=b"; empty: PATH and LC_ALL=C only
};

// Runs argv[0] (found on a fixed PATH) and waits. An exit status other than 0 is a result, not an Error.
Result<ProcessResult> run_process(const std::vector<std::string>& argv, const ProcessOptions& options = {});
// The same, but an exit status other than 0 is an Error that carries the last line of the output.
Status run_checked(const std::vector<std::string>& argv, const ProcessOptions& options = {});

// A program that is fed on its standard input while it runs, in a process group of its own. It gets the same fixed PATH
// and nothing else of our environment. SIGPIPE has to be ignored by ours.
class FedProcess {
public:
    static Result<FedProcess> start(const std::vector<std::string>& argv);
    ~FedProcess();  // what still runs of the group is killed
    FedProcess(FedProcess&&) noexcept;
    FedProcess& operator=(FedProcess&&) = delete;

    // Asked several times a second while the program keeps us waiting: its error ends the wait.
    using GoOn = std::function<Status()>;
    // Gives it all of these. Errc::io with the last line of its output: it has ended; Errc::timed_out: it took nothing
    // for stall_ms.
    Status feed(ConstBytes bytes, int stall_ms, const GoOn& go_on);
    // Nothing more comes: waits for its end. An exit status other than 0 is an Error with the last line of its output.
    Status finish(int timeout_ms, const GoOn& go_on);

private:
    FedProcess();
    struct State;
    std::unique_ptr<State> state_;
};

// Names one process for good: a pid alone may be used again.
struct ProcessIdentity {
    pid_t pid = 0;
    std::uint64_t start_time = 0;  // field 22 of /proc/PID/stat, clock ticks since boot
    std::string boot_id;
    bool operator==(const ProcessIdentity&) const = default;
};

std::optional<ProcessIdentity> identify_process(pid_t pid);
bool is_alive(const ProcessIdentity& identity);

}  // namespace zoneferry
