#include "transfer/writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {

namespace {

// Might a new entry of this directory begin with something that its record does not know of?
bool hands_something_down(int directory) {
    const auto attributes = read_file_attributes(directory);
    if (!attributes || *attributes != FileAttributes{}) return true;
    const auto xattrs = read_xattrs(directory);
    return !xattrs || !xattrs->empty();
}

}  // namespace

RecordWriter::RecordWriter(UniqueFd staging, DevicePolicy devices, std::vector<std::string> preserved, unsigned threads)
    : devices_(devices), preserved_(std::move(preserved)), crew_(std::max(threads, 1U) - 1) {
    root_ = UniqueFd(::fcntl(staging.get(), F_DUPFD_CLOEXEC, 3));
    ZF_CHECK(root_.get() >= 0);
    thaw(root_.get());
    auto root = std::make_shared<HeldDirectory>();
    root->fd = std::move(staging);
    root->hands_down = hands_something_down(root->fd.get());
    struct stat info {};
    root->gid = ::fstat(root->fd.get(), &info) == 0 ? info.st_gid : static_cast<gid_t>(-1);
    levels_.push_back(std::move(root));
}

Error RecordWriter::naming(Error error, std::string_view name) const {
    const std::string path = levels_.back()->path_of(name);
    return Error(std::move(error).during("writing " + printable(path.empty() ? "." : path)));
}

Status RecordWriter::begin(const BeginRecord& record) {
    ZF_TRY_STATUS(remove_stash());  // of a pass that was cut off
    if (!record.clear) return {};
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(top()));
    for (const std::string& name : names) {
        if (std::find(preserved_.begin(), preserved_.end(), name) != preserved_.end()) continue;
        if (auto gone = remove_tree_at(top(), name); !gone) return naming(std::move(gone).error(), name);
    }
    return {};
}

// Frees the name; what has it, goes.
Status RecordWriter::make_place(const std::string& name) {
    if (levels_.back()->is_new) return {};
    auto gone = remove_tree_at(top(), name);
    if (!gone) return naming(std::move(gone).error(), name);
    return {};
}

