// One connection to a peer agent: messages in, messages out, from any thread. The calls block; the sockets are
// served by the Network's one thread.
//
// How long is a peer believed alive? Each side sends a frame at least every ping interval, by its own timer: a
// ping when there is nothing else. No ping is answered. A side that has been reading and got no byte for the
// silence time takes the peer for dead.
//
// Backpressure. send() blocks while too much waits to be written. When messages arrive faster than receive()
// takes them, we stop reading the socket; TCP then holds the sender back. That must not look like death:
//   - our timer goes on writing pings, so the held-back peer, which reads, hears us;
//   - while we do not read, the peer's silence proves nothing, so it is not counted; the count starts anew when
//     reading goes on. (The peer's pings wait in its own blocked queue then.)
//   - a frame that takes long (slow line) brings bytes, and bytes count as life.
// Nor must a host that stood still (suspended, overloaded) take its peer for dead: time by which our timer came late is
// not counted as silence.
// A dead peer is thus found late only while our own side leaves messages lying; TCP keepalive still finds it.
//
// End. close() writes what is queued, then a goodbye frame, and parts. A stream that ends without goodbye was
// cut: receive() first gives all messages that came whole, then Errc::peer_lost with a sentence that says which.
//
// A join connection (is_join) comes from a host without certificate of ours: it carries only JoinRequest,
// JoinReply and Refusal, in small frames, and lives for a limited time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "wire/limits.h"
#include "wire/link_use.h"
#include "wire/look_up.h"
#include "wire/messages.h"
#include "wire/socket_buffers.h"

namespace zoneferry {

class Link;  // the part that lives on the network thread

// Who the other end is, as proven by its certificate.
struct PeerIdentity {
    PeerIdentity() {}
    std::string host;         // from the SAN URI zoneferry://HOST; empty for a host that is still joining
    std::string fingerprint;  // SHA-256 of its public key (SPKI), hex; empty like host
    std::string address;      // "192.0.2.7:41244"
};

// All have the product's values; tests shorten them.
struct ConnectionOptions {
    int ping_interval_ms = kPingIntervalMs;
    int silence_ms = kSilenceMs;
    int tls_timeout_ms = kTlsTimeoutMs;
    int goodbye_timeout_ms = kGoodbyeTimeoutMs;
    int join_lifetime_ms = kJoinLifetimeMs;
    std::size_t queue_bytes_max = kQueueBytesMax;
    std::size_t unauthenticated_max = kUnauthenticatedMax;
    std::size_t of_peer_max = kConnectionsOfPeerMax;
    LookUp look_up = look_up_name;
};

class Connection {
public:
    explicit Connection(std::shared_ptr<Link> link) : link_(std::move(link)) {}
    ~Connection();  // close()
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Queues a message; blocks while more than queue_bytes_max wait. Errc::peer_lost once the connection is
    // broken, Errc::cancelled after close(), Errc::invalid for a message over a limit (which breaks nothing).
    Status send(Message message);
    // The next message in order. timeout_ms < 0 waits for ever. Errc::timed_out: nothing came (try again);
    // Errc::unsupported: a message this version does not know (the connection lives on: answer with a Refusal);
    // Errc::protocol, Errc::peer_lost, Errc::untrusted: it is broken; Errc::cancelled: closed on this side.
    Result<Message> receive(int timeout_ms);
    // Parts politely, without waiting for it; wakes every blocked caller. May be called often.
    void close();

    // What the kernel has counted of this connection; nullopt once it is over.
    std::optional<LinkUse> use() const;
    // How much may be under way at once; nothing once it is over.
    WindowBytes window() const;

    const PeerIdentity& peer() const;
    bool is_join() const;
    // 32 bytes that only the two ends of this very TLS connection know; differs by label.
    ByteVector exporter(std::string_view label) const;

private:
    std::shared_ptr<Link> link_;
};

}  // namespace zoneferry
