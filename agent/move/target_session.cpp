#include "agent/move/target_session.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "agent/claims.h"
#include "agent/guarded.h"
#include "agent/join.h"
#include "agent/move/digest_list.h"
#include "agent/move/extra_check.h"
#include "agent/move/finish.h"
#include "agent/move/kept_base.h"
#include "agent/move/move_history.h"
#include "agent/move/outgoing.h"
#include "agent/move/preflight_view.h"
#include "agent/move/segment_pump.h"
#include "agent/move/start_move.h"
#include "agent/move/storage_proof.h"
#include "agent/move/target_move.h"
#include "agent/peer_session.h"
#include "agent/push/push_staging.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "transfer/block_list.h"
#include "transfer/memory_budget.h"
#include "transfer/tree_digest.h"
#include "wire/features.h"
#include "wire/limits.h"

namespace zoneferry {
namespace {

constexpr std::int64_t kTellEveryMs = 200;
constexpr int kIdleTimeoutMs = 24 * 3'600'000;  // a silent peer is found out by heartbeats, not by this

// What goes on after a failed request: the peer is told, and may ask something else.
Status refuse(Connection& connection, const Error& error) { return connection.send(fitted(Refusal(error))); }

}  // namespace

TargetSession::TargetSession(AgentContext& context, MoveDesk& desk, std::shared_ptr<Connection> connection)
    : context_(context), desk_(desk), connection_(std::move(connection)), began_ms_(context.clock.monotonic_ms()) {}
TargetSession::~TargetSession() { connection_->close(); }

void TargetSession::run() {
    const Status done = guarded([this] { converse(); });
    if (done) return;
    spdlog::error("a session of {}: {}", peer_, done.error().text());
    (void)refuse(*connection_, done.error());
}

void TargetSession::converse() {
    if (connection_->is_join()) return serve_join();
    if (Status greeted = greet(); !greeted) {
        (void)refuse(*connection_, greeted.error());
        return;
    }
    while (!context_.stopping) {
        Result<Message> request = connection_->receive(kIdleTimeoutMs);
        if (!request) return;
        Status answered = answer(*std::move(request));
        if (answered) continue;
        if (!refuse(*connection_, answered.error())) return;
        pass_.reset();
    }
}

void TargetSession::serve_join() {
    const Result<Message> message = connection_->receive(answer_timeout_ms(context_));
    if (!message) return;
    const auto* request = std::get_if<JoinRequest>(&*message);
    if (request == nullptr) return;
    if (Result<JoinReply> reply = answer_join(context_, *request, *connection_)) {
        (void)connection_->send(*std::move(reply));
    } else {
        (void)refuse(*connection_, reply.error());
    }
    (void)connection_->receive(answer_timeout_ms(context_));  // until the joiner has read it and closes
}

Status TargetSession::greet() {
    ZF_TRY(const Message first, connection_->receive(answer_timeout_ms(context_)));
    const auto* hello = std::get_if<Hello>(&first);
    if (hello == nullptr) return Error(Errc::protocol, "the first message must be Hello");
    peer_ = connection_->peer().host;
    ZF_TRY([[maybe_unused]] const Peer known, context_.trust.authorize(peer_, connection_->peer().fingerprint));
    if (hello->host != peer_) return Error(Errc::untrusted, "Hello names another host than the certificate");
    if (hello->listen_port > 65'535) return Error(Errc::protocol, "Hello names an impossible port");
    peer_port_ = hello->listen_port;
    peer_run_ = hello->run_id;
    clock_skew_ms_ = hello->clock_unix_ms - context_.clock.unix_ms();
    ZF_TRY(Agreement agreement, agree(*hello));
    HelloAck ack;
    ack.protocol = agreement.protocol;
    ack.features = std::move(agreement.features);
    ack.host = context_.settings.name;
    ack.host_id = context_.host_id;
    ack.version = ZONEFERRY_VERSION;
    ack.clock_unix_ms = context_.clock.unix_ms();
    ack.run_id = context_.run_id;
    return connection_->send(std::move(ack));
}

Status TargetSession::answer(Message request) {
    // A peer that was removed meanwhile gets no further than the segments of the pass that it has begun.
    if (!std::holds_alternative<Segment>(request)) {
        ZF_TRY([[maybe_unused]] const Peer known, context_.trust.authorize(peer_, connection_->peer().fingerprint));
        const std::string address = listening_address(connection_->peer().address, peer_port_);
        ZF_TRY_STATUS(PeerSession::hear(context_, peer_, peer_run_, address, began_ms_));
    }
    return std::visit(
        [this](auto&& message) -> Status {
            using Kind = std::remove_cvref_t<decltype(message)>;
            if constexpr (requires { this->on(std::forward<decltype(message)>(message)); }) {
                return this->on(std::forward<decltype(message)>(message));
            } else {
                (void)sizeof(Kind);
                return Error(Errc::protocol, "that message is not a request");
            }
        },
        std::move(request));
}

Result<MoveRecord> TargetSession::own_record(const std::string& move_id) const {
    ZF_TRY(const std::optional<MoveRecord> record, context_.journal.find(move_id));
    if (!record || record->peer != peer_ || record->role != Role::target) {
        return Error(Errc::not_found, "this host knows no move " + printable(move_id) + " from " + peer_);
    }
    if (claimed_id_ != move_id) return Error(Errc::protocol, "move " + move_id + " was not prepared in this session");
    return *record;
}

Status TargetSession::take_over(const std::string& move_id) {
    if (claimed_id_ == move_id) return {};
    pass_.reset();
    push_.reset();
    claim_.reset();
    claimed_id_.clear();
    ZF_TRY(MoveDesk::Claim claim, desk_.claim(move_id, connection_));
    claim_.emplace(std::move(claim));
    claimed_id_ = move_id;
    return {};
}

Status TargetSession::on(const CheckRequest& request) {
    ZF_TRY(const Peer peer, context_.trust.peer(peer_));
    if (!peer.may_send) return Error(Errc::untrusted, peer_ + " may not send zones to " + context_.settings.name);
    ZF_TRY(const Manifest manifest, parse_manifest(request.manifest));
    if (!is_move_id(request.move_id)) return Error(Errc::protocol, "a move id has hexadecimal digits only");
    StorageAnswer storage =
        answer_offer(context_, manifest.config, request.move_id, request.storage, request.source.host_id);
    MoveDemand demand{
        manifest.config, request.source, request.tree_bytes, request.tree_entries, !request.return_of.empty(),
        clock_skew_ms_};
    demand.use_kept_copy = request.use_kept_copy;
    demand.has_fs_proofs = true;
    demand.shared = storage.kind;
    demand.storage = request.storage;
    demand.updates = manifest.update.has_value();
    demand.long_link = printable(request.long_link);
    ZF_TRY_STATUS(check_extra_trees(manifest.config, request.extra_trees));
    CheckReply reply;
    for (const ExtraTree& tree : request.extra_trees) {
        if (has_fs_proof(context_, tree.path, request.move_id)) continue;
        demand.extra_trees.push_back(tree);
        reply.travelling.push_back(tree.path);
    }
    reply.shared = static_cast<std::uint8_t>(storage.kind);
    reply.proof = std::move(storage.proof);
    reply.answer = std::move(storage.answer);
    ZF_TRY(reply.findings, check_target(context_, manifest, demand, request.move_id, request.return_of, request.force));
    for (Finding& finding : storage.findings) reply.findings.push_back(std::move(finding));
    ZF_TRY(reply.target, gather_host_facts(context_.root));
    return connection_->send(fitted(std::move(reply)));
}

Status TargetSession::on(const PrepareRequest& request) {
    ZF_TRY(const Peer peer, context_.trust.peer(peer_));
    if (!peer.may_send) return Error(Errc::untrusted, peer_ + " may not send zones to " + context_.settings.name);
    if (!is_move_id(request.move_id)) return Error(Errc::protocol, "a move id has hexadecimal digits only");
    // Before the session that works on it is closed: another peer's move is none of this one's business.
    ZF_TRY(const std::optional<MoveRecord> known, context_.journal.find(request.move_id));
    if (known && (known->role != Role::target || known->peer != peer_)) {
        return Error(Errc::conflict, "move " + request.move_id + " is known here as another one");
    }
    ZF_TRY_STATUS(take_over(request.move_id));
    const std::string address = listening_address(connection_->peer().address, peer_port_);
    ZF_TRY(const Reservation reservation, reserve_move(context_, request, peer_, address));
    tell(reservation.record, "name, space and staging are reserved for " + request.zone + " from " + peer_);
    PrepareReply reply;
    reply.staging_is_fresh = reservation.staging_is_fresh;
    reply.has_copy = reservation.staging_is_fresh && has_copy_as_base(context_, reservation.record);
    if (reservation.staging_is_fresh) reply.transports = transports_for(reservation.record);
    return connection_->send(fitted(std::move(reply)));
}

Status TargetSession::on(Segment segment) {
    // After a refusal the rest of that pass is still under way: it is dropped.
    if (!pass_ || pass_->number != segment.pass) return {};
    ZF_TRY(TreeSegment part, take_segment(std::move(segment)));
    pass_->bytes += part.raw_bytes;
    ZF_TRY_STATUS(pass_->bulk ? pass_->bulk->accept(part) : pass_->intake->accept(std::move(part)));
    const std::int64_t now_ms = context_.clock.monotonic_ms();
    if (now_ms - pass_->told_ms >= kTellEveryMs) {
        pass_->told_ms = now_ms;
        MoveNews news{.type = MoveNews::Type::progress, .move_id = claimed_id_, .phase = "incoming"};
        news.pass = pass_->number;
        news.bytes_done = pass_->bytes;
        const auto elapsed_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(1, now_ms - pass_->began_ms));
        news.bytes_per_second = pass_->bytes * 1000 / elapsed_ms;
        context_.board.publish(std::move(news));
    }
    return {};
}

Status TargetSession::on(const PassEnd& request) {
    if (!pass_ || pass_->number != request.pass) return {};
    ReceiveSummary summary;
    if (pass_->bulk) {
        ZF_TRY_STATUS(pass_->bulk->finish(request.segments));
    } else {
        ZF_TRY(summary, pass_->intake->finish(request.segments));
    }
    if (!summary.notes.empty()) {
        ZF_TRY(const std::optional<MoveRecord> record, context_.journal.find(claimed_id_));
        for (const std::string& note : summary.notes) {
            spdlog::warn("move {}: {}", claimed_id_, note);
            if (record) tell(*record, note);
        }
    }
    PassDone done;
    done.pass = request.pass;
    pass_.reset();
    return connection_->send(fitted(std::move(done)));
}

Status TargetSession::on(const VerifyRequest& request) {
    pass_.reset();  // what is compared now is not written any more
    if (push_ && push_->id() == request.move_id) {
        ZF_TRY(UniqueFd staging, push_->staging_root());
        return answer_verify(request, std::move(staging), {}, push_->digests());
    }
    ZF_TRY(const MoveRecord record, own_record(request.move_id));
    ZF_TRY_STATUS(make_directories(move_directory(context_.root, record.id), 0700));
    if (request.wants_list && request.tree == 0) ZF_TRY_STATUS(take_copy_as_base(context_, record));
    ZF_TRY(auto staged, staged_tree(record, request.tree));
    const MovedTree tree = staged.first;
    tell(record, "computing the digest of what was received");
    const std::string digests = digests_path(context_.root, tree, record.id, !request.metadata_only);
    return answer_verify(request, std::move(staged.second), tree, digests);
}

// Asked for twice: while the zone still runs, and when nothing comes any more. What did not change in between is not
// read again.
Status TargetSession::answer_verify(const VerifyRequest& request, UniqueFd staging, const MovedTree& tree,
                                    const std::string& digests) {
    DigestOptions options;
    options.excluded = excluded_names(tree);
    options.threads = std::max(1U, std::thread::hardware_concurrency());
    options.digests_path = digests;
    options.contents = !request.metadata_only;
    ZF_TRY(const TreeDigest digest, digest_staging(request, std::move(staging), tree, options));
    if (request.wants_list) ZF_TRY_STATUS(send_digest_list(*connection_, options.digests_path));
    VerifyReply reply;
    reply.digest = digest.digest;
    reply.entries = digest.entries;
    reply.bytes = digest.bytes;
    reply.looked_at = digest.looked_at;
    return connection_->send(fitted(std::move(reply)));
}

Result<TreeDigest> TargetSession::digest_staging(const VerifyRequest& request, UniqueFd staging, const MovedTree& tree,
                                                 const DigestOptions& options) {
    if (request.key.empty()) return digest_tree(std::move(staging), options);
    Digest key{};
    if (request.key.size() != key.size() || !tree.is_zonepath() || push_) {
        return Error(Errc::protocol, "a keyed digest of that tree cannot be asked for");
    }
    std::copy(request.key.begin(), request.key.end(), key.begin());
    const std::string directory = staging_path(context_.root, tree, request.move_id);
    if (request.follows) return digest_.whole(directory, options, key, context_.settings.change_tracking);
    auto digest = digest_.again(directory, options, key);
    if (!digest_.why_whole().empty()) {
        spdlog::info("move {}: every entry was compared: {}", request.move_id, digest_.why_whole());
    }
    return digest;
}

// What is listed becomes, block by block, what the source takes for granted: nothing may be written meanwhile.
Status TargetSession::on(const BlocksRequest& request) {
    ZF_TRY(const MoveRecord record, own_record(request.move_id));
    if (record.phase != Phase::incoming) return Error(Errc::conflict, "nothing can be received any more");
    pass_.reset();
    ZF_TRY(const auto staged, staged_tree(record, request.tree));
    tell(record, "comparing the blocks of " + std::to_string(request.files.size()) + " large files that differ");
    for (const BlocksOfFile& file : request.files) {
        const auto send_part = [this](ConstBytes hashes) {
            if (context_.stopping) return Status(Error(Errc::cancelled, "the agent is stopping"));
            BlocksReply part;
            part.hashes.assign(hashes.begin(), hashes.end());
            return connection_->send(std::move(part));
        };
        ZF_TRY_STATUS(list_blocks(staged.second.get(), file.path, file.block_log, request.key, send_part));
        BlocksReply end;
        end.ends_file = true;
        ZF_TRY_STATUS(connection_->send(std::move(end)));
    }
    return {};
}

Status TargetSession::on(const StageRequest& request) {
    ZF_TRY(const MoveRecord record, own_record(request.move_id));
    if (record.phase != Phase::incoming && record.phase != Phase::ready) {
        return Error(Errc::conflict, "move " + record.id + " is past staging");
    }
    pass_.reset();
    StageReply reply;
    ZF_TRY(reply.findings, promise_move(context_, record, request.manifest, request.nonce));
    reply.ready = reply.findings.empty();
    if (reply.ready) tell(record, "ready: everything that the zone needs is on this host's disk");
    return connection_->send(fitted(std::move(reply)));
}

Status TargetSession::on(const Grant& request) {
    ZF_TRY(const std::optional<MoveRecord> found, context_.journal.find(request.move_id));
    if (!found || found->peer != peer_ || found->role != Role::target) {
        return Error(Errc::not_found, "this host knows no move " + printable(request.move_id));
    }
    ZF_TRY_STATUS(take_over(request.move_id));
    pass_.reset();
    ZF_TRY(const std::optional<MoveRecord> claimed, context_.journal.find(request.move_id));
    ZF_TRY(const MoveRecord record, own_move(context_, claimed.value_or(*found), request));
    Owned owned;
    owned.epoch = holder_epoch(record);
    ZF_TRY_STATUS(connection_->send(std::move(owned)));
    tell(record, "zone " + record.zone + " belongs to this host");
    Result<Activated> activated = activate_move(context_, record);
    if (!activated) {
        // Ours, but not in place: tried again when the agent starts, and by the janitor.
        tell_activation_failed(context_, record, activated.error());
        return std::move(activated).error();
    }
    ZF_TRY_STATUS(connection_->send(fitted(*std::move(activated))));
    // A rollback is over for its watchers when the source has deleted its copy, too (FinalizeRequest).
    const auto after = context_.journal.find(record.id);
    if (!after || !*after) return {};
    if (next_target_step(**after) == TargetStep::probe) return probe_move(context_, **after);
    const bool deletes_source = !record.return_of.empty() && (*after)->problem.empty();
    if (!deletes_source) context_.board.publish(end_news(**after));
    return {};
}

Status TargetSession::on(const StatusRequest& request) {
    ZF_TRY(StatusReply reply, status_of_move(context_, request.move_id, peer_));
    return connection_->send(fitted(std::move(reply)));
}

Status TargetSession::on(const AbortRequest& request) {
    if (push_ && push_->id() == request.move_id) {
        pass_.reset();
        ZF_TRY_STATUS(push_->give_up());
        push_.reset();
        return connection_->send(AbortReply());
    }
    ZF_TRY(const std::optional<MoveRecord> found, context_.journal.find(request.move_id));
    if (!found || found->role != Role::target || found->peer != peer_) return connection_->send(AbortReply());
    ZF_TRY_STATUS(take_over(request.move_id));  // nobody writes into staging while it is removed
    ZF_TRY(const std::optional<MoveRecord> record, context_.journal.find(request.move_id));
    if (record && !is_over(*record)) {
        if (record->phase == Phase::owned) return Error(Errc::conflict, "this host owns the zone already");
        pass_.reset();
        ZF_TRY(const MoveRecord after,
               discard_incoming(context_, *record, Error(Errc::cancelled, peer_ + " gave up: " + request.reason)));
        context_.board.publish(end_news(after));
    }
    return connection_->send(AbortReply());
}

Status TargetSession::on(const FinalizeRequest& request) {
    ZF_TRY(const std::optional<MoveRecord> record, context_.journal.find(request.move_id));
    if (!record || record->role != Role::target || record->peer != peer_) {
        return Error(Errc::not_found, "this host knows no move " + printable(request.move_id));
    }
    ZF_TRY_STATUS(forget_way_back(context_, *record));
    if (const auto after = context_.journal.find(record->id); after && *after) {
        context_.board.publish(end_news(**after));
    }
    return connection_->send(FinalizeReply());
}

Status TargetSession::on(const ReturnRequest& request) {
    ZF_TRY(const std::optional<MoveRecord> record, context_.journal.find(request.move_id));
    if (!record || record->role != Role::target || record->peer != peer_ || record->phase != Phase::activated) {
        return Error(Errc::conflict, "this host holds no zone that move " + printable(request.move_id) + " brought");
    }
    const std::string address = listening_address(connection_->peer().address, peer_port_);
    ReturnReply reply;
    // Asked again, after an answer that got lost, or by a person and by the other agent: it is the same move.
    ZF_TRY(const std::vector<MoveRecord> moves, context_.journal.all());
    for (const MoveRecord& move : moves) {
        if (move.role == Role::source && move.return_of == record->id && !is_over(move)) reply.move_id = move.id;
    }
    if (!reply.move_id.empty()) return connection_->send(fitted(std::move(reply)));
    ZF_TRY(reply.move_id, start_return(context_, desk_, *record, address, request.use_kept_copy));
    return connection_->send(fitted(std::move(reply)));
}

Status TargetSession::on(const OwnersRequest& request) {
    return connection_->send(answer_claims(context_, request, peer_));
}

Status TargetSession::on(const HistoryRequest& request) {
    ZF_TRY(const std::optional<MoveRecord> record, context_.journal.find(request.move_id));
    if (!record || record->peer != peer_) return connection_->send(HistoryReply());
    ZF_TRY(const std::vector<JournalEntry> events, context_.journal.history(record->id));
    return connection_->send(fitted(history_reply(*record, events)));
}

// One push a session; what an earlier one had begun stays where it is.
Status TargetSession::on(const PushRequest& request) {
    ZF_TRY(const Peer peer, context_.trust.peer(peer_));
    if (!peer.may_send) return Error(Errc::untrusted, peer_ + " may not send zones to " + context_.settings.name);
    pass_.reset();
    push_.reset();
    // A session of this peer's that has not noticed yet that its link is cut lets go first.
    ZF_TRY_STATUS(take_over(push_staging_id(peer_, request.zone)));
    ZF_TRY(PushTarget push, PushTarget::open(context_, request, peer_));
    push_.emplace(std::move(push));
    spdlog::info("{} pushes itself into zone {}", peer_, push_->zone());
    PushReply reply;
    reply.staging_is_fresh = push_->is_fresh();
    return connection_->send(fitted(std::move(reply)));
}

Status TargetSession::on(const PushInstall& request) {
    if (!push_ || push_->id() != request.push_id)
        return Error(Errc::protocol, "that push was not begun in this session");
    ZF_TRY(const Peer peer, context_.trust.peer(peer_));
    if (!peer.may_send) return Error(Errc::untrusted, peer_ + " may not send zones to " + context_.settings.name);
    pass_.reset();
    PushInstalled reply = push_->install(request);
    spdlog::info("zone {} pushed by {}: {}", push_->zone(), peer_, reply.installed ? "installed" : reply.problem);
    push_.reset();
    return connection_->send(fitted(std::move(reply)));
}

void TargetSession::tell(const MoveRecord& record, const std::string& message) {
    context_.board.publish(MoveNews{.type = MoveNews::Type::phase,
                                    .move_id = record.id,
                                    .zone = record.zone,
                                    .phase = std::string(phase_name(record.phase)),
                                    .message = message});
}

}  // namespace zoneferry
