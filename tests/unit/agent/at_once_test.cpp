// What two hosts, or two people, do at the same moment: two moves of one zone, from both ends, to two targets, back and
// forth; a clone; an agent of the last protocol; a peer that is silent while the agent ends, or that floods it.
#include <future>
#include <thread>

#include "agent/claims.h"
#include "agent/daemon.h"
#include "core/zone/state_binding.h"
#include "tests/unit/agent/two_agents.h"
#include "wire/features.h"

namespace zoneferry {
namespace {

using AtOnce = TwoAgents;

Result<std::string> begin(TestHost& host, const std::string& zone, const std::string& peer) {
    MoveWish wish;
    wish.zone = zone;
    wish.peer = peer;
    ZF_TRY(const auto started, start_move(host.context(), host.desk(), wish));
    if (started.move_id.empty()) return Error(Errc::blocked, "the check forbids it");
    return started.move_id;
}

Json end_of(const std::vector<Json>& lines) { return lines.empty() ? Json::object() : lines.back(); }

int holders(std::initializer_list<TestHost*> hosts, const std::string& zone) {
    int count = 0;
    for (TestHost* host : hosts) count += host->may_boot_zone(zone, "/zones/" + zone) ? 1 : 0;
    return count;
}

TEST_F(AtOnce, TwoMovesOfOneZone) {
    one.make_zone("web01", "/zones/web01");
    std::vector<std::future<Result<std::string>>> tries;
    for (int i = 0; i < 4; ++i) {
        tries.push_back(std::async(std::launch::async, [&] { return begin(one, "web01", "host2"); }));
    }
    std::vector<std::string> begun;
    for (auto& each : tries) {
        const auto id = each.get();
        if (id) begun.push_back(*id);
    }
    ASSERT_EQ(begun.size(), 1U);
    EXPECT_EQ(one.wait_for(begun[0], MoveNews::Type::end).exit_code, 0);
    EXPECT_EQ(one.journal().all()->size(), 1U);
    EXPECT_EQ(holders({&one, &two}, "web01"), 1);
    EXPECT_EQ(two.owner("web01"), "owned 2 host2");
    EXPECT_TRUE(two.leftovers().empty());
}

TEST_F(AtOnce, ToTwoTargets) {
    TestHost three("host3");
    let_in(three);
    know(one, three);
    one.make_zone("web01", "/zones/web01");
    auto first = std::async(std::launch::async, [&] { return begin(one, "web01", "host2"); });
    auto second = std::async(std::launch::async, [&] { return begin(one, "web01", "host3"); });
    const auto to_two = first.get();
    const auto to_three = second.get();
    ASSERT_NE(to_two.has_value(), to_three.has_value()) << "one zone, one way";
    EXPECT_EQ(one.wait_for(to_two ? *to_two : *to_three, MoveNews::Type::end).exit_code, 0);
    EXPECT_EQ(holders({&one, &two, &three}, "web01"), 1);
    TestHost& other = to_two ? three : two;
    EXPECT_EQ(other.owner("web01"), "none");
    EXPECT_TRUE(other.leftovers().empty());
    EXPECT_TRUE(other.journal().all()->empty());
}

TEST_F(AtOnce, TheSameNameFromBothEnds) {
    one.make_zone("web01", "/zones/web01");
    two.make_zone("web01", "/zones/web01");
    auto first = std::async(std::launch::async, [&] { return begin(one, "web01", "host2"); });
    auto second = std::async(std::launch::async, [&] { return begin(two, "web01", "host1"); });
    EXPECT_FALSE(first.get());
    EXPECT_FALSE(second.get());
    for (TestHost* host : {&one, &two}) {
        EXPECT_TRUE(host->may_boot_zone("web01", "/zones/web01"));
        EXPECT_TRUE(host->leftovers().empty());
    }
}

TEST_F(AtOnce, MovesThatMeetHalfWay) {
    one.make_zone("web01", "/zones/web01");
    two.make_zone("db01", "/zones/db01");
    auto first = std::async(std::launch::async, [&] { return begin(one, "web01", "host2"); });
    auto second = std::async(std::launch::async, [&] { return begin(two, "db01", "host1"); });
    const auto away = first.get();
    const auto home = second.get();
    ASSERT_TRUE(away) << away.error().text();
    ASSERT_TRUE(home) << home.error().text();
    EXPECT_EQ(one.wait_for(*away, MoveNews::Type::end).exit_code, 0);
    EXPECT_EQ(two.wait_for(*home, MoveNews::Type::end).exit_code, 0);
    EXPECT_TRUE(two.may_boot_zone("web01", "/zones/web01"));
    EXPECT_TRUE(one.may_boot_zone("db01", "/zones/db01"));
}

// The way back is asked for at the host that left the zone, and the zone is moved by hand at the host that has it.
TEST_F(AtOnce, BroughtBackFromBothEnds) {
    one.make_zone("web01", "/zones/web01");
    const std::string id = one.started("web01", "host2");
    one.wait_for(id, MoveNews::Type::end);
    auto rolled = std::async(std::launch::async, [&] { return one.ask({{"verb", "rollback"}, {"move", id}}); });
    auto again = std::async(std::launch::async, [&] { return one.ask({{"verb", "rollback"}, {"move", id}}); });
    auto moved = std::async(std::launch::async, [&] { return begin(two, "web01", "host1"); });
    const Json end = end_of(rolled.get());
    const Json other_end = end_of(again.get());
    const auto by_hand = moved.get();
    if (by_hand) two.wait_for(*by_hand, MoveNews::Type::end);
    EXPECT_TRUE(end["exit_code"] == 0 || other_end["exit_code"] == 0 || by_hand) << end << other_end;
    const std::vector<MoveRecord> moves = *two.journal().all();
    for (const MoveRecord& record : moves) {
        if (record.role == Role::source) two.wait_for(record.id, MoveNews::Type::end);
    }
    EXPECT_EQ(holders({&one, &two}, "web01"), 1);
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01"));
    EXPECT_EQ(one.owner("web01"), "owned 3 host1");
    EXPECT_TRUE(one.leftovers().empty());
}

TEST_F(AtOnce, BackAndForth) {
    one.make_zone("web01", "/zones/web01");
    TestHost* here = &one;
    TestHost* there = &two;
    for (std::uint64_t epoch = 2; epoch < 8; ++epoch) {
        const std::string id = here->started("web01", there->name());
        ASSERT_FALSE(id.empty());
        ASSERT_EQ(here->wait_for(id, MoveNews::Type::end).exit_code, 0);
        EXPECT_EQ(there->owner("web01"), "owned " + std::to_string(epoch) + " " + there->name());
        EXPECT_EQ(holders({&one, &two}, "web01"), 1);
        ASSERT_EQ(end_of(here->ask({{"verb", "finalize"}, {"move", id}}))["exit_code"], 0);
        EXPECT_FALSE(path_exists(here->path("/zones/web01")));
        EXPECT_TRUE(here->leftovers().empty());
        std::swap(here, there);
    }
    EXPECT_EQ(*read_file(here->path("/zones/web01/root/etc/hostname"), 100), "web01\n");
}

// ---- a clone, and a host from the past ------------------------------------------------------------------

TEST_F(AtOnce, AClonedStateDirectoryRunsNothing) {
    one.make_zone("web01", "/zones/web01");
    ASSERT_TRUE(bind_state(one.root()));
    ASSERT_TRUE(bind_state(one.root())) << "the next start";
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01"));
    // The same disk in another machine.
    write_file(one.path("/etc/machine-id"), "0123456789abcdef0123456789abcdef\n");
    EXPECT_FALSE(one.may_boot_zone("web01", "/zones/web01"));
    const Status refused = bind_state(one.root());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::not_owner);
    EXPECT_NE(refused.error().text().find("is that of another machine"), std::string::npos) << refused.error().text();
    EXPECT_NE(refused.error().remedy_text().find("bound-to"), std::string::npos);
    one.stop();
    const Status agent = run_daemon(one.root());
    ASSERT_FALSE(agent) << "it would wait for a signal";
    EXPECT_EQ(agent.error().code(), Errc::not_owner);
}

// Its agent was stopped just before the release, and the zone came back meanwhile: nothing but the owner record tells.
TEST_F(AtOnce, AMoveThatWasStagedReleasesNothingThatHasBeenAwaySince) {
    one.make_zone("web01", "/zones/web01");
    const std::string uuid = "01234567-89ab-4def-8123-456789abcdef";
    const OwnerRecord came_back{"web01", uuid, 3, Ownership::owned, "host1", "aa", 1};
    ASSERT_TRUE(OwnerStore(one.root()).save(came_back, "/zones/web01"));
    MoveRecord late;
    late.id = "bb";
    late.zone = "web01";
    late.zone_uuid = uuid;
    late.peer = "host2";
    late.zonepath = "/zones/web01";
    late.epoch = 1;
    late.phase = Phase::staged;
    ASSERT_TRUE(one.desk().start(late));
    one.wait_for(late.id, MoveNews::Type::end);
    EXPECT_EQ(one.phase(late.id), Phase::aborted);
    EXPECT_EQ(one.owner("web01"), "owned 3 host1");
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01"));
}

// Restored to before its first move to host2: its journal knows of none, so only the uuid can tell.
TEST_F(AtOnce, AHostFromBeforeItsFirstMoveAsksToo) {
    one.make_zone("web01", "/zones/web01");
    two.make_zone("web01", "/zones/web01");
    const std::string uuid = ZoneStore(one.root()).find(*ZoneName::create("web01"))->uuid;
    ASSERT_FALSE(uuid.empty());
    OwnerRecord owner{"web01", "01234567-89ab-4def-8123-456789abcdef", 2, Ownership::owned, "host2", "cc", 1};
    ASSERT_TRUE(OwnerStore(two.root()).save(owner, "/zones/web01"));
    ask_peers_for_claims(one.context(), one.desk(), 5'000);
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01")) << "another zone of that name is no claim";
    owner.zone_uuid = uuid;
    ASSERT_TRUE(OwnerStore(two.root()).save(owner, "/zones/web01"));
    ask_peers_for_claims(one.context(), one.desk(), 5'000);
    EXPECT_EQ(one.owner("web01"), "parked 2 host2");
    EXPECT_FALSE(one.may_boot_zone("web01", "/zones/web01"));
}

TEST_F(AtOnce, AnAnswerByNameTeachesNobodyTheUuid) {
    OwnerRecord owner{"web01", "01234567-89ab-4def-8123-456789abcdef", 2, Ownership::owned, "host2", "cc", 1};
    ASSERT_TRUE(OwnerStore(two.root()).save(owner, ""));
    OwnersRequest request;
    request.claims.emplace_back();
    request.claims[0].zone = "web01";
    const OwnersReply for_one = answer_claims(two.context(), request, "host1");
    const OwnersReply for_three = answer_claims(two.context(), request, "host3");
    ASSERT_EQ(for_one.claims.size(), 1U);
    EXPECT_EQ(for_one.claims[0].zone_uuid, knowledge_of(owner.zone_uuid, "host1"));
    EXPECT_NE(for_one.claims[0].zone_uuid, for_three.claims[0].zone_uuid) << "it could be passed on";
    EXPECT_EQ(for_one.claims[0].zone_uuid.find(owner.zone_uuid), std::string::npos);
}

// ---- an agent of the last protocol ----------------------------------------------------------------------

void expect_one_clear_sentence(const Error& error) {
    EXPECT_EQ(error.code(), Errc::unsupported);
    EXPECT_NE(error.text().find("speaks protocol 1"), std::string::npos) << error.text();
    EXPECT_NE(error.text().find("nothing was done"), std::string::npos) << error.text();
    EXPECT_NE(error.remedy_text().find("install the newer zoneferry"), std::string::npos) << error.remedy_text();
}

Hello hello_of_the_last_protocol(const std::string& host) {
    Hello hello;
    offer(hello);
    hello.protocol_min = hello.protocol_max = kProtocolMin - 1;
    hello.host = host;
    hello.version = "0.1";
    hello.listen_port = 7743;
    return hello;
}

TEST_F(AtOnce, AnOldAgentThatCallsIsToldWhatToDo) {
    const TlsContext tls = *one.trust().client_context();
    const auto line = one.context().network.connect("127.0.0.1", two.port(), tls, "host2", kTestTimeoutMs);
    ASSERT_TRUE(line) << line.error().text();
    ASSERT_TRUE((*line)->send(hello_of_the_last_protocol("host1")));
    const auto answer = (*line)->receive(kTestTimeoutMs);
    ASSERT_TRUE(answer) << answer.error().text();
    const auto* refusal = std::get_if<Refusal>(&*answer);
    ASSERT_NE(refusal, nullptr);
    expect_one_clear_sentence(refusal->to_error());
}

// A peer that accepts connections and does with them as told.
class Double {
public:
    Double(TestHost& as, std::function<void(ConnectionPtr)> serve) {
        as.stop();
        const auto bound = network_.listen("127.0.0.1", as.port(), TwoHosts::contexts_of(as.trust()), std::move(serve));
        EXPECT_TRUE(bound) << bound.error().text();
    }

private:
    Network network_;
};

TEST_F(AtOnce, AnOldAgentThatIsCalledChangesNothing) {
    one.make_zone("web01", "/zones/web01");
    // The last version had the same rule (wire/features.cpp): it refuses our range.
    const Double old(two, [](ConnectionPtr connection) {
        const auto first = connection->receive(kTestTimeoutMs);
        if (!first) return;
        const auto* hello = std::get_if<Hello>(&*first);
        const auto agreed = negotiate(hello_of_the_last_protocol("host2"), *hello);
        (void)connection->send(Refusal(agreed.error()));
        (void)connection->receive(kTestTimeoutMs);
    });
    const auto refused = PeerSession::open(one.context(), "host2");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::unsupported) << refused.error().text();
    EXPECT_NE(refused.error().text().find("nothing was done"), std::string::npos) << refused.error().text();
    EXPECT_FALSE(begin(one, "web01", "host2"));
    EXPECT_TRUE(one.journal().all()->empty());
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01"));
}

// ---- silence and floods ---------------------------------------------------------------------------------

TEST_F(AtOnce, TheEndWaitsForNoSilentPeer) {
    one.make_zone("web01", "/zones/web01");
    std::promise<void> asked;
    const Double silent(two, [&asked](ConnectionPtr connection) {
        (void)connection->receive(kTestTimeoutMs);  // Hello; no answer to it, only heartbeats
        asked.set_value();
        (void)connection->receive(kTestTimeoutMs);
    });
    one.context().settings.answer_s = 3'600;
    auto verb = std::async(std::launch::async, [&] { return begin(one, "web01", "host2"); });
    ASSERT_EQ(asked.get_future().wait_for(std::chrono::milliseconds(kTestTimeoutMs)), std::future_status::ready);
    one.context().network.shut();  // as the daemon does first
    ASSERT_EQ(verb.wait_for(std::chrono::milliseconds(kTestTimeoutMs)), std::future_status::ready)
        << "the verb, and with it the agent, would wait for the peer";
    EXPECT_FALSE(verb.get());
}

TEST_F(AtOnce, AnAnswerThatDoesNotComeIsNotWaitedForLongerThanTheSettingSays) {
    one.make_zone("web01", "/zones/web01");
    const Double silent(two, [](ConnectionPtr connection) {
        while (connection->receive(kTestTimeoutMs)) {
        }
    });
    one.context().settings.answer_s = 1;
    const auto refused = PeerSession::open(one.context(), "host2");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::timed_out) << refused.error().text();
    EXPECT_FALSE(begin(one, "web01", "host2"));
}

TEST_F(AtOnce, OnePeerCannotTakeAllConnections) {
    TestHost three("host3");
    let_in(three);
    const TlsContext tls = *one.trust().client_context();
    std::vector<ConnectionPtr> lines;
    for (std::size_t i = 0; i < kConnectionsOfPeerMax; ++i) {
        const auto line = one.context().network.connect("127.0.0.1", two.port(), tls, "host2", kTestTimeoutMs);
        ASSERT_TRUE(line) << line.error().text();
        lines.push_back(*line);
    }
    const auto more = PeerSession::open(one.context(), "host2");
    ASSERT_FALSE(more);
    EXPECT_EQ(more.error().code(), Errc::busy) << more.error().text();
    EXPECT_NE(more.error().text().find("host1 has 32 connections"), std::string::npos) << more.error().text();
    EXPECT_TRUE(PeerSession::open(three.context(), "host2")) << "another peer still gets in";
    lines.clear();
    Result<PeerSession> again = PeerSession::open(one.context(), "host2");
    const std::int64_t until_ms = now_ms() + kTestTimeoutMs;
    while (!again && now_ms() < until_ms) again = PeerSession::open(one.context(), "host2");  // they part meanwhile
    EXPECT_TRUE(again) << again.error().text();
}

}  // namespace
}  // namespace zoneferry
