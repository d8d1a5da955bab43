#include "agent/move_board.h"

#include <chrono>
#include <utility>

namespace zoneferry {

void MoveBoard::publish(MoveNews news) {
    const std::lock_guard guard(mutex_);
    news.seq = ++last_seq_;
    std::deque<MoveNews>& list = news_[news.move_id];
    // Progress replaces progress: a slow watcher sees the newest, and memory does not grow with time.
    const bool replaces =
        news.type == MoveNews::Type::progress && !list.empty() && list.back().type == MoveNews::Type::progress;
    if (replaces) list.pop_back();
    list.push_back(std::move(news));
    if (list.size() > kNewsMax) list.pop_front();
    changed_.notify_all();
}

std::vector<MoveNews> MoveBoard::wait(const std::string& move_id, std::uint64_t after, int timeout_ms) {
    std::unique_lock lock(mutex_);
    const auto has_news = [&] {
        const auto found = news_.find(move_id);
        return closed_ || (found != news_.end() && !found->second.empty() && found->second.back().seq > after);
    };
    changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), has_news);
    std::vector<MoveNews> fresh;
    if (const auto found = news_.find(move_id); found != news_.end()) {
        for (const MoveNews& item : found->second) {
            if (item.seq > after) fresh.push_back(item);
        }
    }
    return fresh;
}

std::optional<MoveNews> MoveBoard::latest(const std::string& move_id) const {
    const std::lock_guard guard(mutex_);
    const auto found = news_.find(move_id);
    if (found == news_.end() || found->second.empty()) return std::nullopt;
    return found->second.back();
}

void MoveBoard::close() {
    const std::lock_guard guard(mutex_);
    closed_ = true;
    changed_.notify_all();
}

bool MoveBoard::is_closed() const {
    const std::lock_guard guard(mutex_);
    return closed_;
}

}  // namespace zoneferry
