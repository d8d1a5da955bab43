// Trust: joins that must work, joins that must not, and what each guard says.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>

#include "certs/trust_store.h"
#include "core/base/clock.h"
#include "core/base/files.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

constexpr std::int64_t kNow = 1'795'000'000'000;  // a time in November 2026
constexpr std::int64_t kDay = 86'400'000;

class Trust : public ::testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(first_.init("host1", kNow)); }
    Invitation invite() { return *first_.invite("host2", {"192.0.2.1:7743"}, 900, kNow); }
    Result<JoinAnswer> answer(const JoinAttempt& attempt, std::int64_t now = kNow) {
        return first_.answer_join("host2", attempt.request_pem(), attempt.proof(exporter_), exporter_, now);
    }
    Status complete(const JoinAttempt& attempt, const JoinAnswer& answer) {
        return second_.complete_join(attempt, answer.certificate_pem, answer.authority_pem, answer.proof, exporter_,
                                     kNow);
    }
    void join() {
        const Result<JoinAttempt> attempt = second_.begin_join(invite(), kNow);
        ASSERT_TRUE(attempt);
        const Result<JoinAnswer> got = answer(*attempt);
        ASSERT_TRUE(got) << got.error().text();
        const Status done = complete(*attempt, *got);
        ASSERT_TRUE(done) << done.error().text();
    }

    TempDirectory directory_;
    TrustStore first_ = *TrustStore::open(directory_.path() + "/first");
    TrustStore second_ = *TrustStore::open(directory_.path() + "/second");
    ByteVector exporter_ = random_bytes(32);
};

TEST_F(Trust, JoinGivesBothSidesAnIdentityAndAPeer) {
    join();
    EXPECT_EQ(*second_.host(), "host2");
    EXPECT_FALSE(second_.has_authority());
    EXPECT_TRUE(first_.authorize("host2", *second_.fingerprint()));
    EXPECT_TRUE(second_.authorize("host1", *first_.fingerprint()));
    EXPECT_TRUE(second_.server_context());
    EXPECT_TRUE(second_.client_context());
    EXPECT_EQ(second_.invite("host3", {"a:1"}, 60, kNow).error().code(), Errc::unsupported);
}

TEST_F(Trust, JoiningAgainReplacesTheKey) {
    join();
    const std::string before = *second_.fingerprint();
    join();
    EXPECT_NE(*second_.fingerprint(), before);
    EXPECT_TRUE(first_.authorize("host2", *second_.fingerprint()));
    EXPECT_EQ(first_.authorize("host2", before).error().code(), Errc::untrusted);
}

TEST_F(Trust, InitTwiceChangesNothing) {
    const std::string before = *first_.fingerprint();
    EXPECT_EQ(first_.init("other", kNow).error().code(), Errc::conflict);
    EXPECT_EQ(*first_.fingerprint(), before);
}

TEST_F(Trust, HostNamesAreChecked) {
    for (const char* name : {"", "../x", "a/b", ".hidden", "-x", "a b", "a,URI:zoneferry://b", "a\nb"}) {
        EXPECT_EQ(first_.invite(name, {"a:1"}, 60, kNow).error().code(), Errc::invalid) << name;
        EXPECT_EQ(first_.answer_join(name, "", {}, {}, kNow).error().code(), Errc::untrusted) << name;
        EXPECT_FALSE(first_.peer(name)) << name;
    }
}

// --- invitations --------------------------------------------------------------------------------------------

TEST_F(Trust, InvitationSurvivesItsText) {
    const Invitation made = invite();
    const Result<Invitation> read = Invitation::parse("  " + made.text() + "\n");
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->text(), made.text());
    EXPECT_EQ(read->pin, *first_.fingerprint());
    EXPECT_EQ(read->secret, made.secret);
    EXPECT_EQ(read->addresses, made.addresses);
}

TEST_F(Trust, EveryChangedOrMissingCharacterOfAnInvitationIsNoticed) {
    const std::string text = invite().text();
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string changed = text;
        changed[i] = changed[i] == 'x' ? 'y' : 'x';
        const Result<Invitation> read = Invitation::parse(changed);
        // The last character of the base64 may carry unused bits; then it is the same invitation.
        if (read) {
            EXPECT_EQ(read->text(), text);
        }
        EXPECT_FALSE(Invitation::parse(text.substr(0, i))) << i;
    }
}

TEST_F(Trust, StoredInvitationDoesNotHoldTheSecret) {
    const Invitation made = invite();
    const std::string stored = *read_file(directory_.path() + "/first/invitations/host2", 4096);
    EXPECT_EQ(stored.find(to_hex(made.secret)), std::string::npos);
}

