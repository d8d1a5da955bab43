#include "transfer/btrfs_transport.h"

#include <fcntl.h>
#include <linux/btrfs.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <optional>
#include <thread>

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/base/subvolume.h"
#include "core/base/text.h"
#include "transfer/received_tree.h"

namespace zoneferry {
namespace {

constexpr const char* kRoot = "root";
constexpr const char* kClean = "clean";  // the received subvolume, writable
constexpr int kLookUpMs = 200;

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

Result<UniqueFd> make_place(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) != 0) return system_error("make " + printable(path), errno);
    return open_directory(path);
}

class BtrfsSource final : public BulkSource {
public:
    explicit BtrfsSource(std::string place) : place_(std::move(place)) {}
    ~BtrfsSource() override {
        is_cancelled_ = true;
        out_.reset();  // the kernel's writing ends with it
        if (sender_.joinable()) sender_.join();
        snapshot_.reset();
        (void)remove_tree(place_);  // else the next start of the agent does it
    }

    Status start(const std::string& tree) {
        ZF_TRY(const UniqueFd place, make_place(place_));
        ZF_TRY(const UniqueFd zonepath, open_directory(tree));
        ZF_TRY(const UniqueFd root, open_beneath(zonepath.get(), kRoot, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        ZF_TRY_STATUS(make_snapshot_at(root.get(), place.get(), kRoot, true));
        ZF_TRY(snapshot_, open_beneath(place.get(), kRoot, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("pipe", errno);
        out_ = UniqueFd(ends[0]);
        (void)::fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
        sender_ = std::jthread([this, in = UniqueFd(ends[1])]() mutable { make_stream(std::move(in)); });
        return {};
    }

    Result<std::size_t> read(MutableBytes into) override {
        while (!is_cancelled_) {
            pollfd wait{out_.get(), POLLIN, 0};
            const int ready = ::poll(&wait, 1, kLookUpMs);
            if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
            const ssize_t got = ::read(out_.get(), into.data(), into.size());
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return system_error("read the stream of btrfs", errno);
            if (got > 0) return static_cast<std::size_t>(got);
            if (const int failed = failed_; failed != 0) return system_error("btrfs send", failed);
            return std::size_t{0};
        }
        return Error(Errc::cancelled, "the transfer was asked to stop");
    }
    void cancel() override { is_cancelled_ = true; }

private:
    void make_stream(UniqueFd in) {
        btrfs_ioctl_send_args words{};
        words.send_fd = in.get();
        if (::ioctl(snapshot_.get(), BTRFS_IOC_SEND, &words) != 0) failed_ = errno;
    }  // the end of `in` is the end of the stream

    const std::string place_;
    UniqueFd snapshot_;
    UniqueFd out_;
    std::atomic<bool> is_cancelled_ = false;
    std::atomic<int> failed_ = 0;  // set before the stream ends
    std::jthread sender_;
};

class BtrfsSink final : public BulkSink {
public:
    BtrfsSink(std::string place, std::string staging, const BulkLimits& limits, std::function<Status()> go_on)
        : place_(std::move(place)), staging_(std::move(staging)), limits_(limits), go_on_(std::move(go_on)) {}
    ~BtrfsSink() override {
        receiver_.reset();
        held_.reset();
        (void)remove_tree(place_);  // else the end of the move does it
    }

    Status start() {
        ZF_TRY(held_, make_place(place_));
        ZF_TRY(free_at_begin_, free_bytes());
        ZF_TRY(FedProcess receiver, FedProcess::start({"btrfs", "-q", "receive", "-e", "-C", place_}));
        receiver_.emplace(std::move(receiver));
        return {};
    }

    // What travels beside the files' bytes: names, metadata and paths, over and over.
    Status write(ConstBytes bytes) override {
        constexpr std::uint64_t kBytesOfEntry = 4096;
        received_ += bytes.size();
        if (received_ > limits_.bytes_max + kBytesOfEntry * limits_.entries_max) return too_large();
        ZF_TRY(const std::uint64_t free, free_bytes());
        if (free < free_at_begin_ && free_at_begin_ - free > limits_.bytes_max) return too_large();
        return receiver_->feed(bytes, limits_.stall_ms, go_on_);
    }

    Status finish() override {
        constexpr int kEndMs = 600'000;  // what it has still to write
        ZF_TRY_STATUS(receiver_->finish(kEndMs, go_on_));
        receiver_.reset();
        ZF_TRY(const std::vector<std::string> names, list_directory_fd(held_.get()));
        if (names != std::vector<std::string>{kRoot}) {
            return Error(Errc::protocol, "the stream of btrfs does not hold exactly one tree");
        }
        ZF_TRY(UniqueFd received, open_beneath(held_.get(), kRoot, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        if (!is_subvolume(received.get())) return Error(Errc::protocol, "what btrfs received is not a subvolume");
        ZF_TRY_STATUS(make_snapshot_at(received.get(), held_.get(), kClean, false));
        received.reset();
        (void)destroy_subvolume_at(held_.get(), kRoot);
        return take();
    }

private:
    Status take() {
        ZF_TRY(UniqueFd tree, open_beneath(held_.get(), kClean, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        ZF_TRY_STATUS(check_received_tree(std::move(tree), {limits_.entries_max, limits_.bytes_max}, go_on_));
        if (::syncfs(held_.get()) != 0) return system_error("sync what btrfs received", errno);
        ZF_TRY(const UniqueFd staging, open_directory(staging_));
        if (::renameat2(held_.get(), kClean, staging.get(), kRoot, RENAME_NOREPLACE) != 0) {
            return system_error("put what btrfs received into staging", errno);
        }
        if (::syncfs(staging.get()) == 0) return {};
        return system_error("sync staging", errno);
    }
    Result<std::uint64_t> free_bytes() const {
        struct statvfs info {};
        if (::fstatvfs(held_.get(), &info) != 0) return system_error("ask for the free space", errno);
        return std::uint64_t{info.f_bavail} * info.f_frsize;
    }
    static Error too_large() { return Error(Errc::protocol, "the stream of btrfs is much larger than was announced"); }

    const std::string place_;
    const std::string staging_;
    const BulkLimits limits_;
    const std::function<Status()> go_on_;
    UniqueFd held_;
    std::uint64_t free_at_begin_ = 0;
    std::uint64_t received_ = 0;
    std::optional<FedProcess> receiver_;
};

}  // namespace

bool BtrfsTransport::can_send(const std::string& tree) const {
    const auto zonepath = open_directory(tree);
    if (!zonepath) return false;
    const auto root = open_beneath(zonepath->get(), kRoot, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const auto beside = open_directory(parent_of(tree));
    return root && beside && is_subvolume(root->get()) && is_on_btrfs(beside->get());
}

bool BtrfsTransport::can_receive(const std::string& place) const {
    const auto beside = open_directory(parent_of(place));
    if (!beside || !is_on_btrfs(beside->get())) return false;
    const auto asked = run_process({"btrfs", "receive", "--help"}, {.timeout_ms = 5'000});
    return asked && asked->exit_status == 0;
}

Result<std::unique_ptr<BulkSource>> BtrfsTransport::send(const std::string& tree, const std::string& snapshot) const {
    auto source = std::make_unique<BtrfsSource>(snapshot);
    ZF_TRY_STATUS(source->start(tree));
    return std::unique_ptr<BulkSource>(std::move(source));
}

Result<std::unique_ptr<BulkSink>> BtrfsTransport::receive(const std::string& place, const std::string& staging,
                                                          const BulkLimits& limits,
                                                          const std::function<Status()>& go_on) const {
    auto sink = std::make_unique<BtrfsSink>(place, staging, limits, go_on);
    ZF_TRY_STATUS(sink->start());
    return std::unique_ptr<BulkSink>(std::move(sink));
}

}  // namespace zoneferry
