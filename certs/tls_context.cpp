// The TLS contexts of the trust store. No verify callbacks: OpenSSL judges, against authority.pem alone.
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "certs/trust_store.h"

namespace zoneferry {
namespace {

using Context = TrustStore::Context;

constexpr const char* kSuites = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
constexpr const char* kGroups = "X25519:P-256";

// TLS 1.3 alone; no tickets, no sessions, no early data, no compression.
Result<Context> plain_context() {
    Context context(SSL_CTX_new(TLS_method()), SSL_CTX_free);
    if (context == nullptr) return openssl_error(Errc::io, "making a TLS context");
    SSL_CTX* made = context.get();
    SSL_CTX_set_options(made, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_early_data(made, 0);
    if (SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(made, TLS1_3_VERSION) != 1 || SSL_CTX_set_num_tickets(made, 0) != 1 ||
        SSL_CTX_set_ciphersuites(made, kSuites) != 1 || SSL_CTX_set1_groups_list(made, kGroups) != 1) {
        return openssl_error(Errc::io, "setting up TLS 1.3");
    }
    return context;
}

Status demand_certificate(SSL_CTX* context, X509* authority, bool server) {
    X509_STORE* roots = SSL_CTX_get_cert_store(context);
    X509_VERIFY_PARAM* rules = SSL_CTX_get0_param(context);
    if (X509_STORE_add_cert(roots, authority) != 1 ||
        X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_X509_STRICT) != 1 ||
        X509_VERIFY_PARAM_set_purpose(rules, server ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER) != 1) {
        return openssl_error(Errc::io, "setting up the verification of peers");
    }
    X509_VERIFY_PARAM_set_depth(rules, 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    return {};
}

}  // namespace

Result<Context> TrustStore::new_context(bool mutual, bool server) const {
    ZF_TRY(const X509Ptr certificate, own_certificate());
    ZF_TRY(const KeyPtr key, own_key());
    ZF_TRY(Context context, plain_context());
    if (SSL_CTX_use_certificate(context.get(), certificate.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1 || SSL_CTX_check_private_key(context.get()) != 1) {
        return openssl_error(Errc::corrupt, "using " + at("host.pem"));
    }
    if (mutual) {
        ZF_TRY(const X509Ptr root, authority());
        ZF_TRY_STATUS(demand_certificate(context.get(), root.get(), server));
    } else {
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    }
    return context;
}

Result<Context> TrustStore::server_context() const { return new_context(true, true); }
Result<Context> TrustStore::client_context() const { return new_context(true, false); }
Result<Context> TrustStore::join_server_context() const { return new_context(false, true); }

Result<Context> TrustStore::join_client_context() {
    ZF_TRY(Context context, plain_context());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    return context;
}

}  // namespace zoneferry
