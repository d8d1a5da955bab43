#include "certs/trust_store.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "certs/records.h"
#include "core/base/files.h"
#include "core/base/lock.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::int64_t kDayS = 24 * 3600;
constexpr std::int64_t kAuthorityLifeS = 3650 * kDayS;
constexpr std::int64_t kBackdateS = 300;  // clocks differ
constexpr unsigned kTriesMax = 5;
constexpr std::size_t kFileBytesMax = 256U << 10U;
constexpr std::size_t kAddressBytesMax = 256;
constexpr int kInvitationTtlMaxS = 7 * 24 * 3600;
constexpr mode_t kSecretMode = 0600;

CertificateForm host_form(const std::string& host, std::int64_t now_s, const X509* authority) {
    CertificateForm form;
    form.uri = host_uri(host);
    form.common_name = host;
    form.not_before_s = now_s - kBackdateS;
    form.not_after_s = certificate_end_s(authority);
    return form;
}

Status check_host_name(const std::string& host) {
    if (is_host_name(host)) return {};
    return Error(Errc::invalid,
                 "\"" + printable(host) + "\" is no host name: letters, digits, '-', '.', '_' are allowed");
}

Error no_identity() {
    return Error(Errc::not_found, "this host has no identity yet: no other host can trust it")
        .remedy("zoneferry trust init (on the first host), or zoneferry trust join INVITATION");
}

// Ours alone, or the error with the command that mends it.
Status check_private(const std::string& path, const struct stat& stat, const char* mode) {
    if (stat.st_uid != ::geteuid()) {
        return Error(Errc::permission, path + " belongs to another user: it is not used")
            .remedy("chown " + std::to_string(::geteuid()) + " " + path);
    }
    if ((stat.st_mode & 077U) == 0) return {};
    return Error(Errc::permission, path + " can be used by others, its secrets may be known: it is not used")
        .remedy(std::string("chmod ") + mode + " " + path);
}

}  // namespace

ByteVector JoinAttempt::proof(ConstBytes exporter) const {
    return request_proof(invitation_key(invitation_.secret), exporter, request_pem_);
}

// --- files --------------------------------------------------------------------------------------------------

Result<TrustStore> TrustStore::open(std::string directory) {
    ZF_TRY_STATUS(make_directories(directory, 0700));
    ZF_TRY(const UniqueFd fd, open_directory(directory));
    ZF_TRY(const struct stat stat, stat_fd(fd.get()));
    ZF_TRY_STATUS(check_private(directory, stat, "700"));
    TrustStore store(std::move(directory));
    ZF_TRY_STATUS(make_directories(store.at("peers"), 0700));
    ZF_TRY_STATUS(make_directories(store.at("invitations"), 0700));
    return store;
}

Result<std::string> TrustStore::read_secret(const std::string& name) const {
    ZF_TRY(const UniqueFd fd, open_file(at(name), O_RDONLY | O_NOFOLLOW));
    ZF_TRY(const struct stat stat, stat_fd(fd.get()));
    ZF_TRY_STATUS(check_private(at(name), stat, "600"));
    return read_to_end(fd.get(), kFileBytesMax);
}

Status TrustStore::save_identity(EVP_PKEY* key, X509* certificate) {
    ZF_TRY(std::string text, key_to_pem(key));
    ZF_TRY(const std::string certificate_text, certificate_to_pem(certificate));
    text += certificate_text;
    Status saved = replace_file(at("host.pem"), text, kSecretMode);
    OPENSSL_cleanse(text.data(), text.size());
    return saved;
}

bool TrustStore::has_identity() const { return path_exists(at("host.pem")); }
bool TrustStore::has_authority() const { return has_identity() && path_exists(at("authority.key")); }

Result<X509Ptr> TrustStore::own_certificate() const {
    if (!has_identity()) return no_identity();
    ZF_TRY(const std::string text, read_secret("host.pem"));
    return certificate_from_pem(text);
}

