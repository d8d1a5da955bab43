// Certificates that must not be believed, in both directions, and the join from end to end.
#include <gtest/gtest.h>

#include "core/base/files.h"
#include "tests/unit/wire/two_hosts.h"

namespace zoneferry {
namespace {

// A trust directory of host1's authority with any certificate in it.
struct Forger {
    explicit Forger(const TwoHosts& hosts)
        : root_key(*key_from_pem(*read_file(hosts.directory.path() + "/first/authority.key", 65536))),
          root(*certificate_from_pem(*read_file(hosts.directory.path() + "/first/authority.pem", 65536))),
          key(*make_key()),
          path(hosts.directory.path() + "/forged") {}
    TrustStore store(X509* certificate) {
        TrustStore made = *TrustStore::open(path);
        ZF_CHECK(replace_file(path + "/authority.pem", *certificate_to_pem(root.get()), 0600).has_value());
        ZF_CHECK(replace_file(path + "/host.pem", *key_to_pem(key.get()) + *certificate_to_pem(certificate), 0600)
                     .has_value());
        return made;
    }
    KeyPtr root_key;
    X509Ptr root;
    KeyPtr key;
    std::string path;
};

CertificateForm good_form() {
    CertificateForm form;
    form.uri = host_uri("host2");
    form.common_name = "host2";
    form.not_before_s = now_ms() / 1000 - 300;
    form.not_after_s = now_ms() / 1000 + 3600;
    return form;
}

// As a client it must not arrive; as a server it must not be taken for host2.
void expect_refused(TwoHosts& hosts, const TrustStore& forged, const std::string& says) {
    Arrivals arrivals;  // before the network: its callbacks use it to the end
    Network network;
    const Result<ConnectionPtr> client =
        network.connect("127.0.0.1", hosts.port, *forged.client_context(), "host2", kTestTimeoutMs);
    if (client) {
        EXPECT_FALSE((*client)->receive(kTestTimeoutMs)) << says;
    }
    EXPECT_TRUE(hosts.second_arrivals.is_empty()) << says;
    const std::uint16_t port = *network.listen("127.0.0.1", 0, TwoHosts::contexts_of(forged), arrivals.keep());
    const Result<ConnectionPtr> server =
        hosts.first_network.connect("127.0.0.1", port, *hosts.first.client_context(), "host2", kTestTimeoutMs);
    ASSERT_FALSE(server) << says;
    EXPECT_EQ(server.error().code(), Errc::untrusted) << server.error().text();
    EXPECT_NE(server.error().text().find(says), std::string::npos) << server.error().text();
}

TEST(WireTrust, ForgedCertificatesAreRefused) {
    TwoHosts hosts;
    Forger forger(hosts);
    const auto issue = [&](const CertificateForm& form) {
        return *issue_certificate(forger.key.get(), form, forger.root.get(), forger.root_key.get());
    };
    CertificateForm form = good_form();
    form.not_after_s = now_ms() / 1000 - 60;
    expect_refused(hosts, forger.store(issue(form).get()), "expired");
    form = good_form();
    form.not_before_s = now_ms() / 1000 + 600;
    expect_refused(hosts, forger.store(issue(form).get()), "not yet valid");
    form = good_form();
    form.key_purposes = "codeSigning";
    expect_refused(hosts, forger.store(issue(form).get()), "not made for this use");
    form = good_form();
    form.uri = "";
    expect_refused(hosts, forger.store(issue(form).get()), "names no zoneferry host");
    form = good_form();
    form.uri = "zoneferry://host2,URI:zoneferry://host1";
    expect_refused(hosts, forger.store(issue(form).get()), "more than one host");
    const X509Ptr self_signed = *issue_authority(forger.key.get(), good_form());
    expect_refused(hosts, forger.store(self_signed.get()), "");
    const KeyPtr other_root_key = *make_key();
    const X509Ptr other_root = *issue_authority(other_root_key.get(), good_form());
    const X509Ptr foreign = *issue_certificate(forger.key.get(), good_form(), other_root.get(), other_root_key.get());
    expect_refused(hosts, forger.store(foreign.get()), "another authority");
}

TEST(WireTrust, ClientAndServerPurposesAreToldApart) {
    TwoHosts hosts;
    Forger forger(hosts);
    CertificateForm form = good_form();
    form.key_purposes = "clientAuth";
    const X509Ptr client_only = *issue_certificate(forger.key.get(), form, forger.root.get(), forger.root_key.get());
    const TrustStore store = forger.store(client_only.get());
    Network network;
    const std::uint16_t port = *network.listen("127.0.0.1", 0, TwoHosts::contexts_of(store), [](ConnectionPtr) {});
    EXPECT_EQ(hosts.first_network.connect("127.0.0.1", port, *hosts.first.client_context(), "host2", kTestTimeoutMs)
                  .error()
                  .code(),
              Errc::untrusted);
    EXPECT_TRUE(network.connect("127.0.0.1", hosts.port, *store.client_context(), "host2", kTestTimeoutMs));
    EXPECT_TRUE(hosts.second_arrivals.take()) << "as a client it is good";
}

TEST(WireTrust, AnotherHostOfTheSameAuthorityIsNotTakenForThePeer) {
    TwoHosts hosts;
    const Result<ConnectionPtr> client =
        hosts.first_network.connect("127.0.0.1", hosts.port, *hosts.first.client_context(), "host3", kTestTimeoutMs);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code(), Errc::untrusted);
    EXPECT_NE(client.error().text().find("is host2, not host3"), std::string::npos) << client.error().text();
}

TEST(WireTrust, RefusedClientLearnsWhy) {
    TwoHosts hosts;
    TrustStore stranger = *TrustStore::open(hosts.directory.path() + "/stranger");
    ASSERT_TRUE(stranger.init("host1", now_ms()));
    Network network;
    const auto context = *stranger.client_context();
    const Result<ConnectionPtr> client = network.connect("127.0.0.1", hosts.port, context, "host2", kTestTimeoutMs);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code(), Errc::untrusted);
    EXPECT_FALSE(client.error().remedy_text().empty());
}

