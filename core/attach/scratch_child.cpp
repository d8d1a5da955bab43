#include "core/attach/scratch_child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace zoneferry {
namespace {

// What package tools need, and only over files and processes of the scratch zone.
constexpr unsigned kKeptCapabilities[] = {
    CAP_CHOWN,         // files belong to whom the package says
    CAP_DAC_OVERRIDE,  // and are written whatever their mode
    CAP_FOWNER,        // modes and times of files that belong to others
    CAP_FSETID,        // set-group-id survives a change of the file
    CAP_SETFCAP,       // setcap in a postinst (ping); v3 capabilities, good only in this range of ids
    CAP_SETGID,        // scripts that run a step as somebody else: su, the SVR4 user "install"
    CAP_SETUID,
    CAP_KILL,        // and end it
    CAP_SYS_CHROOT,  // scripts that run the zone's own programs: chroot $PKG_INSTALL_ROOT
};
// Not kept, among others: MKNOD (device nodes are the host's to make), DAC_READ_SEARCH (DAC_OVERRIDE holds it, but for
// open_by_handle_at), SYS_ADMIN, SYS_PTRACE, NET_*, AUDIT_WRITE, SETPCAP.

// Not in this C library's headers yet.
constexpr std::uint64_t kLandlockTruncate = 1ULL << 14U;  // since version 3
constexpr std::uint64_t kLandlockRead =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kLandlockWrite =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER;
constexpr std::uint64_t kLandlockDevices = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
constexpr int kLandlockVersionMin = 2;  // before it, no file could be linked or renamed into another directory

constexpr unsigned kMoveByDescriptors = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
constexpr std::uint64_t kTmpfsNodev = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

class Init {
public:
    Init(const ScratchPlan& plan, int control) : plan_(plan), spec_(*plan.spec), control_(control) {}

    [[noreturn]] void run(int input, int output) {
        keep_only(input, output);
        receive_trees();
        become_root();
        build_root();
        enter_root();
        limit();
        const pid_t worker = start_worker();
        wait_for(worker);
    }

private:
    [[noreturn]] void tell(ScratchMessage::Kind kind, int value, const char* step, const char* path = "") {
        ScratchMessage message;
        message.kind = kind;
        message.value = value;
        std::size_t at = 0;
        for (const char* text : {step, *path == '\0' ? "" : " ", path}) {
            for (; *text != '\0' && at + 1 < message.step.size(); ++text) message.step[at++] = *text;
        }
        (void)!::send(control_, &message, sizeof message, MSG_NOSIGNAL);
        ::_exit(125);
    }

    void check(long result, const char* step, const char* path = "") {
        if (result < 0) tell(ScratchMessage::Kind::failed, errno, step, path);
    }

    // Of the maker's descriptors only ours stay: input as 0, output as 1 and 2, and control.
    void keep_only(int input, int output) {
        check(::dup2(input, 0), "give it its input");
        check(::dup2(output, 1), "give it its output");
        check(::dup2(output, 2), "give it its output");
        const auto kept = static_cast<unsigned>(control_);
        if (kept > 3) check(::close_range(3, kept - 1, 0), "close files");
        check(::close_range(kept + 1, ~0U, 0), "close files");
    }

    void receive_trees() {
        char byte = 0;
        iovec vector{&byte, 1};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kScratchTreesMax)> space{};
        msghdr message{};
        message.msg_iov = &vector;
        message.msg_iovlen = 1;
        message.msg_control = space.data();
        message.msg_controllen = space.size();
        const ssize_t got = ::recvmsg(control_, &message, MSG_CMSG_CLOEXEC);
        if (got == 0) ::_exit(125);  // the maker gave up or died
        check(got, "receive the trees");
        const cmsghdr* header = CMSG_FIRSTHDR(&message);
        if (header == nullptr) ::_exit(125);
        const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        std::memcpy(trees_.data(), CMSG_DATA(header), count * sizeof(int));
    }

