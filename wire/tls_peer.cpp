#include "wire/tls_peer.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>

#include "core/base/digest.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::string_view kUriScheme = "zoneferry://";
constexpr std::string_view kExporterLabel = "EXPORTER-zoneferry";
constexpr const char* kClockRemedy = "compare the clocks of both hosts (date -u); they must agree within minutes";
constexpr const char* kJoinRemedy = "zoneferry trust list, on both hosts; then join again with a new invitation";

struct FreeX509 {
    void operator()(X509* certificate) const { X509_free(certificate); }
};
using X509Ptr = std::unique_ptr<X509, FreeX509>;

int choice_index() {
    static const int kIndex = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return kIndex;
}

bool offers(const unsigned char* list, unsigned bytes, const unsigned char* wanted) {
    const unsigned wanted_bytes = 1U + wanted[0];
    for (unsigned at = 0; at + wanted_bytes <= bytes; at += 1U + list[at]) {
        if (std::equal(wanted, wanted + wanted_bytes, list + at)) return true;
    }
    return false;
}

int choose_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_bytes, const unsigned char* list,
                unsigned bytes, void* /*unused*/) {
    auto* choice = static_cast<ServerChoice*>(SSL_get_ex_data(ssl, choice_index()));
    const unsigned char* chosen = nullptr;
    if (offers(list, bytes, kAlpnPeer)) {
        chosen = kAlpnPeer;
    } else if (choice != nullptr && choice->join != nullptr && offers(list, bytes, kAlpnJoin)) {
        // Only here is a client certificate not asked for; Link then lets nothing but the join pass.
        if (SSL_set_SSL_CTX(ssl, choice->join) == nullptr) return SSL_TLSEXT_ERR_ALERT_FATAL;
        SSL_set_verify(ssl, SSL_VERIFY_NONE, nullptr);
        choice->is_join = true;
        chosen = kAlpnJoin;
    } else {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen + 1;
    *out_bytes = chosen[0];
    return SSL_TLSEXT_ERR_OK;
}

bool is_host_name(std::string_view name) {
    if (name.empty() || name.size() > 253 || name.front() == '-' || name.front() == '.') return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
               c == '_';
    });
}

Result<std::string> fingerprint_of(X509* certificate) {
    unsigned char* der = nullptr;
    const int bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (bytes <= 0) return Error(Errc::untrusted, "the peer's public key cannot be read");
    const Digest digest = sha256(std::as_bytes(std::span(der, static_cast<std::size_t>(bytes))));
    OPENSSL_free(der);
    return to_hex(digest);
}

// The host in the certificate's only zoneferry:// URI; other kinds of names are ignored, CN as well.
Result<std::string> host_of(X509* certificate) {
    std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
        [](GENERAL_NAMES* list) { GENERAL_NAMES_free(list); });
    std::string host;
    const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names.get());
    for (int i = 0; i < count; ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_URI) continue;
        const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
        const std::string_view text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                                    static_cast<std::size_t>(ASN1_STRING_length(uri)));
        if (!text.starts_with(kUriScheme)) continue;
        if (!host.empty()) return Error(Errc::untrusted, "the peer's certificate names more than one host");
        host = text.substr(kUriScheme.size());
        if (!is_host_name(host)) return Error(Errc::untrusted, "the peer's certificate names an impossible host");
    }
    if (host.empty()) return Error(Errc::untrusted, "the peer's certificate names no zoneferry host");
    return host;
}

struct Explanation {
    int reason;
    const char* sentence;
    const char* remedy;
};

// Alerts: what the peer told us about our certificate.
constexpr Explanation kAlerts[] = {
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "it is not joined to the same authority as this host", kJoinRemedy},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "it takes this host's certificate for expired", kClockRemedy},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "it refuses this host's certificate, which may be not yet valid there",
     kClockRemedy},
    {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, "this host's certificate is of the wrong kind for it", kJoinRemedy},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, "it has revoked this host's certificate", kJoinRemedy},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "it does not accept this host's certificate", kJoinRemedy},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "it demands a certificate and this host showed none", kJoinRemedy},
    {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, "it does not offer this (a join may be switched off there)", ""},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "it does not speak TLS 1.3", ""},
    {SSL_R_WRONG_VERSION_NUMBER, "what answers at this address does not speak TLS", ""},
    {SSL_R_UNSUPPORTED_PROTOCOL, "it does not speak TLS 1.3", ""},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "it showed no certificate", kJoinRemedy},
};

