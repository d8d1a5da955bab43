#include "core/zone/state_binding.h"

#include <optional>
#include <string>

#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kIdBytesMax = 4096;

std::string binding_path(const HostRoot& root) { return root.state_directory() + "/bound-to"; }

std::string doubled_path(const HostRoot& root) { return root.run_directory() + "/doubled"; }

Result<std::optional<std::string>> small_text(const std::string& path) {
    if (!path_exists(path)) return std::optional<std::string>();
    ZF_TRY(const std::string text, read_file(path, kIdBytesMax));
    return std::optional(std::string(trim(text)));
}

}  // namespace

Status check_state_binding(const HostRoot& root) {
    ZF_TRY(const std::optional<std::string> bound, small_text(binding_path(root)));
    if (!bound || bound->empty()) return {};
    ZF_TRY(const std::optional<std::string> machine, small_text(root.at("/etc/machine-id")));
    if (machine && *machine == *bound) return {};
    return Error(Errc::not_owner, "the state in " + root.state_directory() +
                                      " is that of another machine (machine-id " + printable(*bound) +
                                      "): this host is a copy of it, and may not run its zones")
        .remedy("if there is no other machine with it any more: rm " + binding_path(root) +
                "; else see \"The host was cloned\" in docs/recovery.md");
}

Status check_not_doubled(const HostRoot& root) {
    ZF_TRY(const std::optional<std::string> words, small_text(doubled_path(root)));
    if (!words) return {};
    return Error(Errc::not_owner, "no zone is booted while this host is there twice: " + printable(*words))
        .remedy("end the copy: see \"The host was cloned\" in docs/recovery.md");
}

Status set_doubled(const HostRoot& root, const std::string& sentence) {
    if (!sentence.empty()) {
        ZF_TRY_STATUS(make_directories(root.run_directory(), 0755));
        return replace_file(doubled_path(root), sentence + "\n", 0644);
    }
    return path_exists(doubled_path(root)) ? remove_file(doubled_path(root)) : Status();
}

Status bind_state(const HostRoot& root) {
    ZF_TRY_STATUS(check_state_binding(root));
    if (path_exists(binding_path(root))) return {};
    ZF_TRY(const std::optional<std::string> machine, small_text(root.at("/etc/machine-id")));
    if (!machine || machine->empty()) return {};
    return replace_file(binding_path(root), *machine + "\n", 0644);
}

}  // namespace zoneferry
