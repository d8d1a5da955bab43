// An invitation: one line that lets one named host join, once, within a time. It binds trust both ways: the
// joining host pins the inviter's key (no certificate is needed for that), and both prove that they know the
// secret, which itself never travels.
//
//     zf1.BASE64URL(payload).CHECK         CHECK: first 8 hex digits of SHA-256(payload), against copying errors
//     payload, one value a line: inviting host, invited host, SPKI pin of the inviter (hex), fingerprint of the
//     authority (hex), secret (32 bytes, hex), expiry (Unix seconds), then every address as HOST:PORT
//
//     key           = SHA-256("zoneferry invitation" || secret)         all that the inviter stores
//     request proof = HMAC(key, "join request" || exporter || request)
//     reply proof   = HMAC(key, "join reply" || exporter || SHA-256(certificate) || SHA-256(authority))
// where exporter is the TLS exporter of this very connection: a relayed proof is worth nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/digest.h"
#include "core/base/result.h"

namespace zoneferry {

// Given to Connection::exporter on both sides of a join.
inline constexpr std::string_view kJoinExporterLabel = "join";

struct Invitation {
    std::string inviter;                // host
    std::string peer;                   // the host that may join
    std::string pin;                    // inviter's SPKI fingerprint, hex
    std::string authority_fingerprint;  // SPKI, hex
    ByteVector secret;                  // 32 random bytes
    std::int64_t expires_unix_s = 0;
    std::vector<std::string> addresses;  // "192.0.2.7:7743", "[2001:db8::7]:7743"

    std::string text() const;
    // Errc::invalid with a sentence for people; does not look at the clock.
    static Result<Invitation> parse(const std::string& text);
};

Digest invitation_key(ConstBytes secret);
ByteVector request_proof(const Digest& key, ConstBytes exporter, std::string_view request_pem);
ByteVector reply_proof(const Digest& key, ConstBytes exporter, std::string_view certificate_pem,
                       std::string_view authority_pem);
// In constant time.
bool is_same_proof(ConstBytes a, ConstBytes b);

}  // namespace zoneferry