// --- join ---------------------------------------------------------------------------------------------------

struct JoinHosts {
    JoinHosts() {
        ZF_CHECK(inviter.init("host1", now_ms()).has_value());
        port = *inviter_network.listen("127.0.0.1", 0, TwoHosts::contexts_of(inviter), arrivals.keep());
    }
    TempDirectory directory;
    TrustStore inviter = *TrustStore::open(directory.path() + "/inviter");
    TrustStore joiner = *TrustStore::open(directory.path() + "/joiner");
    Arrivals arrivals;
    std::uint16_t port = 0;
    Network joiner_network;
    Network inviter_network;
};

TEST(WireTrust, JoinFromEndToEndThenMutualTls) {
    JoinHosts hosts;
    const Invitation invitation = *hosts.inviter.invite("host2", {"127.0.0.1"}, 600, now_ms());
    const JoinAttempt attempt = *hosts.joiner.begin_join(invitation, now_ms());
    const Result<ConnectionPtr> client = hosts.joiner_network.connect_for_join(
        "127.0.0.1", hosts.port, *TrustStore::join_client_context(), invitation.pin, kTestTimeoutMs);
    ASSERT_TRUE(client) << client.error().text();
    JoinRequest request;
    request.host = "host2";
    request.certificate_request = attempt.request_pem();
    request.proof = attempt.proof((*client)->exporter(kJoinExporterLabel));
    ASSERT_TRUE((*client)->send(request));

    const ConnectionPtr server = hosts.arrivals.take();
    ASSERT_TRUE(server);
    ASSERT_TRUE(server->is_join());
    const Result<Message> got = server->receive(kTestTimeoutMs);
    ASSERT_TRUE(got) << got.error().text();
    const auto& asked = std::get<JoinRequest>(*got);
    const Result<JoinAnswer> answer = hosts.inviter.answer_join(asked.host, asked.certificate_request, asked.proof,
                                                                server->exporter(kJoinExporterLabel), now_ms());
    ASSERT_TRUE(answer) << answer.error().text();
    JoinReply reply;
    reply.host = "host1";
    reply.certificate = answer->certificate_pem;
    reply.authority = answer->authority_pem;
    reply.proof = answer->proof;
    ASSERT_TRUE(server->send(reply));

    const Result<Message> said = (*client)->receive(kTestTimeoutMs);
    ASSERT_TRUE(said) << said.error().text();
    const auto& answered = std::get<JoinReply>(*said);
    const Status done = hosts.joiner.complete_join(attempt, answered.certificate, answered.authority, answered.proof,
                                                   (*client)->exporter(kJoinExporterLabel), now_ms());
    ASSERT_TRUE(done) << done.error().text();

    const Result<ConnectionPtr> mutual =
        hosts.joiner_network.connect("127.0.0.1", hosts.port, *hosts.joiner.client_context(), "host1", kTestTimeoutMs);
    ASSERT_TRUE(mutual) << mutual.error().text();
    const ConnectionPtr peer = hosts.arrivals.take();
    ASSERT_TRUE(peer);
    EXPECT_TRUE(hosts.inviter.authorize(peer->peer().host, peer->peer().fingerprint));
}

TEST(WireTrust, WrongPinSendsNothing) {
    JoinHosts hosts;
    const Result<ConnectionPtr> client = hosts.joiner_network.connect_for_join(
        "127.0.0.1", hosts.port, *TrustStore::join_client_context(), std::string(64, '0'), kTestTimeoutMs);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code(), Errc::untrusted);
    EXPECT_NE(client.error().text().find("not the host that gave the invitation"), std::string::npos);
    const ConnectionPtr server = hosts.arrivals.take();
    ASSERT_TRUE(server);
    EXPECT_EQ(server->receive(kTestTimeoutMs).error().code(), Errc::peer_lost);
}

TEST(WireTrust, JoinCanBeSwitchedOff) {
    JoinHosts hosts;
    const std::uint16_t port = *hosts.inviter_network.listen(
        "127.0.0.1", 0,
        [&] {
            ServerContexts contexts = TwoHosts::contexts_of(hosts.inviter)();
            contexts.join = nullptr;
            return contexts;
        },
        hosts.arrivals.keep());
    const Result<ConnectionPtr> client = hosts.joiner_network.connect_for_join(
        "127.0.0.1", port, *TrustStore::join_client_context(), *hosts.inviter.fingerprint(), kTestTimeoutMs);
    ASSERT_FALSE(client);
    EXPECT_TRUE(hosts.arrivals.is_empty());
}

}  // namespace
}  // namespace zoneferry
