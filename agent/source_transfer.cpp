// One pass over the link: segments out, acknowledgements in.
//
// The calling thread takes segments from the sender and puts them on the connection (which blocks while too
// much waits there); a second thread takes what the target answers, so that an acknowledgement, a refusal or
// the end of the link is seen while we are blocked on either.
#include <algorithm>
#include <thread>
#include <utility>

#include "agent/source_move.h"
#include "transfer/sender.h"

namespace zoneferry {
namespace {

constexpr std::int64_t kTellEveryMs = 200;

// Follows acknowledgements until PassDone or the first problem; then the sender is woken.
Status follow_answers(PeerSession& session, TreeSender& sender, std::uint32_t pass) {
    while (true) {
        Result<Message> message = session.connection().receive(kWorkTimeoutMs);
        if (!message) return std::move(message).error();
        if (const auto* ack = std::get_if<SegmentAck>(&*message)) {
            if (ack->pass != pass) return Error(Errc::protocol, "the target acknowledges another pass");
            ZF_TRY_STATUS(sender.acknowledge(ack->durable_count));
        } else if (const auto* done = std::get_if<PassDone>(&*message)) {
            if (done->pass != pass) return Error(Errc::protocol, "the target ended another pass");
            return {};
        } else if (const auto* refusal = std::get_if<Refusal>(&*message)) {
            return refusal->to_error();
        } else {
            return Error(Errc::protocol, "the target sent something else than an acknowledgement during a pass");
        }
    }
}

}  // namespace

Status SourceMove::run_pass(bool is_final, PassTime& took) {
    const std::int64_t began_ms = context_.clock.monotonic_ms();
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::pass_begun}));
    tell_phase("pass " + std::to_string(record_.passes) + (is_final ? ", the zone is halted" : ", the zone runs"));
    PassBegin begin;
    begin.move_id = record_.id;
    begin.pass = record_.passes;
    begin.is_final = is_final;
    ZF_TRY([[maybe_unused]] const PassReady ready, session_->ask<PassReady>(std::move(begin)));

    ZF_TRY(UniqueFd tree, open_directory(zone_tree()));
    SendOptions options;
    options.catalog_path_prefix = move_directory(context_.root, record_.id) + "/catalog";
    options.forget = std::exchange(staging_is_fresh_, false);
    options.tolerate_changes = !is_final;
    options.bytes_per_second = record_.bytes_per_second;
    options.compressor_threads = std::max(1U, std::thread::hardware_concurrency());
    options.excluded = excluded_names();
    ZF_TRY(std::unique_ptr<TreeSender> sender, TreeSender::start(std::move(tree), std::move(options)));

    const auto set_sending = [this](TreeSender* active) {
        const std::lock_guard guard(interrupt_mutex_);
        sending_ = active;
    };
    set_sending(sender.get());
    Status sent = pump(*sender, record_.passes);
    set_sending(nullptr);
    if (!sent) return sent;
    ZF_TRY(const PassSummary summary, sender->finish());
    wire_bytes_ += summary.payload_bytes;
    raw_bytes_ += summary.raw_bytes;
    took.ms = context_.clock.monotonic_ms() - began_ms;
    took.bytes = summary.raw_bytes;
    return {};
}

Status SourceMove::pump(TreeSender& sender, std::uint32_t pass) {
    Status answered;
    std::jthread follower([&] {
        answered = follow_answers(*session_, sender, pass);
        if (!answered) sender.cancel();
    });
    const std::int64_t began_ms = context_.clock.monotonic_ms();
    std::int64_t told_ms = 0;
    std::uint64_t segments = 0;
    const auto produce = [&]() -> Status {
        while (true) {
            ZF_TRY_STATUS(check_undisturbed());
            ZF_TRY(std::optional<TreeSegment> segment, sender.next());
            if (!segment) break;
            Segment message;
            message.pass = pass;
            message.number = segment->number;
            message.raw_bytes = segment->raw_bytes;
            message.encoding = static_cast<std::uint8_t>(segment->encoding);
            message.payload = std::move(segment->payload);
            ZF_TRY_STATUS(session_->connection().send(std::move(message)));
            ++segments;
            const std::int64_t now_ms = context_.clock.monotonic_ms();
            if (now_ms - told_ms >= kTellEveryMs) {
                told_ms = now_ms;
                tell_progress(sender, pass, now_ms - began_ms);
            }
        }
        PassEnd end;
        end.pass = pass;
        end.segments = segments;
        return session_->connection().send(std::move(end));
    };
    Status produced = produce();
    if (!produced) session_->connection().close();  // wakes the follower
    follower.join();
    tell_progress(sender, pass, context_.clock.monotonic_ms() - began_ms);
    // What the target said is the cause; that the sender was cancelled or the send failed is its effect.
    if (!answered && (answered.error().code() != Errc::peer_lost || produced)) return answered;
    if (!produced && produced.error().code() == Errc::cancelled && !answered && !is_urgent_) return answered;
    return produced;
}

void SourceMove::tell_progress(const TreeSender& sender, std::uint32_t pass, std::int64_t elapsed_ms) {
    const auto progress = sender.progress();
    MoveNews news{.type = MoveNews::Type::progress,
                  .move_id = record_.id,
                  .zone = record_.zone,
                  .phase = std::string(phase_name(record_.phase))};
    news.pass = pass;
    news.bytes_done = progress.bytes;
    news.bytes_total = std::max(record_.tree_bytes, progress.bytes);
    news.entries_done = progress.entries;
    news.entries_total = std::max(record_.tree_entries, progress.entries);
    news.wire_bytes = progress.payload_bytes;
    if (elapsed_ms > 0) news.bytes_per_second = progress.bytes * 1000 / static_cast<std::uint64_t>(elapsed_ms);
    if (news.bytes_per_second > 0) {
        news.eta_ms = static_cast<std::int64_t>((news.bytes_total - news.bytes_done) * 1000 / news.bytes_per_second);
    }
    context_.board.publish(std::move(news));
}

}  // namespace zoneferry
