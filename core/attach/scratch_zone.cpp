#include "core/attach/scratch_zone.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "core/attach/scratch_child.h"
#include "core/attach/scratch_filter.h"
#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/cgroup.h"

namespace zoneferry {
namespace {

constexpr std::size_t kLineBytesMax = 4096;
constexpr std::size_t kPathBytesMax = 1000;  // scratch_child.cpp copies paths into 1024 bytes
constexpr std::uint32_t kIds = 65536;
constexpr std::uint64_t kNewNamespaces =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWUSER;
constexpr std::string_view kGroupPrefix = "zoneferry-scratch-";

Status check_path(const std::string& path) {
    bool plain = path.starts_with('/') && path.size() > 1 && path.size() <= kPathBytesMax &&
                 path.find('\0') == std::string::npos;
    for (const std::string_view part : split(std::string_view(path).substr(path.empty() ? 0 : 1), '/'))
        plain = plain && !part.empty() && part != "." && part != "..";
    if (plain) return {};
    return Error(Errc::invalid, "\"" + printable(path) + "\" is no plain absolute path for a scratch zone");
}

Status check_spec(const ScratchSpec& spec, const std::vector<std::string>& argv) {
    if (argv.empty()) return Error(Errc::invalid, "nothing is to be run in the scratch zone");
    ZF_TRY_STATUS(check_path(argv[0]));
    if (spec.binds.size() >= kScratchTreesMax) return Error(Errc::invalid, "too many directories for a scratch zone");
    for (const ReadOnlyBind& bind : spec.binds) ZF_TRY_STATUS(check_path(bind.inside));
    const auto check_own = [&](const std::string& path) -> Status {
        ZF_TRY_STATUS(check_path(path));
        if (scratch_owns(spec, path)) return {};
        return Error(Errc::invalid, printable(path) + " does not lie in the scratch zone's own memory");
    };
    for (const ScratchFile& file : spec.files) ZF_TRY_STATUS(check_own(file.path));
    for (const ScratchLink& link : spec.links) ZF_TRY_STATUS(check_own(link.path));
    return {};
}

// A control group for the processes and the memory; none where the host has no such controllers.
class ScratchGroup {
public:
    explicit ScratchGroup(const ScratchSpec& spec) {
        const auto mount = cgroup2_mount();
        if (!mount) return;
        remove_left_over(*mount);
        path_ = *mount + "/" + std::string(kGroupPrefix) + std::to_string(::getpid()) + "-" + to_hex(random_bytes(8));
        if (::mkdir(path_.c_str(), 0755) != 0) {
            path_.clear();
            return;
        }
        write_value("pids.max", std::to_string(spec.processes_max));
        write_value("memory.max", std::to_string(spec.memory_bytes_max));
        write_value("memory.swap.max", "0");
        if (auto opened = open_directory(path_)) fd_ = std::move(*opened);
    }
    ~ScratchGroup() {
        fd_.reset();
        if (!path_.empty()) ::rmdir(path_.c_str());
    }
    ScratchGroup(const ScratchGroup&) = delete;
    ScratchGroup& operator=(const ScratchGroup&) = delete;

    int fd() const { return fd_.get(); }

private:
    void write_value(const std::string& file, const std::string& value) const {
        const auto fd = open_file(path_ + "/" + file, O_WRONLY);
        if (fd) (void)!::write(fd->get(), value.data(), value.size());
    }
    // Of scratch zones whose maker was killed: zoneferry-scratch-PID-RANDOM. Only empty groups can be removed.
    static void remove_left_over(const std::string& mount) {
        const auto names = list_directory(mount);
        for (const std::string& name : names ? *names : std::vector<std::string>()) {
            if (!name.starts_with(kGroupPrefix)) continue;
            const std::string_view rest = std::string_view(name).substr(kGroupPrefix.size());
            const auto maker = parse_number<pid_t>(rest.substr(0, rest.find('-')));
            if (maker && ::kill(*maker, 0) != 0 && errno == ESRCH) ::rmdir((mount + "/" + name).c_str());
        }
    }

