// Entering a running zone: nsenter(1) into all namespaces of its init. With a terminal, the command gets one of its own
// and we relay: a program of the zone that held the host's terminal could type into it (TIOCSTI).
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/zone/runtime.h"

namespace zoneferry {
namespace {

struct Terminal {
    UniqueFd master;
    UniqueFd slave;
};

Result<Terminal> open_terminal() {
    UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!master || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0)
        return system_error("make a terminal", errno);
    UniqueFd slave(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!slave) return system_error("open a terminal", errno);
    winsize size{};
    if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) ::ioctl(master.get(), TIOCSWINSZ, &size);
    return Terminal{std::move(master), std::move(slave)};
}

// Our terminal in raw mode while it lives.
class RawMode {
public:
    RawMode() {
        valid_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
        termios raw = before_;
        ::cfmakeraw(&raw);
        if (valid_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    ~RawMode() {
        if (valid_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
    }
    RawMode(const RawMode&) = delete;
    RawMode& operator=(const RawMode&) = delete;

private:
    termios before_{};
    bool valid_ = false;
};

bool copy_some(int from, int to) {
    std::array<std::byte, 16384> buffer{};
    const ssize_t n = ::read(from, buffer.data(), buffer.size());
    if (n <= 0) return n < 0 && errno == EINTR;
    return write_all(to, ConstBytes(buffer).first(static_cast<std::size_t>(n))).has_value();
}

// Until the zone's side is closed.
void relay(int master) {
    const RawMode raw;
    bool input_open = true;
    while (true) {
        std::array<pollfd, 2> waits{pollfd{master, POLLIN, 0}, pollfd{input_open ? STDIN_FILENO : -1, POLLIN, 0}};
        if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) return;
        if (waits[1].revents != 0) input_open = copy_some(STDIN_FILENO, master);
        if (waits[0].revents != 0 && !copy_some(master, STDOUT_FILENO)) return;
    }
}

[[noreturn]] void enter(pid_t leader, const std::vector<std::string>& command, const Terminal* terminal, int cgroup) {
    // Into the zone's group: its limits hold, and a halt takes this process too.
    if (cgroup >= 0 && ::write(cgroup, "0", 1) != 1) ::_exit(126);
    if (terminal != nullptr) {
        ::setsid();
        const int slave = terminal->slave.get();
        ::ioctl(slave, TIOCSCTTY, 0);
        for (const int fd : {0, 1, 2}) ::dup2(slave, fd);
    }
    std::vector<std::string> argv{"nsenter", "-t", std::to_string(leader), "-a", "--"};
    argv.insert(argv.end(), command.begin(), command.end());
    const char* term = ::getenv("TERM");
    std::vector<std::string> environment{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                         "HOME=/root", "USER=root", "SHELL=/bin/sh",
                                         std::string("TERM=") + (term == nullptr ? "dumb" : term)};
    std::vector<char*> arguments;
    std::vector<char*> variables;
    for (const std::string& word : argv) arguments.push_back(const_cast<char*>(word.c_str()));
    for (const std::string& word : environment) variables.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    variables.push_back(nullptr);
    ::close_range(3, ~0U, 0);
    ::execvpe("nsenter", arguments.data(), variables.data());
    ::_exit(127);
}

}  // namespace

Result<int> Runtime::run_in_zone(const ZoneName& name, const std::vector<std::string>& argv, bool tty) {
    ZF_TRY(const RuntimeStatus now, status(name));
    if (now.state != ZoneState::running || now.leader == 0) {
        return Error(Errc::conflict, "zone " + name.str() + " is not running")
            .remedy("zoneadm -z " + name.str() + " boot");
    }
    const std::vector<std::string> command = argv.empty() ? std::vector<std::string>{"/bin/sh", "-l"} : argv;
    Terminal terminal;
    if (tty) {
        ZF_TRY(terminal, open_terminal());
    }
    ZF_TRY(const ZoneCgroup cgroup, cgroup_of(name));
    const auto group = open_file(cgroup.run() + "/payload/init.scope/cgroup.procs", O_WRONLY);
    const pid_t child = ::fork();
    if (child < 0) return system_error("fork", errno);
    if (child == 0) enter(now.leader, command, tty ? &terminal : nullptr, group ? group->get() : -1);
    if (tty) {
        terminal.slave.reset();
        relay(terminal.master.get());
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace zoneferry
