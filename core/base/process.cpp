#include "core/base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct Pipe {
    UniqueFd read;
    UniqueFd write;
};

Result<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("pipe", errno);
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> out;
    for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
    out.push_back(nullptr);
    return out;
}

Result<pid_t> spawn(const std::vector<std::string>& argv, const std::vector<std::string>& environment, int input,
                    int output, bool in_own_group = false) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, input, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, output, 2);
    sigset_t none;
    sigset_t defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    const int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (in_own_group ? POSIX_SPAWN_SETPGROUP : 0);
    posix_spawnattr_setflags(&attributes, static_cast<short>(flags));
    pid_t pid = 0;
    const int failed = ::posix_spawnp(&pid, argv[0].c_str(), &actions, &attributes, pointers(argv).data(),
                                      pointers(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failed != 0) return system_error("start " + printable(argv[0]), failed);
    return pid;
}

int shell_status(int wait_status) {
    if (WIFEXITED(wait_status)) return WEXITSTATUS(wait_status);
    return 128 + WTERMSIG(wait_status);
}

// Feeds input and gathers output until the program closes its end; false when the deadline passed first.
bool exchange(UniqueFd& input, const UniqueFd& output, const ProcessOptions& options, std::string& caught) {
    const SystemClock clock;
    const std::int64_t deadline_ms = clock.monotonic_ms() + options.timeout_ms;
    std::size_t sent = 0;
    if (options.input.empty()) input.reset();
    while (true) {
        const std::int64_t left_ms = deadline_ms - clock.monotonic_ms();
        if (left_ms <= 0) return false;
        std::array<pollfd, 2> waits{pollfd{output.get(), POLLIN, 0}, pollfd{input.get(), POLLOUT, 0}};
        if (::poll(waits.data(), input ? 2 : 1, static_cast<int>(left_ms)) <= 0) continue;
        if (input && waits[1].revents != 0) {
            const ssize_t n = ::write(input.get(), options.input.data() + sent, options.input.size() - sent);
            if (n > 0) sent += static_cast<std::size_t>(n);
            if ((n < 0 && errno != EINTR && errno != EAGAIN) || sent == options.input.size()) input.reset();
        }
        if (waits[0].revents != 0) {
            std::array<char, 16384> buffer{};
            const ssize_t n = ::read(output.get(), buffer.data(), buffer.size());
            if (n == 0) return true;
            if (n > 0 && caught.size() < options.output_bytes_max)
                caught.append(buffer.data(), static_cast<std::size_t>(n));
        }
    }
}

}  // namespace

Result<ProcessResult> run_process(const std::vector<std::string>& argv, const ProcessOptions& options) {
    ZF_TRY(Pipe in, make_pipe());
    ZF_TRY(Pipe out, make_pipe());
    if (::fcntl(in.write.get(), F_SETFL, O_NONBLOCK) != 0) return system_error("pipe", errno);
    std::vector<std::string> environment = options.environment;
    if (environment.empty()) environment = {kPath, "LC_ALL=C"};
    ZF_TRY(const pid_t pid, spawn(argv, environment, in.read.get(), out.write.get()));
    in.read.reset();
    out.write.reset();

    ProcessResult result;
    const bool ended = exchange(in.write, out.read, options, result.output);
    if (!ended) ::kill(pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!ended) return Error(Errc::timed_out, printable(argv[0]) + " did not end in time and was killed");
    result.exit_status = shell_status(status);
    return result;
}

namespace {

Error failed(const std::string& program, int exit_status, std::string_view output) {
    output = trim(output);
    const std::string_view last =
        output.substr(output.rfind('\n') == std::string_view::npos ? 0 : output.rfind('\n') + 1);
    return Error(Errc::io, printable(program) + " failed with status " + std::to_string(exit_status) +
                               (last.empty() ? std::string() : ": " + printable(last)));
}

}  // namespace

Status run_checked(const std::vector<std::string>& argv, const ProcessOptions& options) {
    ZF_TRY(const ProcessResult result, run_process(argv, options));
    if (result.exit_status == 0) return {};
    return failed(argv[0], result.exit_status, result.output);
}