    std::string path_;
    UniqueFd fd_;
};

// Lines of foreign output: bounded, escaped.
class OutputLog {
public:
    OutputLog(const ScratchSpec& spec) : spec_(spec) {}

    void take(std::string_view bytes) {
        for (const char c : bytes) {
            if (c == '\n' || line_.size() == kLineBytesMax) flush();
            if (c != '\n') line_ += c;
        }
    }
    void end() {
        if (!line_.empty()) flush();
    }

private:
    void flush() {
        logged_ += line_.size() + 1;
        if (spec_.log && logged_ <= spec_.output_bytes_max) {
            spec_.log(printable(line_).substr(0, kLineBytesMax));
        } else if (spec_.log && !cut_) {
            cut_ = true;
            spec_.log("(more than " + format_bytes(spec_.output_bytes_max) + " of output; the rest is not kept)");
        }
        line_.clear();
    }

    const ScratchSpec& spec_;
    std::string line_;
    std::uint64_t logged_ = 0;
    bool cut_ = false;
};

// The scratch zone's init, as its maker holds it. Ends it, and with it all its processes, when destroyed.
class InitProcess {
public:
    InitProcess() = default;
    ~InitProcess() { end(); }
    InitProcess(const InitProcess&) = delete;
    InitProcess& operator=(const InitProcess&) = delete;

    Status start(const ScratchPlan& plan, int group, int control, int input, int output) {
        clone_args arguments{};
        int pidfd = -1;
        arguments.flags = kNewNamespaces | CLONE_PIDFD | (group >= 0 ? CLONE_INTO_CGROUP : 0);
        arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
        arguments.cgroup = static_cast<std::uint64_t>(group >= 0 ? group : 0);
        arguments.exit_signal = 0;  // nobody else's wait takes it for a child
        // Handlers of this process must not run in the child.
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
        if (pid == 0) be_scratch_init(plan, control, input, output);
        const int failed = errno;
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        if (pid < 0) {
            return Error(Errc::unsupported, "this host makes no scratch zone", failed)
                .remedy("allow user namespaces: sysctl user.max_user_namespaces");
        }
        pid_ = static_cast<pid_t>(pid);
        pidfd_ = UniqueFd(pidfd);
        return {};
    }

    pid_t pid() const { return pid_; }

    // Returns when the kernel has ended all processes of its namespace.
    void end() {
        if (!pidfd_) return;
        ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
        siginfo_t info{};
        while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | __WALL) != 0 && errno == EINTR) {
        }
        pidfd_.reset();
    }

private:
    pid_t pid_ = 0;
    UniqueFd pidfd_;
};

struct Channels {
    UniqueFd control;
    UniqueFd control_inside;
    UniqueFd output;
    UniqueFd output_inside;
    UniqueFd input_inside;
};

// Above the standard three, which the child puts its input and output on.
Result<UniqueFd> raised(int fd) {
    const UniqueFd held(fd);
    UniqueFd out(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!out) return system_error("duplicate a descriptor", errno);
    return out;
}

Result<Channels> make_channels(const std::string& input) {
    Channels out;
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return system_error("socketpair", errno);
    out.control = UniqueFd(pair[0]);
    ZF_TRY(out.control_inside, raised(pair[1]));
    if (::pipe2(pair, O_CLOEXEC) != 0) return system_error("pipe", errno);
    out.output = UniqueFd(pair[0]);
    ZF_TRY(out.output_inside, raised(pair[1]));
    const int memory = ::memfd_create("scratch-input", MFD_CLOEXEC);
    if (memory < 0) return system_error("make a memory file", errno);
    ZF_TRY(out.input_inside, raised(memory));
    ZF_TRY_STATUS(write_all(out.input_inside.get(), as_bytes(input)));
    if (::lseek(out.input_inside.get(), 0, SEEK_SET) != 0) return system_error("rewind", errno);
    return out;
}