// Our own verdict about the peer's certificate.
constexpr Explanation kVerdicts[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, "its certificate has expired, or the clocks differ", kClockRemedy},
    {X509_V_ERR_CERT_NOT_YET_VALID, "its certificate is not yet valid: the clocks differ", kClockRemedy},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "its certificate is self-signed", kJoinRemedy},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "it belongs to another authority", kJoinRemedy},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "it belongs to another authority", kJoinRemedy},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "it belongs to another authority", kJoinRemedy},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "it belongs to another authority", kJoinRemedy},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, "its certificate is forged or belongs to another authority", kJoinRemedy},
    {X509_V_ERR_INVALID_PURPOSE, "its certificate is not made for this use", kJoinRemedy},
};

template <std::size_t N>
const Explanation* find_explanation(const Explanation (&table)[N], long reason) {
    for (const Explanation& row : table) {
        if (row.reason == reason) return &row;
    }
    return nullptr;
}

Error explained(const std::string& peer, const std::string& sentence, const char* remedy) {
    Error error(Errc::untrusted, "no trust between this host and " + peer + ": " + sentence);
    return std::string_view(remedy).empty() ? error : std::move(error).remedy(remedy);
}

}  // namespace

void install_alpn_choice(SSL_CTX* mutual) { SSL_CTX_set_alpn_select_cb(mutual, choose_alpn, nullptr); }

void set_server_choice(SSL* ssl, ServerChoice* choice) { SSL_set_ex_data(ssl, choice_index(), choice); }

Status prepare_client(SSL* ssl, bool join) {
    const unsigned char* alpn = join ? kAlpnJoin : kAlpnPeer;
    if (SSL_set_alpn_protos(ssl, alpn, 1U + alpn[0]) != 0) return Error(Errc::io, "setting ALPN failed");
    return {};
}

Result<PeerIdentity> read_peer_identity(SSL* ssl) {
    const X509Ptr certificate(SSL_get1_peer_certificate(ssl));
    if (certificate == nullptr) return Error(Errc::untrusted, "the peer showed no certificate");
    if (SSL_get_verify_result(ssl) != X509_V_OK || (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) == 0) {
        return Error(Errc::untrusted, "the peer's certificate was not verified");
    }
    PeerIdentity identity;
    ZF_TRY(identity.host, host_of(certificate.get()));
    ZF_TRY(identity.fingerprint, fingerprint_of(certificate.get()));
    return identity;
}

Result<std::string> read_peer_fingerprint(SSL* ssl) {
    const X509Ptr certificate(SSL_get1_peer_certificate(ssl));
    if (certificate == nullptr) return Error(Errc::untrusted, "the peer showed no certificate");
    return fingerprint_of(certificate.get());
}

Status check_session(SSL* ssl, bool join) {
    if (SSL_version(ssl) != TLS1_3_VERSION) return Error(Errc::untrusted, "the peer does not speak TLS 1.3");
    const unsigned char* wanted = join ? kAlpnJoin : kAlpnPeer;
    const unsigned char* chosen = nullptr;
    unsigned bytes = 0;
    SSL_get0_alpn_selected(ssl, &chosen, &bytes);
    if (bytes != wanted[0] || !std::equal(chosen, chosen + bytes, wanted + 1)) {
        return Error(Errc::protocol, "what answers there is not a zoneferry agent");
    }
    return {};
}

Result<ByteVector> read_exporter(SSL* ssl) {
    ByteVector secret(32);
    if (SSL_export_keying_material(ssl, reinterpret_cast<unsigned char*>(secret.data()), secret.size(),
                                   kExporterLabel.data(), kExporterLabel.size(), nullptr, 0, 0) != 1) {
        return Error(Errc::io, "the TLS exporter failed");
    }
    return secret;
}

ByteVector derive_exporter(const ByteVector& master, std::string_view label) {
    ByteVector out(32);
    unsigned bytes = 0;
    const unsigned char* made = HMAC(EVP_sha256(), master.data(), static_cast<int>(master.size()),
                                     reinterpret_cast<const unsigned char*>(label.data()), label.size(),
                                     reinterpret_cast<unsigned char*>(out.data()), &bytes);
    ZF_CHECK(made != nullptr && bytes == out.size());
    return out;
}

Error explain_tls_failure(SSL* ssl, unsigned long ssl_error, const std::string& peer, const std::string& text) {
    const int reason = ssl_error == 0 ? 0 : ERR_GET_REASON(ssl_error);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        const long verdict = SSL_get_verify_result(ssl);
        const Explanation* row = find_explanation(kVerdicts, verdict);
        if (row != nullptr) return explained(peer, row->sentence, row->remedy);
        return explained(peer, std::string("its certificate is refused: ") + X509_verify_cert_error_string(verdict),
                         kJoinRemedy);
    }
    const Explanation* row = find_explanation(kAlerts, reason);
    if (row != nullptr) return explained(peer, row->sentence, row->remedy);
    if (ssl_error != 0) return Error(Errc::untrusted, "TLS with " + peer + " failed: " + printable(text));
    return Error(Errc::peer_lost, "the connection to " + peer + " broke: " + printable(text));
}

}  // namespace zoneferry
