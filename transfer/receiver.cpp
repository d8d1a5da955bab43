#include "transfer/receiver.h"

#include <unistd.h>

#include <atomic>
#include <string>

#include "transfer/writer.h"

namespace zoneferry {

struct TreeReceiver::State {
    State(UniqueFd staging, const ReceiveOptions& options)
        : writer(std::move(staging), options.devices, options.preserved, options.writers),
          decoder(writer, {options.entries_max, options.bytes_max, options.preserved}) {}
    RecordWriter writer;
    TreeDecoder decoder;
    SegmentExpander expander;
    std::atomic<std::uint64_t> accepted{0};
};

TreeReceiver::TreeReceiver() = default;
TreeReceiver::~TreeReceiver() = default;

Result<std::unique_ptr<TreeReceiver>> TreeReceiver::start(UniqueFd staging, ReceiveOptions options) {
    ZF_TRY(const struct stat info, stat_fd(staging.get()));
    if (!S_ISDIR(info.st_mode)) return Error(Errc::invalid, "the staging place is not a directory");
    std::unique_ptr<TreeReceiver> receiver(new TreeReceiver);  // NOLINT: private constructor
    receiver->state_ = std::make_unique<State>(std::move(staging), options);
    return receiver;
}

Status TreeReceiver::accept(const TreeSegment& segment) {
    ZF_TRY(const ConstBytes raw, state_->expander.expand(segment));
    return accept_raw(segment.number, raw);
}

Status TreeReceiver::accept_raw(std::uint64_t number, ConstBytes raw) {
    if (number != state_->accepted) {
        return Error(Errc::protocol, "segment " + std::to_string(number) + " of the stream came where segment " +
                                         std::to_string(state_->accepted) + " was due");
    }
    Status decoded = state_->decoder.decode(raw);
    Status written = state_->writer.flush();  // also after an error: the bytes go
    if (!decoded) return decoded;
    if (!written) return written;
    ++state_->accepted;
    return {};
}

Result<std::uint64_t> TreeReceiver::make_durable() {
    const std::uint64_t accepted = state_->accepted;  // before the sync: what is written beside it does not count
    ZF_TRY_STATUS(state_->writer.sync());
    return accepted;
}

Result<ReceiveSummary> TreeReceiver::finish(std::uint64_t segments) {
    if (segments != state_->accepted || !state_->decoder.ended()) {
        return Error(Errc::protocol, "the pass ended after segment " + std::to_string(state_->accepted) +
                                         ", but the sender made " + std::to_string(segments));
    }
    ZF_TRY_STATUS(state_->writer.sync());
    return ReceiveSummary{segments, state_->decoder.entries(), state_->decoder.bytes(), state_->writer.notes()};
}

}  // namespace zoneferry
