// Whom this host trusts: our identity, the authority, peers and invitations, in one directory of mode 0700.
//
//     host.pem          0600  our key and our certificate, in one file so that they always belong together
//     authority.pem     0600  the authority's certificate: the only root we trust
//     authority.key     0600  its key, only on the host where `trust init` was typed
//     peers/HOST        0600  one peer: address, port, what it may do, its key's fingerprint
//     invitations/HOST  0600  an open invitation: key (a hash of the secret), expiry, tries used
//     denied            0600  fingerprints of keys that are no longer trusted, one a line
//
// Rules. Trust needs three things: a certificate of our authority (TLS checks it), a peer record, and a key that is
// not denied (authorize()). An invitation is burnt before its certificate is issued, and by five wrong proofs.
// The authority lives 10 years, and a host certificate as long: what ends trust is not time but remove_peer(), which
// denies a key for good, on each host; an end in between would only stop moves.
//
// Every call reads the files afresh: what another process changed counts at once. Changes are made under a lock
// (file `lock`) and are durable on return. Key files that others can read or own are refused.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "certs/certificate.h"
#include "certs/invitation.h"
#include "core/base/bytes.h"
#include "core/base/result.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace zoneferry {

struct Peer {
    std::string host;
    std::string address;      // name or IP address; empty: not known
    std::uint16_t port = 0;   // 0: not known
    bool may_send = true;     // it may move zones to us
    bool may_receive = true;  // we may move zones to it
    std::string fingerprint;  // SPKI SHA-256, hex; empty: any key that our authority signed for this host

    bool operator==(const Peer&) const = default;
};

struct JoinAnswer {
    std::string certificate_pem;
    std::string authority_pem;
    ByteVector proof;
    std::string fingerprint;  // of the key that joined
};

// The joining side between its request and the answer. Keeps the new key in memory only.
class JoinAttempt {
public:
    const std::string& request_pem() const { return request_pem_; }
    const Invitation& invitation() const { return invitation_; }
    ByteVector proof(ConstBytes exporter) const;

private:
    friend class TrustStore;
    Invitation invitation_;
    KeyPtr key_;
    std::string request_pem_;
};

class TrustStore {
public:
    using Context = std::shared_ptr<ssl_ctx_st>;

    // Makes the directory if it is missing. Errc::permission if others can look into it.
    static Result<TrustStore> open(std::string directory);

    bool has_identity() const;
    bool has_authority() const;  // its key, that is
    Result<std::string> host() const;
    Result<std::string> fingerprint() const;  // of our key

    // Makes the authority and our certificate. Errc::conflict if this host has an identity already.
    Status init(const std::string& host, std::int64_t now_unix_ms);

    // A new invitation for peer_host; an earlier one for it is void. addresses: "HOST:PORT", best first.
    Result<Invitation> invite(const std::string& peer_host, const std::vector<std::string>& addresses, int ttl_s,
                              std::int64_t now_unix_ms);
    Status withdraw_invitation(const std::string& peer_host);
    // The inviting side: checks the proof, burns the invitation, signs, records the peer with its fingerprint
    // (address still unknown: save_peer). Errc::untrusted for every refusal.
    Result<JoinAnswer> answer_join(const std::string& host, const std::string& request_pem, ConstBytes proof,
                                   ConstBytes exporter, std::int64_t now_unix_ms);
    // The joining side. Errc::conflict if this host already belongs to another authority.
    Result<JoinAttempt> begin_join(const Invitation& invitation, std::int64_t now_unix_ms) const;
    // Checks all of the answer before anything is stored, then stores it and records the inviter as peer. If that had
    // been removed here, its key is trusted again: a person has typed its new invitation.
    Status complete_join(const JoinAttempt& attempt, const std::string& certificate_pem,
                         const std::string& authority_pem, ConstBytes proof, ConstBytes exporter,
                         std::int64_t now_unix_ms);

    Result<std::vector<Peer>> peers() const;           // sorted by host
    Result<Peer> peer(const std::string& host) const;  // Errc::untrusted if there is none
    Status save_peer(const Peer& peer);
    // No longer trusted: the record goes, its known key is denied for good.
    Status remove_peer(const std::string& host);
    // After a handshake: may this host, with this key, talk to us? Errc::untrusted with the reason.
    Result<Peer> authorize(const std::string& host, const std::string& fingerprint) const;

    // TLS 1.3 only; made anew by each call. Mutual ones demand a certificate of our authority, in force.
    Result<Context> server_context() const;
    Result<Context> client_context() const;
    Result<Context> join_server_context() const;   // shows our certificate, asks for none
    static Result<Context> join_client_context();  // shows none, verifies none: the caller compares the pin

private:
    explicit TrustStore(std::string directory) : directory_(std::move(directory)) {}
    std::string at(const std::string& name) const { return directory_ + "/" + name; }
    Result<std::string> read_secret(const std::string& name) const;
    Result<X509Ptr> own_certificate() const;
    Result<KeyPtr> own_key() const;
    Result<X509Ptr> authority() const;
    Result<KeyPtr> authority_key() const;
    Status save_identity(EVP_PKEY* key, X509* certificate);
    Result<Digest> check_invitation(const std::string& host, const std::string& request_pem, ConstBytes proof,
                                    ConstBytes exporter, std::int64_t now_unix_ms);
    Status forgive(const std::string& fingerprint);
    Result<bool> is_denied(const std::string& fingerprint) const;
    Result<Context> new_context(bool mutual, bool server) const;

    std::string directory_;
};

}  // namespace zoneferry