    // The raw calls: the C library's would ask threads to follow that are not in this process.
    void become_root() {
        check(::syscall(SYS_setgroups, 0, nullptr), "leave the groups");
        check(::syscall(SYS_setresgid, 0, 0, 0), "become root of the scratch zone");
        check(::syscall(SYS_setresuid, 0, 0, 0), "become root of the scratch zone");
        check(::prctl(PR_SET_DUMPABLE, 0), "hide the memory of the scratch zone's init");
        check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "keep mounts from the host");
        check(::sethostname("scratch", 7), "name the scratch zone");
        ::umask(0);
    }

    // Without links, and never above the root: what the zone may have planted leads nowhere.
    int find(const char* path) {
        open_how how{};
        how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
        return static_cast<int>(::syscall(SYS_openat2, root_, path + 1, &how, sizeof how));
    }

    // The directory for a mount; missing ones are made where the scratch zone's own memory is.
    int place(const char* path) {
        if (scratch_owns(spec_, path)) make_parents(path, true);
        const int at = find(path);
        check(at, "show something where the zone has no directory:", path);
        return at;
    }

    // Only below what scratch_owns said is ours: no link can be there but our own.
    void make_parents(const char* path, bool with_last) {
        char part[1024];  // paths were checked to be shorter
        for (std::size_t i = 1;; ++i) {
            const bool is_end = path[i] == '\0';
            if (is_end && !with_last) return;
            if (is_end || path[i] == '/') {
                std::memcpy(part, path + 1, i - 1);
                part[i - 1] = '\0';
                if (::mkdirat(root_, part, 0755) != 0 && errno != EEXIST) check(-1, "make directory", path);
            }
            if (is_end) return;
        }
    }

    int new_mount(const char* type, std::uint64_t attributes, const char* mode, const char* size) {
        const int context = ::fsopen(type, FSOPEN_CLOEXEC);
        check(context, "make a file system of type", type);
        if (mode != nullptr) check(::fsconfig(context, FSCONFIG_SET_STRING, "mode", mode, 0), "set the mode of", type);
        if (size != nullptr) check(::fsconfig(context, FSCONFIG_SET_STRING, "size", size, 0), "set the size of", type);
        check(::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), "make a file system of type", type);
        const int made = ::fsmount(context, FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes));
        check(made, "make a file system of type", type);
        ::close(context);
        return made;
    }

    void build_root() {
        // All that comes from the host's tree is opened before its /proc is covered by the new root.
        const int proc = new_mount("proc", MOUNT_ATTR_RDONLY | kTmpfsNodev | MOUNT_ATTR_NOEXEC, nullptr, nullptr);
        std::array<int, kDevices.size()> nodes{};
        for (std::size_t i = 0; i < kDevices.size(); ++i) {
            nodes[i] = ::open_tree(AT_FDCWD, kDevices[i], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
            check(nodes[i], "find", kDevices[i]);
        }
        root_ = spec_.root_is_zone ? trees_[0] : new_mount("tmpfs", kTmpfsNodev, "755", "64m");
        check(::move_mount(root_, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH), "show the root");
        show("/proc", proc);
        show("/dev", new_mount("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "755", "1m"));
        show("/run", new_mount("tmpfs", kTmpfsNodev, "755", "128m"));
        show("/tmp", new_mount("tmpfs", kTmpfsNodev, "1777", "256m"));
        fill_dev(nodes);
        if (!spec_.root_is_zone) {
            make_parents("/var/tmp", false);
            check(::symlinkat("../tmp", root_, "var/tmp"), "make", "/var/tmp");
            check(::mkdirat(root_, "a", 0755), "make", "/a");
            show("/a", trees_[0]);
        }
        for (std::size_t i = 0; i < spec_.binds.size(); ++i) show(spec_.binds[i].inside.c_str(), trees_[i + 1]);
        for (const ScratchLink& link : spec_.links) {
            make_parents(link.path.c_str(), false);
            check(::symlinkat(link.target.c_str(), root_, link.path.c_str() + 1), "make the link", link.path.c_str());
        }
        for (const ScratchFile& file : spec_.files) write_file(file);
    }

    void show(const char* path, int tree) {
        const int at = place(path);
        check(::move_mount(tree, "", at, "", kMoveByDescriptors), "show", path);
        ::close(at);
    }

    void fill_dev(const std::array<int, 5>& nodes) {
        for (std::size_t i = 0; i < kDevices.size(); ++i) {
            const int file =
                ::openat(root_, kDevices[i] + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
            check(file, "make", kDevices[i]);
            check(::move_mount(nodes[i], "", file, "", kMoveByDescriptors), "show", kDevices[i]);
            ::close(file);
        }
        constexpr std::array<std::array<const char*, 2>, 4> kLinks{{{"/proc/self/fd", "dev/fd"},
                                                                    {"/proc/self/fd/0", "dev/stdin"},
                                                                    {"/proc/self/fd/1", "dev/stdout"},
                                                                    {"/proc/self/fd/2", "dev/stderr"}}};
        for (const auto& link : kLinks) check(::symlinkat(link[0], root_, link[1]), "make", link[1]);
    }

    void write_file(const ScratchFile& file) {
        const char* path = file.path.c_str();
        make_parents(path, false);
        const int fd = ::openat(root_, path + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, file.mode);
        check(fd, "make", path);
        for (std::size_t sent = 0; sent < file.content.size();) {
            const ssize_t n = ::write(fd, file.content.data() + sent, file.content.size() - sent);
            check(n, "write", path);
            sent += static_cast<std::size_t>(n);
        }
        ::close(fd);
    }

    // The host's tree goes: what was / is put over the new root and let go.
    void enter_root() {
        check(::fchdir(root_), "enter the root");
        check(::syscall(SYS_pivot_root, ".", "."), "change the root");
        check(::umount2(".", MNT_DETACH), "leave the host's root");
        check(::chdir("/"), "enter the root");
        if (!spec_.root_is_zone) {
            mount_attr read_only{};
            read_only.attr_set = MOUNT_ATTR_RDONLY;
            check(::mount_setattr(AT_FDCWD, "/", 0, &read_only, sizeof read_only), "make the root read-only");
        }
        const auto kept = static_cast<unsigned>(control_);  // no descriptor of a tree stays
        if (kept > 3) check(::close_range(3, kept - 1, 0), "close files");
        check(::close_range(kept + 1, ~0U, 0), "close files");
    }

    void limit() {
        const rlimit none{0, 0};
        check(::setrlimit(RLIMIT_CORE, &none), "forbid core files");
        const rlimit processes{plan_.processes_max, plan_.processes_max};
        if (plan_.guards.process_limit) check(::setrlimit(RLIMIT_NPROC, &processes), "limit the processes");
    }

    pid_t start_worker() {
        sigset_t child;
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        signals_ = ::signalfd(-1, &child, SFD_CLOEXEC);  // everything is blocked since before our birth
        check(signals_, "hear of the end");
        const pid_t worker = ::_Fork();
        check(worker, "start the program");
        if (worker == 0) be_worker();
        // What was given to the program is not ours to hold.
        for (const int fd : {0, 1, 2}) ::close(fd);
        return worker;
    }

    [[noreturn]] void be_worker() {
        ::setsid();
        ::umask(022);
        drop_capabilities();
        become_user();
        check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "forbid new privileges");
        if (plan_.guards.landlock) use_landlock();
        default_signals();
        if (plan_.guards.seccomp) {
            const sock_fprog program{static_cast<unsigned short>(plan_.filter.size()),
                                     const_cast<sock_filter*>(plan_.filter.data())};
            check(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "filter the system calls");
        }
        ::execve(plan_.argv[0], const_cast<char* const*>(plan_.argv.data()),
                 const_cast<char* const*>(plan_.environment.data()));
        tell(ScratchMessage::Kind::not_found, errno, plan_.argv[0]);
    }

    // Last, so that no capability is left to do it again.
    void become_user() {
        if (spec_.user == 0 && spec_.group == 0) return;
        check(::syscall(SYS_setresgid, spec_.group, spec_.group, spec_.group), "become the user of the program");
        check(::syscall(SYS_setresuid, spec_.user, spec_.user, spec_.user), "become the user of the program");
    }

    void drop_capabilities() {
        if (!plan_.guards.capabilities) return;
        std::uint64_t kept = 0;
        for (const unsigned capability : kKeptCapabilities) kept |= 1ULL << capability;
        for (unsigned capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
            if ((kept >> capability & 1U) == 0) check(::prctl(PR_CAPBSET_DROP, capability), "drop capabilities");
        }
        check(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "drop capabilities");
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        const auto low = static_cast<std::uint32_t>(kept);
        const auto high = static_cast<std::uint32_t>(kept >> 32U);
        const __user_cap_data_struct data[2] = {{low, low, 0}, {high, high, 0}};
        check(::syscall(SYS_capset, &header, data), "drop capabilities");
    }

    void allow(int rules, const char* path, std::uint64_t access) {
        const int directory = ::open(path, O_PATH | O_CLOEXEC);
        check(directory, "open", path);
        const landlock_path_beneath_attr rule{access, directory};
        check(::syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0), "fence in", path);
        ::close(directory);
    }

    void use_landlock() {
        const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
        if (version < kLandlockVersionMin) return;
        const std::uint64_t write = kLandlockWrite | (version >= 3 ? kLandlockTruncate : 0);
        const landlock_ruleset_attr handled{kLandlockRead | write | kLandlockDevices};
        const int rules =
            static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled.handled_access_fs, 0));
        check(rules, "make a fence");
        if (spec_.root_is_zone) {
            allow(rules, "/", kLandlockRead | write);
        } else {
            allow(rules, "/", kLandlockRead);
            allow(rules, "/dev", kLandlockRead | LANDLOCK_ACCESS_FS_WRITE_FILE | (write & kLandlockTruncate));
            for (const char* path : {"/a", "/run", "/tmp"}) allow(rules, path, kLandlockRead | write);
        }
        check(::syscall(SYS_landlock_restrict_self, rules, 0), "fence it in");
        ::close(rules);
    }

    static void default_signals() {
        struct sigaction action {};
        action.sa_handler = SIG_DFL;
        for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);
        sigset_t none;
        sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
    }

    // Buries all that ends; leaves when the program has ended or the maker has gone, and everybody goes with it.
    [[noreturn]] void wait_for(pid_t worker) {
        while (true) {
            std::array<pollfd, 2> waits{pollfd{signals_, POLLIN, 0}, pollfd{control_, POLLIN, 0}};
            if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) ::_exit(125);
            if (waits[1].revents != 0) ::_exit(125);
            if (waits[0].revents == 0) continue;
            signalfd_siginfo info{};
            (void)!::read(signals_, &info, sizeof info);
            int status = 0;
            for (pid_t ended = ::waitpid(-1, &status, WNOHANG); ended > 0; ended = ::waitpid(-1, &status, WNOHANG)) {
                if (ended == worker) tell(ScratchMessage::Kind::ended, status, "");
            }
        }
    }

    static constexpr std::array<const char*, 5> kDevices{"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                                         "/dev/urandom"};

    const ScratchPlan& plan_;
    const ScratchSpec& spec_;
    int control_;
    int root_ = -1;
    int signals_ = -1;
    std::array<int, kScratchTreesMax> trees_{};
};

}  // namespace

bool scratch_owns(const ScratchSpec& spec, std::string_view path) {
    if (spec.root_is_zone) return path.starts_with("/run/") || path.starts_with("/tmp/");
    return path != "/a" && !path.starts_with("/a/");
}

void be_scratch_init(const ScratchPlan& plan, int control, int input, int output) {
    Init(plan, control).run(input, output);
}

}  // namespace zoneferry
