#include "agent/push/push_source.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "agent/move/segment_pump.h"
#include "agent/peer_session.h"
#include "agent/push/push_verify.h"
#include "core/attach/zone_tree.h"
#include "core/base/files.h"
#include "core/base/lock.h"
#include "core/base/text.h"
#include "core/p2v/image_cost.h"
#include "core/packages/inventory.h"
#include "core/zone/store.h"
#include "transfer/reading.h"
#include "transfer/sender.h"

namespace zoneferry {
namespace {

constexpr std::int64_t kTellEveryMs = 200;
constexpr std::uint32_t kRunningPassesMax = 3;
constexpr std::uint32_t kLastPassesMax = 3;  // until nothing changes while it is read
constexpr std::uint64_t kSmallPassBytes = 4U << 20U;

std::string relative(const std::string& path) { return path.substr(path.find_first_not_of('/')); }

class Push {
public:
    Push(AgentContext& context, const PushWish& wish, const std::function<bool(const MoveNews&)>& tell)
        : context_(context),
          wish_(wish),
          tell_(tell),
          directory_(context.root.state_directory() + "/pushes/" + wish.host + ":" + wish.zone) {}

    Result<PushOutcome> run() {
        ZF_TRY([[maybe_unused]] const ZoneName name, ZoneName::create(wish_.zone));  // it becomes part of a path
        ZF_TRY(const Peer peer, context_.trust.peer(wish_.host));
        if (!peer.may_receive) return Error(Errc::untrusted, wish_.host + " may not receive zones from this host");
        ZF_TRY_STATUS(make_directories(directory_, 0700));
        ZF_TRY(const FileLock lock, take_lock());
        ZF_TRY(id_, push_id());
        ZF_TRY(excluded_, pushed_without(context_.root, outcome_.left_out));
        ZF_TRY_STATUS(begin());
        if (wish_.forget) {
            ZF_TRY_STATUS(forget());
            return std::move(outcome_);
        }
        ZF_TRY_STATUS(wish_.install ? last_passes() : running_passes());
        if (wish_.install) ZF_TRY_STATUS(install());
        return std::move(outcome_);
    }

private:
    Result<std::string> push_id() const {
        const std::string path = directory_ + "/id";
        if (path_exists(path)) {
            ZF_TRY(const std::string text, read_file(path, 256));
            return std::string(trim(text));
        }
        std::string id = new_move_id();
        ZF_TRY_STATUS(replace_file(path, id + "\n", 0600));
        return id;
    }

    Result<FileLock> take_lock() const {
        auto lock = FileLock::try_take(directory_ + "/lock");
        if (lock || lock.error().code() != Errc::busy) return lock;
        return Error(Errc::busy, "another push to " + wish_.host + ":" + wish_.zone + " is under way")
            .remedy("wait for its end");
    }

    Status begin() {
        say(MoveNews::Type::phase, "measuring this machine");
        ZF_TRY(const UniqueFd root, open_directory(context_.root.directory()));
        ZF_TRY(const PackageSystem system, find_package_system(root.get()));
        ZF_TRY(const ImageCost cost, directory_cost(root.get(), system));
        tree_bytes_ = cost.bytes;
        tree_entries_ = cost.inodes;
        ZF_TRY(PeerSession session, PeerSession::open(context_, wish_.host));
        session_.emplace(std::move(session));
        for (const char* feature : {"p2v-push", "push-digest"}) ZF_TRY_STATUS(session_->need(feature));
        PushRequest request;
        request.push_id = id_;
        request.zone = wish_.zone;
        request.tree_bytes = tree_bytes_;
        request.tree_entries = tree_entries_;
        ZF_TRY(const PushReply reply, session_->ask<PushReply>(std::move(request), kWorkTimeoutMs));
        staging_is_fresh_ = reply.staging_is_fresh;
        return {};
    }

