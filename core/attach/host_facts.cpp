// Where each fact comes from: the kernel (uname, gethostname) for the machine, files below the root for what
// the host was installed as, `systemd-nspawn --version` for what runs zones.
#include "core/attach/host_facts.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/lock.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/inventory.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kSmallFileBytesMax = 64 << 10;

bool is_host_id(std::string_view text) {
    if (text.size() != 32) return false;
    for (const char c : text) {
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
    }
    return true;
}

// A host without a machine-id gets an id of its own, once, under a lock: two agents must not make two.
Result<std::string> made_host_id(const HostRoot& root) {
    ZF_TRY_STATUS(make_directories(root.state_directory(), 0700));
    ZF_TRY(const FileLock lock, FileLock::take(root.state_directory() + "/.host-id.lock"));
    const std::string path = root.state_directory() + "/host-id";
    if (path_exists(path)) {
        ZF_TRY(const std::string text, read_file(path, kSmallFileBytesMax));
        if (is_host_id(trim(text))) return std::string(trim(text));
        return Error(Errc::corrupt, path + " holds no host id")
            .remedy("restore it from a backup; other hosts know this host by it");
    }
    const std::string id = to_hex(random_bytes(16));
    ZF_TRY_STATUS(replace_file(path, id + "\n", 0644));
    return id;
}

Result<std::string> host_id(const HostRoot& root, int root_fd) {
    const auto text = read_in_root(root_fd, "/etc/machine-id", kSmallFileBytesMax);
    if (text && is_host_id(trim(*text))) return std::string(trim(*text));
    auto made = made_host_id(root);
    // `detach -n` needs no privilege: who may not make the id does not tell it.
    if (!made && (made.error().system_error() == EACCES || made.error().system_error() == EPERM)) return std::string();
    return made;
}

// os-release(5): NAME=value lines, the value as in a shell; here only its quotes and backslashes.
std::string unquoted(std::string_view value) {
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front()) {
        value = value.substr(1, value.size() - 2);
    }
    std::string plain;
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '\\' && i + 1 < value.size()) ++i;
        plain += value[i];
    }
    return plain;
}

std::string os_name(int root_fd) {
    for (const std::string path : {"/etc/os-release", "/usr/lib/os-release"}) {
        const auto text = read_in_root(root_fd, path, kSmallFileBytesMax);
        if (!text) continue;
        for (const std::string_view line : split(*text, '\n')) {
            constexpr std::string_view kKey = "PRETTY_NAME=";
            if (line.starts_with(kKey)) return unquoted(trim(line.substr(kKey.size()))).substr(0, 200);
        }
    }
    return "";
}

// "systemd 252 (252.39-1~deb12u1)" -> "systemd-nspawn 252".
std::string runtime_name() {
    const auto result = run_process({"systemd-nspawn", "--version"});
    if (!result || result->exit_status != 0) return "";
    const auto words = split_words(std::string_view(result->output).substr(0, result->output.find('\n')));
    return words.size() < 2 ? "" : "systemd-nspawn " + std::string(words[1]);
}

Status add_packages(int root_fd, HostFacts& facts) {
    const auto system = find_package_system(root_fd);
    if (!system) {
        if (system.error().code() == Errc::unsupported) return {};  // no database: nothing to tell
        return system.error();
    }
    facts.package_system = package_system_name(*system);
    ZF_TRY(facts.package_architecture, find_package_architecture(root_fd));
    return {};
}

}  // namespace

Result<HostFacts> gather_host_facts(const HostRoot& root) {
    HostFacts facts;
    ZF_TRY(const UniqueFd root_fd, open_directory(root.directory()));
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return system_error("gethostname", errno);
    facts.host = printable(name.data());
    utsname kernel{};
    if (::uname(&kernel) != 0) return system_error("uname", errno);
    facts.machine = kernel.machine;
    facts.kernel_release = printable(kernel.release);
    ZF_TRY(facts.host_id, host_id(root, root_fd.get()));
    facts.os_name = printable(os_name(root_fd.get()));
    facts.runtime = printable(runtime_name());
    ZF_TRY_STATUS(add_packages(root_fd.get(), facts));
    return facts;
}

}  // namespace zoneferry
