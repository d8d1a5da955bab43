#include "core/zone/zoneadmd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/config_xml.h"
#include "core/zone/console.h"
#include "core/zone/control.h"
#include "core/zone/lease.h"
#include "core/zone/network.h"
#include "core/zone/notify.h"
#include "core/zone/nspawn.h"
#include "core/zone/owner_record.h"
#include "core/zone/runtime.h"
#include "core/zone/zonepath.h"

namespace zoneferry {
namespace {

constexpr int kUnitStopGraceMs = 90'000;
constexpr std::size_t kClientsMax = 32;  // waiting requests; more are refused

void say(const std::string& text) {
    const std::string line = format_time(SystemClock().unix_ms()) + " " + text + "\n";
    (void)write_all(STDERR_FILENO, as_bytes(line));
}

class Supervisor {
public:
    Supervisor(HostRoot root, ZoneName name, bool in_unit)
        : root_(std::move(root)), name_(std::move(name)), in_unit_(in_unit) {}
    int run();

private:
    Status prepare();
    Status start();
    Status exec_nspawn();
    Result<int> watch();  // nspawn's exit status
    void on_notify();
    Status on_leader(pid_t leader);
    void on_client(const UniqueFd& client, std::string_view request);
    void accept_client();
    void read_clients(const std::vector<pollfd>& waits, std::size_t first);
    void on_signal();
    void begin_halt(int grace_ms);
    std::optional<int> reap();
    void kill_if_late();
    void stop();
    void end_announcer();
    void tell(const std::string& message);
    void step(const char* name);

    HostRoot root_;
    ZoneName name_;
    bool in_unit_;
    ZoneConfig config_;
    std::string directory_;
    std::optional<ZoneCgroup> cgroup_;
    SystemClock clock_;