    Status running_passes() {
        for (std::uint32_t i = 0; i < kRunningPassesMax; ++i) {
            ZF_TRY(const PassSummary summary, pass(false));
            if (summary.raw_bytes < kSmallPassBytes) break;
        }
        // So that the last call, with the services stopped, need only read what has changed since.
        say(MoveNews::Type::phase, "reading both sides once");
        ZF_TRY([[maybe_unused]] const bool equal, digests_are_equal(context_, *session_, compared()));
        return {};
    }

    // What differs is sent again: written to since, or damaged on the way or on a disk.
    Status last_passes() {
        PushComparison found;
        for (std::uint32_t i = 0; i < kLastPassesMax; ++i) {
            const std::int64_t began_ns = file_clock_ns();
            ZF_TRY([[maybe_unused]] const PassSummary summary, pass(true));
            say(MoveNews::Type::phase, "comparing the digests of both sides");
            ZF_TRY(found, compare_push(context_, *session_, compared(), began_ns));
            if (found.is_equal) break;
            if (found.damaged == 0) continue;
            say(MoveNews::Type::note, "the tree on " + wish_.host + " differs from this machine: " + names_of(found));
        }
        outcome_.changing = found.changed;
        if (found.damaged == 0) return {};
        return Error(Errc::verify_failed, "the tree on " + wish_.host + " differs from this machine, although it was " +
                                              "sent again: " + names_of(found) + "; it was not installed")
            .remedy("look for errors of the disks and the memory of both hosts (dmesg), then push again");
    }

    PushTree compared() const { return {id_, directory_, excluded_, tree_entries_}; }

    static std::string names_of(const PushComparison& found) {
        std::string text;
        for (const std::string& path : found.damaged_first) text += (text.empty() ? "" : ", ") + printable(path);
        if (found.damaged <= found.damaged_first.size()) return text;
        return text + " and " + std::to_string(found.damaged - found.damaged_first.size()) + " more";
    }

    Status forget() {
        AbortRequest request;
        request.move_id = id_;
        request.reason = "the push is given up";
        ZF_TRY([[maybe_unused]] const AbortReply reply, session_->ask<AbortReply>(std::move(request), kWorkTimeoutMs));
        return remove_tree(directory_);
    }

    Result<PassSummary> pass(bool is_final) {
        const std::uint32_t number = ++outcome_.passes;
        say(MoveNews::Type::phase, "pass " + std::to_string(number) + (is_final ? ", the last" : ", the machine runs"));
        PassBegin begin;
        begin.move_id = id_;
        begin.pass = number;
        begin.is_final = is_final;
        ZF_TRY([[maybe_unused]] const PassReady ready, session_->ask<PassReady>(std::move(begin)));
        ZF_TRY(UniqueFd root, open_directory(context_.root.directory()));
        SendOptions options;
        options.catalog_path_prefix = directory_ + "/catalog";
        options.forget = std::exchange(staging_is_fresh_, false);
        options.bytes_per_second = wish_.bytes_per_second;
        options.compressor_threads = std::max(1U, std::thread::hardware_concurrency());
        options.memory_bytes = static_cast<std::size_t>(context_.settings.transfer_memory_mb) << 20U;
        options.in_background = !is_final;
        options.excluded = excluded_;
        ZF_TRY(const std::unique_ptr<TreeSender> sender, TreeSender::start(std::move(root), std::move(options)));
        ZF_TRY_STATUS(pump(*sender, number));
        ZF_TRY(PassSummary summary, sender->finish());
        outcome_.raw_bytes += summary.raw_bytes;
        outcome_.wire_bytes += summary.payload_bytes;
        for (const std::string& note : summary.notes) say(MoveNews::Type::note, note);
        return summary;
    }

