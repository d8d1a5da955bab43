#include "transfer/content_hash.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace zoneferry {
namespace {

constexpr std::size_t kItemsMax = 256;  // each may hold a descriptor
constexpr std::size_t kReadBytes = 256 * 1024;

Result<Digest> hash_content(int fd, std::uint64_t size, ByteVector& buffer) {
    Sha256 hash;
    std::uint64_t left = size;
    while (true) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return system_error("read", errno);
        if (static_cast<std::uint64_t>(got) > left || (got == 0 && left > 0)) {
            return Error(Errc::conflict, "a file changed its size while the tree was read");
        }
        if (got == 0) return hash.finish();
        left -= static_cast<std::uint64_t>(got);
        hash.update(ConstBytes(buffer).first(static_cast<std::size_t>(got)));
    }
}

}  // namespace

ContentHasher::ContentHasher(unsigned threads) {
    for (unsigned i = 0; i < std::clamp(threads, 1U, 64U); ++i) threads_.emplace_back([this] { hash_all(); });
}

ContentHasher::~ContentHasher() {
    const std::lock_guard lock(mutex_);
    waiting_.clear();
    ending_ = true;
    changed_.notify_all();
}

Status ContentHasher::add(ByteVector line, UniqueFd file, std::uint64_t size) {
    auto item = std::make_shared<Item>();
    item->line = std::move(line);
    item->is_done = !file;
    item->file = std::move(file);
    item->size = size;
    {
        const std::lock_guard lock(mutex_);
        items_.push_back(item);
        if (!item->is_done) {
            bytes_ += size;
            waiting_.push_back(std::move(item));
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
        const std::shared_ptr<Item> item = std::move(items_.front());
        items_.pop_front();
        digest_.update(item->line);
        if (!item->content) continue;
        if (!*item->content) return item->content->error();
        digest_.update(item->content->value());
    }
    return {};
}

void ContentHasher::hash_all() {
    ByteVector buffer(kReadBytes);
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        const std::shared_ptr<Item> item = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        Result<Digest> content = hash_content(item->file.get(), item->size, buffer);
        item->file.reset();
        lock.lock();
        item->content = std::move(content);
        item->is_done = true;
        changed_.notify_all();
    }
}

}  // namespace zoneferry
