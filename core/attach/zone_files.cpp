#include "core/attach/zone_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

Error failed(std::string_view doing, const std::string& path) {
    return system_error(std::string(doing) + " " + printable(path) + " of the zone", errno);
}

Status copy_bytes(int from, int to) {
    while (true) {
        const ssize_t n = ::copy_file_range(from, nullptr, to, nullptr, 1U << 30U, 0);
        if (n == 0) return {};
        if (n > 0 || errno == EINTR) continue;
        if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS)
            return system_error("copy", errno);
        break;
    }
    std::array<std::byte, 65536> buffer{};
    while (true) {
        const ssize_t n = ::read(from, buffer.data(), buffer.size());
        if (n == 0) return {};
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error("read", errno);
        ZF_TRY_STATUS(write_all(to, ConstBytes(buffer).first(static_cast<std::size_t>(n))));
    }
}

// chown first: it takes the set-id bits away.
Status apply(int fd, const ZoneFileAttributes& attributes, const std::string& path) {
    if (::fchown(fd, attributes.uid, attributes.gid) != 0) return failed("chown", path);
    if (::fchmod(fd, attributes.mode) != 0) return failed("chmod", path);
    if (attributes.modtime < 0) return {};
    const timespec when{attributes.modtime, 0};
    const std::array<timespec, 2> times{when, when};
    if (::futimens(fd, times.data()) != 0) return failed("set the time of", path);
    return {};
}

}  // namespace

Result<ZoneFiles::Place> ZoneFiles::place(const std::string& path, bool make) const {
    const std::string parent = parent_of(path);
    auto directory = open_in_root(root_, parent, O_RDONLY | O_DIRECTORY);
    if (!directory && make && directory.error().system_error() == ENOENT && parent != "/") {
        ZF_TRY_STATUS(make_directory(parent, {0755, 0, 0, -1}));
        directory = open_in_root(root_, parent, O_RDONLY | O_DIRECTORY);
    }
    if (!directory) {
        const int reason = directory.error().system_error();
        return system_error("open directory " + printable(parent) + " of the zone", reason);
    }
    return Place{std::move(*directory), path.substr(path.rfind('/') + 1)};
}

