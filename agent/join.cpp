#include "agent/join.h"

#include <utility>

#include "agent/peer_session.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

Result<std::shared_ptr<Connection>> reach(AgentContext& context, const Invitation& invitation) {
    constexpr int kConnectTimeoutMs = 5'000;
    ZF_TRY(const TlsContext tls, TrustStore::join_client_context());
    Error last(Errc::invalid, "the invitation names no address");
    for (const std::string& text : invitation.addresses) {
        const auto at = split_peer_address(text);
        if (!at) continue;
        auto connection = context.network.connect_for_join(at->host, at->port, tls, invitation.pin, kConnectTimeoutMs);
        if (connection) return connection;
        last = std::move(connection).error();
    }
    return std::move(last).during("reaching " + printable(invitation.inviter));
}

}  // namespace

Result<std::string> join(AgentContext& context, const std::string& text) {
    ZF_TRY(const Invitation invitation, Invitation::parse(std::string(trim(text))));
    if (invitation.peer != context.settings.name) {
        return Error(Errc::untrusted, "this invitation is for " + printable(invitation.peer) + ", this host is " +
                                          context.settings.name);
    }
    const std::int64_t now_ms = context.clock.unix_ms();
    ZF_TRY(const JoinAttempt attempt, context.trust.begin_join(invitation, now_ms));
    ZF_TRY(const std::shared_ptr<Connection> connection, reach(context, invitation));
    const ByteVector exporter = connection->exporter(kJoinExporterLabel);
    JoinRequest request;
    request.host = context.settings.name;
    request.listen_port = context.settings.port;
    request.certificate_request = attempt.request_pem();
    request.proof = attempt.proof(exporter);
    ZF_TRY_STATUS(connection->send(request));
    ZF_TRY(const Message message, connection->receive(answer_timeout_ms(context)));
    if (const auto* refusal = std::get_if<Refusal>(&message)) return refusal->to_error();
    const auto* reply = std::get_if<JoinReply>(&message);
    if (reply == nullptr) return Error(Errc::protocol, "the inviting host answered with something else");
    ZF_TRY_STATUS(
        context.trust.complete_join(attempt, reply->certificate, reply->authority, reply->proof, exporter, now_ms));
    // The address that worked is where its agent listens.
    ZF_TRY(Peer peer, context.trust.peer(invitation.inviter));
    ZF_TRY(const PeerAddress at, split_peer_address(connection->peer().address));
    peer.address = at.host;
    peer.port = at.port;
    ZF_TRY_STATUS(context.trust.save_peer(peer));
    return invitation.inviter;
}

Result<JoinReply> answer_join(AgentContext& context, const JoinRequest& request, const Connection& connection) {
    ZF_TRY(const JoinAnswer answer,
           context.trust.answer_join(request.host, request.certificate_request, request.proof,
                                     connection.exporter(kJoinExporterLabel), context.clock.unix_ms()));
    ZF_TRY(Peer peer, context.trust.peer(request.host));
    ZF_TRY(const PeerAddress at, split_peer_address(listening_address(connection.peer().address, request.listen_port)));
    peer.address = at.host;
    peer.port = at.port;
    ZF_TRY_STATUS(context.trust.save_peer(peer));
    JoinReply reply;
    ZF_TRY(reply.host, context.trust.host());
    reply.certificate = answer.certificate_pem;
    reply.authority = answer.authority_pem;
    reply.proof = answer.proof;
    return reply;
}

}  // namespace zoneferry
