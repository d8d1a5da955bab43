#include "certs/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <string_view>

#include "core/base/digest.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::size_t kPemBytesMax = 64U << 10U;
constexpr std::string_view kUriScheme = "zoneferry://";
constexpr const char* kCurve = "prime256v1";

Result<BioPtr> bio_of(const std::string& text) {
    if (text.size() > kPemBytesMax) return Error(Errc::invalid, "a PEM text is larger than 64 KiB");
    BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    if (bio == nullptr) return openssl_error(Errc::io, "reading a PEM text");
    return bio;
}

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long bytes = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(bytes)};
}

int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*unused*/) { return -1; }

bool is_p256(EVP_PKEY* key) {
    char group[64] = {};
    std::size_t bytes = 0;
    return EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, group, sizeof group, &bytes) == 1 &&
           std::string_view(group, bytes) == kCurve;
}

Status add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    std::unique_ptr<X509_EXTENSION, void (*)(X509_EXTENSION*)> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()), X509_EXTENSION_free);
    if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
        return openssl_error(Errc::io, "putting " + value + " into a certificate");
    }
    return {};
}

Status set_name(X509_NAME* name, const std::string& common_name) {
    const std::string shown = common_name.substr(0, 64);  // the X.509 limit of a CN
    if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(shown.c_str()), -1,
                                   -1, 0) != 1) {
        return openssl_error(Errc::io, "naming a certificate");
    }
    return {};
}

Status set_serial(X509* certificate) {
    unsigned char random[16];
    if (RAND_bytes(random, sizeof random) != 1) return openssl_error(Errc::io, "random serial number");
    random[0] &= 0x7fU;
    std::unique_ptr<BIGNUM, void (*)(BIGNUM*)> number(BN_bin2bn(random, sizeof random, nullptr), BN_free);
    if (number == nullptr || BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
        return openssl_error(Errc::io, "setting a serial number");
    }
    return {};
}

// What authority and host certificates share.
Result<X509Ptr> begin_certificate(EVP_PKEY* public_key, const CertificateForm& form, X509* authority) {
    X509Ptr certificate(X509_new());
    if (certificate == nullptr || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
        X509_set_pubkey(certificate.get(), public_key) != 1 ||
        ASN1_TIME_set(X509_getm_notBefore(certificate.get()), form.not_before_s) == nullptr ||
        ASN1_TIME_set(X509_getm_notAfter(certificate.get()), form.not_after_s) == nullptr) {
        return openssl_error(Errc::io, "making a certificate");
    }
    ZF_TRY_STATUS(set_serial(certificate.get()));
    ZF_TRY_STATUS(set_name(X509_get_subject_name(certificate.get()), form.common_name));
    X509* issuer = authority == nullptr ? certificate.get() : authority;
    if (X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer)) != 1) {
        return openssl_error(Errc::io, "naming a certificate's issuer");
    }
    ZF_TRY_STATUS(add_extension(certificate.get(), issuer, NID_subject_key_identifier, "hash"));
    return certificate;
}

}  // namespace

Error openssl_error(Errc code, const std::string& what) {
    std::string reasons;
    while (const unsigned long number = ERR_get_error()) {
        char text[256];
        ERR_error_string_n(number, text, sizeof text);
        const char* reason = ERR_reason_error_string(number);
        if (reasons.empty()) reasons = reason == nullptr ? text : reason;
    }
    return Error(code, reasons.empty() ? what + " failed" : what + ": " + printable(reasons));
}

Result<KeyPtr> make_key() {
    KeyPtr key(EVP_EC_gen(kCurve));
    if (key == nullptr) return openssl_error(Errc::io, "making a key");
    return key;
}

Result<std::string> key_to_pem(EVP_PKEY* key) {
    const BioPtr bio(BIO_new(BIO_s_secmem()));
    if (bio == nullptr || PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
        return openssl_error(Errc::io, "writing a key");
    }
    return text_of(bio.get());
}

Result<KeyPtr> key_from_pem(const std::string& pem) {
    ZF_TRY(const BioPtr bio, bio_of(pem));
    KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
    if (key == nullptr) return openssl_error(Errc::corrupt, "reading a key");
    return key;
}

Result<std::string> certificate_to_pem(X509* certificate) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    if (bio == nullptr || PEM_write_bio_X509(bio.get(), certificate) != 1) {
        return openssl_error(Errc::io, "writing a certificate");
    }
    return text_of(bio.get());
}

Result<X509Ptr> certificate_from_pem(const std::string& pem) {
    ZF_TRY(const BioPtr bio, bio_of(pem));
    X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (certificate == nullptr) return openssl_error(Errc::corrupt, "reading a certificate");
    return certificate;
}

Result<std::string> make_request_pem(EVP_PKEY* key) {
    const X509RequestPtr request(X509_REQ_new());
    const BioPtr bio(BIO_new(BIO_s_mem()));
    if (request == nullptr || bio == nullptr || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
        X509_REQ_set_pubkey(request.get(), key) != 1 || X509_REQ_sign(request.get(), key, EVP_sha256()) <= 0 ||
        PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) {
        return openssl_error(Errc::io, "making a certificate request");
    }
    return text_of(bio.get());
}