Result<KeyPtr> TrustStore::own_key() const {
    if (!has_identity()) return no_identity();
    ZF_TRY(const std::string text, read_secret("host.pem"));
    return key_from_pem(text);
}

Result<X509Ptr> TrustStore::authority() const {
    ZF_TRY(const std::string text, read_secret("authority.pem"));
    return certificate_from_pem(text);
}

Result<KeyPtr> TrustStore::authority_key() const {
    if (!has_authority()) {
        return Error(Errc::unsupported, "this host does not hold the authority's key: it cannot let hosts join")
            .remedy("invite from the host on which \"zoneferry trust init\" was typed");
    }
    ZF_TRY(const std::string text, read_secret("authority.key"));
    return key_from_pem(text);
}

Result<std::string> TrustStore::host() const {
    ZF_TRY(const X509Ptr certificate, own_certificate());
    return certificate_host(certificate.get());
}

Result<std::string> TrustStore::fingerprint() const {
    ZF_TRY(const X509Ptr certificate, own_certificate());
    return key_fingerprint(X509_get0_pubkey(certificate.get()));
}

// --- identity -----------------------------------------------------------------------------------------------

Status TrustStore::init(const std::string& host, std::int64_t now_unix_ms) {
    ZF_TRY_STATUS(check_host_name(host));
    ZF_TRY(const FileLock lock, FileLock::take(at("lock")));
    if (has_identity()) {
        return Error(Errc::conflict, "this host has an identity already, nothing was changed")
            .remedy("zoneferry trust list");
    }
    const std::int64_t now_s = now_unix_ms / 1000;
    ZF_TRY(const KeyPtr root_key, make_key());
    CertificateForm root_form;
    root_form.common_name = "zoneferry authority of " + host;
    root_form.not_before_s = now_s - kBackdateS;
    root_form.not_after_s = now_s + kAuthorityLifeS;
    ZF_TRY(const X509Ptr root, issue_authority(root_key.get(), root_form));
    ZF_TRY(const KeyPtr key, make_key());
    ZF_TRY(const X509Ptr certificate,
           issue_certificate(key.get(), host_form(host, now_s, root.get()), root.get(), root_key.get()));
    ZF_TRY(std::string root_key_text, key_to_pem(root_key.get()));
    ZF_TRY(const std::string root_text, certificate_to_pem(root.get()));
    Status saved = replace_file(at("authority.key"), root_key_text, kSecretMode);
    OPENSSL_cleanse(root_key_text.data(), root_key_text.size());
    ZF_TRY_STATUS(std::move(saved));
    ZF_TRY_STATUS(replace_file(at("authority.pem"), root_text, kSecretMode));
    return save_identity(key.get(), certificate.get());  // last: it makes the rest count
}

// --- inviting -----------------------------------------------------------------------------------------------

Result<Invitation> TrustStore::invite(const std::string& peer_host, const std::vector<std::string>& addresses,
                                      int ttl_s, std::int64_t now_unix_ms) {
    ZF_TRY_STATUS(check_host_name(peer_host));
    ZF_TRY(const FileLock lock, FileLock::take(at("lock")));
    Invitation invitation;
    invitation.peer = peer_host;
    ZF_TRY(invitation.inviter, host());
    if (peer_host == invitation.inviter) return Error(Errc::invalid, "this host is " + peer_host + " itself");
    if (addresses.empty()) return Error(Errc::usage, "an invitation needs the address of this host");
    if (ttl_s <= 0 || ttl_s > kInvitationTtlMaxS) return Error(Errc::usage, "an invitation lives 1 s to 7 days");
    ZF_TRY(const KeyPtr root_key, authority_key());
    ZF_TRY(invitation.pin, fingerprint());
    ZF_TRY(invitation.authority_fingerprint, key_fingerprint(root_key.get()));
    invitation.addresses = addresses;
    invitation.secret = random_bytes(32);
    invitation.expires_unix_s = now_unix_ms / 1000 + ttl_s;
    ZF_TRY_STATUS(Invitation::parse(invitation.text()) ? Status() : Error(Errc::invalid, "an address is not usable"));
    InvitationRecord record;
    record.key = invitation_key(invitation.secret);
    record.expires_unix_s = invitation.expires_unix_s;
    ZF_TRY_STATUS(replace_file(at("invitations/" + peer_host), to_text(record), kSecretMode));
    return invitation;
}

