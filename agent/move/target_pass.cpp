// A pass begins at the target: in records, or by a file system's own transport (transfer/bulk_transport.h).
#include <algorithm>
#include <utility>

#include "agent/move/target_session.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "transfer/memory_budget.h"

namespace zoneferry {
namespace {

// A zone may grow while it is moved, but not without end: what was announced, four times over.
ReceiveOptions limits_for(const MovedTree& tree) {
    constexpr std::uint64_t kSlackEntries = 100'000;
    constexpr std::uint64_t kSlackBytes = 1ULL << 30U;
    ReceiveOptions options;
    options.entries_max = std::min(options.entries_max, 4 * tree.entries + kSlackEntries);
    options.bytes_max = std::min(options.bytes_max, 4 * tree.bytes + kSlackBytes);
    return options;
}

}  // namespace

Status TargetSession::on(const PassBegin& request) {
    if (push_ && push_->id() == request.move_id) {
        ZF_TRY(UniqueFd staging, push_->staging_root());
        return begin_pass(request, std::move(staging), {0, {}, push_->tree_bytes(), push_->tree_entries()});
    }
    ZF_TRY(const MoveRecord record, own_record(request.move_id));
    if (record.phase != Phase::incoming) return Error(Errc::conflict, "nothing can be received any more");
    ZF_TRY(auto staged, staged_tree(record, request.tree));
    tell(record, "receiving pass " + std::to_string(request.pass) +
                     (request.is_final ? ", the zone is halted" : ", the zone runs at " + peer_));
    if (!request.transport.empty()) {
        if (!staged.first.is_zonepath()) return Error(Errc::protocol, "only a zonepath comes by a transport");
        const ReceiveOptions limits = limits_for(staged.first);
        return begin_bulk(request, record, {limits.entries_max, limits.bytes_max});
    }
    return begin_pass(request, std::move(staged.second), staged.first);
}

Result<std::pair<MovedTree, UniqueFd>> TargetSession::staged_tree(const MoveRecord& record,
                                                                  std::uint32_t number) const {
    const std::optional<MovedTree> tree = sent_tree(record, number);
    if (!tree) {
        return Error(Errc::protocol, "no byte of tree " + std::to_string(number) + " belongs to move " + record.id);
    }
    ZF_TRY(UniqueFd staging, open_directory(staging_path(context_.root, *tree, record.id)));
    return std::pair(*tree, std::move(staging));
}

Status TargetSession::begin_pass(const PassBegin& request, UniqueFd staging, const MovedTree& tree) {
    ReceiveOptions options = limits_for(tree);
    options.preserved = excluded_names(tree);
    Pass pass;
    pass.number = request.pass;
    pass.is_final = request.is_final;
    ZF_TRY(std::unique_ptr<TreeReceiver> receiver, TreeReceiver::start(std::move(staging), options));
    const auto acknowledge = [connection = connection_, number = pass.number](std::uint64_t durable_count) {
        SegmentAck ack;
        ack.pass = number;
        ack.durable_count = durable_count;
        return connection->send(std::move(ack));
    };
    IntakeOptions intake;
    const std::size_t memory_bytes = static_cast<std::size_t>(context_.settings.transfer_memory_mb) << 20U;
    intake.queue_bytes_max = intake_queue_bytes(memory_bytes);
    pass.intake = std::make_unique<SegmentIntake>(std::move(receiver), intake, acknowledge);
    pass.began_ms = context_.clock.monotonic_ms();
    pass_.emplace(std::move(pass));
    PassReady reply;
    reply.pass = request.pass;
    return connection_->send(fitted(std::move(reply)));
}

std::vector<std::string> TargetSession::transports_for(const MoveRecord& record) const {
    if (context_.settings.transport != Transport::automatic || !sends_zonepath(record)) return {};
    return receiving_transports(received_path(context_.root, zonepath_tree(record), record.id));
}

Status TargetSession::begin_bulk(const PassBegin& request, const MoveRecord& record, const BulkLimits& limits) {
    const std::vector<std::string> offered = transports_for(record);
    const BulkTransport* transport = find_bulk_transport(request.transport);
    if (transport == nullptr || std::find(offered.begin(), offered.end(), request.transport) == offered.end()) {
        return Error(Errc::unsupported, "nothing is received here by " + printable(request.transport));
    }
    const std::string staging = staging_path(context_.root, zonepath_tree(record), record.id);
    if (path_exists(staging + "/root")) return Error(Errc::conflict, "some of the tree is there already");
    pass_.reset();  // before its leftovers are removed
    const std::string place = received_path(context_.root, zonepath_tree(record), record.id);
    ZF_TRY_STATUS(remove_tree(place));
    const auto go_on = [this]() -> Status {
        if (context_.stopping) return Error(Errc::cancelled, "the agent is stopping");
        if (!connection_->use()) return Error(Errc::peer_lost, "the connection is over");
        return {};
    };
    ZF_TRY(std::unique_ptr<BulkSink> sink, transport->receive(place, staging, limits, go_on));
    Pass pass;
    pass.number = request.pass;
    pass.is_final = request.is_final;
    pass.bulk = std::make_unique<BulkReceiver>(std::move(sink));
    pass.began_ms = context_.clock.monotonic_ms();
    pass_.emplace(std::move(pass));
    PassReady reply;
    reply.pass = request.pass;
    return connection_->send(fitted(std::move(reply)));
}

}  // namespace zoneferry