struct FedProcess::State {
    ~State() { end(); }
    // Kills what is left of it; the leader's wait status.
    int end() {
        if (pid == 0) return status;
        ::kill(-pid, SIGKILL);
        while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        pid = 0;
        return status;
    }
    // Of one that has closed its output: it ends by itself or not at all.
    bool has_ended() {
        if (pid != 0 && ::waitpid(pid, &status, WNOHANG) == pid) {
            ::kill(-pid, SIGKILL);
            pid = 0;
        }
        return pid == 0;
    }
    // Takes what it has said, keeping the end of it. False: its output is closed.
    bool listen() {
        std::array<char, 4096> buffer{};
        const ssize_t n = ::read(output.get(), buffer.data(), buffer.size());
        if (n == 0) return false;
        if (n > 0) said.append(buffer.data(), static_cast<std::size_t>(n));
        if (said.size() > 2 * buffer.size()) said.erase(0, said.size() - buffer.size());
        return true;
    }
    Error as_error() { return failed(program, shell_status(end()), said); }

    std::string program;
    pid_t pid = 0;
    int status = 0;
    UniqueFd input;
    UniqueFd output;
    std::string said;
};

FedProcess::FedProcess() : state_(std::make_unique<State>()) {}
FedProcess::~FedProcess() = default;
FedProcess::FedProcess(FedProcess&&) noexcept = default;

Result<FedProcess> FedProcess::start(const std::vector<std::string>& argv) {
    constexpr int kPipeBytes = 1 << 20;
    ZF_TRY(Pipe in, make_pipe());
    ZF_TRY(Pipe out, make_pipe());
    if (::fcntl(in.write.get(), F_SETFL, O_NONBLOCK) != 0) return system_error("pipe", errno);
    (void)::fcntl(in.write.get(), F_SETPIPE_SZ, kPipeBytes);
    FedProcess process;
    State& state = *process.state_;
    state.program = argv[0];
    ZF_TRY(state.pid, spawn(argv, {kPath, "LC_ALL=C"}, in.read.get(), out.write.get(), true));
    state.input = std::move(in.write);
    state.output = std::move(out.read);
    return process;
}

namespace {

constexpr int kAskEveryMs = 200;

}  // namespace

Status FedProcess::feed(ConstBytes bytes, int stall_ms, const GoOn& go_on) {
    State& state = *state_;
    const SystemClock clock;
    std::int64_t moved_ms = clock.monotonic_ms();
    while (!bytes.empty()) {
        const ssize_t n = ::write(state.input.get(), bytes.data(), bytes.size());
        if (n > 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(n));
            moved_ms = clock.monotonic_ms();
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) break;  // it has closed its input: see what it said
        ZF_TRY_STATUS(go_on());
        if (clock.monotonic_ms() - moved_ms > stall_ms) {
            return Error(Errc::timed_out, printable(state.program) + " takes nothing any more");
        }
        std::array<pollfd, 2> waits{pollfd{state.input.get(), POLLOUT, 0}, pollfd{state.output.get(), POLLIN, 0}};
        if (::poll(waits.data(), waits.size(), kAskEveryMs) > 0 && waits[1].revents != 0 && !state.listen()) break;
    }
    if (bytes.empty()) return {};
    return finish(stall_ms, go_on) ? Error(Errc::io, printable(state.program) + " ended before it had all")
                                   : state.as_error();
}

Status FedProcess::finish(int timeout_ms, const GoOn& go_on) {
    State& state = *state_;
    const SystemClock clock;
    const std::int64_t deadline_ms = clock.monotonic_ms() + timeout_ms;
    state.input.reset();
    bool speaks = true;
    while (speaks || !state.has_ended()) {
        ZF_TRY_STATUS(go_on());
        if (clock.monotonic_ms() > deadline_ms) {
            return Error(Errc::timed_out, printable(state.program) + " did not end in time and was killed");
        }
        pollfd wait{state.output.get(), POLLIN, 0};
        if (::poll(&wait, speaks ? 1 : 0, speaks ? kAskEveryMs : 1) > 0) speaks = state.listen();
    }
    if (state.status == 0) return {};
    return state.as_error();
}

std::optional<ProcessIdentity> identify_process(pid_t pid) {
    const auto text = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
    const auto boot = read_file("/proc/sys/kernel/random/boot_id", 128);
    if (!text || !boot) return std::nullopt;
    // The command name, field 2, may hold blanks and parentheses: count from the last ')'.
    const std::size_t close = text->rfind(')');
    if (close == std::string::npos) return std::nullopt;
    const auto fields = split_words(trim(std::string_view(*text).substr(close + 1)));
    constexpr std::size_t kStartTime = 22 - 3;
    if (fields.size() <= kStartTime || fields[0] == "Z" || fields[0] == "X") return std::nullopt;
    const auto start = parse_number<std::uint64_t>(fields[kStartTime]);
    if (!start) return std::nullopt;
    return ProcessIdentity{pid, *start, std::string(trim(*boot))};
}

bool is_alive(const ProcessIdentity& identity) { return identify_process(identity.pid) == identity; }

}  // namespace zoneferry
