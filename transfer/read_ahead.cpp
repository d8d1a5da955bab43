#include "transfer/read_ahead.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>

#include "core/base/files.h"
#include "transfer/page_cache.h"
#include "transfer/reading.h"

namespace zoneferry {

std::size_t names_passed(const TreePath& directory, const std::vector<std::string>& names, const TreePath& walk) {
    const auto [ours, theirs] = std::mismatch(directory.begin(), directory.end(), walk.begin(), walk.end());
    if (theirs == walk.end()) return 0;  // it comes here next
    if (ours != directory.end()) return *ours < *theirs ? names.size() : 0;
    return static_cast<std::size_t>(std::lower_bound(names.begin(), names.end(), *theirs) - names.begin());
}

std::uint64_t blocks_read_by_thread() {
    rusage usage{};
    return ::getrusage(RUSAGE_THREAD, &usage) == 0 ? static_cast<std::uint64_t>(usage.ru_inblock) : 0;
}

ReadAhead::ReadAhead(int root, ReadAheadOptions options) : root_(root), options_(std::move(options)) {}

ReadAhead::~ReadAhead() {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
    changed_.notify_all();
}

bool ReadAhead::is_resting() const {
    const std::lock_guard lock(mutex_);
    return is_resting_;
}

std::uint64_t ReadAhead::entries_ahead() const {
    const std::lock_guard lock(mutex_);
    return ahead_.entries;
}

void ReadAhead::walk_is_at(const std::function<TreePath()>& path, std::uint64_t entries, std::uint64_t bytes,
                           std::uint64_t blocks) {
    const bool waited = blocks - blocks_ >= kColdBlocks;
    blocks_ = blocks;
    const std::lock_guard lock(mutex_);
    ahead_.entries -= std::min(ahead_.entries, entries - walked_.entries);
    ahead_.bytes -= std::min(ahead_.bytes, bytes - walked_.bytes);
    walked_ = {entries, bytes};
    if (is_resting_ && !waited) return;
    walk_ = path();
    if (is_resting_) begin();
    changed_.notify_all();
}

// With the lock held.
void ReadAhead::begin() {
    auto top = std::make_shared<Listing>();
    top->fd = UniqueFd(::fcntl(root_, F_DUPFD_CLOEXEC, 0));
    auto names = list_directory_fd(root_);
    if (!top->fd || !names) return;
    top->names = *std::move(names);
    listings_ = {top};
    names_held_ = top->names.size();
    ahead_ = {};
    names_without_a_read_ = 0;
    is_resting_ = false;
    while (threads_.size() < options_.readers) {
        threads_.emplace_back([this] {
            options_.begin_thread();
            read_all();
        });
    }
}

bool ReadAhead::may_go_on() const {
    return !is_resting_ && !listings_.empty() && ahead_.entries < kAheadEntriesMax && ahead_.bytes < kAheadBytesMax;
}

// The listing whose next name is the next of all; null: none is left. With the lock held.
std::shared_ptr<ReadAhead::Listing> ReadAhead::next_listing() {
    std::erase_if(listings_, [this](const std::shared_ptr<Listing>& listing) {
        listing->next = std::max(listing->next, names_passed(listing->path, listing->names, walk_));
        const bool is_done = listing->next == listing->names.size();
        if (is_done) names_held_ -= listing->names.size();
        return is_done;
    });
    const auto comes_before = [](const std::shared_ptr<Listing>& a, const std::shared_ptr<Listing>& b) {
        const auto [in_a, in_b] = std::mismatch(a->path.begin(), a->path.end(), b->path.begin(), b->path.end());
        const std::string& next_a = in_a == a->path.end() ? a->names[a->next] : *in_a;
        const std::string& next_b = in_b == b->path.end() ? b->names[b->next] : *in_b;
        return next_a < next_b;
    };
    const auto found = std::min_element(listings_.begin(), listings_.end(), comes_before);
    return found == listings_.end() ? nullptr : *found;
}

void ReadAhead::read_all() {
    std::uint64_t blocks = blocks_read_by_thread();
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return has_ended_ || may_go_on(); });
        if (has_ended_) return;
        const std::shared_ptr<Listing> listing = next_listing();
        if (!listing) continue;
        const std::string& name = listing->names[listing->next++];
        ++ahead_.entries;
        lock.unlock();
        const std::uint64_t bytes = read_entry(*listing, name);
        const std::uint64_t blocks_now = blocks_read_by_thread();
        lock.lock();
        ahead_.bytes += bytes;
        names_without_a_read_ = blocks_now == blocks ? names_without_a_read_ + 1 : 0;
        blocks = blocks_now;
        if (names_without_a_read_ < kRestAfter) continue;
        is_resting_ = true;
        listings_.clear();
    }
}

// The size of a file, as the walk counts it.
std::uint64_t ReadAhead::read_entry(const Listing& listing, const std::string& name) {
    if (is_excluded(listing, name)) return 0;
    const auto stat = stat_entry(listing.fd.get(), name);
    if (!stat || stat->is_mount_point) return 0;
    if (S_ISDIR(stat->mode)) enter(listing, name);
    if (!S_ISREG(stat->mode)) return 0;
    if (options_.with_data && stat->size > 0 && stat->size < kCacheFileBytesMin) {
        const auto file = open_to_read(listing.fd.get(), name, 0);
        if (file) (void)::posix_fadvise(file->get(), 0, static_cast<off_t>(stat->size), POSIX_FADV_WILLNEED);
    }
    return stat->size;
}

void ReadAhead::enter(const Listing& parent, const std::string& name) {
    if (parent.path.size() >= kAheadDepthMax) return;
    auto inner = std::make_shared<Listing>();
    auto fd = open_to_read(parent.fd.get(), name, O_DIRECTORY);
    if (!fd) return;
    auto names = list_directory_fd(fd->get());
    if (!names || names->empty()) return;
    inner->path = parent.path;
    inner->path.push_back(name);
    inner->fd = *std::move(fd);
    inner->names = *std::move(names);
    const std::lock_guard lock(mutex_);
    if (is_resting_ || names_held_ + inner->names.size() > kAheadNamesMax) return;
    names_held_ += inner->names.size();
    listings_.push_back(std::move(inner));
    changed_.notify_all();
}

bool ReadAhead::is_excluded(const Listing& listing, const std::string& name) const {
    std::string path;
    for (const std::string& component : listing.path) path += component + "/";
    path += name;
    return std::find(options_.excluded.begin(), options_.excluded.end(), path) != options_.excluded.end();
}

}  // namespace zoneferry