TEST_F(Trust, ExpiredInvitationIsRefusedOnBothSides) {
    const Invitation invitation = invite();
    const JoinAttempt attempt = *second_.begin_join(invitation, kNow);
    EXPECT_EQ(second_.begin_join(invitation, kNow + 900'000).error().code(), Errc::untrusted);
    const Result<JoinAnswer> late = answer(attempt, kNow + 900'000);
    ASSERT_FALSE(late);
    EXPECT_NE(late.error().text().find("expired"), std::string::npos);
    EXPECT_FALSE(answer(attempt)) << "an expired invitation is gone";
}

TEST_F(Trust, InvitationWorksOnce) {
    const JoinAttempt attempt = *second_.begin_join(invite(), kNow);
    EXPECT_TRUE(answer(attempt));
    const Result<JoinAnswer> again = answer(attempt);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), Errc::untrusted);
    EXPECT_NE(again.error().text().find("used up"), std::string::npos);
}

TEST_F(Trust, FiveWrongSecretsBurnTheInvitation) {
    const Invitation right = invite();
    Invitation wrong = right;
    wrong.secret[0] ^= std::byte{1};
    const JoinAttempt guess = *second_.begin_join(wrong, kNow);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(answer(guess).error().code(), Errc::untrusted);
    EXPECT_TRUE(answer(*second_.begin_join(right, kNow))) << "four wrong tries do not burn it";
    const JoinAttempt fresh = *second_.begin_join(invite(), kNow);
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(answer(guess));
    EXPECT_FALSE(answer(fresh)) << "five do";
}

TEST_F(Trust, ProofIsBoundToConnectionAndRequestAndHost) {
    const JoinAttempt attempt = *second_.begin_join(invite(), kNow);
    const ByteVector other_exporter = random_bytes(32);
    const ByteVector proof = attempt.proof(exporter_);
    const std::string other_request = second_.begin_join(attempt.invitation(), kNow)->request_pem();
    EXPECT_FALSE(first_.answer_join("host2", attempt.request_pem(), proof, other_exporter, kNow));
    EXPECT_FALSE(first_.answer_join("host2", other_request, proof, exporter_, kNow));
    EXPECT_FALSE(first_.answer_join("host3", attempt.request_pem(), proof, exporter_, kNow));
    EXPECT_FALSE(first_.answer_join("host2", attempt.request_pem(), {}, exporter_, kNow));
    EXPECT_TRUE(answer(attempt));
}

TEST_F(Trust, WithdrawnInvitationIsVoid) {
    const JoinAttempt attempt = *second_.begin_join(invite(), kNow);
    ASSERT_TRUE(first_.withdraw_invitation("host2"));
    EXPECT_FALSE(answer(attempt));
}

TEST_F(Trust, RequestsWithOtherKeysOrBadSignaturesAreRefused) {
    const KeyPtr big(EVP_EC_gen("secp384r1"));
    EXPECT_EQ(request_from_pem(*make_request_pem(big.get())).error().code(), Errc::untrusted);
    EXPECT_FALSE(request_from_pem("nonsense"));
    EXPECT_FALSE(request_from_pem(std::string(1 << 20, 'A')));
    const KeyPtr key = *make_key();
    EXPECT_TRUE(request_from_pem(*make_request_pem(key.get())));
}

// --- the answer to a join -----------------------------------------------------------------------------------

TEST_F(Trust, AnswerIsCheckedBeforeAnythingIsStored) {
    const JoinAttempt attempt = *second_.begin_join(invite(), kNow);
    const JoinAnswer good = *answer(attempt);
    const Digest key = invitation_key(attempt.invitation().secret);
    TrustStore stranger = *TrustStore::open(directory_.path() + "/stranger");
    ASSERT_TRUE(stranger.init("host1", kNow));
    const std::string strange_root = *read_file(directory_.path() + "/stranger/authority.pem", 65536);
    const KeyPtr root_key = *key_from_pem(*read_file(directory_.path() + "/first/authority.key", 65536));
    const X509Ptr root = *certificate_from_pem(good.authority_pem);
    const X509Ptr mine = *certificate_from_pem(good.certificate_pem);
    const auto issue = [&](const std::string& host, EVP_PKEY* public_key, std::int64_t from_s, std::int64_t to_s) {
        CertificateForm form;
        form.uri = host_uri(host);
        form.common_name = host;
        form.not_before_s = from_s;
        form.not_after_s = to_s;
        const X509Ptr made = *issue_certificate(public_key, form, root.get(), root_key.get());
        return *certificate_to_pem(made.get());
    };
    const std::int64_t now_s = kNow / 1000;
    EVP_PKEY* our_key = X509_get0_pubkey(mine.get());
    const KeyPtr other_key = *make_key();
    struct Case {
        const char* name;
        std::string certificate;
        std::string root;
        const char* says;
    };
    const Case cases[] = {
        {"other authority", good.certificate_pem, strange_root, "another authority"},
        {"other key", issue("host2", other_key.get(), now_s - 9, now_s + 999), good.authority_pem, "another key"},
        {"other host", issue("host9", our_key, now_s - 9, now_s + 999), good.authority_pem, "host9"},
        {"expired", issue("host2", our_key, now_s - 999, now_s - 9), good.authority_pem, "expired"},
        {"not yet", issue("host2", our_key, now_s + 99, now_s + 999), good.authority_pem, "not yet valid"},
        {"no certificate", "x", good.authority_pem, "certificate"},
    };
    for (const Case& one : cases) {
        const ByteVector proof = reply_proof(key, exporter_, one.certificate, one.root);
        const Status done = second_.complete_join(attempt, one.certificate, one.root, proof, exporter_, kNow);
        ASSERT_FALSE(done) << one.name;
        EXPECT_NE(done.error().text().find(one.says), std::string::npos) << one.name << ": " << done.error().text();
        EXPECT_FALSE(second_.has_identity()) << one.name;
    }
    JoinAnswer unproven = good;
    unproven.proof[0] ^= std::byte{1};
    EXPECT_EQ(complete(attempt, unproven).error().code(), Errc::untrusted);
    EXPECT_FALSE(second_.has_identity());
    EXPECT_TRUE(complete(attempt, good));
}

TEST_F(Trust, HostOfAnotherAuthorityDoesNotJoin) {
    ASSERT_TRUE(second_.init("host2", kNow));
    const Result<JoinAttempt> attempt = second_.begin_join(invite(), kNow);
    ASSERT_FALSE(attempt);
    EXPECT_EQ(attempt.error().code(), Errc::conflict);
    EXPECT_NE(attempt.error().text().find("another authority"), std::string::npos);
}

// --- peers and files ----------------------------------------------------------------------------------------

TEST_F(Trust, AnInviterThatWasRemovedIsTrustedAgainByANewInvitation) {
    join();
    const std::string key = *first_.fingerprint();
    ASSERT_TRUE(second_.remove_peer("host1"));
    ASSERT_FALSE(second_.authorize("host1", key));
    join();
    const auto again = second_.authorize("host1", key);
    EXPECT_TRUE(again) << again.error().text();
}

TEST_F(Trust, RemovedPeerAndItsKeyAreDenied) {
    join();
    const std::string key = *second_.fingerprint();
    ASSERT_TRUE(first_.remove_peer("host2"));
    EXPECT_EQ(first_.authorize("host2", key).error().code(), Errc::untrusted);
    Peer again;
    again.host = "host2";
    ASSERT_TRUE(first_.save_peer(again));
    EXPECT_NE(first_.authorize("host2", key).error().text().find("no longer trusted"), std::string::npos);
    EXPECT_EQ(first_.remove_peer("host7").error().code(), Errc::untrusted);
}

TEST_F(Trust, PeersSurviveTheirFiles) {
    Peer peer;
    peer.host = "host2";
    peer.address = "2001:db8::7";
    peer.port = 7743;
    peer.may_send = false;
    peer.fingerprint = *first_.fingerprint();
    ASSERT_TRUE(first_.save_peer(peer));
    EXPECT_EQ(*first_.peer("host2"), peer);
    EXPECT_EQ(*first_.peers(), std::vector<Peer>{peer});
    peer.address = "a\nfingerprint b";
    EXPECT_EQ(first_.save_peer(peer).error().code(), Errc::invalid);
    EXPECT_EQ(first_.peer("host3").error().code(), Errc::untrusted);
}

TEST_F(Trust, KeyFilesThatOthersCanReadAreRefused) {
    const std::string file = directory_.path() + "/first/host.pem";
    ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
    const auto context = first_.server_context();
    ASSERT_FALSE(context);
    EXPECT_EQ(context.error().code(), Errc::permission);
    EXPECT_EQ(context.error().remedy_text(), "chmod 600 " + file);
    ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
    EXPECT_TRUE(first_.server_context());
    ASSERT_EQ(::chmod((directory_.path() + "/first").c_str(), 0755), 0);
    EXPECT_EQ(TrustStore::open(directory_.path() + "/first").error().code(), Errc::permission);
}

TEST_F(Trust, WithoutIdentityThereIsAWayOut) {
    EXPECT_EQ(second_.server_context().error().code(), Errc::not_found);
    EXPECT_NE(second_.client_context().error().remedy_text().find("trust init"), std::string::npos);
}

TEST_F(Trust, AHostIsTrustedAsLongAsTheAuthority) {
    join();
    const auto end_s = [&](const char* name) {
        return certificate_end_s(certificate_from_pem(*read_file(directory_.path() + name, 65536))->get());
    };
    EXPECT_EQ(end_s("/first/authority.pem"), kNow / 1000 + 3650 * kDay / 1000);
    EXPECT_EQ(end_s("/first/host.pem"), end_s("/first/authority.pem"));
    EXPECT_EQ(end_s("/second/host.pem"), end_s("/first/authority.pem"));
}

TEST_F(Trust, CertificatesMustNameExactlyOneHost) {
    const KeyPtr root_key = *key_from_pem(*read_file(directory_.path() + "/first/authority.key", 65536));
    const X509Ptr root = *certificate_from_pem(*read_file(directory_.path() + "/first/authority.pem", 65536));
    const KeyPtr key = *make_key();
    for (const char* uri :
         {"", "https://host2", "zoneferry://", "zoneferry://a/b", "zoneferry://a,URI:zoneferry://b"}) {
        CertificateForm form;
        form.uri = uri;
        form.common_name = "host2";
        const X509Ptr made = *issue_certificate(key.get(), form, root.get(), root_key.get());
        EXPECT_EQ(certificate_host(made.get()).error().code(), Errc::untrusted) << uri;
    }
}

}  // namespace
}  // namespace zoneferry
