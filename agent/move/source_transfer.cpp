// One pass over the trees, sent to the target: what to send, and what watchers are told.
#include <algorithm>
#include <thread>
#include <utility>

#include "agent/move/segment_pump.h"
#include "agent/move/source_move.h"
#include "core/base/files.h"
#include "transfer/change_tracker.h"
#include "transfer/sender.h"

namespace zoneferry {
namespace {

constexpr std::int64_t kTellEveryMs = 200;

}  // namespace

// From now on, for the pass that visits what changes after the one that begins now.
void SourceMove::follow_changes() {
    trail_.reset();
    tracker_.reset();
    if (!context_.settings.change_tracking) return;
    auto tracker = ChangeTracker::start(context_.root.at(record_.zonepath));
    if (tracker) {
        tracker_ = *std::move(tracker);
    } else {
        untracked_because_ = tracker.error().text();
    }
}

// Null: untracked_because_ says why. What was followed is used up: a pass that has to be repeated walks.
std::shared_ptr<const ChangesSince> SourceMove::take_changes() {
    if (!context_.settings.change_tracking) untracked_because_ = "change tracking is switched off";
    const auto tracker = std::exchange(tracker_, nullptr);
    const auto trail = std::exchange(trail_, nullptr);
    if (tracker && !trail) untracked_because_ = "the pass before did not come to its end";
    if (!tracker || !trail) return nullptr;
    untracked_because_ = "the pass was begun again";
    if (auto changes = tracker->finish()) {
        return std::make_shared<ChangesSince>(ChangesSince{std::move(*trail), *std::move(changes)});
    } else {
        untracked_because_ = changes.error().text();
    }
    return nullptr;
}

// One pass over each tree that is sent.
Result<SourceMove::PassOutcome> SourceMove::run_pass(bool is_final) {
    PassOutcome all;
    for (const MovedTree& tree : sent_trees(record_)) {
        ZF_TRY_STATUS(check_undisturbed());
        ZF_TRY(PassOutcome one, send_tree(tree, is_final));
        all.took.ms += one.took.ms;
        all.took.bytes += one.took.bytes;
        if (all.how.empty()) all.how = std::move(one.how);
    }
    return all;
}

Result<SourceMove::PassOutcome> SourceMove::send_tree(const MovedTree& tree, bool is_final) {
    ZF_TRY_STATUS(find_out_what_is_there(tree, is_final));
    const std::int64_t began_ms = context_.clock.monotonic_ms();
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::pass_begun}));
    tell_phase("pass " + std::to_string(record_.passes) + (tree.is_zonepath() ? "" : " (" + tree.path + ")") +
               (is_final ? ", the zone is halted" : ", the zone runs"));
    PassBegin begin;
    begin.move_id = record_.id;
    begin.pass = record_.passes;
    begin.is_final = is_final;
    begin.tree = tree.number;
    ZF_TRY([[maybe_unused]] const PassReady ready, session_->ask<PassReady>(std::move(begin)));

    ZF_TRY(UniqueFd top, open_directory(context_.root.at(tree.path)));
    SendOptions options;
    options.catalog_path_prefix = catalog_prefix(tree);
    options.forget = fresh_trees_.erase(tree.number) > 0;
    options.tolerate_changes = !is_final;
    options.in_background = !is_final;
    options.compressor_threads = std::max(1U, std::thread::hardware_concurrency());
    options.memory_bytes = static_cast<std::size_t>(context_.settings.transfer_memory_mb) << 20U;
    options.excluded = excluded_names(tree);
    std::string untracked_because = "a file system outside the zonepath";
    if (tree.is_zonepath()) {
        options.may_put_aside = !path_exists(bulk_marker());
        if (is_final) {
            options.changes = take_changes();
        } else {
            follow_changes();
        }
        untracked_because = untracked_because_;
    }
    const bool has_changes = options.changes != nullptr;
    ZF_TRY(std::unique_ptr<TreeSender> sender, TreeSender::start(std::move(top), std::move(options)));

    ZF_TRY_STATUS(pump(*sender, tree, record_.passes));
    ZF_TRY(const PassSummary summary, sender->finish());
    if (tree.is_zonepath()) trail_ = sender->take_trail();
    wire_bytes_ += summary.payload_bytes;
    raw_bytes_ += summary.raw_bytes;
    for (const std::string& note : summary.notes) tell_note(note);
    PassOutcome outcome;
    outcome.took.ms = context_.clock.monotonic_ms() - began_ms;
    outcome.took.bytes = summary.raw_bytes;
    if (!is_final) return outcome;
    outcome.how =
        summary.is_tracked ? "tracked" : "walked: " + (has_changes ? summary.walked_because : untracked_because);
    return outcome;
}

Status SourceMove::pump(SegmentSource& sender, const MovedTree& tree, std::uint32_t pass) {
    const auto set_sending = [this](SegmentSource* active) {
        const std::lock_guard guard(interrupt_mutex_);
        sending_ = active;
        if (active != nullptr) active->set_limit(bytes_per_second_);  // it may have changed since
    };
    const std::int64_t began_ms = context_.clock.monotonic_ms();
    std::int64_t told_ms = 0;
    rate_ = {};
    rate_.add(began_ms, 0);
    const auto go_on = [this] { return check_undisturbed(); };
    const auto tell = [&] {
        const std::int64_t now_ms = context_.clock.monotonic_ms();
        if (now_ms - told_ms < kTellEveryMs) return;
        told_ms = now_ms;
        tell_progress(sender, tree, pass);
    };
    set_sending(&sender);
    Status sent = send_segments(session_->connection(), sender, pass, go_on, tell);
    set_sending(nullptr);
    tell_progress(sender, tree, pass);
    return sent;
}

void SourceMove::tell_progress(const SegmentSource& sender, const MovedTree& tree, std::uint32_t pass) {
    const auto progress = sender.progress();
    MoveNews news{.type = MoveNews::Type::progress,
                  .move_id = record_.id,
                  .zone = record_.zone,
                  .phase = std::string(phase_name(record_.phase))};
    news.pass = pass;
    news.bytes_done = progress.bytes;
    news.bytes_total = progress.is_tracked ? progress.bytes : std::max(tree.bytes, progress.bytes);
    news.entries_done = progress.entries;
    news.entries_total = progress.is_tracked ? progress.entries : std::max(tree.entries, progress.entries);
    news.wire_bytes = progress.payload_bytes;
    news.bytes_per_second = rate_.add(context_.clock.monotonic_ms(), progress.bytes);
    if (news.bytes_per_second > 0) {
        news.eta_ms = static_cast<std::int64_t>((news.bytes_total - news.bytes_done) * 1000 / news.bytes_per_second);
    }
    context_.board.publish(std::move(news));
}

}  // namespace zoneferry