Status TrustStore::withdraw_invitation(const std::string& peer_host) {
    ZF_TRY_STATUS(check_host_name(peer_host));
    ZF_TRY(const FileLock lock, FileLock::take(at("lock")));
    return remove_file(at("invitations/" + peer_host));
}

// The invitation's key if the proof is right; the invitation is then burnt.
Result<Digest> TrustStore::check_invitation(const std::string& host_name, const std::string& request_pem,
                                            ConstBytes proof, ConstBytes exporter, std::int64_t now_unix_ms) {
    const std::string name = "invitations/" + host_name;
    if (!path_exists(at(name))) {
        return Error(Errc::untrusted,
                     "there is no open invitation for " + host_name + ": it was never made, or is used up")
            .remedy("zoneferry trust invite " + host_name);
    }
    ZF_TRY(const std::string text, read_secret(name));
    ZF_TRY(InvitationRecord record, invitation_record_from_text(text));
    if (now_unix_ms / 1000 >= record.expires_unix_s) {
        ZF_TRY_STATUS(remove_file(at(name)));
        return Error(Errc::untrusted, "the invitation for " + host_name + " has expired")
            .remedy("zoneferry trust invite " + host_name);
    }
    if (is_same_proof(proof, request_proof(record.key, exporter, request_pem))) {
        ZF_TRY_STATUS(remove_file(at(name)));
        return record.key;
    }
    ++record.tries;
    ZF_TRY_STATUS(record.tries >= kTriesMax ? remove_file(at(name))
                                            : replace_file(at(name), to_text(record), kSecretMode));
    return Error(Errc::untrusted, "the invitation's secret is wrong" +
                                      std::string(record.tries >= kTriesMax ? ": too many tries, it is void now" : ""))
        .remedy("zoneferry trust invite " + host_name);
}

Result<JoinAnswer> TrustStore::answer_join(const std::string& host_name, const std::string& request_pem,
                                           ConstBytes proof, ConstBytes exporter, std::int64_t now_unix_ms) {
    if (!is_host_name(host_name)) return Error(Errc::untrusted, "the joining host has an impossible name");
    ZF_TRY(const FileLock lock, FileLock::take(at("lock")));
    ZF_TRY(const Digest key, check_invitation(host_name, request_pem, proof, exporter, now_unix_ms));
    ZF_TRY(const X509RequestPtr request, request_from_pem(request_pem));
    EVP_PKEY* public_key = X509_REQ_get0_pubkey(request.get());
    JoinAnswer answer;
    ZF_TRY(answer.fingerprint, key_fingerprint(public_key));
    ZF_TRY(const bool denied, is_denied(answer.fingerprint));
    if (denied) return Error(Errc::untrusted, "the key of " + host_name + " is no longer trusted here");
    ZF_TRY(const X509Ptr root, authority());
    ZF_TRY(const KeyPtr root_key, authority_key());
    ZF_TRY(const X509Ptr certificate,
           issue_certificate(public_key, host_form(host_name, now_unix_ms / 1000, root.get()), root.get(),
                             root_key.get()));
    ZF_TRY(answer.certificate_pem, certificate_to_pem(certificate.get()));
    ZF_TRY(answer.authority_pem, certificate_to_pem(root.get()));
    answer.proof = reply_proof(key, exporter, answer.certificate_pem, answer.authority_pem);
    Peer joined;
    if (const Result<Peer> known = peer(host_name)) joined = *known;
    joined.host = host_name;
    joined.fingerprint = answer.fingerprint;
    ZF_TRY_STATUS(save_peer(joined));
    return answer;
}

