#include "transfer/new_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "core/base/files.h"
#include "core/base/text.h"
#include "transfer/attributes.h"

namespace zoneferry {
namespace {

constexpr std::size_t kBatchFilesMax = 128;
constexpr mode_t kEveryBit = 07777;
constexpr mode_t kPlainBits = 0777;

// Asking the kernel would change it for a moment, for all threads. Unknown: every mode is set by itself.
mode_t own_umask() {
    const auto status = read_file("/proc/self/status", 64 * 1024);
    if (!status) return kEveryBit;
    constexpr std::string_view kField = "\nUmask:\t";
    const std::size_t at = status->find(kField);
    if (at == std::string::npos) return kEveryBit;
    mode_t value = kEveryBit;
    const char* const from = status->data() + at + kField.size();
    std::from_chars(from, status->data() + status->size(), value, 8);
    return value;
}

// Does its data cover it from begin to end? Otherwise it gets its size first: behind the end of a file that grows xfs
// allocates more than is written, and where a hole should be there would be zeros. (Data ascends, within the size:
// decoder.h.)
bool is_dense(const NewFile& file) {
    std::uint64_t bytes = 0;
    for (const DataRecord& record : file.data) bytes += record.bytes.size();
    return bytes == file.size;
}

Error naming(Error error, const HeldDirectory& directory, std::string_view name) {
    const std::string path = directory.path_of(name);
    return Error(std::move(error).during("writing " + printable(path.empty() ? "." : path)));
}

}  // namespace

std::string HeldDirectory::path_of(std::string_view entry) const {
    std::string path(entry);
    for (const HeldDirectory* level = this; level != nullptr && !level->name.empty(); level = level->parent.get()) {
        path = path.empty() ? level->name : level->name + "/" + path;
    }
    return path;
}

Status write_data(int fd, const DataRecord& record) {
    ConstBytes bytes = record.bytes;
    auto offset = static_cast<off_t>(record.offset);
    while (!bytes.empty()) {
        const ssize_t wrote = ::pwrite(fd, bytes.data(), bytes.size(), offset);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return system_error("write", errno);
        bytes = bytes.subspan(static_cast<std::size_t>(wrote));
        offset += wrote;
    }
    return {};
}

FileCrew::FileCrew(unsigned threads) : own_uid_(::geteuid()), own_gid_(::getegid()), umask_(own_umask()) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

FileCrew::~FileCrew() {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
}

// ---- the caller's side ----

void FileCrew::add(const std::shared_ptr<HeldDirectory>& directory, NewFile file) {
    if (next_.directory != directory || next_.files.size() >= kBatchFilesMax) publish();
    next_.directory = directory;
    next_.files.push_back(std::move(file));
    is_idle_ = false;
}

void FileCrew::publish() {
    if (next_.files.empty()) return;
    const std::lock_guard lock(mutex_);
    ++next_.directory->batches;
    queue_.push_back(std::move(next_));
    next_ = {};
    changed_.notify_one();
}

void FileCrew::leave(const std::shared_ptr<HeldDirectory>& directory, Metadata metadata) {
    publish();
    {
        const std::lock_guard lock(mutex_);
        directory->left = std::move(metadata);
        if (directory->batches > 0 || error_) return;
    }
    Status done = apply_left(*directory);
    const std::lock_guard lock(mutex_);
    if (!done && !error_) error_ = std::move(done).error();
}

Status FileCrew::wait() {
    publish();
    std::unique_lock lock(mutex_);
    while (!queue_.empty()) run(lock);
    changed_.wait(lock, [&] { return queue_.empty() && running_ == 0; });
    is_idle_ = true;
    return error_ ? Status(*error_) : Status();
}

// ---- the crew's ----

void FileCrew::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [&] { return ending_ || !queue_.empty(); });
        if (queue_.empty()) return;
        run(lock);
    }
}

// One batch off the queue; the lock is given back while it is written.
void FileCrew::run(std::unique_lock<std::mutex>& lock) {
    Batch batch = std::move(queue_.front());
    queue_.pop_front();
    ++running_;
    Status done;
    if (!error_) {
        lock.unlock();
        done = write(batch);
        lock.lock();
    }
    HeldDirectory& directory = *batch.directory;
    const bool is_last = --directory.batches == 0 && directory.left && done && !error_;
    if (is_last) {
        lock.unlock();
        done = apply_left(directory);
        lock.lock();
    }
    if (!done && !error_) error_ = std::move(done).error();
    if (--running_ == 0 && queue_.empty()) changed_.notify_all();
}

Status FileCrew::apply_left(HeldDirectory& directory) {
    auto done = apply_metadata(directory.fd.get(), *directory.left, true);
    if (!done) return naming(std::move(done).error(), directory, "");
    note(*done, directory, "");
    return {};
}

Status FileCrew::write(const Batch& batch) {
    for (const NewFile& file : batch.files) {
        if (Status done = write(*batch.directory, file); !done) {
            return naming(std::move(done).error(), *batch.directory, file.name);
        }
    }
    return {};
}

Status FileCrew::write(const HeldDirectory& directory, const NewFile& file) {
    const mode_t mode = file.metadata.mode;
    const bool has_mode =
        !directory.hands_down && file.metadata.xattrs.empty() && (mode & ~kPlainBits) == 0 && (mode & umask_) == 0;
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const UniqueFd fd(
        ::openat(directory.fd.get(), std::string(file.name).c_str(), kFlags, has_mode ? mode : mode_t{0600}));
    if (!fd) return system_error("make file", errno);
    ZF_TRY_STATUS(make_uncopied(fd.get(), file.metadata));
    if (!is_dense(file) && ::ftruncate(fd.get(), static_cast<off_t>(file.size)) != 0) {
        return system_error("set the size", errno);
    }
    for (const DataRecord& record : file.data) ZF_TRY_STATUS(write_data(fd.get(), record));
    return finish(fd.get(), directory, file, has_mode);
}

Status FileCrew::finish(int fd, const HeldDirectory& directory, const NewFile& file, bool has_mode) {
    const Metadata& metadata = file.metadata;
    if (!has_mode || metadata.flags != 0 || metadata.project != 0) {
        ZF_TRY(const FileAttributes left, apply_metadata(fd, metadata, directory.hands_down));
        note(left, directory, file.name);
        return {};
    }
    const bool has_owner = metadata.uid == own_uid_ && metadata.gid == own_gid_ && directory.gid == own_gid_;
    if (!has_owner && ::fchown(fd, metadata.uid, metadata.gid) != 0) return system_error("change the owner", errno);
    return set_mtime(fd, metadata);
}

void FileCrew::note(const FileAttributes& left, const HeldDirectory& directory, std::string_view name) {
    if (left == FileAttributes{}) return;
    const std::lock_guard lock(mutex_);
    if (left_.count++ == 0) left_.first = directory.path_of(name);
}

}  // namespace zoneferry
