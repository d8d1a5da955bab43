#include "certs/invitation.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <optional>

#include "certs/certificate.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::string_view kMark = "zf1.";
constexpr std::size_t kTextBytesMax = 8192;
constexpr std::size_t kAddressesMax = 16;
constexpr std::size_t kAddressBytesMax = 300;
constexpr std::size_t kFixedLines = 6;
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string to_base64url(std::string_view bytes) {
    std::string out;
    std::uint32_t buffer = 0;
    unsigned bits = 0;
    for (const char c : bytes) {
        buffer = (buffer << 8U) | static_cast<unsigned char>(c);
        for (bits += 8; bits >= 6; bits -= 6) out += kAlphabet[(buffer >> (bits - 6)) & 63U];
    }
    if (bits > 0) out += kAlphabet[(buffer << (6 - bits)) & 63U];
    return out;
}

std::optional<std::string> from_base64url(std::string_view text) {
    std::string out;
    std::uint32_t buffer = 0;
    unsigned bits = 0;
    for (const char c : text) {
        const std::size_t value = kAlphabet.find(c);
        if (value == std::string_view::npos) return std::nullopt;
        buffer = (buffer << 6U) | static_cast<std::uint32_t>(value);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out += static_cast<char>((buffer >> bits) & 0xffU);
        }
    }
    return out;
}

std::string check_of(std::string_view payload) { return to_hex(sha256(as_bytes(payload))).substr(0, 8); }

Error bad_text(const std::string& why) {
    return Error(Errc::invalid, "this is not a whole invitation: " + why)
        .remedy("copy the line again, from \"zf1.\" to its end");
}

ByteVector hmac(const Digest& key, const ByteVector& text) {
    ByteVector out(32);
    unsigned bytes = 0;
    const unsigned char* made = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                                     reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                                     reinterpret_cast<unsigned char*>(out.data()), &bytes);
    ZF_CHECK(made != nullptr && bytes == out.size());
    return out;
}

Result<Invitation> from_lines(const std::vector<std::string_view>& lines) {
    if (lines.size() <= kFixedLines || lines.size() > kFixedLines + kAddressesMax)
        return bad_text("values are missing");
    Invitation invitation;
    invitation.inviter = lines[0];
    invitation.peer = lines[1];
    if (!is_host_name(invitation.inviter) || !is_host_name(invitation.peer))
        return bad_text("a host name is impossible");
    for (const std::size_t digest_line : {std::size_t{2}, std::size_t{3}, std::size_t{4}}) {
        if (!digest_from_hex(lines[digest_line])) return bad_text("a key's fingerprint is damaged");
    }
    invitation.pin = lines[2];
    invitation.authority_fingerprint = lines[3];
    const Digest secret = *digest_from_hex(lines[4]);
    invitation.secret.assign(secret.begin(), secret.end());
    const std::optional<std::int64_t> expires = parse_number<std::int64_t>(lines[5]);
    if (!expires) return bad_text("its expiry is no number");
    invitation.expires_unix_s = *expires;
    for (std::size_t i = kFixedLines; i < lines.size(); ++i) {
        if (lines[i].empty() || lines[i].size() > kAddressBytesMax) return bad_text("an address is impossible");
        invitation.addresses.emplace_back(lines[i]);
    }
    return invitation;
}

}  // namespace

std::string Invitation::text() const {
    std::vector<std::string> lines = {
        inviter, peer, pin, authority_fingerprint, to_hex(secret), std::to_string(expires_unix_s)};
    lines.insert(lines.end(), addresses.begin(), addresses.end());
    const std::string payload = join(lines, "\n");
    return std::string(kMark) + to_base64url(payload) + "." + check_of(payload);
}

Result<Invitation> Invitation::parse(const std::string& text) {
    const std::string_view trimmed = trim(text);
    if (trimmed.size() > kTextBytesMax) return bad_text("it is too long");
    if (!trimmed.starts_with(kMark)) return bad_text("it does not begin with \"zf1.\"");
    const std::vector<std::string_view> parts = split(trimmed.substr(kMark.size()), '.');
    if (parts.size() != 2) return bad_text("its end is missing");
    const std::optional<std::string> payload = from_base64url(parts[0]);
    if (!payload || check_of(*payload) != parts[1]) return bad_text("its checksum is wrong");
    return from_lines(split(*payload, '\n'));
}

Digest invitation_key(ConstBytes secret) {
    Sha256 hash;
    hash.update("zoneferry invitation");
    hash.update(secret);
    return hash.finish();
}

ByteVector request_proof(const Digest& key, ConstBytes exporter, std::string_view request_pem) {
    ByteVector text;
    append_bytes(text, as_bytes("join request"));
    append_bytes(text, exporter);
    append_bytes(text, as_bytes(request_pem));
    return hmac(key, text);
}

ByteVector reply_proof(const Digest& key, ConstBytes exporter, std::string_view certificate_pem,
                       std::string_view authority_pem) {
    ByteVector text;
    append_bytes(text, as_bytes("join reply"));
    append_bytes(text, exporter);
    append_bytes(text, sha256(as_bytes(certificate_pem)));
    append_bytes(text, sha256(as_bytes(authority_pem)));
    return hmac(key, text);
}

bool is_same_proof(ConstBytes a, ConstBytes b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace zoneferry
