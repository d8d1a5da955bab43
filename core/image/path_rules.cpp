#include "core/image/path_rules.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/image/limits.h"

namespace zoneferry {
namespace {

constexpr std::string_view kVolatileDirectories[] = {"dev/", "proc/", "sys/", "run/", "tmp/"};
constexpr std::string_view kSolarisVolatile[] = {"devices/", "system/contract/", "system/object/", "var/run/"};

Error refused(std::string_view name, std::string_view why) {
    constexpr std::size_t kShownBytesMax = 200;
    return Error(Errc::invalid, "the image's entry \"" + printable(name.substr(0, kShownBytesMax)) + "\" " +
                                    std::string(why) + ": refused");
}

}  // namespace

Result<std::string> image_path(std::string_view member_name) {
    if (member_name.size() > kImagePathBytesMax) return refused(member_name, "has a name that is too long");
    if (member_name.find('\0') != std::string_view::npos) return refused(member_name, "has a NUL in its name");
    if (member_name.starts_with('/')) return refused(member_name, "has an absolute name");
    std::string_view rest = member_name;
    while (rest.starts_with("./")) rest.remove_prefix(2);
    while (rest.ends_with('/')) rest.remove_suffix(1);
    if (rest.empty() && member_name.empty()) return refused(member_name, "has no name");
    if (rest.empty() || rest == ".") return std::string();
    const auto parts = split(rest, '/');
    if (parts.size() > kImagePathDepthMax) return refused(member_name, "lies too deep");
    for (const std::string_view part : parts) {
        if (part.empty() || part == ".") return refused(member_name, "has an empty part in its name");
        if (part == "..") return refused(member_name, "leads upwards by \"..\"");
        if (part.size() > 255) return refused(member_name, "has a part of more than 255 bytes");
    }
    return std::string(rest);
}

bool is_volatile_path(std::string_view path, PackageSystem system) {
    const auto is_below = [&](std::string_view directory) { return path.starts_with(directory); };
    if (std::any_of(std::begin(kVolatileDirectories), std::end(kVolatileDirectories), is_below)) return true;
    return system == PackageSystem::svr4 &&
           std::any_of(std::begin(kSolarisVolatile), std::end(kSolarisVolatile), is_below);
}

bool is_kept_xattr(std::string_view name) {
    return name.starts_with("user.") || name == "security.capability" || name == "system.posix_acl_access" ||
           name == "system.posix_acl_default";
}

std::string_view parent_path(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view last_part(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace zoneferry