// --- joining ------------------------------------------------------------------------------------------------

Result<JoinAttempt> TrustStore::begin_join(const Invitation& invitation, std::int64_t now_unix_ms) const {
    if (now_unix_ms / 1000 >= invitation.expires_unix_s) {
        return Error(Errc::untrusted, "the invitation has expired, or this host's clock is wrong")
            .remedy("zoneferry trust invite " + invitation.peer + " (on " + invitation.inviter + ")");
    }
    if (has_identity()) {
        ZF_TRY(const std::string own_name, host());
        ZF_TRY(const X509Ptr root, authority());
        ZF_TRY(const std::string own_root, key_fingerprint(X509_get0_pubkey(root.get())));
        if (has_authority() || own_root != invitation.authority_fingerprint) {
            return Error(Errc::conflict, "this host already belongs to another authority: it did not join " +
                                             invitation.inviter + ", nothing was changed")
                .remedy("a host has one authority; to change it, move " + directory_ + " away first");
        }
        if (own_name != invitation.peer) {
            return Error(Errc::conflict,
                         "this host is known as " + own_name + ", the invitation is for " + invitation.peer);
        }
    }
    JoinAttempt attempt;
    attempt.invitation_ = invitation;
    ZF_TRY(attempt.key_, make_key());
    ZF_TRY(attempt.request_pem_, make_request_pem(attempt.key_.get()));
    return attempt;
}

Status TrustStore::complete_join(const JoinAttempt& attempt, const std::string& certificate_pem,
                                 const std::string& authority_pem, ConstBytes proof, ConstBytes exporter,
                                 std::int64_t now_unix_ms) {
    const Invitation& invitation = attempt.invitation_;
    const auto refused = [&](const std::string& why) {
        return Error(Errc::untrusted,
                     "the answer of " + invitation.inviter + " is refused, nothing was stored: " + why);
    };
    const Digest key = invitation_key(invitation.secret);
    if (!is_same_proof(proof, reply_proof(key, exporter, certificate_pem, authority_pem))) {
        return refused("it does not prove the invitation's secret");
    }
    ZF_TRY(const X509Ptr root, certificate_from_pem(authority_pem));
    ZF_TRY(const std::string root_fingerprint, key_fingerprint(X509_get0_pubkey(root.get())));
    if (root_fingerprint != invitation.authority_fingerprint) return refused("it comes from another authority");
    ZF_TRY(const X509Ptr certificate, certificate_from_pem(certificate_pem));
    if (X509_check_private_key(certificate.get(), attempt.key_.get()) != 1) return refused("it is for another key");
    ZF_TRY(const std::string named, certificate_host(certificate.get()));
    if (named != invitation.peer) return refused("it names the host " + named);
    if (Status chain = verify_certificate(certificate.get(), root.get(), now_unix_ms / 1000); !chain) {
        return refused(chain.error().sentence() + "; do the clocks agree?");
    }
    ZF_TRY(const FileLock lock, FileLock::take(at("lock")));
    ZF_TRY(const std::string root_text, certificate_to_pem(root.get()));
    ZF_TRY_STATUS(replace_file(at("authority.pem"), root_text, kSecretMode));
    ZF_TRY_STATUS(save_identity(attempt.key_.get(), certificate.get()));
    ZF_TRY_STATUS(forgive(invitation.pin));
    Peer inviter;
    if (const Result<Peer> known = peer(invitation.inviter)) inviter = *known;
    inviter.host = invitation.inviter;
    inviter.fingerprint = invitation.pin;
    return save_peer(inviter);
}