Status write_map(pid_t pid, const char* file, std::uint32_t id_base) {
    const std::string path = "/proc/" + std::to_string(pid) + "/" + file;
    const std::string map =
        id_base == 0 ? std::string("0 0 4294967295") : "0 " + std::to_string(id_base) + " " + std::to_string(kIds);
    ZF_TRY(const UniqueFd fd, open_file(path, O_WRONLY));
    if (::write(fd.get(), map.data(), map.size()) < 0) return system_error("write " + path, errno);
    return {};
}

Result<UniqueFd> detached_tree(int directory, const std::string& shown, int users, std::uint64_t attributes) {
    UniqueFd tree(::open_tree(directory, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!tree) return system_error("take the tree " + printable(shown), errno);
    mount_attr change{};
    change.attr_set = attributes | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    change.propagation = MS_PRIVATE;
    if (users >= 0) {
        change.attr_set |= MOUNT_ATTR_IDMAP;
        change.userns_fd = static_cast<std::uint64_t>(users);
    }
    if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &change, sizeof change) == 0) return tree;
    const int failed = errno;
    if (users >= 0 && (failed == EINVAL || failed == EOPNOTSUPP || failed == EPERM))
        return Error(Errc::unsupported, "the file system of " + printable(shown) + " cannot be id-mapped", failed);
    return system_error("limit the tree " + printable(shown), failed);
}

Result<std::vector<UniqueFd>> make_trees(const ScratchSpec& spec, int users) {
    std::vector<UniqueFd> trees;
    ZF_TRY(UniqueFd zone, detached_tree(spec.zone_root_fd, "of the zone", users, 0));
    trees.push_back(std::move(zone));
    for (const ReadOnlyBind& bind : spec.binds) {
        ZF_TRY(const UniqueFd directory, open_directory(bind.host_path));
        ZF_TRY(UniqueFd tree,
               detached_tree(directory.get(), bind.host_path, bind.with_owners ? users : -1, MOUNT_ATTR_RDONLY));
        trees.push_back(std::move(tree));
    }
    return trees;
}

Status send_trees(int control, const std::vector<UniqueFd>& trees) {
    char byte = 1;
    iovec vector{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kScratchTreesMax)> space{};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = space.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * trees.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * trees.size());
    for (std::size_t i = 0; i < trees.size(); ++i) {
        const int fd = trees[i].get();
        std::memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
    }
    if (::sendmsg(control, &message, MSG_NOSIGNAL) < 0) return system_error("hand over the trees", errno);
    return {};
}

// Gathers output and the first message until the init has closed its end; false when the time was up before.
bool follow(const Channels& channels, std::chrono::milliseconds limit, OutputLog& log,
            std::optional<ScratchMessage>& message) {
    const SystemClock clock;
    const std::int64_t deadline_ms = clock.monotonic_ms() + limit.count();
    std::array<pollfd, 2> waits{pollfd{channels.output.get(), POLLIN, 0}, pollfd{channels.control.get(), POLLIN, 0}};
    while (true) {
        const std::int64_t left_ms = std::min<std::int64_t>(deadline_ms - clock.monotonic_ms(), 3'600'000);
        if (left_ms <= 0) return false;
        if (::poll(waits.data(), waits.size(), static_cast<int>(left_ms)) <= 0) continue;
        if (waits[0].revents != 0) {
            std::array<char, 16384> buffer{};
            const ssize_t n = ::read(channels.output.get(), buffer.data(), buffer.size());
            if (n > 0) {
                log.take({buffer.data(), static_cast<std::size_t>(n)});
                continue;  // what was written before the end is read before it
            }
            if (n == 0) waits[0].fd = -1;  // nobody writes any more: poll would return at once for ever
        }
        if (waits[1].revents != 0) {
            ScratchMessage received;
            const ssize_t n = ::recv(channels.control.get(), &received, sizeof received, 0);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return true;
            if (n == sizeof received && !message) message = received;
        }
    }
}