Status RecordWriter::enter(const EnterRecord& record) {
    std::string name(record.name);
    const bool is_fresh = record.origin.is_fresh();
    if (record.origin.kind != Origin::Kind::here) ZF_TRY_STATUS(make_place(name));
    if (is_fresh && ::mkdirat(top(), name.c_str(), 0700) != 0) {
        return naming(system_error("make directory", errno), name);
    }
    if (record.origin.kind == Origin::Kind::path) ZF_TRY_STATUS(take_from_path(record.origin, name, true));
    if (record.origin.kind == Origin::Kind::stash) ZF_TRY_STATUS(take_from_stash(record.origin, name));
    auto fd = open_beneath(top(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd) {
        return naming(std::move(fd).error().remedy("what was received before is no longer as it was: start afresh"),
                      name);
    }
    if (!is_fresh) thaw(fd->get());
    ZF_TRY(const struct stat info, stat_fd(fd->get()));
    auto level = std::make_shared<HeldDirectory>();
    level->fd = *std::move(fd);
    level->name = std::move(name);
    level->parent = levels_.back();
    level->is_new = is_fresh;
    level->gid = info.st_gid;
    // What its parent has handed down to it, it hands down in turn.
    level->hands_down = (!is_fresh || level->parent->hands_down) && hands_something_down(level->fd.get());
    levels_.push_back(std::move(level));
    return {};
}

Status RecordWriter::leave(const LeaveRecord& record) {
    crew_.leave(levels_.back(), record.metadata);
    if (levels_.size() > 1) levels_.pop_back();
    return {};
}

// ---- what moves within the tree ----

// The directory that holds a path's last component, reached without links, below staging.
Result<UniqueFd> RecordWriter::directory_of(const std::vector<std::string_view>& path) {
    std::string directory;
    for (std::size_t i = 0; i + 1 < path.size(); ++i) directory += std::string(path[i]) + "/";
    return open_beneath(root_.get(), directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

// A directory is moved; a file gets a second name, and its old one goes or stays as the pass says when it gets there.
Status RecordWriter::take_from_path(const Origin& origin, const std::string& name, bool is_directory) {
    auto from = directory_of(origin.path);
    if (!from) return naming(std::move(from).error().during("moving"), name);
    const std::string last(origin.path.back());
    const auto take = [&] {
        return is_directory ? ::renameat2(from->get(), last.c_str(), top(), name.c_str(), RENAME_NOREPLACE)
                            : ::linkat(from->get(), last.c_str(), top(), name.c_str(), 0);
    };
    int taken = take();
    if (taken != 0 && errno == EPERM) {
        thaw(from->get());
        if (auto own = open_beneath(from->get(), last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)) thaw(own->get());
        taken = take();
    }
    if (taken != 0) return naming(system_error("take over " + printable(last), errno), name);
    return {};
}

Status RecordWriter::take_from_stash(const Origin& origin, const std::string& name) {
    const std::string number = std::to_string(origin.stash);
    if (!stash_ || ::renameat2(stash_.get(), number.c_str(), top(), name.c_str(), RENAME_NOREPLACE) != 0) {
        return naming(system_error("take back what was put aside", stash_ ? errno : ENOENT), name);
    }
    return {};
}

Status RecordWriter::stash(const StashRecord& record) {
    const std::string name(record.name);
    const std::string directory(kStashDirectory);
    const std::string number = std::to_string(stashed_++);
    if (!stash_) {
        if (::mkdirat(root_.get(), directory.c_str(), 0700) != 0) {
            return naming(system_error("make a place to put aside", errno), name);
        }
        auto made = open_beneath(root_.get(), directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!made) return naming(std::move(made).error(), name);
        stash_ = *std::move(made);
    }
    const auto put = [&] { return ::renameat2(top(), name.c_str(), stash_.get(), number.c_str(), RENAME_NOREPLACE); };
    int done = put();
    if (done != 0 && errno == EPERM) {
        if (auto own = open_beneath(top(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)) thaw(own->get());
        done = put();
    }
    if (done != 0 && errno != ENOENT) return naming(system_error("put aside", errno), name);
    return {};
}

// Leaves no trace in the root's time, which may be set already.
Status RecordWriter::remove_stash() {
    struct stat present {};
    const std::string name(kStashDirectory);
    if (::fstatat(root_.get(), name.c_str(), &present, AT_SYMLINK_NOFOLLOW) != 0) return {};
    ZF_TRY(const struct stat root, stat_fd(root_.get()));
    if (auto gone = remove_tree_at(root_.get(), name); !gone) return naming(std::move(gone).error(), "");
    const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, root.st_mtim};
    if (::futimens(root_.get(), times.data()) != 0) return naming(system_error("set the times", errno), "");
    return {};
}

Status RecordWriter::end() {
    ZF_TRY_STATUS(crew_.wait());
    if (!stash_) return {};
    stash_.reset();
    return remove_stash();
}

// ---- files ----

void RecordWriter::copy_metadata(const Metadata& metadata) {
    file_metadata_ = metadata;
    file_xattrs_.clear();
    file_xattrs_.reserve(metadata.xattrs.size());
    for (std::size_t i = 0; i < metadata.xattrs.size(); ++i) {
        const XattrView& xattr = metadata.xattrs[i];
        file_xattrs_.emplace_back(xattr.name, ByteVector(xattr.value.begin(), xattr.value.end()));
        file_metadata_.xattrs[i] = {file_xattrs_[i].first, file_xattrs_[i].second};
    }
}

Status RecordWriter::file(const FileRecord& record) {
    if (!record.origin.is_fresh()) return begin_file(record);
    file_name_ = record.name;
    ZF_TRY_STATUS(make_place(file_name_));
    new_file_.emplace(NewFile{record.name, record.size, record.metadata, {}});
    return {};
}

// A file that goes on in the next segment, or that the target has already.
Status RecordWriter::begin_file(const FileRecord& record) {
    file_name_ = record.name;
    file_size_ = record.size;
    copy_metadata(record.metadata);
    file_is_new_ = record.origin.is_fresh();
    if (!file_is_new_) {
        if (record.origin.kind != Origin::Kind::here) ZF_TRY_STATUS(make_place(file_name_));
        if (record.origin.kind == Origin::Kind::path) ZF_TRY_STATUS(take_from_path(record.origin, file_name_, false));
        if (record.origin.kind == Origin::Kind::stash) ZF_TRY_STATUS(take_from_stash(record.origin, file_name_));
        ZF_TRY(file_, open_file_here(file_name_));
        if (file_size_ >= kCacheFileBytesMin) written_.begin(file_.get());
        return {};
    }
    file_ = UniqueFd(::openat(top(), file_name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file_) return naming(system_error("make file", errno), file_name_);
    auto set = make_uncopied(file_.get(), file_metadata_);
    if (!set) return naming(std::move(set).error(), file_name_);
    // First of all, so that what is a hole stays one (new_files.cpp).
    if (::ftruncate(file_.get(), static_cast<off_t>(file_size_)) != 0) {
        return naming(system_error("set the size", errno), file_name_);
    }
    if (file_size_ >= kCacheFileBytesMin) written_.begin(file_.get());
    return {};
}

Status RecordWriter::go_on_by_itself() {
    if (!new_file_) return {};
    const NewFile begun = *std::exchange(new_file_, std::nullopt);
    ZF_TRY_STATUS(begin_file({Origin{}, begun.size, begun.metadata, begun.name}));
    for (const DataRecord& record : begun.data) ZF_TRY_STATUS(data(record));
    return {};
}

Status RecordWriter::flush() {
    Status kept = go_on_by_itself();
    Status written = crew_.wait();
    return written ? kept : written;
}

Result<UniqueFd> RecordWriter::open_file_here(const std::string& name) {
    const auto open = [&](int flags) { return open_beneath(top(), name, flags | O_NOFOLLOW | O_NONBLOCK); };
    auto fd = open(O_WRONLY);
    if (!fd && fd.error().system_error() == EPERM) {
        if (auto frozen = open(O_RDONLY)) thaw(frozen->get());
        fd = open(O_WRONLY);
    }
    if (!fd) return naming(std::move(fd).error(), name);
    ZF_TRY(const struct stat info, stat_fd(fd->get()));
    if (!S_ISREG(info.st_mode)) return naming(Error(Errc::protocol, "there is no file here to go on with"), name);
    return fd;
}

Status RecordWriter::data(const DataRecord& record) {
    if (new_file_) {
        new_file_->data.push_back(record);
        return {};
    }
    if (Status done = write_data(file_.get(), record); !done) return naming(std::move(done).error(), file_name_);
    return {};
}

// Behind the file's present end there is nothing to fill: growing makes a hole. The block that the file ends in is
// zeroed by a hole up to that end, and given back by one that reaches further.
Status RecordWriter::hole(const HoleRecord& record) {
    constexpr std::uint64_t kBlockBytesMost = 64 * 1024;
    const std::uint64_t further = record.offset + record.length == file_size_ ? kBlockBytesMost : 0;
    if (::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(record.offset),
                    static_cast<off_t>(record.length + further)) == 0) {
        return {};
    }
    if (errno != EOPNOTSUPP) return naming(system_error("make a hole", errno), file_name_);
    ZF_TRY(const struct stat info, stat_fd(file_.get()));
    const auto present = static_cast<std::uint64_t>(info.st_size);
    const std::uint64_t length = record.offset < present ? std::min(record.length, present - record.offset) : 0;
    static const ByteVector zeros(kDataBytesMax);
    for (std::uint64_t done = 0; done < length;) {
        const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(zeros.size(), length - done));
        ZF_TRY_STATUS(data({record.offset + done, ConstBytes(zeros).first(bytes)}));
        done += bytes;
    }
    return {};
}

Status RecordWriter::file_end() {
    if (new_file_) {
        crew_.add(levels_.back(), *std::exchange(new_file_, std::nullopt));
        return {};
    }
    const UniqueFd fd = std::move(file_);
    if (file_size_ >= kCacheFileBytesMin) written_.end();
    if (!file_is_new_ && ::ftruncate(fd.get(), static_cast<off_t>(file_size_)) != 0) {
        return naming(system_error("set the size", errno), file_name_);
    }
    auto done = apply_metadata(fd.get(), file_metadata_, !file_is_new_ || levels_.back()->hands_down);
    if (!done) return naming(std::move(done).error(), file_name_);
    note_left(*done, file_name_);
    return {};
}

void RecordWriter::note_left(const FileAttributes& left, std::string_view name) {
    if (left == FileAttributes{}) return;
    if (left_count_++ == 0) left_first_ = levels_.back()->path_of(name);
}

std::vector<std::string> RecordWriter::notes() const {
    const FileCrew::Left& crews = crew_.left();
    const std::uint64_t count = left_count_ + crews.count;
    if (count == 0) return {};
    const std::string& first = left_count_ > 0 ? left_first_ : crews.first;
    return {
        "file attributes (immutable, append-only, project ...) that this file system does not have were left out, " +
        std::to_string(count) + " times; first: " + printable(first.empty() ? "." : first)};
}

// To anything but a directory: what linkat would follow or not matters for symlinks only, and without
// AT_SYMLINK_FOLLOW it links the symlink itself.
Status RecordWriter::link(const LinkRecord& record) {
    const std::string name(record.name);
    ZF_TRY_STATUS(crew_.wait());  // what it is a name of may be under way
    auto from = directory_of(record.target);
    if (!from) return naming(std::move(from).error().during("linking"), name);
    ZF_TRY_STATUS(make_place(name));
    const std::string last(record.target.back());
    if (::linkat(from->get(), last.c_str(), top(), name.c_str(), 0) == 0) return {};
    if (errno != EPERM) return naming(system_error("link to " + printable(last), errno), name);
    // An immutable inode takes no new name: thawed for a moment.
    auto own = open_beneath(from->get(), last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!own) return naming(std::move(own).error().during("linking"), name);
    ZF_TRY(const FileAttributes frozen, read_file_attributes(own->get()));
    thaw(own->get());
    if (::linkat(from->get(), last.c_str(), top(), name.c_str(), 0) != 0) {
        return naming(system_error("link to " + printable(last), errno), name);
    }
    auto again = apply_file_attributes(own->get(), frozen);
    return again ? Status() : Status(naming(std::move(again).error(), name));
}

Status RecordWriter::symlink(const SymlinkRecord& record) {
    const std::string name(record.name);
    ZF_TRY_STATUS(make_place(name));
    if (::symlinkat(std::string(record.target).c_str(), top(), name.c_str()) != 0) {
        return naming(system_error("make symbolic link", errno), name);
    }
    auto done = apply_metadata_at(top(), name, S_IFLNK, record.metadata);
    if (!done) return naming(std::move(done).error(), name);
    return {};
}

Status RecordWriter::special(const SpecialRecord& record) {
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

Status RecordWriter::remove(const RemoveRecord& record) {
    const std::string name(record.name);
    auto gone = remove_tree_at(top(), name);
    if (!gone) return naming(std::move(gone).error(), name);
    return {};
}

Status RecordWriter::sync() {
    written_.before_sync();
    if (::syncfs(root_.get()) != 0) return system_error("sync the staging file system", errno);
    written_.after_sync();
    return {};
}

}  // namespace zoneferry