    UniqueFd booter_;  // told about the boot; gone once it hung up
    UniqueFd control_;
    UniqueFd signals_;
    std::vector<UniqueFd> clients_;
    std::vector<UniqueFd> halters_;  // answered when the zone is gone
    std::optional<Console> console_;
    std::optional<NotifySocket> notify_;
    UniqueFd nspawn_;  // pidfd
    pid_t nspawn_pid_ = 0;
    pid_t leader_ = 0;
    pid_t announcer_ = 0;
    bool ready_ = false;
    bool halting_ = false;
    bool killed_ = false;
    std::int64_t kill_at_ms_ = 0;
    std::int64_t step_began_ms_ = 0;
    std::optional<ZoneLease> lease_;  // from the first start to our end
    std::optional<Error> failure_;
};

void Supervisor::tell(const std::string& message) {
    if (booter_ && !send_message(booter_.get(), message)) booter_.reset();
}

void Supervisor::step(const char* name) {
    const std::int64_t now_ms = clock_.monotonic_ms();
    tell(std::string("step ") + name + " " + std::to_string(now_ms - step_began_ms_));
    step_began_ms_ = now_ms;
}

Status Supervisor::prepare() {
    directory_ = Runtime(root_).run_directory(name_);
    if (auto booter = connect_at(directory_, "boot"); booter) booter_ = *std::move(booter);
    ZF_TRY(ZoneCgroup cgroup, in_unit_ ? ZoneCgroup::of_this_process() : ZoneCgroup::of_zone(root_, name_.str()));
    cgroup_ = std::move(cgroup);
    ZF_TRY_STATUS(cgroup_->enter_as_supervisor());
    const auto self = identify_process(::getpid());
    if (!self) return Error(Errc::io, "/proc is not there");
    ZF_TRY_STATUS(write_supervisor_record(directory_, {*self, cgroup_->base()}));
    ZF_TRY(const std::string xml, read_file(directory_ + "/config.xml", kXmlBytesMax));
    ZF_TRY(config_, parse_zone_document(xml));
    ZF_TRY(control_, listen_at(directory_, "control"));
    ZF_TRY(NotifySocket notify, NotifySocket::create());
    notify_ = std::move(notify);
    sigset_t caught;
    sigemptyset(&caught);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&caught, signal);
    ::sigprocmask(SIG_BLOCK, &caught, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    signals_ = UniqueFd(::signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) return system_error("signalfd", errno);
    for (const std::string& limit : cgroup_->apply_limits(config_)) say("not applied: " + limit);
    return {};
}

Status Supervisor::start() {
    step_began_ms_ = clock_.monotonic_ms();
    leader_ = 0;
    ready_ = false;
    // Asked again here: the zone may reboot itself while a move has it.
    ZF_TRY_STATUS(may_boot(root_, name_, config_.zonepath));
    ZF_TRY(const UniqueFd checked, open_zone_root(root_, config_.zonepath));
    if (!lease_) {
        ZF_TRY(ZoneLease lease, ZoneLease::take(root_.at(config_.zonepath)));
        lease_.emplace(std::move(lease));
    }
    ZF_TRY_STATUS(cgroup_->prepare_run());
    ZF_TRY(Console console, Console::open(Runtime(root_).console_log(name_)));
    console_ = std::move(console);
    return exec_nspawn();
}

Status Supervisor::exec_nspawn() {
    ZF_TRY(const std::vector<std::string> argv, nspawn_command(root_, config_));
    const std::vector<std::string> environment = nspawn_environment(notify_->address());
    std::vector<char*> arguments;
    std::vector<char*> variables;
    for (const std::string& word : argv) arguments.push_back(const_cast<char*>(word.c_str()));
    for (const std::string& word : environment) variables.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    variables.push_back(nullptr);
    ZF_TRY(const UniqueFd group, open_file(cgroup_->run() + "/cgroup.procs", O_WRONLY));
    const pid_t child = ::fork();
    if (child < 0) return system_error("fork", errno);
    if (child == 0) {
        sigset_t none;
        sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        ::signal(SIGPIPE, SIG_DFL);
        ::setsid();
        const int slave = console_->slave();
        if (::write(group.get(), "0", 1) != 1 || ::dup2(slave, 0) < 0 || ::dup2(slave, 1) < 0 || ::dup2(slave, 2) < 0)
            ::_exit(126);
        ::execvpe(arguments[0], arguments.data(), variables.data());
        ::_exit(127);
    }
    nspawn_pid_ = child;
    nspawn_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    console_->close_slave();
    if (!nspawn_) return system_error("pidfd_open", errno);
    return {};
}

void Supervisor::on_notify() {
    while (const auto message = notify_->receive()) {
        if (message->leader > 0 && leader_ == 0) {
            if (Status done = on_leader(message->leader); !done) {
                failure_ = std::move(done).error();
                begin_halt(0);
                return;
            }
        }
        if (message->ready && !ready_) {
            ready_ = true;
            step("ready");
            tell("ready");
        }
    }
}

Status Supervisor::on_leader(pid_t leader) {
    leader_ = leader;
    step("start");
    ZF_TRY_STATUS(plumb_network(config_, leader));
    announcer_ = announce_addresses(config_, leader);
    step("network");
    say("running, its init is process " + std::to_string(leader));
    tell("running " + std::to_string(leader));
    return {};
}

void Supervisor::begin_halt(int grace_ms) {
    const std::int64_t at_ms = clock_.monotonic_ms() + grace_ms;
    kill_at_ms_ = halting_ ? std::min(kill_at_ms_, at_ms) : at_ms;
    if (!halting_ && nspawn_) ::kill(nspawn_pid_, SIGTERM);  // nspawn asks the zone's init to halt
    halting_ = true;
    end_announcer();
}

void Supervisor::kill_if_late() {
    if (!halting_ || killed_ || clock_.monotonic_ms() < kill_at_ms_) return;
    killed_ = true;
    if (Status killed = cgroup_->kill_run(); !killed) say(killed.error().text());
}

void Supervisor::on_client(const UniqueFd& client, std::string_view request) {
    const auto words = split_words(request);
    if (words.size() == 1 && words[0] == "status") {
        const char* state = halting_ ? "shutting_down" : leader_ != 0 ? "running" : "ready";
        (void)send_message(client.get(),
                           std::string(state) + " " + std::to_string(leader_) + " " + (ready_ ? "1" : "0"));
    } else {
        (void)send_message(client.get(), error_message(Error(Errc::usage, "zoneadmd does not know this request")));
    }
}

void Supervisor::accept_client() {
    auto client = accept_root(control_.get(), 0);
    if (client && clients_.size() < kClientsMax) clients_.push_back(*std::move(client));
}

void Supervisor::read_clients(const std::vector<pollfd>& waits, std::size_t first) {
    for (std::size_t i = waits.size(); i-- > first;) {
        if (waits[i].revents == 0) continue;
        UniqueFd client = std::move(clients_[i - first]);
        clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i - first));
        const auto request = receive_message(client.get(), 0);
        if (!request) continue;
        const auto words = split_words(*request);
        const auto grace_ms = words.size() == 2 && words[0] == "halt" ? parse_number<int>(words[1]) : std::nullopt;
        if (grace_ms && *grace_ms >= 0) {
            begin_halt(*grace_ms);
            halters_.push_back(std::move(client));
        } else {
            on_client(client, *request);
        }
    }
}

