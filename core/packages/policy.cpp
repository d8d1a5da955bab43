#include "core/packages/policy.h"

#include <fcntl.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/limits.h"

namespace zoneferry {
namespace {

// Shipped policy: what only makes sense in a global zone. Nothing that a zone keeps depends on these.
constexpr std::array kGlobalZoneOnly = {
    "linux-image-*", "linux-headers-*", "linux-modules-*",  "grub-*",     "grub2*",     "shim-*",
    "systemd-boot*", "syslinux*",       "initramfs-tools*", "dracut*",    "firmware-*", "*-microcode",
    "os-prober",     "mokutil",         "efibootmgr",       "zoneferry*",
};

Result<std::vector<std::string>> load_lists(int root, const std::string& path) {
    std::vector<std::string> patterns;
    auto directory = open_in_root(root, path, O_RDONLY | O_DIRECTORY);
    if (!directory) {
        if (directory.error().code() == Errc::not_found) return patterns;
        return std::move(directory).error();
    }
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(directory->get()));
    for (const std::string& name : names) {
        if (!name.ends_with(".list")) continue;
        const std::string shown = path + "/" + name;
        ZF_TRY(const std::string text, read_in_root(root, shown, kPolicyBytesMax));
        ZF_TRY(std::vector<std::string> more, parse_policy_list(text, shown));
        patterns.insert(patterns.end(), more.begin(), more.end());
    }
    return patterns;
}

}  // namespace

Result<std::vector<std::string>> parse_policy_list(std::string_view text, std::string_view file) {
    std::vector<std::string> patterns;
    std::string_view line;
    for (std::size_t number = 1; next_line(text, line); ++number) {
        const std::string_view pattern = trim(line.substr(0, line.find('#')));
        if (pattern.empty()) continue;
        if (split_words(pattern).size() != 1) {
            return Error(Errc::invalid, printable(file) + " line " + std::to_string(number) +
                                            ": one package name or pattern a line is expected");
        }
        patterns.emplace_back(pattern);
    }
    return patterns;
}

bool is_global_zone_only(std::string_view package) {
    const std::string name(package);
    return std::any_of(kGlobalZoneOnly.begin(), kGlobalZoneOnly.end(),
                       [&](const char* pattern) { return ::fnmatch(pattern, name.c_str(), 0) == 0; });
}

Result<HostPolicy> HostPolicy::load(int root) {
    HostPolicy policy;
    ZF_TRY(policy.all_zones_, load_lists(root, "/etc/zoneferry/all-zones.d"));
    ZF_TRY(policy.this_zone_, load_lists(root, "/etc/zoneferry/this-zone.d"));
    return policy;
}

bool HostPolicy::matches(const std::vector<std::string>& patterns, const std::string& package) {
    for (const std::string& pattern : patterns) {
        const bool with_architecture = pattern.find(':') != std::string::npos;
        const std::string name = with_architecture ? package : package.substr(0, package.find(':'));
        if (::fnmatch(pattern.c_str(), name.c_str(), 0) == 0) return true;
    }
    return false;
}

}  // namespace zoneferry
