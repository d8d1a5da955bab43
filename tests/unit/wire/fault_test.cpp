// Peers that vanish, hang, lie or do not belong here.
#include <gtest/gtest.h>

#include <unistd.h>

#include <thread>

#include "core/base/files.h"
#include "core/base/process.h"
#include "tests/unit/wire/raw_peer.h"
#include "tests/unit/wire/two_hosts.h"
#include "wire/codec.h"
#include "wire/features.h"

namespace zoneferry {
namespace {

ByteVector hello_frame() {
    Hello hello;
    offer(hello);
    hello.host = "host1";
    return *encode_frame(hello);
}

// Host1 as a raw peer of host2.
struct RawHost1 {
    explicit RawHost1(TwoHosts& hosts) : raw(hosts.port) {
        ZF_CHECK(raw.handshake(*hosts.first.client_context(), kPeerAlpn));
        server = hosts.second_arrivals.take();
        ZF_CHECK(server != nullptr);
    }
    RawPeer raw;
    ConnectionPtr server;
};

// --- life and death -----------------------------------------------------------------------------------------

TEST(Fault, CutStreamIsAnErrorAtEveryByte) {
    TwoHosts hosts;
    const ByteVector frame = hello_frame();
    for (std::size_t bytes = 0; bytes < frame.size(); bytes += 7) {
        RawHost1 host1(hosts);
        ASSERT_TRUE(bytes == 0 || host1.raw.write(ConstBytes(frame).first(bytes)));
        host1.raw.cut();
        const Result<Message> message = host1.server->receive(kTestTimeoutMs);
        ASSERT_FALSE(message) << bytes;
        EXPECT_EQ(message.error().code(), Errc::peer_lost) << bytes;
        EXPECT_NE(message.error().text().find("without a goodbye"), std::string::npos) << message.error().text();
    }
}

TEST(Fault, WholeMessagesBeforeACutAreDelivered) {
    TwoHosts hosts;
    RawHost1 host1(hosts);
    ASSERT_TRUE(host1.raw.write(hello_frame()));
    host1.raw.cut();
    EXPECT_TRUE(host1.server->receive(kTestTimeoutMs));
    EXPECT_EQ(host1.server->receive(kTestTimeoutMs).error().code(), Errc::peer_lost);
    EXPECT_EQ(host1.server->send(AbortReply()).error().code(), Errc::peer_lost);
}

TEST(Fault, SilentPeerIsLost) {
    ConnectionOptions options;
    options.silence_ms = 300;
    TwoHosts hosts({}, options);
    RawHost1 host1(hosts);
    const Result<Message> message = host1.server->receive(kTestTimeoutMs);
    ASSERT_FALSE(message);
    EXPECT_EQ(message.error().code(), Errc::peer_lost);
    EXPECT_NE(message.error().text().find("silent"), std::string::npos) << message.error().text();
}

TEST(Fault, IdleConnectionLivesByItsPings) {
    ConnectionOptions options;
    options.ping_interval_ms = 50;
    options.silence_ms = 600;
    TwoHosts hosts(options, options);
    const Result<ConnectionPtr> client = hosts.connect();
    ASSERT_TRUE(client) << client.error().text();
    const ConnectionPtr server = hosts.second_arrivals.take();
    EXPECT_EQ(server->receive(2000).error().code(), Errc::timed_out);
    EXPECT_EQ((*client)->receive(0).error().code(), Errc::timed_out);
    EXPECT_TRUE(server->send(AbortReply()));
    EXPECT_TRUE((*client)->receive(kTestTimeoutMs));
}

// The server takes nothing for many times the silence; neither side may believe the other dead.
TEST(Fault, BusyReaderIsNotTakenForDead) {
    ConnectionOptions options;
    options.ping_interval_ms = 50;
    options.silence_ms = 1000;
    options.queue_bytes_max = 1 << 20;
    TwoHosts hosts(options, options);
    const Result<ConnectionPtr> client = hosts.connect();
    ASSERT_TRUE(client) << client.error().text();
    const ConnectionPtr server = hosts.second_arrivals.take();
    // Not more than the kernel's buffer takes: over loopback Linux drops what runs over, acknowledgements as well, and
    // sends again after up to as long as the pause was.
    constexpr unsigned kCount = 24;
    std::jthread sender([&] {
        Segment segment;
        segment.payload.resize(1 << 20);
        for (unsigned i = 0; i < kCount; ++i) {
            segment.number = i;
            ASSERT_TRUE((*client)->send(segment));
        }
    });
    EXPECT_EQ((*client)->receive(4000).error().code(), Errc::timed_out);  // the server's pings arrive meanwhile
    for (unsigned i = 0; i < kCount; ++i) {
        const Result<Message> message = server->receive(kTestTimeoutMs);
        ASSERT_TRUE(message) << i << ": " << message.error().text();
        EXPECT_EQ(std::get<Segment>(*message).number, i);
    }
    sender.join();
}

// Three times as long as silence may last, and as often: each side's time is over before it can hear the other.
TEST(Fault, HostThatStoodStillDoesNotTakeItsPeerForDead) {
    ConnectionOptions options;
    options.ping_interval_ms = 50;
    options.silence_ms = 400;
    TwoHosts hosts(options, options);
    const Result<ConnectionPtr> client = hosts.connect();
    ASSERT_TRUE(client) << client.error().text();
    const ConnectionPtr server = hosts.second_arrivals.take();
    const std::string self = std::to_string(::getpid());
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(server->receive(200).error().code(), Errc::timed_out);
        ASSERT_TRUE(run_checked({"sh", "-c", "kill -STOP " + self + "; sleep 1.2; kill -CONT " + self}));
        EXPECT_EQ((*client)->receive(100).error().code(), Errc::timed_out);
    }
    EXPECT_TRUE(server->send(AbortReply()));
    EXPECT_TRUE((*client)->receive(kTestTimeoutMs));
}

TEST(Fault, BlockedCallersWakeWhenClosed) {
    ConnectionOptions options;
    options.queue_bytes_max = 1 << 20;
    TwoHosts hosts(options, options);
    const Result<ConnectionPtr> client = hosts.connect();
    ASSERT_TRUE(client) << client.error().text();
    const ConnectionPtr server = hosts.second_arrivals.take();
    std::jthread receiver([&] { EXPECT_EQ((*client)->receive(-1).error().code(), Errc::cancelled); });
    std::jthread sender([&] {
        Segment segment;
        segment.payload.resize(1 << 20);
        Status sent;
        while (sent) sent = (*client)->send(segment);  // nobody receives: it blocks in the end
        EXPECT_EQ(sent.error().code(), Errc::cancelled);
    });
    EXPECT_TRUE(server->receive(kTestTimeoutMs));
    (*client)->close();
    receiver.join();
    sender.join();
}

TEST(Fault, NetworkEndsWhileConversationsRun) {
    ConnectionPtr kept;
    {
        TwoHosts hosts;
        const Result<ConnectionPtr> client = hosts.connect();
        ASSERT_TRUE(client) << client.error().text();
        kept = *client;
        RawPeer idle(hosts.port);
    }
    EXPECT_EQ(kept->receive(-1).error().code(), Errc::cancelled);
    EXPECT_FALSE(kept->send(AbortReply()));
    kept->close();
}

// --- broken rules -------------------------------------------------------------------------------------------

TEST(Fault, NonsenseEndsTheConnection) {
    TwoHosts hosts;
    RawHost1 host1(hosts);
    ASSERT_TRUE(host1.raw.write(ByteVector(64, std::byte{'x'})));
    EXPECT_EQ(host1.server->receive(kTestTimeoutMs).error().code(), Errc::protocol);
    ByteVector rest(256);
    while (host1.raw.read(rest) > 0) continue;  // it ends
}

TEST(Fault, JoinMessagesDoNotBelongOnAPeerConnection) {
    TwoHosts hosts;
    RawHost1 host1(hosts);
    ASSERT_TRUE(host1.raw.write(*encode_frame(JoinRequest())));
    EXPECT_EQ(host1.server->receive(kTestTimeoutMs).error().code(), Errc::protocol);
    EXPECT_EQ(host1.server->receive(kTestTimeoutMs).error().code(), Errc::protocol) << "it stays broken";
    EXPECT_EQ(host1.server->send(JoinReply()).error().code(), Errc::protocol);
}

TEST(Fault, UnknownMessageLeavesTheConnectionUsable) {
    TwoHosts hosts;
    RawHost1 host1(hosts);
    ByteVector frame(kFrameHeaderBytes);
    store_frame_header(FrameType::control, 32, frame.data());
    for (const std::uint64_t word : {3ULL << 32U, 1ULL << 32U | 1ULL << 48U, 999ULL, 0ULL})
        append_little_endian(frame, word);
    append_bytes(frame, hello_frame());
    ASSERT_TRUE(host1.raw.write(frame));
    EXPECT_EQ(host1.server->receive(kTestTimeoutMs).error().code(), Errc::unsupported);
    EXPECT_TRUE(host1.server->receive(kTestTimeoutMs));
}

TEST(Fault, StrangerOnJoinMaySayNothingElse) {
    TwoHosts hosts;
    RawPeer raw(hosts.port);
    ASSERT_TRUE(raw.handshake(*TrustStore::join_client_context(), kJoinAlpn));
    const ConnectionPtr server = hosts.second_arrivals.take();
    ASSERT_TRUE(server);
    EXPECT_TRUE(server->is_join());
    EXPECT_EQ(server->peer().host, "");
    ASSERT_TRUE(raw.write(hello_frame()));
    EXPECT_EQ(server->receive(kTestTimeoutMs).error().code(), Errc::protocol);
}

TEST(Fault, JoinTakesNotForEver) {
    ConnectionOptions options;
    options.join_lifetime_ms = 300;
    TwoHosts hosts({}, options);
    RawPeer raw(hosts.port);
    ASSERT_TRUE(raw.handshake(*TrustStore::join_client_context(), kJoinAlpn));
    const ConnectionPtr server = hosts.second_arrivals.take();
    ASSERT_TRUE(server);
    EXPECT_EQ(server->receive(kTestTimeoutMs).error().code(), Errc::timed_out);
    EXPECT_EQ(server->send(Refusal()).error().code(), Errc::timed_out);
}

// --- strangers ----------------------------------------------------------------------------------------------

TEST(Fault, WithoutCertificateNobodyComesIn) {
    TwoHosts hosts;
    RawPeer raw(hosts.port);
    (void)raw.handshake(*TrustStore::join_client_context(), kPeerAlpn);  // a TLS 1.3 client is told later
    std::byte byte{};
    EXPECT_LE(raw.read(MutableBytes(&byte, 1)), 0);
    EXPECT_TRUE(hosts.second_arrivals.is_empty());
}

TEST(Fault, OtherProtocolsAndOldTlsAreRefused) {
    TwoHosts hosts;
    for (const std::string& alpn : {std::string(), std::string("\x02h2")}) {
        RawPeer raw(hosts.port);
        (void)raw.handshake(*hosts.first.client_context(), alpn);
        std::byte byte{};
        EXPECT_LE(raw.read(MutableBytes(&byte, 1)), 0) << alpn;
    }
    const TrustStore::Context old = *hosts.first.client_context();
    SSL_CTX_set_min_proto_version(old.get(), TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(old.get(), TLS1_2_VERSION);
    RawPeer raw(hosts.port);
    EXPECT_FALSE(raw.handshake(old, kPeerAlpn));
    EXPECT_TRUE(hosts.second_arrivals.is_empty());
}

TEST(Fault, SlowStrangerIsPutOut) {
    ConnectionOptions options;
    options.tls_timeout_ms = 200;
    TwoHosts hosts({}, options);
    RawPeer idle(hosts.port);
    EXPECT_TRUE(idle.is_ended());
}

TEST(Fault, OnlySoManyStrangersAtOnce) {
    ConnectionOptions options;
    options.unauthenticated_max = 2;
    TwoHosts hosts({}, options);
    auto first = std::make_unique<RawPeer>(hosts.port);
    auto second = std::make_unique<RawPeer>(hosts.port);
    RawPeer third(hosts.port);
    EXPECT_TRUE(third.is_ended());
    EXPECT_FALSE(hosts.connect());
    first.reset();
    second.reset();
    Result<ConnectionPtr> client;
    while (!client) client = hosts.connect();  // until the server has seen them go
    EXPECT_TRUE(hosts.second_arrivals.take());
}

TEST(Fault, NobodyListens) {
    TwoHosts hosts;
    const auto context = *hosts.first.client_context();
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof address;
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), bytes), 0);
    ASSERT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &bytes), 0);
    const std::uint16_t port = ntohs(address.sin_port);
    EXPECT_EQ(hosts.first_network.connect("127.0.0.1", port, context, "host2", kTestTimeoutMs).error().code(),
              Errc::unreachable);
    ASSERT_EQ(::listen(fd.get(), 1), 0);  // connects, but never answers
    EXPECT_EQ(hosts.first_network.connect("127.0.0.1", port, context, "host2", 300).error().code(), Errc::unreachable);
}

}  // namespace
}  // namespace zoneferry