Result<std::optional<struct stat>> ZoneFiles::find(const std::string& path) const {
    const auto at = place(path, false);
    if (!at) {
        const int reason = at.error().system_error();
        if (reason == ENOENT || reason == ENOTDIR) return std::optional<struct stat>();
        return at.error();
    }
    struct stat info {};
    if (::fstatat(at->directory.get(), at->name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) return std::optional(info);
    if (errno == ENOENT) return std::optional<struct stat>();
    return failed("look at", path);
}

Result<UniqueFd> ZoneFiles::open_regular(const std::string& path) const {
    auto fd = open_in_root(root_, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
    if (!fd) return system_error("read " + printable(path) + " of the zone", fd.error().system_error());
    ZF_TRY(const struct stat info, stat_fd(fd->get()));
    if (!S_ISREG(info.st_mode)) return Error(Errc::corrupt, printable(path) + " of the zone is not a regular file");
    return fd;
}

Result<std::string> ZoneFiles::read(const std::string& path, std::uint64_t bytes_max) const {
    ZF_TRY(const UniqueFd fd, open_regular(path));
    auto text = read_to_end(fd.get(), bytes_max);
    if (!text) return std::move(text).error().during("read " + printable(path) + " of the zone");
    return text;
}

Status ZoneFiles::make_directory(const std::string& path, const ZoneFileAttributes& attributes) const {
    ZF_TRY(const Place at, place(path, true));
    const bool is_new = ::mkdirat(at.directory.get(), at.name.c_str(), 0700) == 0;
    if (!is_new && errno != EEXIST) return failed("make directory", path);
    const UniqueFd own(::openat(at.directory.get(), at.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (own) return apply(own.get(), {attributes.mode, attributes.uid, attributes.gid, -1}, path);
    if (open_in_root(root_, path, O_PATH | O_DIRECTORY)) return {};  // a link to a directory
    return Error(Errc::conflict, printable(path) + " of the zone is not a directory, and a package has one there");
}

Status ZoneFiles::replace(const std::string& path, const std::function<Status(int, const std::string&)>& make) const {
    ZF_TRY(const Place at, place(path, true));
    const std::string temporary = ".zf-" + to_hex(random_bytes(8));
    Status done = make(at.directory.get(), temporary);
    if (done && ::renameat(at.directory.get(), temporary.c_str(), at.directory.get(), at.name.c_str()) != 0) {
        done = errno == EISDIR ? Error(Errc::conflict, printable(path) +
                                                           " of the zone is a directory, and a package "
                                                           "has something else there")
                               : failed("put in place", path);
    }
    // Also when it was renamed: two names of one file stay as they are.
    ::unlinkat(at.directory.get(), temporary.c_str(), 0);
    if (!done) return std::move(done).error().during("writing " + printable(path));
    return done;
}

Status ZoneFiles::put_file(const std::string& path, int source, const ZoneFileAttributes& attributes) const {
    return replace(path, [&](int directory, const std::string& name) -> Status {
        const UniqueFd fd(
            ::openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd) return failed("make", path);
        ZF_TRY_STATUS(copy_bytes(source, fd.get()));
        return apply(fd.get(), attributes, path);
    });
}

Status ZoneFiles::put_text(const std::string& path, std::string_view text, const ZoneFileAttributes& attributes) const {
    return replace(path, [&](int directory, const std::string& name) -> Status {
        const UniqueFd fd(
            ::openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd) return failed("make", path);
        ZF_TRY_STATUS(write_all(fd.get(), as_bytes(text)));
        return apply(fd.get(), attributes, path);
    });
}

Status ZoneFiles::make_symlink(const std::string& path, const std::string& target) const {
    return replace(path, [&](int directory, const std::string& name) -> Status {
        if (::symlinkat(target.c_str(), directory, name.c_str()) != 0) return failed("make link", path);
        return {};
    });
}

Status ZoneFiles::make_hard_link(const std::string& path, const std::string& target) const {
    ZF_TRY(const Place from, place(target, false));
    return replace(path, [&](int directory, const std::string& name) -> Status {
        if (::linkat(from.directory.get(), from.name.c_str(), directory, name.c_str(), 0) != 0)
            return failed("link to " + printable(target), path);
        return {};
    });
}

Status ZoneFiles::make_fifo(const std::string& path, const ZoneFileAttributes& attributes) const {
    ZF_TRY(const std::optional<struct stat> known, find(path));
    if (known && S_ISFIFO(known->st_mode)) return {};
    return replace(path, [&](int directory, const std::string& name) -> Status {
        const bool made =
            ::mkfifoat(directory, name.c_str(), 0600) == 0 &&
            ::fchownat(directory, name.c_str(), attributes.uid, attributes.gid, AT_SYMLINK_NOFOLLOW) == 0 &&
            ::fchmodat(directory, name.c_str(), attributes.mode, 0) == 0;
        if (!made) return failed("make pipe", path);
        return {};
    });
}

Status ZoneFiles::set_attributes(const std::string& path, const ZoneFileAttributes& attributes) const {
    ZF_TRY(const UniqueFd fd, open_regular(path));
    return apply(fd.get(), attributes, path);
}

Status ZoneFiles::remove(const std::string& path) const {
    const auto at = place(path, false);
    if (!at) {
        const int reason = at.error().system_error();
        return reason == ENOENT || reason == ENOTDIR ? Status() : Status(at.error());
    }
    if (::unlinkat(at->directory.get(), at->name.c_str(), 0) == 0 || errno == ENOENT) return {};
    if (errno != EISDIR && errno != EPERM) return failed("remove", path);
    if (::unlinkat(at->directory.get(), at->name.c_str(), AT_REMOVEDIR) == 0) return {};
    return errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT ? Status() : Status(failed("remove", path));
}

Status ZoneFiles::remove_tree(const std::string& path) const {
    const auto at = place(path, false);
    if (!at) {
        const int reason = at.error().system_error();
        return reason == ENOENT || reason == ENOTDIR ? Status() : Status(at.error());
    }
    return remove_tree_at(at->directory.get(), at->name);
}

Status ZoneFiles::sync() const {
    if (::syncfs(root_) != 0) return system_error("write the zone's files to the disk", errno);
    return {};
}

Result<std::uint32_t> sysv_sum(int fd) {
    std::array<unsigned char, 65536> buffer{};
    std::uint32_t sum = 0;
    for (off_t at = 0;;) {
        const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error("read", errno);
        if (n == 0) break;
        for (ssize_t i = 0; i < n; ++i) sum += buffer[static_cast<std::size_t>(i)];
        at += n;
    }
    const std::uint32_t once = (sum & 0xffffU) + (sum >> 16U);
    return (once & 0xffffU) + (once >> 16U);
}

NameIds parse_name_ids(std::string_view text) {
    NameIds ids;
    for (const std::string_view line : split(text, '\n')) {
        const auto fields = split(line, ':');
        if (fields.size() < 3 || fields[0].empty()) continue;
        const auto id = parse_number<std::uint32_t>(fields[2]);
        if (id) ids.try_emplace(std::string(fields[0]), *id);  // the first one counts, as for getpwnam
    }
    return ids;
}

}  // namespace zoneferry
