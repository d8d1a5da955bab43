#include "transfer/content_hash.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "transfer/page_cache.h"

namespace zoneferry {
namespace {

constexpr std::size_t kItemsMax = 256;  // each may hold a descriptor
constexpr std::size_t kBlockBytes = 4096;
constexpr std::size_t kReadBytes = 64 * kBlockBytes;

bool is_zero(ConstBytes block) {
    return block.empty() ||
           (block[0] == std::byte{0} && std::memcmp(block.data(), block.data() + 1, block.size() - 1) == 0);
}

// Content without its zeros: of every longest run of blocks that are not all zero, its bytes, then where it starts and
// how long it is. A hole and a block of zeros are the same, and holes need not be read.
class SparseHash {
public:
    void update(std::uint64_t offset, ConstBytes bytes) {
        while (!bytes.empty()) {
            const ConstBytes block =
                bytes.first(std::min<std::size_t>(bytes.size(), kBlockBytes - offset % kBlockBytes));
            if (!is_zero(block)) {
                if (offset != run_end_) end_run();
                if (run_bytes_ == 0) run_start_ = offset;
                hash_.update(block);
                run_bytes_ += block.size();
                run_end_ = offset + block.size();
            }
            offset += block.size();
            bytes = bytes.subspan(block.size());
        }
    }
    Digest finish() {
        end_run();
        return hash_.finish();
    }

private:
    void end_run() {
        if (run_bytes_ == 0) return;
        std::array<std::byte, 16> run{};
        store_little_endian(run_start_, run.data());
        store_little_endian(run_bytes_, run.data() + 8);
        hash_.update(ConstBytes(run));
        run_bytes_ = 0;
    }
    Sha256 hash_;
    std::uint64_t run_start_ = 0;
    std::uint64_t run_end_ = 0;
    std::uint64_t run_bytes_ = 0;
};

Error size_changed() { return Error(Errc::conflict, "a file changed its size while the tree was read"); }

Result<Digest> hash_content(int fd, std::uint64_t size, ByteVector& buffer) {
    SparseHash hash;
    CacheGuest guest(fd, size);
    std::uint64_t position = 0;
    while (position < size) {
        const off_t data = ::lseek(fd, static_cast<off_t>(position), SEEK_DATA);
        if (data < 0 && errno == ENXIO) break;  // only a hole is left
        if (data > 0) position = static_cast<std::uint64_t>(data) / kBlockBytes * kBlockBytes;
        off_t hole = data < 0 ? -1 : ::lseek(fd, data, SEEK_HOLE);
        const std::uint64_t end = hole < 0 ? size : std::min(size, static_cast<std::uint64_t>(hole));
        while (position < end) {
            // Whole blocks up to the file's end, so that a block is judged as one.
            const std::uint64_t left = std::min<std::uint64_t>(size - position, buffer.size());
            const ssize_t got =
                ::pread(fd, buffer.data(), static_cast<std::size_t>(left), static_cast<off_t>(position));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return system_error("read", errno);
            if (static_cast<std::uint64_t>(got) != left) return size_changed();
            hash.update(position, ConstBytes(buffer).first(static_cast<std::size_t>(got)));
            position += left;
            guest.pass(position);
        }
    }
    ZF_TRY(const struct stat info, stat_fd(fd));
    if (static_cast<std::uint64_t>(info.st_size) != size) return size_changed();
    return hash.finish();
}

}  // namespace

ContentHasher::ContentHasher(unsigned threads, bool tolerate_changes, Listener listener)
    : tolerate_changes_(tolerate_changes), listener_(std::move(listener)) {
    for (unsigned i = 0; i < std::clamp(threads, 1U, 64U); ++i) threads_.emplace_back([this] { hash_all(); });
}

ContentHasher::~ContentHasher() {
    const std::lock_guard lock(mutex_);
    waiting_.clear();
    ending_ = true;
    changed_.notify_all();
}

Status ContentHasher::add(HashItem item) {
    auto slot = std::make_shared<Slot>();
    slot->is_done = !item.file;
    slot->item = std::move(item);
    {
        const std::lock_guard lock(mutex_);
        items_.push_back(slot);
        if (!slot->is_done) {
            bytes_read_ += slot->item.size;
            waiting_.push_back(std::move(slot));
            changed_.notify_all();
        }
    }
    return fold(kItemsMax);
}

Result<Digest> ContentHasher::finish() {
    ZF_TRY_STATUS(fold(0));
    return digest_.finish();
}

// Takes the finished items off the front; waits until at most so many are left.
Status ContentHasher::fold(std::size_t left) {
    std::unique_lock lock(mutex_);
    while (!items_.empty()) {
        if (!items_.front()->is_done) {
            if (items_.size() <= left) return {};
            changed_.wait(lock, [&] { return items_.front()->is_done; });
        }
        const std::shared_ptr<Slot> slot = std::move(items_.front());
        items_.pop_front();
        lock.unlock();
        ZF_TRY_STATUS(fold_one(*slot));
        lock.lock();
    }
    return {};
}

Status ContentHasher::fold_one(Slot& slot) {
    digest_.update(slot.item.head);
    std::optional<Digest> entry = slot.item.known;
    if (slot.content && !*slot.content) {
        return tolerate_changes_ && slot.content->error().code() == Errc::conflict ? Status() : slot.content->error();
    }
    if (slot.item.facts && !entry) {
        Sha256 hash;
        hash.update(*slot.item.facts);
        if (slot.content) hash.update(slot.content->value());
        entry = hash.finish();
    }
    if (entry) digest_.update(*entry);
    return listener_ ? listener_(std::move(slot.item.note), entry) : Status();
}

void ContentHasher::hash_all() {
    ByteVector buffer(kReadBytes);
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        const std::shared_ptr<Slot> slot = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        Result<Digest> content = hash_content(slot->item.file.get(), slot->item.size, buffer);
        slot->item.file.reset();
        lock.lock();
        slot->content = std::move(content);
        slot->is_done = true;
        changed_.notify_all();
    }
}

}  // namespace zoneferry
