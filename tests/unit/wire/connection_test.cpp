// Real mutual TLS over loopback between two Networks.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "tests/unit/wire/two_hosts.h"
#include "wire/features.h"

namespace zoneferry {
namespace {

Hello hello_of(const std::string& host) {
    Hello hello;
    offer(hello);
    hello.host = host;
    return hello;
}

Segment segment_of(std::uint64_t number, std::size_t bytes) {
    Segment segment;
    segment.number = number;
    segment.raw_bytes = static_cast<std::uint32_t>(bytes);
    segment.payload.assign(bytes, static_cast<std::byte>(number));
    return segment;
}

// A long fat link is filled by one connection: what may be under way covers 1 Gbit/s times 100 ms, both ways, also
// where the kernel's own limits (tcp_rmem, tcp_wmem) are smaller. Counted: what the kernel grants.
TEST(Connection, ItsWindowCoversALongFatLink) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: larger buffers than the kernel's limits";
    constexpr std::size_t kBytesUnderWay = 125'000'000 / 10;
    TwoHosts hosts;
    const Result<ConnectionPtr> client = hosts.connect();
    ASSERT_TRUE(client) << client.error().text();
    const ConnectionPtr server = hosts.second_arrivals.take();
    ASSERT_TRUE(server);
    EXPECT_GE((*client)->window().outward, kBytesUnderWay);
    EXPECT_GE(server->window().inward, kBytesUnderWay);
    EXPECT_GE(server->window().outward, kBytesUnderWay);
}

TEST(Connection, AStrangerHasASmallBuffer) {
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    prepare_listener(listener.get());
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof address;
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), bytes), 0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &bytes), 0);
    const UniqueFd caller(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(caller.get(), reinterpret_cast<sockaddr*>(&address), bytes), 0);
    const UniqueFd stranger(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    restrain_stranger(stranger.get());
    EXPECT_LE(window_of(stranger.get()).inward, 2 * kStrangerBufferBytes);
    if (::geteuid() != 0) return;
    open_window(stranger.get());
    EXPECT_GE(window_of(stranger.get()).inward, 125'000'000U / 10) << "the listener has settled how far it can grow";
}

TEST(Connection, HelloAndAnswer) {
    TwoHosts hosts;
    const Result<ConnectionPtr> client = hosts.connect();
    ASSERT_TRUE(client) << client.error().text();
    const ConnectionPtr server = hosts.second_arrivals.take();
    ASSERT_TRUE(server);
    EXPECT_EQ((*client)->peer().host, "host2");
    EXPECT_EQ((*client)->peer().fingerprint, *hosts.second.fingerprint());
    EXPECT_EQ(server->peer().host, "host1");
    EXPECT_EQ(server->peer().fingerprint, *hosts.first.fingerprint());
    EXPECT_TRUE(hosts.second.authorize(server->peer().host, server->peer().fingerprint));
    EXPECT_FALSE(server->is_join());
    EXPECT_EQ((*client)->exporter("a"), server->exporter("a"));
    EXPECT_NE((*client)->exporter("a"), server->exporter("b"));

    ASSERT_TRUE((*client)->send(hello_of("host1")));
    const Result<Message> hello = server->receive(kTestTimeoutMs);
    ASSERT_TRUE(hello) << hello.error().text();
    const Result<Agreement> agreement = agree(std::get<Hello>(*hello));
    ASSERT_TRUE(agreement);
    HelloAck answer;
    answer.protocol = agreement->protocol;
    answer.features = agreement->features;
    ASSERT_TRUE(server->send(answer));
    const Result<Message> read = (*client)->receive(kTestTimeoutMs);
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(*accept_answer(std::get<HelloAck>(*read)), *agreement);
}