// After the end of all processes: what is left in the pipe.
void drain(const UniqueFd& output, OutputLog& log) {
    std::array<char, 16384> buffer{};
    (void)::fcntl(output.get(), F_SETFL, O_NONBLOCK);
    for (ssize_t n = 0; (n = ::read(output.get(), buffer.data(), buffer.size())) > 0;)
        log.take({buffer.data(), static_cast<std::size_t>(n)});
    log.end();
}

Result<int> judge(const std::optional<ScratchMessage>& message) {
    if (!message) return Error(Errc::io, "the scratch zone was ended from outside");
    const std::string step(message->step.data(), ::strnlen(message->step.data(), message->step.size()));
    if (message->kind == ScratchMessage::Kind::not_found)
        return message->value == ENOENT || message->value == ENOTDIR ? 127 : 126;
    if (message->kind == ScratchMessage::Kind::failed) {
        const bool is_zone = message->value == ENOENT || message->value == ELOOP || message->value == ENOTDIR;
        return Error(is_zone ? Errc::invalid : Errc::io, "scratch zone: cannot " + printable(step), message->value);
    }
    const int status = message->value;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Result<int> run_with_ids(const ScratchPlan& plan, std::uint32_t id_base) {
    const ScratchSpec& spec = *plan.spec;
    ZF_TRY(Channels channels, make_channels(spec.input));
    const ScratchGroup group(spec);
    InitProcess init;
    ZF_TRY_STATUS(init.start(plan, group.fd(), channels.control_inside.get(), channels.input_inside.get(),
                             channels.output_inside.get()));
    channels.control_inside.reset();
    channels.output_inside.reset();
    const std::string proc = "/proc/" + std::to_string(init.pid());
    if (const auto score = open_file(proc + "/oom_score_adj", O_WRONLY)) (void)!::write(score->get(), "1000", 4);
    ZF_TRY_STATUS(write_map(init.pid(), "uid_map", id_base));
    ZF_TRY_STATUS(write_map(init.pid(), "gid_map", id_base));
    ZF_TRY(const UniqueFd users, open_file(proc + "/ns/user", O_RDONLY));
    ZF_TRY(std::vector<UniqueFd> trees, make_trees(spec, id_base == 0 ? -1 : users.get()));
    ZF_TRY_STATUS(send_trees(channels.control.get(), trees));
    trees.clear();

    OutputLog log(spec);
    std::optional<ScratchMessage> message;
    const bool in_time = follow(channels, spec.limit, log, message);
    init.end();
    drain(channels.output, log);
    if (!in_time) {
        return Error(Errc::timed_out, printable(plan.argv[0]) + " did not end within " +
                                          format_duration_ms(spec.limit.count()) +
                                          " and was ended with all its processes");
    }
    return judge(message);
}

constexpr const char* kSameIds =
    "the file system of the zone's tree cannot be id-mapped: the scratch zone's root has root's own number, in a user "
    "namespace without power over the host";

std::vector<const char*> pointers(const std::vector<std::string>& words) {
    std::vector<const char*> out;
    for (const std::string& word : words) out.push_back(word.c_str());
    out.push_back(nullptr);
    return out;
}

}  // namespace

Result<int> run_with_guards(const ScratchSpec& spec, const std::vector<std::string>& argv,
                            const std::vector<std::string>& environment, const ScratchGuards& guards) {
    ZF_TRY_STATUS(check_spec(spec, argv));
    ScratchPlan plan;
    plan.spec = &spec;
    plan.guards = guards;
    ZF_TRY(plan.filter, scratch_filter());
    plan.argv = pointers(argv);
    plan.environment = pointers(environment);
    plan.processes_max = spec.processes_max;
    if (spec.id_base != 0 && guards.shifted_ids) {
        auto done = run_with_ids(plan, spec.id_base);
        if (done || done.error().code() != Errc::unsupported) return done;
        if (spec.warn) spec.warn(kSameIds);
    }
    return run_with_ids(plan, 0);
}

Result<int> run_in_scratch_zone(const ScratchSpec& spec, const std::vector<std::string>& argv,
                                const std::vector<std::string>& environment) {
    return run_with_guards(spec, argv, environment, ScratchGuards());
}

}  // namespace zoneferry