    Status pump(TreeSender& sender, std::uint32_t number) {
        const std::int64_t began_ms = context_.clock.monotonic_ms();
        std::int64_t told_ms = began_ms;
        const auto go_on = [this]() -> Status {
            if (context_.stopping) return Error(Errc::cancelled, "the agent is stopping");
            if (!is_watched_) return Error(Errc::cancelled, "nobody watches the push any more");
            return {};
        };
        const auto progress = [&] {
            const std::int64_t now_ms = context_.clock.monotonic_ms();
            if (now_ms - told_ms < kTellEveryMs) return;
            told_ms = now_ms;
            const Progress done = sender.progress();
            MoveNews news = news_of(MoveNews::Type::progress, "");
            news.pass = number;
            news.bytes_done = done.bytes;
            news.bytes_total = std::max(tree_bytes_, done.bytes);
            news.entries_done = done.entries;
            news.entries_total = std::max(tree_entries_, done.entries);
            news.wire_bytes = done.payload_bytes;
            news.bytes_per_second = done.bytes * 1000 / static_cast<std::uint64_t>(now_ms - began_ms);
            if (news.bytes_per_second > 0) {
                news.eta_ms =
                    static_cast<std::int64_t>((news.bytes_total - news.bytes_done) * 1000 / news.bytes_per_second);
            }
            is_watched_ = tell_(news);
        };
        return send_segments(session_->connection(), sender, number, go_on, progress);
    }

    Status install() {
        say(MoveNews::Type::phase, wish_.host + " installs it");
        PushInstall request;
        request.push_id = id_;
        request.unconfigure = wish_.unconfigure;
        request.delete_containers = wish_.delete_containers;
        ZF_TRY(outcome_.installed, session_->ask<PushInstalled>(std::move(request), kWorkTimeoutMs));
        outcome_.is_installed = outcome_.installed.installed;
        if (!outcome_.is_installed) return {};
        return remove_tree(directory_);  // the next push to a zone of that name is another one
    }

    MoveNews news_of(MoveNews::Type type, const std::string& message) const {
        return MoveNews{.type = type, .move_id = id_, .zone = wish_.zone, .phase = "push", .message = message};
    }
    void say(MoveNews::Type type, const std::string& message) { is_watched_ = tell_(news_of(type, message)); }

    AgentContext& context_;
    const PushWish& wish_;
    const std::function<bool(const MoveNews&)>& tell_;
    std::string directory_;
    std::string id_;
    std::vector<std::string> excluded_;
    std::optional<PeerSession> session_;
    PushOutcome outcome_;
    std::uint64_t tree_bytes_ = 0;
    std::uint64_t tree_entries_ = 0;
    bool staging_is_fresh_ = true;
    bool is_watched_ = true;
};

}  // namespace

Result<std::vector<std::string>> pushed_without(const HostRoot& root, std::vector<std::string>& other_file_systems) {
    std::vector<std::string> paths{"proc", "sys", "dev", "run", "tmp", "var/lib/zoneferry", "var/log/zoneferry"};
    ZF_TRY(const UniqueFd directory, open_directory(root.directory()));
    ZF_TRY(const std::vector<std::string> mounts, mounts_below(directory.get()));
    const std::string prefix = root.directory() == "/" ? "" : root.directory();
    for (const std::string& mount : mounts) {
        const std::string path = relative(mount.starts_with(prefix + "/") ? mount.substr(prefix.size()) : mount);
        const std::string top = path.substr(0, path.find('/'));
        if (std::find(paths.begin(), paths.end(), top) != paths.end()) continue;
        paths.push_back(path);
        other_file_systems.push_back("/" + path);
    }
    const ZoneStore store(root);
    ZF_TRY(const std::vector<ZoneEntry> zones, store.list_readable());
    for (const ZoneEntry& zone : zones) {
        if (const auto config = store.config(zone.name)) paths.push_back(relative(config->zonepath));
    }
    return paths;
}

Result<PushOutcome> push_machine(AgentContext& context, const PushWish& wish,
                                 const std::function<bool(const MoveNews&)>& tell) {
    return Push(context, wish, tell).run();
}

}  // namespace zoneferry
