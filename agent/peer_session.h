// A proven conversation with a peer: connected, certificate checked, Hello answered.
#pragma once

#include <memory>
#include <string>

#include "agent/context.h"
#include "agent/move/outgoing.h"
#include "wire/messages.h"
#include "wire/network.h"

namespace zoneferry {

// How long an answer may take that needs work at the peer (a digest of the whole tree, a boot). A dead or
// silent peer is noticed much sooner, by heartbeats.
constexpr int kWorkTimeoutMs = 3'600'000;
// Any other answer: as the settings say.
inline int answer_timeout_ms(const AgentContext& context) { return context.settings.answer_s * 1000; }
// What the same setting makes of the heartbeats.
ConnectionOptions connection_options(const Settings& settings);

struct PeerAddress {
    std::string host;
    std::uint16_t port = 0;
};
// "10.0.0.2:7743" or "[2001:db8::2]:7743".
Result<PeerAddress> split_peer_address(const std::string& text);
std::string join_address(const PeerAddress& address);
// Where the peer behind a connection from `remote` ("10.0.0.2:41244") listens itself.
std::string listening_address(const std::string& remote, std::uint32_t port);

class PeerSession {
public:
    // Connects to a peer of the trust store, or to the address given instead ("host:port").
    static Result<PeerSession> open(AgentContext& context, const std::string& peer, const std::string& address = {},
                                    int connect_timeout_ms = 10'000);
    // A run of the peer speaks to us, from a session that began at began_ms (peer_runs.h). Looks where the run before
    // may still be; Errc::doubled when the peer is there twice.
    static Status hear(AgentContext& context, const std::string& peer, const std::string& run,
                       const std::string& address, std::int64_t began_ms);

    // Sends and waits for the answer of this type, at most as long as the settings give an answer; a Refusal comes back
    // as its Error, anything else is Errc::protocol.
    template <class Reply>
    Result<Reply> ask(Message request) {
        return ask<Reply>(std::move(request), answer_ms_);
    }
    template <class Reply>
    Result<Reply> ask(Message request, int timeout_ms) {
        if (Status sent = connection_->send(fitted(std::move(request))); !sent) return why_not_sent(sent.error());
        return expect<Reply>(timeout_ms);
    }
    template <class Reply>
    Result<Reply> expect(int timeout_ms) {
        ZF_TRY(Message message, connection_->receive(timeout_ms));
        if (auto* reply = std::get_if<Reply>(&message)) return std::move(*reply);
        return unexpected(message);
    }

    Connection& connection() { return *connection_; }
    std::shared_ptr<Connection> shared_connection() const { return connection_; }
    const HelloAck& hello() const { return hello_; }
    // Errc::unsupported when the peer's version lacks this feature (wire/features.h).
    Status need(const std::string& feature) const;
    const std::string& address() const { return address_; }

private:
    PeerSession(std::shared_ptr<Connection> connection, std::string address, int answer_ms)
        : connection_(std::move(connection)), address_(std::move(address)), answer_ms_(answer_ms) {}
    static Error unexpected(const Message& message);
    // A peer that refuses before it was asked, and closes: its reason says more than that it closed.
    Error why_not_sent(const Error& error);
    // The hello, and no more.
    static Result<PeerSession> greet(AgentContext& context, const std::string& peer, const std::string& address,
                                     int connect_timeout_ms);

    std::shared_ptr<Connection> connection_;
    HelloAck hello_;
    std::string address_;
    int answer_ms_;
};

}  // namespace zoneferry
