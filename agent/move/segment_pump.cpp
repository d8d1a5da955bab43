// The calling thread takes segments from the sender and puts them on the connection (which blocks while too much
// waits there); a second thread takes what the target answers, so that an acknowledgement, a refusal or the end of
// the link is seen while we are blocked on either.
#include "agent/move/segment_pump.h"

#include <malloc.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "agent/peer_session.h"

namespace zoneferry {
namespace {

// Follows acknowledgements until PassDone or the first problem.
Status follow_answers(Connection& connection, SegmentSource& sender, std::uint32_t pass) {
    while (true) {
        Result<Message> message = connection.receive(kWorkTimeoutMs);
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

Status produce(Connection& connection, SegmentSource& sender, std::uint32_t pass,
               const std::function<Status()>& before_each, const std::function<void()>& after_each) {
    PassEnd end;
    end.pass = pass;
    while (true) {
        ZF_TRY_STATUS(before_each());
        if (const auto use = connection.use()) {
            const auto now = std::chrono::steady_clock::now().time_since_epoch();
            const auto at_us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
            sender.note_link({use->acknowledged_bytes, use->busy_us, use->receiver_limited_us, use->waiting_bytes,
                              static_cast<std::uint64_t>(at_us)});
        }
        ZF_TRY(std::optional<TreeSegment> segment, sender.next());
        if (!segment) break;
        Segment message;
        message.pass = pass;
        message.number = segment->number;
        message.raw_bytes = segment->raw_bytes;
        message.encoding = static_cast<std::uint8_t>(segment->encoding);
        message.payload = std::move(segment->payload);
        ZF_TRY_STATUS(connection.send(std::move(message)));
        ++end.segments;
        after_each();
    }
    return connection.send(std::move(end));
}

}  // namespace

Status send_segments(Connection& connection, SegmentSource& sender, std::uint32_t pass,
                     const std::function<Status()>& before_each, const std::function<void()>& after_each) {
    Status answered;
    std::atomic<bool> is_closed_here{false};
    std::jthread follower([&] {
        Status followed = follow_answers(connection, sender, pass);
        if (is_closed_here) return;  // our own doing, and no news
        answered = std::move(followed);
        if (!answered) sender.cancel();
    });
    Status produced = produce(connection, sender, pass, before_each, after_each);
    const bool was_cancelled_by_us = !produced && !before_each();
    if (!produced) {
        is_closed_here = true;
        connection.close();  // wakes the follower
    }
    follower.join();
    // What the target said is the cause; that the sender was cancelled or the send failed is its effect.
    if (!answered && (answered.error().code() != Errc::peer_lost || produced)) return answered;
    if (!produced && produced.error().code() == Errc::cancelled && !answered && !was_cancelled_by_us) return answered;
    return produced;
}

Result<TreeSegment> take_segment(Segment&& segment) {
    if (!is_encoding(segment.encoding)) return Error(Errc::protocol, "unknown encoding");
    TreeSegment part;
    part.number = segment.number;
    part.raw_bytes = segment.raw_bytes;
    part.encoding = static_cast<Encoding>(segment.encoding);
    part.payload = std::move(segment.payload);
    return part;
}

void keep_freed_segments() {
    ::mallopt(M_MMAP_THRESHOLD, 32 << 20U);
    ::mallopt(M_TRIM_THRESHOLD, 128 << 20U);
}

}  // namespace zoneferry