// Call it under the lock.
Status TrustStore::forgive(const std::string& key_fingerprint_hex) {
    ZF_TRY(const bool denied, is_denied(key_fingerprint_hex));
    if (!denied) return {};
    ZF_TRY(const std::string text, read_secret("denied"));
    std::string kept;
    for (const std::string_view line : split(text, '\n')) {
        if (!line.empty() && line != key_fingerprint_hex) kept += std::string(line) + "\n";
    }
    return replace_file(at("denied"), kept, kSecretMode);
}

// --- peers --------------------------------------------------------------------------------------------------

Result<std::vector<Peer>> TrustStore::peers() const {
    ZF_TRY(const std::vector<std::string> names, list_directory(at("peers")));
    std::vector<Peer> all;
    for (const std::string& name : names) {
        if (!is_host_name(name)) continue;  // a temporary file of a crash
        ZF_TRY(Peer one, peer(name));
        all.push_back(std::move(one));
    }
    return all;
}

Result<Peer> TrustStore::peer(const std::string& host_name) const {
    if (!is_host_name(host_name) || !path_exists(at("peers/" + host_name))) {
        return Error(Errc::untrusted, printable(host_name) + " is not a trusted host here")
            .remedy("zoneferry trust invite " + printable(host_name));
    }
    ZF_TRY(const std::string text, read_secret("peers/" + host_name));
    return peer_from_text(host_name, text);
}

Status TrustStore::save_peer(const Peer& peer) {
    ZF_TRY_STATUS(check_host_name(peer.host));
    const bool is_plain =
        std::all_of(peer.address.begin(), peer.address.end(), [](char c) { return c > ' ' && c != '\x7f'; });
    if (!is_plain || peer.address.size() > kAddressBytesMax) {
        return Error(Errc::invalid, "\"" + printable(peer.address) + "\" is no address");
    }
    if (!peer.fingerprint.empty() && !digest_from_hex(peer.fingerprint)) {
        return Error(Errc::invalid, "the fingerprint of " + peer.host + " is no SHA-256 in hex");
    }
    return replace_file(at("peers/" + peer.host), to_text(peer), kSecretMode);
}

Status TrustStore::remove_peer(const std::string& host_name) {
    ZF_TRY(const FileLock lock, FileLock::take(at("lock")));
    ZF_TRY(const Peer gone, peer(host_name));
    if (!gone.fingerprint.empty()) {
        std::string denied;
        if (path_exists(at("denied"))) {
            ZF_TRY(denied, read_secret("denied"));
        }
        ZF_TRY_STATUS(replace_file(at("denied"), denied + gone.fingerprint + "\n", kSecretMode));
    }
    ZF_TRY_STATUS(remove_file(at("invitations/" + host_name)));
    return remove_file(at("peers/" + host_name));
}

Result<bool> TrustStore::is_denied(const std::string& key_fingerprint_hex) const {
    if (!path_exists(at("denied"))) return false;
    ZF_TRY(const std::string text, read_secret("denied"));
    const std::vector<std::string_view> lines = split(text, '\n');
    return std::find(lines.begin(), lines.end(), key_fingerprint_hex) != lines.end();
}

Result<Peer> TrustStore::authorize(const std::string& host_name, const std::string& key_fingerprint_hex) const {
    ZF_TRY(const bool denied, is_denied(key_fingerprint_hex));
    if (denied) {
        return Error(Errc::untrusted, printable(host_name) + " uses a key that is no longer trusted here")
            .remedy("zoneferry trust invite " + printable(host_name) + ", and join again there");
    }
    ZF_TRY(Peer known, peer(host_name));
    if (!known.fingerprint.empty() && known.fingerprint != key_fingerprint_hex) {
        return Error(Errc::untrusted, host_name + " uses another key than the one it joined with")
            .remedy("if that is right: zoneferry trust invite " + host_name + ", and join again there");
    }
    return known;
}

}  // namespace zoneferry