void Supervisor::on_signal() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        if (info.ssi_signo != SIGCHLD) begin_halt(kUnitStopGraceMs);
    }
}

// Reaps every child; nspawn's status is returned.
std::optional<int> Supervisor::reap() {
    std::optional<int> out;
    int status = 0;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == announcer_) announcer_ = 0;
        if (pid == nspawn_pid_) out = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return out;
}

Result<int> Supervisor::watch() {
    constexpr std::size_t kFixed = 4;
    while (true) {
        std::vector<pollfd> waits{{signals_.get(), POLLIN, 0},
                                  {notify_->fd(), POLLIN, 0},
                                  {control_.get(), POLLIN, 0},
                                  {console_->master(), POLLIN, 0}};
        for (const UniqueFd& client : clients_) waits.push_back({client.get(), POLLIN, 0});
        const std::int64_t left_ms =
            halting_ && !killed_ ? std::max<std::int64_t>(0, kill_at_ms_ - clock_.monotonic_ms()) : -1;
        if (::poll(waits.data(), waits.size(), static_cast<int>(left_ms)) < 0 && errno != EINTR)
            return system_error("poll", errno);
        if (waits[1].revents != 0) on_notify();
        if (waits[3].revents != 0) console_->drain();
        read_clients(waits, kFixed);
        if (waits[2].revents != 0) accept_client();
        if (waits[0].revents != 0) on_signal();
        kill_if_late();
        if (const auto status = reap(); status) return *status;
    }
}

void Supervisor::end_announcer() {
    if (announcer_ == 0) return;
    ::kill(announcer_, SIGKILL);
    ::waitpid(announcer_, nullptr, 0);
    announcer_ = 0;
}

// After nspawn's end: nothing of the zone may stay.
void Supervisor::stop() {
    nspawn_.reset();
    end_announcer();
    if (console_) console_->drain();
    if (Status killed = cgroup_->kill_run(); !killed) say(killed.error().text());
    unplumb_network(config_);
}

int Supervisor::run() {
    Status prepared = prepare();
    if (!prepared) {
        say(prepared.error().text());
        tell(error_message(prepared.error()));
        return 1;
    }
    int status = 0;
    while (true) {
        halting_ = false;
        killed_ = false;
        Status started = start();
        if (!started) {
            failure_ = std::move(started).error();
            break;
        }
        const auto ended = watch();
        stop();
        status = ended ? *ended : 1;
        if (!ended) failure_ = ended.error();
        say("systemd-nspawn ended with status " + std::to_string(status));
        if (status != kNspawnReboot || !halters_.empty() || failure_) break;
        say("the zone reboots");
    }
    if (!failure_ && leader_ == 0) {
        failure_ = Error(Errc::io, "systemd-nspawn ended with status " + std::to_string(status) +
                                       (console_ ? ": " + console_->last_line() : std::string()))
                       .remedy("its console is in " + Runtime(root_).console_log(name_));
    }
    if (!failure_ && !ready_) failure_ = Error(Errc::io, "the zone went down before it was up");
    if (failure_) say(failure_->text());
    if (failure_) tell(error_message(*failure_));
    (void)remove_file(directory_ + "/control");
    (void)remove_file(directory_ + "/record");
    for (const UniqueFd& halter : halters_) (void)send_message(halter.get(), "ok");
    return failure_ ? 1 : 0;
}

}  // namespace

int supervise_zone(const HostRoot& root, const ZoneName& name, bool in_unit) {
    return Supervisor(root, name, in_unit).run();
}

}  // namespace zoneferry
