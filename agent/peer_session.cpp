#include "agent/peer_session.h"

#include <algorithm>

#include "core/base/text.h"
#include "wire/features.h"

namespace zoneferry {

Result<PeerAddress> split_peer_address(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos) return Error(Errc::invalid, "'" + printable(text) + "' is not ADDRESS:PORT");
    const auto port = parse_number<std::uint16_t>(std::string_view(text).substr(colon + 1));
    std::string host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (!port || host.empty()) return Error(Errc::invalid, "'" + printable(text) + "' is not ADDRESS:PORT");
    return PeerAddress{host, *port};
}

std::string join_address(const PeerAddress& address) {
    const bool is_ipv6 = address.host.find(':') != std::string::npos;
    return (is_ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

std::string listening_address(const std::string& remote, std::uint32_t port) {
    std::string host = remote.substr(0, remote.rfind(':'));
    // A dual-stack listener shows IPv4 peers as mapped addresses.
    constexpr std::string_view kMapped = "::ffff:";
    if (host.starts_with("[") && host.ends_with("]")) host = host.substr(1, host.size() - 2);
    if (host.starts_with(kMapped) && host.find('.') != std::string::npos) host.erase(0, kMapped.size());
    return join_address({host, static_cast<std::uint16_t>(port)});
}

ConnectionOptions connection_options(const Settings& settings) {
    constexpr int kPingsInSilence = 4;
    ConnectionOptions options;
    options.silence_ms = settings.answer_s * 1000;
    options.ping_interval_ms = std::min(options.ping_interval_ms, options.silence_ms / kPingsInSilence);
    return options;
}

Status PeerSession::hear(AgentContext& context, const std::string& peer, const std::string& run,
                         const std::string& address, std::int64_t began_ms) {
    constexpr int kLookTimeoutMs = 1'000;
    ZF_TRY(const Peer known, context.trust.peer(peer));
    const std::string known_at = known.address.empty() ? std::string() : join_address({known.address, known.port});
    const std::string where = context.runs.hear(peer, run, address, known_at, began_ms, context.clock.monotonic_ms());
    if (!where.empty()) {
        const auto other = greet(context, peer, where, kLookTimeoutMs);
        if (other) context.runs.found_another(peer, other->hello_.run_id, where, context.clock.monotonic_ms());
    }
    return context.runs.check(peer, context.clock.monotonic_ms());
}

Result<PeerSession> PeerSession::open(AgentContext& context, const std::string& peer, const std::string& address,
                                      int connect_timeout_ms) {
    const std::int64_t began_ms = context.clock.monotonic_ms();
    ZF_TRY(PeerSession session, greet(context, peer, address, connect_timeout_ms));
    ZF_TRY_STATUS(hear(context, peer, session.hello_.run_id, session.address_, began_ms));
    return session;
}

Result<PeerSession> PeerSession::greet(AgentContext& context, const std::string& peer, const std::string& address,
                                       int connect_timeout_ms) {
    ZF_TRY(const Peer known, context.trust.peer(peer));
    PeerAddress at{known.address, known.port};
    if (!address.empty()) {
        ZF_TRY(at, split_peer_address(address));
    }
    ZF_TRY(const TlsContext tls, context.trust.client_context());
    ZF_TRY(std::shared_ptr<Connection> connection,
           context.network.connect(at.host, at.port, tls, peer, connect_timeout_ms));
    // Our authority has signed that certificate once; whether this host still trusts its key is asked here.
    ZF_TRY([[maybe_unused]] const Peer allowed, context.trust.authorize(peer, connection->peer().fingerprint));
    Hello hello;
    offer(hello);
    hello.host = context.settings.name;
    hello.host_id = context.host_id;
    hello.version = ZONEFERRY_VERSION;
    hello.clock_unix_ms = context.clock.unix_ms();
    hello.listen_port = context.settings.port;
    hello.run_id = context.run_id;
    PeerSession session(connection, join_address(at), answer_timeout_ms(context));
    ZF_TRY(session.hello_, session.ask<HelloAck>(std::move(hello)));
    if (session.hello_.host != peer) {
        return Error(Errc::untrusted, "the agent at " + printable(session.address_) + " calls itself " +
                                          printable(session.hello_.host) + ", not " + peer);
    }
    ZF_TRY([[maybe_unused]] const Agreement agreement, accept_answer(session.hello_));
    return session;
}

Status PeerSession::need(const std::string& feature) const {
    if (std::find(hello_.features.begin(), hello_.features.end(), feature) != hello_.features.end()) return {};
    return Error(Errc::unsupported, "the agent of " + printable(hello_.host) + " (version " +
                                        printable(hello_.version) + ") cannot do that yet: it lacks '" + feature + "'")
        .remedy("install the newer zoneferry there too");
}

Error PeerSession::why_not_sent(const Error& error) {
    const auto message = connection_->receive(0);
    const auto* refusal = message ? std::get_if<Refusal>(&*message) : nullptr;
    return refusal != nullptr ? refusal->to_error() : error;
}

Error PeerSession::unexpected(const Message& message) {
    if (const auto* refusal = std::get_if<Refusal>(&message)) return refusal->to_error();
    return Error(Errc::protocol, "the peer answered with something else than was asked for");
}

}  // namespace zoneferry