Result<X509RequestPtr> request_from_pem(const std::string& pem) {
    ZF_TRY(const BioPtr bio, bio_of(pem));
    X509RequestPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, no_passphrase, nullptr));
    if (request == nullptr) return openssl_error(Errc::protocol, "reading the peer's certificate request");
    EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
    if (key == nullptr || !is_p256(key)) {
        return Error(Errc::untrusted, "the certificate request's key is not a P-256 key: refused");
    }
    if (X509_REQ_verify(request.get(), key) != 1) {
        return openssl_error(Errc::untrusted, "the certificate request is not signed by its own key");
    }
    return request;
}

Result<std::string> key_fingerprint(EVP_PKEY* key) {
    unsigned char* der = nullptr;
    const int bytes = i2d_PUBKEY(key, &der);
    if (bytes <= 0) return openssl_error(Errc::io, "reading a public key");
    const Digest digest = sha256(std::as_bytes(std::span(der, static_cast<std::size_t>(bytes))));
    OPENSSL_free(der);
    return to_hex(digest);
}

Result<X509Ptr> issue_authority(EVP_PKEY* key, const CertificateForm& form) {
    ZF_TRY(X509Ptr certificate, begin_certificate(key, form, nullptr));
    ZF_TRY_STATUS(
        add_extension(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
    ZF_TRY_STATUS(add_extension(certificate.get(), certificate.get(), NID_key_usage, "critical,keyCertSign"));
    if (X509_sign(certificate.get(), key, EVP_sha256()) <= 0) return openssl_error(Errc::io, "signing the authority");
    return certificate;
}

Result<X509Ptr> issue_certificate(EVP_PKEY* public_key, const CertificateForm& form, X509* authority,
                                  EVP_PKEY* authority_key) {
    ZF_TRY(X509Ptr certificate, begin_certificate(public_key, form, authority));
    X509* made = certificate.get();
    ZF_TRY_STATUS(add_extension(made, authority, NID_basic_constraints, "critical,CA:FALSE"));
    ZF_TRY_STATUS(add_extension(made, authority, NID_key_usage, "critical,digitalSignature"));
    ZF_TRY_STATUS(add_extension(made, authority, NID_ext_key_usage, form.key_purposes));
    ZF_TRY_STATUS(add_extension(made, authority, NID_authority_key_identifier, "keyid:always"));
    if (!form.uri.empty()) ZF_TRY_STATUS(add_extension(made, authority, NID_subject_alt_name, "URI:" + form.uri));
    if (X509_sign(made, authority_key, EVP_sha256()) <= 0) return openssl_error(Errc::io, "signing a certificate");
    return certificate;
}

Result<std::string> certificate_host(X509* certificate) {
    std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
        [](GENERAL_NAMES* list) { GENERAL_NAMES_free(list); });
    const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names.get());
    std::string host;
    for (int i = 0; i < count; ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_URI) continue;
        const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
        const std::string_view text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                                    static_cast<std::size_t>(ASN1_STRING_length(uri)));
        if (!text.starts_with(kUriScheme)) continue;
        if (!host.empty()) return Error(Errc::untrusted, "the certificate names more than one host");
        host = text.substr(kUriScheme.size());
    }
    if (!is_host_name(host)) return Error(Errc::untrusted, "the certificate names no zoneferry host");
    return host;
}

std::int64_t certificate_end_s(const X509* certificate) {
    std::tm time{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1) return 0;
    return ::timegm(&time);
}

Status verify_certificate(X509* certificate, X509* authority, std::int64_t now_s) {
    std::unique_ptr<X509_STORE, void (*)(X509_STORE*)> store(X509_STORE_new(), X509_STORE_free);
    std::unique_ptr<X509_STORE_CTX, void (*)(X509_STORE_CTX*)> context(X509_STORE_CTX_new(), X509_STORE_CTX_free);
    if (store == nullptr || context == nullptr || X509_STORE_add_cert(store.get(), authority) != 1 ||
        X509_STORE_CTX_init(context.get(), store.get(), certificate, nullptr) != 1) {
        return openssl_error(Errc::io, "verifying a certificate");
    }
    X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context.get());
    X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_depth(rules, 1);
    X509_VERIFY_PARAM_set_time(rules, static_cast<std::time_t>(now_s));
    if (X509_verify_cert(context.get()) == 1) return {};
    ERR_clear_error();
    return Error(Errc::untrusted, std::string("the certificate is refused: ") +
                                      X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
}

bool is_host_name(const std::string& name) {
    if (name.empty() || name.size() > 253 || name.front() == '-' || name.front() == '.') return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
               c == '_';
    });
}

std::string host_uri(const std::string& host) { return std::string(kUriScheme) + host; }

}  // namespace zoneferry
