// Before a move's first pass: where both hosts' file systems can, they bring the bulk of the tree over by themselves
// (transfer/bulk_transport.h). What has arrived counts for nothing by itself: the comparison that follows names what of
// it is right, and the ordinary pass does the rest. If it fails, everything is sent in the ordinary way.
#include <algorithm>
#include <thread>
#include <utility>

#include "agent/move/source_move.h"
#include "core/base/files.h"
#include "transfer/bulk_sender.h"

namespace zoneferry {

std::string SourceMove::bulk_marker() const { return move_directory(context_.root, record_.id) + "/bulk"; }

void SourceMove::remove_stale_snapshot() {
    const std::string snapshot = snapshot_path(context_.root, zonepath_tree(record_), record_.id);
    if (Status done = remove_tree(snapshot); !done) tell_note(done.error().text());
}

Status SourceMove::send_bulk_first(bool is_final) {
    TransportFacts facts;
    facts.is_wanted = context_.settings.transport == Transport::automatic;
    facts.is_first = record_.passes == 0 && sends_zonepath(record_) && fresh_trees_.contains(0) && !target_has_copy_;
    facts.compares_contents = record_.verify == VerifyMode::full;
    facts.offered = transports_;
    if (facts.is_wanted && facts.is_first) facts.sending = sending_transports(context_.root.at(record_.zonepath));
    const BulkTransport* transport = find_bulk_transport(choose_transport(facts));
    if (transport == nullptr) return {};
    Status sent = send_bulk(*transport, is_final);
    if (sent) {
        fresh_trees_.erase(0);
        return {};
    }
    ZF_TRY_STATUS(check_undisturbed());
    tell_note(std::string(transport->name()) + " could not bring the tree over: " + sent.error().text() +
              ": sending it in the ordinary way");
    hang_up();  // what is still under way of that stream belongs to nothing any more
    return ensure_prepared();
}

Status SourceMove::send_bulk(const BulkTransport& transport, bool is_final) {
    const std::string name(transport.name());
    ZF_TRY_STATUS(journal(MoveEvent{.kind = EventKind::pass_begun}));
    ZF_TRY_STATUS(replace_file(bulk_marker(), name + "\n", 0600));
    tell_phase("pass " + std::to_string(record_.passes) + ": " + name + " sends a snapshot of the tree");
    remove_stale_snapshot();
    ZF_TRY(std::unique_ptr<BulkSource> source,
           transport.send(context_.root.at(record_.zonepath),
                          snapshot_path(context_.root, zonepath_tree(record_), record_.id)));
    PassBegin begin;
    begin.move_id = record_.id;
    begin.pass = record_.passes;
    begin.is_final = is_final;
    begin.transport = name;
    ZF_TRY([[maybe_unused]] const PassReady ready, session_->ask<PassReady>(std::move(begin)));

    BulkSendOptions options;
    options.in_background = !is_final;
    options.compressor_threads = std::max(1U, std::thread::hardware_concurrency());
    options.memory_bytes = static_cast<std::size_t>(context_.settings.transfer_memory_mb) << 20U;
    BulkSender sender(std::move(source), options);
    ZF_TRY_STATUS(pump(sender, zonepath_tree(record_), record_.passes));
    const Progress progress = sender.progress();
    raw_bytes_ += progress.raw_bytes;
    wire_bytes_ += progress.payload_bytes;
    return journal(MoveEvent{.kind = EventKind::pass_done,
                             .text = name,
                             .number = static_cast<std::int64_t>(progress.raw_bytes),
                             .extra = static_cast<std::int64_t>(progress.payload_bytes)});
}

}  // namespace zoneferry
