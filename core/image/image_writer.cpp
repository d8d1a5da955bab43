#include "core/image/image_writer.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "core/base/text.h"
#include "core/image/limits.h"
#include "core/image/path_rules.h"

namespace zoneferry {
namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

Status apply_attributes(int fd, const FileAttributes& wanted) {
    ZF_TRY(const FileAttributes left_out, apply_file_attributes(fd, wanted));
    if (left_out == FileAttributes()) return {};
    return Error(Errc::unsupported, "the file system does not have all its attributes (lsattr)");
}

// Owner before mode (chown clears set-id bits), capabilities and ACLs after both, then times, then what freezes.
Status apply(int fd, const EntryMetadata& metadata) {
    if (::fchown(fd, metadata.uid, metadata.gid) != 0) return system_error("set the owner", errno);
    if (::fchmod(fd, metadata.permissions & 07777) != 0) return system_error("set the mode", errno);
    for (const ImageXattr& xattr : metadata.xattrs) {
        if (::fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0) {
            return system_error("set the attribute " + printable(xattr.name), errno);
        }
    }
    const timespec times[2] = {metadata.modified, metadata.modified};
    if (::futimens(fd, times) != 0) return system_error("set the times", errno);
    return metadata.attributes == FileAttributes() ? Status() : apply_attributes(fd, metadata.attributes);
}

Status apply_to_name(int parent, const std::string& name, const EntryMetadata& metadata, bool is_symlink) {
    if (::fchownat(parent, name.c_str(), metadata.uid, metadata.gid, AT_SYMLINK_NOFOLLOW) != 0) {
        return system_error("set the owner", errno);
    }
    // The name was just made by us and is no link: fchmodat, which always follows, changes only it.
    if (!is_symlink && ::fchmodat(parent, name.c_str(), metadata.permissions & 07777, 0) != 0) {
        return system_error("set the mode", errno);
    }
    const timespec times[2] = {metadata.modified, metadata.modified};
    if (::utimensat(parent, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return system_error("set the times", errno);
    return {};
}

}  // namespace

Result<ImageWriter> ImageWriter::create(UniqueFd root) {
    struct statvfs space {};
    if (::fstatvfs(root.get(), &space) != 0) return system_error("measure the free space of the zonepath", errno);
    const std::uint64_t free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize;
    return ImageWriter(std::move(root), free_bytes > kImageReserveBytes ? free_bytes - kImageReserveBytes : 0);
}

Error ImageWriter::refused(const std::string& path, std::string_view doing, int error_number) const {
    const std::string shown = "the entry \"" + printable(path) + "\"";
    if (error_number == EEXIST) return Error(Errc::invalid, shown + " comes twice: refused");
    if (error_number == ELOOP || error_number == ENOTDIR || error_number == EXDEV) {
        return Error(Errc::invalid, shown + " leads through a link or a file: refused");
    }
    if (error_number == ENOSPC || error_number == EDQUOT) {
        return Error(Errc::no_space, "no space is left for " + shown, error_number);
    }
    return system_error(std::string(doing) + " " + shown, error_number);
}

Status ImageWriter::count_entry(const std::string& path) {
    if (++files_ > kImageFilesMax) return Error(Errc::invalid, "too many entries, at \"" + printable(path) + "\"");
    return {};
}

Result<UniqueFd> ImageWriter::open_or_make_directory(const std::string& path) {
    if (path.empty()) {
        UniqueFd root(::openat(root_.get(), ".", kDirectoryFlags | O_CLOEXEC));
        if (!root) return system_error("open the zone's root", errno);
        return root;
    }
    auto found = open_beneath(root_.get(), path, kDirectoryFlags);
    if (found) return found;
    if (found.error().system_error() != ENOENT) return refused(path, "open", found.error().system_error());
    ZF_TRY(const UniqueFd above, open_or_make_directory(std::string(parent_path(path))));
    if (::mkdirat(above.get(), std::string(last_part(path)).c_str(), 0700) != 0) {
        return refused(path, "make directory", errno);
    }
    if (directories_.size() >= kImageDirectoriesMax) return Error(Errc::invalid, "too many directories");
    if (directories_.try_emplace(path).second) ZF_TRY_STATUS(keep(path, path.size()));
    return open_beneath(root_.get(), path, kDirectoryFlags);
}

Result<int> ImageWriter::parent_of(const std::string& path) {
    const std::string_view wanted = parent_path(path);
    if (!parent_ || wanted != parent_path_) {
        ZF_TRY(parent_, open_or_make_directory(std::string(wanted)));
        parent_path_ = wanted;
    }
    return parent_.get();
}

Status ImageWriter::keep(const std::string& path, std::size_t bytes) {
    kept_bytes_ += bytes;
    if (kept_bytes_ <= kImageDirectoryBytesMax) return {};
    return Error(Errc::invalid, "names and attributes of the image's directories are more than " +
                                    format_bytes(kImageDirectoryBytesMax) + ", at entry \"" + printable(path) + "\"");
}

Status ImageWriter::directory(const std::string& path, EntryMetadata metadata) {
    ZF_TRY_STATUS(count_entry(path));
    ZF_TRY(const UniqueFd made, open_or_make_directory(path));
    DirectoryRecord& record = directories_[path];
    if (record.given) return refused(path, "make directory", EEXIST);
    std::size_t bytes = 0;
    for (const ImageXattr& xattr : metadata.xattrs) bytes += xattr.name.size() + xattr.value.size();
    ZF_TRY_STATUS(keep(path, bytes));
    record = {std::move(metadata), true};
    return {};
}

Result<UniqueFd> ImageWriter::begin_file(const std::string& path) {
    ZF_TRY_STATUS(count_entry(path));
    ZF_TRY(const int parent, parent_of(path));
    UniqueFd file(::openat(parent, std::string(last_part(path)).c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return refused(path, "make", errno);
    return file;
}

Result<UniqueFd> ImageWriter::reopen_empty_file(const std::string& path) {
    auto file = open_beneath(root_.get(), path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file) return refused(path, "open", file.error().system_error());
    ZF_TRY(const struct stat info, stat_fd(file->get()));
    if (!S_ISREG(info.st_mode)) return refused(path, "write", EEXIST);
    return info.st_size == 0 ? *std::move(file) : UniqueFd();
}

Status ImageWriter::spend(const std::string& path, std::uint64_t bytes) {
    if (bytes > budget_bytes_) {
        return Error(Errc::no_space,
                     "the zonepath's file system has no room for the image, at entry \"" + printable(path) + "\"")
            .remedy("use a smaller image, or a zonepath on a larger file system");
    }
    budget_bytes_ -= bytes;
    bytes_ += bytes;
    return {};
}

Status ImageWriter::finish_file(const std::string& path, UniqueFd file, const EntryMetadata& metadata) {
    EntryMetadata now = metadata;
    if ((metadata.attributes.flags & kFileFlagsFreezing) != 0) {
        to_freeze_.emplace_back(path, metadata.attributes);
        now.attributes.flags &= ~kFileFlagsFreezing;
    }
    Status done = apply(file.get(), now);
    if (!done) return std::move(done).error().during("the entry \"" + printable(path) + "\"");
    return {};
}

Status ImageWriter::symlink(const std::string& path, const std::string& target, const EntryMetadata& metadata) {
    ZF_TRY_STATUS(count_entry(path));
    if (target.empty() || target.size() > kImagePathBytesMax || target.find('\0') != std::string::npos) {
        return Error(Errc::invalid, "the link \"" + printable(path) + "\" has an impossible target: refused");
    }
    ZF_TRY(const int parent, parent_of(path));
    const std::string name(last_part(path));
    if (::symlinkat(target.c_str(), parent, name.c_str()) != 0) return refused(path, "make the link", errno);
    return apply_to_name(parent, name, metadata, true);
}

Status ImageWriter::hard_link(const std::string& path, const std::string& existing) {
    ZF_TRY_STATUS(count_entry(path));
    const auto refuse = [&] {
        return Error(Errc::invalid, "the entry \"" + printable(path) + "\" is a hard link to \"" + printable(existing) +
                                        "\", which is not in the image before it: refused");
    };
    UniqueFd source_parent;
    if (const std::string above(parent_path(existing)); above.empty()) {
        source_parent = UniqueFd(::fcntl(root_.get(), F_DUPFD_CLOEXEC, 0));
    } else if (auto opened = open_beneath(root_.get(), above, kDirectoryFlags); opened) {
        source_parent = *std::move(opened);
    } else {
        return refuse();
    }
    struct stat info {};
    const std::string source(last_part(existing));
    if (source.empty() || ::fstatat(source_parent.get(), source.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        S_ISDIR(info.st_mode)) {
        return refuse();
    }
    ZF_TRY(const int parent, parent_of(path));
    if (::linkat(source_parent.get(), source.c_str(), parent, std::string(last_part(path)).c_str(), 0) != 0) {
        return refused(path, "link", errno);
    }
    return {};
}

Status ImageWriter::fifo(const std::string& path, const EntryMetadata& metadata) {
    ZF_TRY_STATUS(count_entry(path));
    ZF_TRY(const int parent, parent_of(path));
    const std::string name(last_part(path));
    if (::mkfifoat(parent, name.c_str(), 0600) != 0) return refused(path, "make the fifo", errno);
    return apply_to_name(parent, name, metadata, false);
}

Status ImageWriter::special(const std::string& path, mode_t type, dev_t device, const EntryMetadata& metadata) {
    ZF_TRY_STATUS(count_entry(path));
    ZF_TRY(const int parent, parent_of(path));
    const std::string name(last_part(path));
    if (::mknodat(parent, name.c_str(), (type & S_IFMT) | 0600, device) != 0)
        return refused(path, "make the device", errno);
    return apply_to_name(parent, name, metadata, false);
}

bool ImageWriter::contains(const std::string& path) const {
    if (path.empty()) return true;
    return open_beneath(root_.get(), path, O_PATH | O_NOFOLLOW).has_value();
}

Status ImageWriter::text_file(const std::string& path, std::string_view content, mode_t permissions) {
    ZF_TRY_STATUS(spend(path, content.size()));
    ZF_TRY(UniqueFd file, begin_file(path));
    ZF_TRY_STATUS(write_all(file.get(), as_bytes(content)));
    EntryMetadata metadata;
    metadata.permissions = permissions;
    if (::clock_gettime(CLOCK_REALTIME, &metadata.modified) != 0) return system_error("read the clock", errno);
    return finish_file(path, std::move(file), metadata);
}

// A frozen file can be given no further name, so this waits for all of them.
Status ImageWriter::freeze_files() {
    for (const auto& [path, attributes] : to_freeze_) {
        auto file = open_beneath(root_.get(), path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        if (!file) return refused(path, "open", file.error().system_error());
        Status done = apply_attributes(file->get(), attributes);
        if (!done) return std::move(done).error().during("the entry \"" + printable(path) + "\"");
    }
    to_freeze_.clear();
    return {};
}

Status ImageWriter::finish() {
    parent_.reset();
    ZF_TRY_STATUS(freeze_files());
    timespec now{};
    if (::clock_gettime(CLOCK_REALTIME, &now) != 0) return system_error("read the clock", errno);
    // Children sort after their parents: from the back, so that a parent is closed when its children are done.
    for (auto at = directories_.rbegin(); at != directories_.rend(); ++at) {
        if (!at->second.given) at->second.metadata.modified = now;
        ZF_TRY(const UniqueFd directory, open_or_make_directory(at->first));
        Status done = apply(directory.get(), at->second.metadata);
        if (!done) return std::move(done).error().during("the directory \"" + printable(at->first) + "\"");
    }
    directories_.clear();
    kept_bytes_ = 0;
    return {};
}

Status ImageWriter::set_xattr(const std::string& path, const ImageXattr& xattr) {
    auto entry = open_beneath(root_.get(), path.empty() ? "." : path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!entry) return refused(path, "open", entry.error().system_error());
    if (::fsetxattr(entry->get(), xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0) {
        return refused(path, "set the attribute " + printable(xattr.name) + " of", errno);
    }
    return {};
}

Status ImageWriter::sync() const {
    if (::syncfs(root_.get()) != 0) return system_error("sync the zonepath's file system", errno);
    return {};
}

}  // namespace zoneferry