TEST(Connection, ANameThatTakesLongHoldsUpNeitherTheCallerNorTheEnd) {
    TwoHosts hosts;
    std::promise<void> asked;
    std::promise<void> answers;
    ConnectionOptions options;
    options.look_up = [&asked, answers = answers.get_future().share()](const std::string& name) {
        if (name == "slow.example") asked.set_value();
        answers.wait();
        return Result<std::vector<std::string>>(std::vector<std::string>{"127.0.0.1"});
    };
    auto network = std::make_unique<Network>(options);
    const TlsContext tls = *hosts.first.client_context();
    const auto late = network->connect("late.example", 1, tls, "host2", 1);
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code(), Errc::unreachable) << "its own time-out counts";
    Result<ConnectionPtr> cut = Error(Errc::unknown, "not asked yet");
    std::thread caller([&] { cut = network->connect("slow.example", 1, tls, "host2", 1'000'000); });
    asked.get_future().wait();
    network->shut();
    caller.join();
    ASSERT_FALSE(cut);
    EXPECT_EQ(cut.error().code(), Errc::cancelled);
    network.reset();  // does not wait for the two names
    answers.set_value();
}

TEST(Connection, NamesAreLookedUp) {
    TwoHosts hosts;
    EXPECT_EQ(look_up_name("127.0.0.1")->front(), "127.0.0.1");
    EXPECT_EQ(look_up_name("::1")->front(), "::1");
    EXPECT_EQ(look_up_name("no-such-name.invalid").error().code(), Errc::unreachable);
    Network network;
    const auto found = network.connect("localhost", hosts.port, *hosts.first.client_context(), "host2", 10'000);
    EXPECT_TRUE(found) << found.error().text();
}

void send_segments(Connection& connection, unsigned count, std::size_t bytes) {
    for (unsigned i = 0; i < count; ++i) {
        const Status sent = connection.send(segment_of(i, bytes));
        ASSERT_TRUE(sent) << sent.error().text();
    }
}
void receive_segments(Connection& connection, unsigned count, std::size_t bytes) {
    for (unsigned i = 0; i < count; ++i) {
        const Result<Message> message = connection.receive(kTestTimeoutMs);
        ASSERT_TRUE(message) << message.error().text();
        const auto& segment = std::get<Segment>(*message);
        ASSERT_EQ(segment.number, i);
        ASSERT_EQ(segment.payload, segment_of(i, bytes).payload);
    }
}

// With queues of 1 MiB the senders must wait for the readers again and again.
TEST(Connection, SegmentsBothWaysUnderBackpressure) {
    ConnectionOptions options;
    options.queue_bytes_max = 1 << 20;
    TwoHosts hosts(options, options);
    const Result<ConnectionPtr> client = hosts.connect();
    ASSERT_TRUE(client) << client.error().text();
    const ConnectionPtr server = hosts.second_arrivals.take();
    ASSERT_TRUE(server);
    constexpr unsigned kCount = 64;
    constexpr std::size_t kBytes = 1 << 20;
    std::jthread there([&] { send_segments(**client, kCount, kBytes); });
    std::jthread back([&] { send_segments(*server, kCount, kBytes); });
    std::jthread reader([&] { receive_segments(**client, kCount, kBytes); });
    receive_segments(*server, kCount, kBytes);
    reader.join();
    there.join();
    back.join();
}

TEST(Connection, CloseDeliversWhatWasSentAndThenSaysSo) {
    TwoHosts hosts;
    const Result<ConnectionPtr> client = hosts.connect();
    ASSERT_TRUE(client) << client.error().text();
    const ConnectionPtr server = hosts.second_arrivals.take();
    ASSERT_TRUE(server);
    ASSERT_TRUE((*client)->send(segment_of(0, 3 << 20)));
    (*client)->close();
    EXPECT_EQ((*client)->receive(kTestTimeoutMs).error().code(), Errc::cancelled);
    EXPECT_TRUE(server->receive(kTestTimeoutMs));
    const Result<Message> end = server->receive(kTestTimeoutMs);
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code(), Errc::peer_lost);
    EXPECT_NE(end.error().text().find("closed the connection"), std::string::npos) << end.error().text();
}

}  // namespace
}  // namespace zoneferry
