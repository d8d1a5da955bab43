#include "transfer/writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {

TreeWriter::TreeWriter(UniqueFd staging, DevicePolicy devices, std::vector<std::string> preserved)
    : devices_(devices), preserved_(std::move(preserved)) {
    root_ = UniqueFd(::fcntl(staging.get(), F_DUPFD_CLOEXEC, 3));
    ZF_CHECK(root_.get() >= 0);
    levels_.push_back({std::move(staging), {}, false});
}

Error TreeWriter::naming(Error error, std::string_view name) const {
    std::string path;
    for (const Level& level : levels_) {
        if (!level.name.empty()) path += level.name + "/";
    }
    path += name;
    return Error(std::move(error).during("writing " + printable(path.empty() ? "." : path)));
}

Status TreeWriter::clear() {
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(top()));
    for (const std::string& name : names) {
        if (std::find(preserved_.begin(), preserved_.end(), name) != preserved_.end()) continue;
        if (auto gone = remove_tree_at(top(), name); !gone) return naming(std::move(gone).error(), name);
    }
    return {};
}

// Frees the name; what has it, goes.
Status TreeWriter::make_place(const std::string& name) {
    if (levels_.back().is_new) return {};
    auto gone = remove_tree_at(top(), name);
    if (!gone) return naming(std::move(gone).error(), name);
    return {};
}

Status TreeWriter::enter(const EnterRecord& record) {
    std::string name(record.name);
    if (record.fresh) {
        ZF_TRY_STATUS(make_place(name));
        if (::mkdirat(top(), name.c_str(), 0700) != 0) return naming(system_error("make directory", errno), name);
    }
    auto fd = open_beneath(top(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd) {
        return naming(std::move(fd).error().remedy("what was received before is no longer as it was: start afresh"),
                      name);
    }
    levels_.push_back({*std::move(fd), std::move(name), record.fresh});
    return {};
}

Status TreeWriter::leave(const LeaveRecord& record) {
    auto done = apply_metadata(top(), record.metadata, true);
    if (!done) return naming(std::move(done).error(), "");
    if (levels_.size() > 1) levels_.pop_back();
    return {};
}

Status TreeWriter::file(const FileRecord& record) {
    file_name_ = record.name;
    file_size_ = record.size;
    file_metadata_ = record.metadata;
    file_xattrs_.clear();
    file_xattrs_.reserve(record.metadata.xattrs.size());
    for (std::size_t i = 0; i < record.metadata.xattrs.size(); ++i) {
        const Xattr& xattr = record.metadata.xattrs[i];
        file_xattrs_.emplace_back(xattr.name, ByteVector(xattr.value.begin(), xattr.value.end()));
        file_metadata_.xattrs[i] = {file_xattrs_[i].first, file_xattrs_[i].second};
    }
    if (!record.continued) {
        ZF_TRY_STATUS(make_place(file_name_));
        file_ =
            UniqueFd(::openat(top(), file_name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file_) return naming(system_error("make file", errno), file_name_);
        return {};
    }
    auto fd = open_beneath(top(), file_name_, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!fd) return naming(std::move(fd).error(), file_name_);
    ZF_TRY(const struct stat info, stat_fd(fd->get()));
    if (!S_ISREG(info.st_mode)) {
        return naming(Error(Errc::protocol, "there is no file here to continue"), file_name_);
    }
    file_ = *std::move(fd);
    // Longer: data that was never acknowledged; holes must be holes again. Shorter: [.., start) ends in a hole.
    if (::ftruncate(file_.get(), static_cast<off_t>(record.start)) != 0) {
        return naming(system_error("truncate", errno), file_name_);
    }
    return {};
}

Status TreeWriter::data(const DataRecord& record) {
    ConstBytes bytes = record.bytes;
    auto offset = static_cast<off_t>(record.offset);
    while (!bytes.empty()) {
        const ssize_t wrote = ::pwrite(file_.get(), bytes.data(), bytes.size(), offset);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return naming(system_error("write", errno), file_name_);
        bytes = bytes.subspan(static_cast<std::size_t>(wrote));
        offset += wrote;
    }
    return {};
}

Status TreeWriter::file_end() {
    const UniqueFd fd = std::move(file_);
    if (::ftruncate(fd.get(), static_cast<off_t>(file_size_)) != 0) {
        return naming(system_error("set the size", errno), file_name_);
    }
    auto done = apply_metadata(fd.get(), file_metadata_, !levels_.back().is_new);
    if (!done) return naming(std::move(done).error(), file_name_);
    return {};
}

// To anything but a directory: what linkat would follow or not matters for symlinks only, and without
// AT_SYMLINK_FOLLOW it links the symlink itself. The target's directory is reached without links, below staging.
Status TreeWriter::link(const LinkRecord& record) {
    const std::string name(record.name);
    std::string directory;
    for (std::size_t i = 0; i + 1 < record.target.size(); ++i) directory += std::string(record.target[i]) + "/";
    auto from = open_beneath(root_.get(), directory.empty() ? "." : directory, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (!from) return naming(std::move(from).error().during("linking"), name);
    ZF_TRY_STATUS(make_place(name));
    const std::string last(record.target.back());
    if (::linkat(from->get(), last.c_str(), top(), name.c_str(), 0) != 0) {
        return naming(system_error("link to " + printable(directory + last), errno), name);
    }
    return {};
}

Status TreeWriter::symlink(const SymlinkRecord& record) {
    const std::string name(record.name);
    ZF_TRY_STATUS(make_place(name));
    if (::symlinkat(std::string(record.target).c_str(), top(), name.c_str()) != 0) {
        return naming(system_error("make symbolic link", errno), name);
    }
    auto done = apply_metadata_at(top(), name, S_IFLNK, record.metadata);
    if (!done) return naming(std::move(done).error(), name);
    return {};
}

Status TreeWriter::special(const SpecialRecord& record) {
    const std::string name(record.name);
    const bool device = S_ISCHR(record.format) || S_ISBLK(record.format);
    if (device && !may_travel(devices_, record.format, record.major, record.minor)) {
        return naming(Error(Errc::protocol, "a device " + std::to_string(record.major) + ":" +
                                                std::to_string(record.minor) + " may not travel"),
                      name);
    }
    ZF_TRY_STATUS(make_place(name));
    if (::mknodat(top(), name.c_str(), record.format | 0600U, makedev(record.major, record.minor)) != 0) {
        return naming(system_error("make special file", errno), name);
    }
    auto done = apply_metadata_at(top(), name, record.format, record.metadata);
    if (!done) return naming(std::move(done).error(), name);
    return {};
}

Status TreeWriter::remove(const RemoveRecord& record) {
    const std::string name(record.name);
    auto gone = remove_tree_at(top(), name);
    if (!gone) return naming(std::move(gone).error(), name);
    return {};
}

Status TreeWriter::sync() {
    if (::syncfs(root_.get()) != 0) return system_error("sync the staging file system", errno);
    return {};
}

}  // namespace zoneferry
