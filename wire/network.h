// The sockets of one agent: accepts peers and connects to them, over mutual TLS 1.3 only. Owns one thread that
// serves all of them, and one thread for each accepted connection's conversation.
//
// Which of the two conversations a client wants it says by ALPN: "zoneferry/1" (the client must show a
// certificate of our authority) or "zoneferry-join/1" (it has none yet and pins our key instead). Nothing else
// is accepted. The contexts come from certs, through the agent.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "wire/connection.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace zoneferry {

using TlsContext = std::shared_ptr<ssl_ctx_st>;

struct ServerContexts {
    TlsContext mutual;  // demands a client certificate
    TlsContext join;    // asks for none; null: nobody can join here
};

class Network {
public:
    explicit Network(ConnectionOptions options = {});
    // Closes every connection (their callers get Errc::cancelled) and waits for the accepted callbacks to return.
    ~Network();
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    // The first half of that, without the wait: whoever is blocked in a connection is woken, nobody gets a new one.
    void shut();

    // Serves address:port (0: any free port) until the Network ends; returns the port. `contexts` is asked for
    // each new client, so that a change of trust holds from then on; it runs on the network thread and a null
    // `mutual` turns the client away. `accepted` runs on a thread of its own for each authenticated connection
    // and may hold it as long as it likes. A peer that has too many is answered with a Refusal (Errc::busy).
    Result<std::uint16_t> listen(const std::string& address, std::uint16_t port,
                                 std::function<ServerContexts()> contexts,
                                 std::function<void(std::shared_ptr<Connection>)> accepted);

    // To a peer of our authority: its certificate must name expected_host. A client's handshake can succeed
    // although the server refuses our certificate: nothing is proven until the peer's first answer is read.
    Result<std::shared_ptr<Connection>> connect(const std::string& host, std::uint16_t port, const TlsContext& context,
                                                const std::string& expected_host, int timeout_ms);
    // To the inviting host: its public key must have this fingerprint (SPKI SHA-256, hex).
    Result<std::shared_ptr<Connection>> connect_for_join(const std::string& host, std::uint16_t port,
                                                         const TlsContext& context,
                                                         const std::string& expected_spki_fingerprint, int timeout_ms);

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace zoneferry
