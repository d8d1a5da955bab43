#include "core/attach/zone_tree.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <array>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/config.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kMountinfoBytesMax = 64ULL << 20;  // 100,000 mounts of 600 bytes

Result<UniqueFd> open_part(int directory, const std::string& part, const std::string& so_far) {
    UniqueFd fd(::openat(directory, part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd) return fd;
    const int reason = errno;
    if (reason == ENOTDIR || reason == ELOOP) {
        return Error(Errc::invalid,
                     printable(so_far) + " is a symbolic link or no directory; a zonepath must not hold one")
            .remedy("configure the zone with the real path");
    }
    return system_error("open " + printable(so_far), reason);
}

Error bad_mode(const std::string& path, const struct stat& info, const std::string& rule, const std::string& remedy) {
    std::array<char, 16> mode{};
    const auto end = std::to_chars(mode.data(), mode.data() + mode.size(), info.st_mode & 07777U, 8);
    return Error(Errc::invalid, printable(path) + " has owner " + std::to_string(info.st_uid) + " and mode 0" +
                                    std::string(mode.data(), end.ptr) + "; " + rule)
        .remedy(remedy + " " + printable(path));
}

Status check_parent(int parent, const std::string& path) {
    ZF_TRY(const struct stat info, stat_fd(parent));
    if (info.st_uid == 0 && (info.st_mode & 022U) == 0) return {};
    return bad_mode(path, info, "the directory that holds a zonepath must belong to root and be writable for root only",
                    "chown root, and chmod go-w");
}

Status check_zonepath(int zonepath, const std::string& path) {
    ZF_TRY(const struct stat info, stat_fd(zonepath));
    if (info.st_uid != 0 || (info.st_mode & 07777U) != 0700) {
        return bad_mode(path, info, "a zonepath must belong to root with mode 0700", "chown root, and chmod 700");
    }
    struct stat inner {};
    if (::fstatat(zonepath, "root", &inner, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(inner.st_mode)) {
        return Error(Errc::invalid, printable(path) + " holds no directory root, so there is no zone in it")
            .remedy("move the zone's tree there first");
    }
    return {};
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

Result<UniqueFd> open_zone_tree(const HostRoot& root, const std::string& zonepath) {
    if (!is_plain_path(zonepath) || zonepath == "/") {
        return Error(Errc::invalid, "zonepath " + printable(zonepath) + " is not a plain absolute path");
    }
    ZF_TRY(UniqueFd current, open_directory(root.directory()));
    std::string so_far;
    UniqueFd parent;
    for (const std::string_view part : split(std::string_view(zonepath).substr(1), '/')) {
        so_far.append("/").append(part);
        parent = std::move(current);
        ZF_TRY(current, open_part(parent.get(), std::string(part), so_far));
    }
    ZF_TRY_STATUS(check_parent(parent.get(), so_far.substr(0, so_far.rfind('/'))));
    ZF_TRY_STATUS(check_zonepath(current.get(), zonepath));
    return current;
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
