#include "core/attach/scratch_filter.h"

#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "core/base/fd.h"

namespace zoneferry {
namespace {

// Refused whatever their arguments are.
constexpr const char* kRefused[] = {
    // the tree of mounts
    "mount", "umount", "umount2", "pivot_root", "open_tree", "open_tree_attr", "move_mount", "fsopen", "fsconfig",
    "fsmount", "fspick", "mount_setattr",
    // namespaces; clone is below
    "unshare", "setns",
    // other processes
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd", "perf_event_open",
    // the kernel itself
    "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "bpf", "reboot", "syslog", "acct",
    "swapon", "swapoff", "iopl", "ioperm", "lookup_dcookie", "vhangup", "quotactl", "quotactl_fd", "nfsservctl",
    "userfaultfd", "_sysctl", "sysfs", "uselib",
    // files by handle lead out of every root
    "open_by_handle_at", "name_to_handle_at", "fanotify_init",
    // keys live in no namespace
    "keyctl", "add_key", "request_key",
    // clocks
    "settimeofday", "stime", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex",
    // a second way to make calls, past this filter
    "io_uring_setup", "io_uring_enter", "io_uring_register",
    // the host's name as the scratch zone sees it
    "sethostname", "setdomainname"};

constexpr std::uint64_t kNamespaceFlags[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,    CLONE_NEWUSER,
                                             CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP, 0x80 /* CLONE_NEWTIME */};

// The header's own macros are C's compound literals.
scmp_arg_cmp masked(unsigned argument, std::uint64_t mask, std::uint64_t value) {
    return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}
// Of a 32-bit argument: the kernel looks at no more of it.
scmp_arg_cmp equals32(unsigned argument, std::uint32_t value) { return masked(argument, 0xffffffffU, value); }

class Filter {
public:
    Filter() : context_(::seccomp_init(SCMP_ACT_ALLOW), &::seccomp_release) {
        if (!context_) failed_ = ENOMEM;
        note(::seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM)));
    }

    // A call that this libseccomp or machine does not know needs no rule.
    void refuse(const char* call, int reason, const std::vector<scmp_arg_cmp>& when = {}) {
        const int number = ::seccomp_syscall_resolve_name(call);
        if (number == __NR_SCMP_ERROR || number < 0) return;
        note(::seccomp_rule_add_array(context_.get(), SCMP_ACT_ERRNO(static_cast<std::uint32_t>(reason)), number,
                                      static_cast<unsigned>(when.size()), when.data()));
    }

    Result<std::vector<sock_filter>> program() {
        if (failed_ != 0) return system_error("make the scratch zone's system call filter", failed_);
        const UniqueFd memory(::memfd_create("scratch-filter", MFD_CLOEXEC));
        if (!memory) return system_error("make a memory file", errno);
        if (const int made = ::seccomp_export_bpf(context_.get(), memory.get()); made != 0)
            return system_error("make the scratch zone's system call filter", -made);
        if (::lseek(memory.get(), 0, SEEK_SET) != 0) return system_error("rewind", errno);
        ZF_TRY(const std::string bytes, read_to_end(memory.get(), BPF_MAXINSNS * sizeof(sock_filter)));
        std::vector<sock_filter> out(bytes.size() / sizeof(sock_filter));
        std::memcpy(out.data(), bytes.data(), out.size() * sizeof(sock_filter));
        return out;
    }

private:
    void note(int result) {
        if (result != 0 && failed_ == 0) failed_ = -result;
    }

    std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
    int failed_ = 0;
};

// Only families that have a namespace: AF_VSOCK, for one, reaches the machine below the host.
void refuse_odd_sockets(Filter& filter) {
    constexpr unsigned kFamilies = 64;
    for (const char* call : {"socket", "socketpair"}) {
        for (unsigned family = 0; family < kFamilies; ++family) {
            if (family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK) continue;
            filter.refuse(call, EAFNOSUPPORT, {equals32(0, family)});
        }
        // Beyond: some bit above the first six. (Larger families there are none of.)
        for (unsigned bit = kFamilies; bit != 0; bit <<= 1U) filter.refuse(call, EAFNOSUPPORT, {masked(0, bit, bit)});
    }
}

}  // namespace

Result<std::vector<sock_filter>> scratch_filter() {
    Filter filter;
    for (const char* call : kRefused) filter.refuse(call, EPERM);
    for (const std::uint64_t flag : kNamespaceFlags) {
        // Not clone's lowest byte: that is the signal at exit, and CLONE_NEWTIME is for clone3 only.
        if (flag > 0xff) filter.refuse("clone", EPERM, {masked(0, flag, flag)});
    }
    filter.refuse("clone3", ENOSYS);  // its flags lie in memory; the C library then uses clone
    for (const std::uint64_t type : {std::uint64_t{S_IFCHR}, std::uint64_t{S_IFBLK}}) {
        filter.refuse("mknod", EPERM, {masked(1, S_IFMT, type)});
        filter.refuse("mknodat", EPERM, {masked(2, S_IFMT, type)});
    }
    for (const unsigned request :
         {unsigned{TIOCSTI}, unsigned{TIOCLINUX}}) {  // typing into, or pasting on, somebody's terminal
        filter.refuse("ioctl", EPERM, {equals32(1, request)});
    }
    refuse_odd_sockets(filter);
    return filter.program();
}

}  // namespace zoneferry
