#include "transfer/stat_ahead.h"

#include <fcntl.h>

#include <algorithm>

#include "core/base/files.h"
#include "transfer/reading.h"

namespace zoneferry {
namespace {

EntryStats stats_of(int directory, const std::vector<std::string>& names, std::size_t begin, std::size_t end) {
    EntryStats stats(end - begin);
    for (std::size_t i = begin; i < end; ++i) {
        if (auto stat = stat_entry(directory, names[i])) stats[i - begin] = *stat;
    }
    return stats;
}

}  // namespace

unsigned stat_threads_default() { return std::clamp(std::thread::hardware_concurrency(), 1U, kStatThreadsMax + 1) - 1; }

StatAhead::StatAhead(unsigned threads, std::function<void()> begin_thread)
    : thread_count_(threads), begin_thread_(std::move(begin_thread)) {}

StatAhead::~StatAhead() {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
    waiting_.clear();
    posted_.notify_all();
}

bool StatAhead::post(std::shared_ptr<Job> job) {
    if (jobs_ == kJobsMax) return false;
    ++jobs_;
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(job));
    }
    posted_.notify_one();
    while (threads_.size() < thread_count_) {
        threads_.emplace_back([this] {
            begin_thread_();
            help();
        });
    }
    return true;
}

void StatAhead::help() {
    std::unique_lock lock(mutex_);
    while (true) {
        posted_.wait(lock, [this] { return has_ended_ || !waiting_.empty(); });
        if (has_ended_) return;
        const std::shared_ptr<Job> job = next_job();
        work_on(*job, lock);
    }
}

std::shared_ptr<StatAhead::Job> StatAhead::next_job() {
    std::shared_ptr<Job> job = std::move(waiting_.front());
    waiting_.pop_front();
    return job;
}

// The lock is held before and after.
void StatAhead::work_on(Job& job, std::unique_lock<std::mutex>& lock) {
    job.state_ = Job::State::running;
    lock.unlock();
    job.work();
    lock.lock();
    job.state_ = Job::State::done;
    done_.notify_all();
}

void StatAhead::finish(const std::shared_ptr<Job>& job) {
    std::unique_lock lock(mutex_);
    if (job->state_ == Job::State::waiting) {
        std::erase(waiting_, job);
        work_on(*job, lock);
    }
    while (job->state_ != Job::State::done) {
        if (waiting_.empty()) {
            done_.wait(lock);
        } else {
            const std::shared_ptr<Job> other = next_job();
            work_on(*other, lock);
        }
    }
    --jobs_;
}

void StatAhead::drop(const std::shared_ptr<Job>& job) {
    const std::lock_guard lock(mutex_);
    std::erase(waiting_, job);
    --jobs_;
}

// Jobs may outlive the walk's stay in the directory: they have a descriptor of their own.
struct DirectoryAhead::Shared {
    UniqueFd fd;  // none before the first job is posted
    std::vector<std::string> names;
};

struct DirectoryAhead::Run : StatAhead::Job {
    Run(std::shared_ptr<const Shared> shared, std::size_t first, std::size_t behind)
        : directory(std::move(shared)), begin(first), end(behind) {}
    void work() override { stats = stats_of(directory->fd.get(), directory->names, begin, end); }

    std::shared_ptr<const Shared> directory;
    std::size_t begin;
    std::size_t end;
    EntryStats stats;
};

struct DirectoryAhead::Inner : StatAhead::Job {
    Inner(std::shared_ptr<const Shared> shared, std::size_t at) : parent(std::move(shared)), index(at) {}
    // Whatever fails here is left to the walk.
    void work() override {
        const auto fd = open_to_read(parent->fd.get(), parent->names[index], O_DIRECTORY);
        if (!fd) return;
        const auto own = stat_entry(fd->get(), "");
        if (!own || own->size > kInnerBytesMax) return;
        auto names = list_directory_fd(fd->get());
        if (!names) return;
        listing.names = *std::move(names);
        listing.stats = stats_of(fd->get(), listing.names, 0, std::min(kInnerNames, listing.names.size()));
        listing.inode = own->inode;
    }

    std::shared_ptr<const Shared> parent;
    std::size_t index;
    AheadListing listing;
};

DirectoryAhead::DirectoryAhead(StatAhead& helpers, int fd, AheadListing listing, bool looks_into)
    : helpers_(helpers),
      fd_(fd),
      looks_into_(looks_into),
      shared_(std::make_shared<Shared>()),
      stats_(std::move(listing.stats)),
      posted_end_(stats_.size()) {
    shared_->names = std::move(listing.names);
}

DirectoryAhead::~DirectoryAhead() {
    for (const auto& run : runs_) helpers_.drop(run);
    for (const auto& inner : inner_) helpers_.drop(inner);
}

const std::vector<std::string>& DirectoryAhead::names() const { return shared_->names; }

const EntryStat* DirectoryAhead::stat(std::size_t index) {
    while (index >= stats_begin_ + stats_.size()) next_run();
    look_into(index);
    const auto& stat = stats_[index - stats_begin_];
    return stat ? &*stat : nullptr;
}

void DirectoryAhead::next_run() {
    stats_begin_ += stats_.size();
    if (!runs_.empty()) {
        const std::shared_ptr<Run> run = std::move(runs_.front());
        runs_.pop_front();
        post_runs();
        helpers_.finish(run);
        stats_ = std::move(run->stats);
        return;
    }
    const std::size_t end = std::min(stats_begin_ + kRunNames, names().size());
    posted_end_ = end;
    post_runs();
    stats_ = stats_of(fd_, names(), stats_begin_, end);
}

void DirectoryAhead::post_runs() {
    while (posted_end_ < names().size() && runs_.size() < kRunsAhead && can_share()) {
        const std::size_t end = std::min(posted_end_ + kRunNames, names().size());
        auto run = std::make_shared<Run>(shared_, posted_end_, end);
        if (!helpers_.post(run)) return;
        runs_.push_back(std::move(run));
        posted_end_ = end;
    }
}

void DirectoryAhead::look_into(std::size_t index) {
    if (!looks_into_) return;
    looked_end_ = std::max(looked_end_, index);
    for (; looked_end_ < stats_begin_ + stats_.size() && inner_.size() < kInnerAhead; ++looked_end_) {
        const auto& stat = stats_[looked_end_ - stats_begin_];
        if (!stat || !S_ISDIR(stat->mode)) continue;
        auto inner = std::make_shared<Inner>(shared_, looked_end_);
        if (!can_share() || !helpers_.post(inner)) return;
        inner_.push_back(std::move(inner));
    }
}

bool DirectoryAhead::can_share() {
    if (!shared_->fd) shared_->fd = UniqueFd(::fcntl(fd_, F_DUPFD_CLOEXEC, 0));
    return static_cast<bool>(shared_->fd);
}

AheadListing DirectoryAhead::listing(std::size_t index) {
    while (!inner_.empty() && inner_.front()->index <= index) {
        const std::shared_ptr<Inner> inner = std::move(inner_.front());
        inner_.pop_front();
        if (inner->index == index) {
            look_into(index + 1);
            helpers_.finish(inner);
            return std::move(inner->listing);
        }
        helpers_.drop(inner);
    }
    return {};
}

}  // namespace zoneferry
