// What OpenSSL knows about the other end, in our words. Wire's only dealings with certificates: certs makes the
// contexts and keys, here is read who the peer is and why a handshake failed.
#pragma once

#include <openssl/ssl.h>

#include <string>

#include "wire/connection.h"

namespace zoneferry {

inline constexpr unsigned char kAlpnPeer[] = "\x0bzoneferry/1";
inline constexpr unsigned char kAlpnJoin[] = "\x10zoneferry-join/1";

// What a server needs while one handshake runs; set on the SSL by prepare_server.
struct ServerChoice {
    SSL_CTX* join = nullptr;  // borrowed
    bool is_join = false;
};

// Lets the client's ALPN choose between the mutual and the join context.
void install_alpn_choice(SSL_CTX* mutual);
void set_server_choice(SSL* ssl, ServerChoice* choice);
Status prepare_client(SSL* ssl, bool join);

// After a handshake. A mutual peer must have a verified certificate with exactly one SAN URI zoneferry://HOST.
Result<PeerIdentity> read_peer_identity(SSL* ssl);
// SHA-256 of the peer certificate's public key, verified or not (for pinning).
Result<std::string> read_peer_fingerprint(SSL* ssl);
// Fails unless it is TLS 1.3 with the wanted ALPN.
Status check_session(SSL* ssl, bool join);
// The TLS exporter all of Connection::exporter's values are made from.
Result<ByteVector> read_exporter(SSL* ssl);
ByteVector derive_exporter(const ByteVector& master, std::string_view label);

// A sentence for a failed handshake or a broken stream. peer: "host2 (192.0.2.7:7743)".
// ssl_error: the packed OpenSSL code, 0 if the socket failed; text: the fallback words.
Error explain_tls_failure(SSL* ssl, unsigned long ssl_error, const std::string& peer, const std::string& text);

}  // namespace zoneferry
