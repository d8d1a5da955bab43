#include "core/image/file_copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/text.h"
#include "core/image/limits.h"
#include "core/image/path_rules.h"

namespace zoneferry {
namespace {

EntryMetadata plain_metadata(const struct stat& info) {
    EntryMetadata metadata;
    metadata.permissions = info.st_mode & 07777;
    metadata.uid = info.st_uid;
    metadata.gid = info.st_gid;
    metadata.modified = info.st_mtim;
    return metadata;
}

Result<std::string> read_link(int from, const std::string& name) {
    std::string target(kImagePathBytesMax + 1, '\0');
    const ssize_t length = ::readlinkat(from, name.c_str(), target.data(), target.size());
    if (length < 0) return system_error("read the link " + printable(name), errno);
    target.resize(static_cast<std::size_t>(length));
    return target;
}

// Opens what lstat saw, or says that it was exchanged meanwhile.
Result<UniqueFd> open_seen(int from, const std::string& name, const struct stat& info, int flags) {
    UniqueFd fd(::openat(from, name.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return system_error("open " + printable(name), errno);
    ZF_TRY(const struct stat now, stat_fd(fd.get()));
    if (now.st_ino != info.st_ino || now.st_dev != info.st_dev) {
        return Error(Errc::io, printable(name) + " was exchanged while it was being copied");
    }
    return fd;
}

}  // namespace

Result<EntryMetadata> read_metadata(int fd, const struct stat& info, CopyScope scope) {
    EntryMetadata metadata = plain_metadata(info);
    if (scope == CopyScope::everything) {
        ZF_TRY(metadata.attributes, read_file_attributes(fd));
    }
    std::string names(kImageXattrBytesMax, '\0');
    const ssize_t length = ::flistxattr(fd, names.data(), names.size());
    if (length < 0) {
        if (errno == ENOTSUP || errno == EBADF) return metadata;
        return system_error("list the extended attributes", errno);
    }
    names.resize(static_cast<std::size_t>(length));
    for (const std::string_view name : split(names, '\0')) {
        if (name.empty() || is_derived_xattr(name) || (scope == CopyScope::system && !is_kept_xattr(name))) continue;
        if (metadata.xattrs.size() == kImageXattrsMax) return Error(Errc::invalid, "too many extended attributes");
        ImageXattr xattr{std::string(name), std::string(kImageXattrBytesMax, '\0')};
        const ssize_t size = ::fgetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size());
        if (size < 0) return system_error("read the attribute " + printable(name), errno);
        xattr.value.resize(static_cast<std::size_t>(size));
        metadata.xattrs.push_back(std::move(xattr));
    }
    return metadata;
}

Result<CopyOutcome> FileCopier::copy(int from, const std::string& name, const struct stat& info,
                                     const std::string& path) {
    Status done;
    if (!S_ISDIR(info.st_mode) && info.st_nlink > 1) {
        const auto [known, is_new] = first_names_.try_emplace({info.st_dev, info.st_ino}, path);
        if (!is_new) {
            ZF_TRY_STATUS(writer_.hard_link(path, known->second));
            return CopyOutcome::copied;
        }
    }
    switch (info.st_mode & S_IFMT) {
        case S_IFREG: done = copy_file(from, name, info, path); break;
        case S_IFDIR: {
            ZF_TRY(const UniqueFd directory, open_seen(from, name, info, O_RDONLY | O_DIRECTORY));
            ZF_TRY(EntryMetadata metadata, read_metadata(directory.get(), info, scope_));
            done = writer_.directory(path, std::move(metadata));
            break;
        }
        case S_IFLNK: {
            ZF_TRY(const std::string target, read_link(from, name));
            done = writer_.symlink(path, target, plain_metadata(info));
            break;
        }
        case S_IFIFO: done = writer_.fifo(path, plain_metadata(info)); break;
        default:
            if (scope_ == CopyScope::system) {
                first_names_.erase({info.st_dev, info.st_ino});
                return CopyOutcome::left_out;
            }
            done = writer_.special(path, info.st_mode, info.st_rdev, plain_metadata(info));
            break;
    }
    if (!done) return std::move(done).error().during("copying \"" + printable(path) + "\"");
    return CopyOutcome::copied;
}

Status FileCopier::copy_file(int from, const std::string& name, const struct stat& info, const std::string& path) {
    ZF_TRY(const UniqueFd source, open_seen(from, name, info, O_RDONLY));
    ZF_TRY(EntryMetadata metadata, read_metadata(source.get(), info, scope_));
    ZF_TRY(UniqueFd target, writer_.begin_file(path));
    constexpr auto kNoCow = static_cast<std::uint32_t>(FileFlag::no_cow);
    if ((metadata.attributes.flags & kNoCow) != 0) {  // only an empty file can be made so
        ZF_TRY(const auto left_out, apply_file_attributes(target.get(), {kNoCow, 0}));
        if (left_out.flags != 0) return Error(Errc::unsupported, "the file system has no copy-on-write to switch off");
    }
    // A zone's own tree is cloned where the file system can: no time, no space. (A host's file is not to be shared.)
    const bool is_clone = scope_ == CopyScope::everything && ::ioctl(target.get(), FICLONE, source.get()) == 0;
    if (!is_clone) ZF_TRY_STATUS(copy_data(source.get(), target.get(), static_cast<std::uint64_t>(info.st_size), path));
    return writer_.finish_file(path, std::move(target), metadata);
}

// Only the ranges that hold data are written; the rest stays a hole.
Status FileCopier::copy_data(int from, int to, std::uint64_t size, const std::string& path) {
    std::uint64_t at = 0;
    while (at < size) {
        const off_t data = ::lseek(from, static_cast<off_t>(at), SEEK_DATA);
        if (data < 0) {
            if (errno == ENXIO) break;  // nothing but a hole follows
            return system_error("look for data in " + printable(path), errno);
        }
        const off_t hole = ::lseek(from, data, SEEK_HOLE);
        if (hole < 0) return system_error("look for holes in " + printable(path), errno);
        const std::uint64_t end = std::min(static_cast<std::uint64_t>(hole), size);
        const std::uint64_t begin = static_cast<std::uint64_t>(data);
        if (begin >= end) break;
        ZF_TRY_STATUS(writer_.spend(path, end - begin));
        ZF_TRY_STATUS(copy_range(from, to, begin, end));
        at = end;
    }
    if (::ftruncate(to, static_cast<off_t>(size)) != 0)
        return system_error("set the size of " + printable(path), errno);
    return {};
}

Status FileCopier::copy_range(int from, int to, std::uint64_t begin, std::uint64_t end) {
    constexpr std::uint64_t kPieceBytes = 64ULL << 20;
    while (begin < end) {
        off_t in = static_cast<off_t>(begin);
        off_t out = in;
        const ssize_t moved = ::copy_file_range(from, &in, to, &out, std::min(end - begin, kPieceBytes), 0);
        if (moved < 0 && errno == EINTR) continue;
        if (moved < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP)) {
            // The two file systems cannot do it between them: through memory.
            std::array<std::byte, 1 << 18> buffer;
            const ssize_t got = ::pread(from, buffer.data(), std::min<std::uint64_t>(end - begin, buffer.size()),
                                        static_cast<off_t>(begin));
            if (got < 0) return system_error("read", errno);
            if (got == 0) return Error(Errc::io, "the file became shorter while it was being copied");
            if (::lseek(to, static_cast<off_t>(begin), SEEK_SET) < 0) return system_error("seek", errno);
            ZF_TRY_STATUS(write_all(to, ConstBytes(buffer.data(), static_cast<std::size_t>(got))));
            begin += static_cast<std::uint64_t>(got);
            continue;
        }
        if (moved < 0) return system_error("copy", errno);
        if (moved == 0) return Error(Errc::io, "the file became shorter while it was being copied");
        begin += static_cast<std::uint64_t>(moved);
    }
    return {};
}

}  // namespace zoneferry
