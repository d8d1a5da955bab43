#include "core/zone/state_binding.h"

#include <optional>
#include <string>

#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kIdBytesMax = 4096;

std::string binding_path(const HostRoot& root) { return root.state_directory() + "/bound-to"; }

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

Status bind_state(const HostRoot& root) {
    ZF_TRY_STATUS(check_state_binding(root));
    if (path_exists(binding_path(root))) return {};
    ZF_TRY(const std::optional<std::string> machine, small_text(root.at("/etc/machine-id")));
    if (!machine || machine->empty()) return {};
    return replace_file(binding_path(root), *machine + "\n", 0644);
}

}  // namespace zoneferry
