// Keys and certificates, as values: making, signing, reading. No files, no policy about peers.
//
// Authority: P-256, critical CA:TRUE pathlen:0, keyCertSign, 10 years. Host certificate: P-256, critical
// CA:FALSE and digitalSignature, serverAuth + clientAuth, and one name: the SAN URI zoneferry://HOST (no CN is
// ever looked at). Validity begins five minutes early, for clocks that differ.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/result.h"

namespace zoneferry {

struct FreeOpenSsl {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(X509_REQ* request) const { X509_REQ_free(request); }
    void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeOpenSsl>;
using X509Ptr = std::unique_ptr<X509, FreeOpenSsl>;
using X509RequestPtr = std::unique_ptr<X509_REQ, FreeOpenSsl>;
using BioPtr = std::unique_ptr<BIO, FreeOpenSsl>;

// An Error with what OpenSSL's queue of this thread says; empties the queue.
Error openssl_error(Errc code, const std::string& what);

Result<KeyPtr> make_key();
Result<std::string> key_to_pem(EVP_PKEY* key);
Result<KeyPtr> key_from_pem(const std::string& pem);

Result<std::string> certificate_to_pem(X509* certificate);
// The first certificate of the text; more than 64 KiB is refused.
Result<X509Ptr> certificate_from_pem(const std::string& pem);

// A request for a host certificate: nothing of it but the key is used by the signer.
Result<std::string> make_request_pem(EVP_PKEY* key);
// Checks its size, its self-signature and that the key is P-256.
Result<X509RequestPtr> request_from_pem(const std::string& pem);

// SHA-256 of the public key (SPKI), hex.
Result<std::string> key_fingerprint(EVP_PKEY* key);

struct CertificateForm {
    std::string uri;          // SAN; empty: none (an authority)
    std::string common_name;  // for people who look at it
    std::string key_purposes = "serverAuth,clientAuth";
    std::int64_t not_before_s = 0;  // Unix time
    std::int64_t not_after_s = 0;
};
// Signs public_key as an authority of its own key.
Result<X509Ptr> issue_authority(EVP_PKEY* key, const CertificateForm& form);
Result<X509Ptr> issue_certificate(EVP_PKEY* public_key, const CertificateForm& form, X509* authority,
                                  EVP_PKEY* authority_key);

// The host of the only zoneferry:// URI among the names. Errc::untrusted if there is not exactly one.
Result<std::string> certificate_host(X509* certificate);
std::int64_t certificate_end_s(const X509* certificate);  // Unix time
// Signed by this authority, in force at the time, for a host.
Status verify_certificate(X509* certificate, X509* authority, std::int64_t now_s);

// Letters, digits, '-', '.', '_'; not starting with '-' or '.'; 1 to 253 bytes.
bool is_host_name(const std::string& name);
std::string host_uri(const std::string& host);

}  // namespace zoneferry
