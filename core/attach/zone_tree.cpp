#include "core/attach/zone_tree.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <array>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/zonepath.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kMountinfoBytesMax = 64ULL << 20;  // 100,000 mounts of 600 bytes

Status check_tree(int zonepath, const std::string& path) {
    struct stat info {};
    if (::fstatat(zonepath, "root", &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode)) return {};
    return Error(Errc::invalid, "zonepath " + path + " holds no directory root, so there is no zone in it")
        .remedy("move the zone's tree there first");
}

// mountinfo writes blank, tab, newline and backslash as \ooo.
std::string unescaped(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            if (const auto code = parse_number<unsigned>(text.substr(i + 1, 3), 8); code && *code < 256) {
                plain += static_cast<char>(*code);
                i += 3;
                continue;
            }
        }
        plain += text[i];
    }
    return plain;
}

}  // namespace

Status check_zonepath_parent(int zonepath, const std::string& path) {
    struct stat info {};
    if (::fstatat(zonepath, "..", &info, 0) != 0) return system_error("stat the parent of " + path, errno);
    if (info.st_uid == 0 && (info.st_mode & 022U) == 0) return {};
    const std::string parent = path.rfind('/') == 0 ? "/" : path.substr(0, path.rfind('/'));
    return Error(Errc::permission,
                 "the directory " + parent + ", which holds the zonepath, is not writable for root only")
        .remedy("chown root " + parent + " && chmod go-w " + parent);
}

Result<UniqueFd> open_zone_tree(const HostRoot& root, const std::string& zonepath) {
    ZF_TRY(UniqueFd fd, open_zonepath(root, zonepath));  // from here on the path is plain and printable
    ZF_TRY_STATUS(check_zonepath_parent(fd.get(), zonepath));
    ZF_TRY_STATUS(check_tree(fd.get(), zonepath));
    return fd;
}

std::vector<std::string> mount_points_below(std::string_view mountinfo, std::string_view directory) {
    std::vector<std::string> points;
    const std::string prefix = std::string(directory == "/" ? "" : directory) + "/";
    for (const std::string_view line : split(mountinfo, '\n')) {
        const auto fields = split_words(line);
        if (fields.size() < 5) continue;
        std::string point = unescaped(fields[4]);
        if (point.size() > prefix.size() && point.starts_with(prefix)) points.push_back(std::move(point));
    }
    return points;
}

Result<std::vector<std::string>> mounts_below(int directory) {
    std::array<char, PATH_MAX> path{};
    const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(directory)).c_str(), path.data(), path.size());
    if (size <= 0 || static_cast<std::size_t>(size) == path.size())
        return system_error("readlink /proc/self/fd", errno);
    ZF_TRY(const std::string mountinfo, read_file("/proc/self/mountinfo", kMountinfoBytesMax));
    return mount_points_below(mountinfo, std::string_view(path.data(), static_cast<std::size_t>(size)));
}

}  // namespace zoneferry
