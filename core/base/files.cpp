#include "core/base/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "core/base/digest.h"
#include "core/base/process.h"
#include "core/base/subvolume.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

struct Split {
    std::string directory;
    std::string name;
};

Split split_path(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return {".", path};
    return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

// The names of temporary files: ".NAME.PID-START.HEX.tmp". The writer's pid and start time tell whether it still works
// on it: after a power cut another process soon has that pid.
std::string temporary_name(const std::string& name) {
    const auto self = identify_process(::getpid());
    return "." + name + "." + std::to_string(::getpid()) + "-" + std::to_string(self ? self->start_time : 0) + "." +
           to_hex(random_bytes(6)) + ".tmp";
}

// Of "PID-START", or of "PID" as earlier versions wrote it.
bool may_still_write(std::string_view writer) {
    const std::size_t dash = writer.find('-');
    const auto pid = parse_number<pid_t>(writer.substr(0, dash));
    if (!pid || *pid <= 0) return true;  // none of ours
    if (::kill(*pid, 0) != 0 && errno == ESRCH) return false;
    const auto start = parse_number<std::uint64_t>(dash == std::string_view::npos ? "0" : writer.substr(dash + 1));
    const auto now = identify_process(*pid);
    return !start || *start == 0 || !now || now->start_time == *start;
}

// Removes what a writer that was killed has left of its new content for `name`; empty: for any name.
Status remove_stale_at(int directory, const std::string& name) {
    ZF_TRY(const std::vector<std::string> entries, list_directory_fd(directory));
    for (const std::string& entry : entries) {
        if (!entry.starts_with("." + name) || !entry.ends_with(".tmp")) continue;
        const std::vector<std::string_view> parts = split(entry, '.');
        if (parts.size() < 5 || (!name.empty() && entry.size() < name.size() + 8)) continue;
        const std::string_view writer = parts[parts.size() - 3];
        if (may_still_write(writer)) continue;
        const std::string_view hex = parts[parts.size() - 2];
        const std::string expected = "." + name + "." + std::string(writer) + "." + std::string(hex) + ".tmp";
        if (!name.empty() && entry != expected) continue;
        if (::unlinkat(directory, entry.c_str(), 0) != 0 && errno != ENOENT) {
            return system_error("remove " + printable(entry), errno);
        }
    }
    return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::uint64_t bytes_max) {
    ZF_TRY(UniqueFd fd, open_file(path, O_RDONLY));
    auto text = read_to_end(fd.get(), bytes_max);
    if (!text) return std::move(text).error().during("reading " + printable(path));
    return text;
}

Status replace_file_at(int directory, const std::string& name, std::string_view content, mode_t mode) {
    ZF_TRY_STATUS(remove_stale_at(directory, name));
    const std::string temporary = temporary_name(name);
    ZF_TRY(UniqueFd fd, open_beneath(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
    const auto finish = [&]() -> Status {
        ZF_TRY_STATUS(write_all(fd.get(), as_bytes(content)));
        if (::fchmod(fd.get(), mode) != 0) return system_error("chmod " + printable(name), errno);
        if (::fsync(fd.get()) != 0) return system_error("fsync " + printable(name), errno);
        if (::renameat(directory, temporary.c_str(), directory, name.c_str()) != 0) {
            return system_error("rename to " + printable(name), errno);
        }
        if (::fsync(directory) != 0) return system_error("fsync the directory of " + printable(name), errno);
        return {};
    };
    Status done = finish();
    if (!done) ::unlinkat(directory, temporary.c_str(), 0);
    return done;
}

Status replace_file(const std::string& path, std::string_view content, mode_t mode) {
    const Split parts = split_path(path);
    ZF_TRY(UniqueFd directory, open_directory(parts.directory));
    Status done = replace_file_at(directory.get(), parts.name, content, mode);
    if (!done) return std::move(done).error().during("writing " + printable(path));
    return done;
}

Status remove_stale_temporaries(const std::string& path) {
    auto directory = open_directory(path);
    if (!directory) return directory.error().system_error() == ENOENT ? Status() : std::move(directory).error();
    return remove_stale_at(directory->get(), "");
}

Status remove_stale_temporaries_at(int directory) { return remove_stale_at(directory, ""); }

Status remove_file(const std::string& path) {
    if (::unlink(path.c_str()) != 0) {
        if (errno == ENOENT) return {};
        return system_error("remove " + printable(path), errno);
    }
    return sync_directory(split_path(path).directory);
}

Status sync_directory(const std::string& path) {
    ZF_TRY(UniqueFd directory, open_directory(path));
    if (::fsync(directory.get()) != 0) return system_error("fsync " + printable(path), errno);
    return {};
}

Status make_directories(const std::string& path, mode_t mode) {
    for (std::size_t at = 1; at <= path.size(); ++at) {
        if (at != path.size() && path[at] != '/') continue;
        const std::string part = path.substr(0, at);
        if (::mkdir(part.c_str(), mode) == 0) continue;
        const int failed = errno;
        struct stat info {};
        if (::stat(part.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) continue;
        return system_error("make directory " + printable(part), failed);
    }
    return {};
}

bool path_exists(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
}

Result<std::vector<std::string>> list_directory_fd(int directory) {
    // A descriptor of its own, so that the reading position is ours.
    UniqueFd own(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!own) return system_error("open directory", errno);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), &::closedir);
    if (!stream) return system_error("read directory", errno);
    own.release();
    std::vector<std::string> names;
    while (true) {
        errno = 0;
        const dirent* entry = ::readdir(stream.get());
        if (entry == nullptr) break;
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return system_error("read directory", errno);
    std::sort(names.begin(), names.end());
    return names;
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
    ZF_TRY(UniqueFd directory, open_directory(path));
    return list_directory_fd(directory.get());
}

bool thaw(int fd) {
    if (thaw_subvolume(fd)) return true;
    unsigned bits = 0;
    if (::ioctl(fd, FS_IOC_GETFLAGS, &bits) != 0) return false;
    if ((bits & (FS_IMMUTABLE_FL | FS_APPEND_FL)) == 0) return false;
    bits &= ~static_cast<unsigned>(FS_IMMUTABLE_FL | FS_APPEND_FL);
    return ::ioctl(fd, FS_IOC_SETFLAGS, &bits) == 0;
}

Status remove_tree_at(int directory, const std::string& name) {
    if (::unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return {};
    if (errno != EISDIR && errno != EPERM) return system_error("remove " + printable(name), errno);
    {
        // EPERM: a directory on some file systems, or an entry or a parent that is immutable.
        auto inner = open_beneath(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!inner) {
            thaw(directory);
            if (auto own = open_beneath(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)) thaw(own->get());
            if (::unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return {};
            return std::move(inner).error().during("removing a tree");
        }
        if (is_subvolume(inner->get()) && destroy_subvolume_at(directory, name)) return {};
        thaw(inner->get());
        ZF_TRY(const std::vector<std::string> names, list_directory_fd(inner->get()));
        for (const std::string& child : names) {
            Status done = remove_tree_at(inner->get(), child);
            if (!done) return std::move(done).error().during(printable(name));
        }
    }
    if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0) {
        return system_error("remove directory " + printable(name), errno);
    }
    return {};
}

Status remove_tree(const std::string& path) {
    const Split parts = split_path(path);
    auto directory = open_directory(parts.directory);
    if (!directory) {
        if (directory.error().system_error() == ENOENT) return {};
        return std::move(directory).error();
    }
    struct stat is_there {};
    if (::fstatat(directory->get(), parts.name.c_str(), &is_there, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
        return {};
    }
    ZF_TRY_STATUS(remove_tree_at(directory->get(), parts.name));
    if (::fsync(directory->get()) == 0) return {};
    return system_error("sync " + printable(parts.directory), errno);
}

}  // namespace zoneferry
