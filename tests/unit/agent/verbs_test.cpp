// The verbs by which people steer moves, over two agents in one process. The zones are halted ones; what needs a
// running zone (the budget, probes) is in tests/e2e/steering_test.py.
#include <gtest/gtest.h>

#include "agent/claims.h"
#include "agent/gc.h"
#include "agent/resolve.h"
#include "tests/unit/agent/two_agents.h"

namespace zoneferry {
namespace {

int exit_of(const std::vector<Json>& lines) { return lines.empty() ? -1 : lines.back().value("exit_code", -1); }
std::string words_of(const std::vector<Json>& lines) {
    return lines.empty() ? "" : lines.back().value("message", "") + " -> " + lines.back().value("remedy", "");
}

class Verbs : public TwoAgents {
protected:
    std::string move_zone(std::size_t bytes = 10'000) {
        one.make_zone("web01", "/zones/web01", bytes);
        const auto lines = one.ask({{"verb", "move"}, {"zone", "web01"}, {"host", "host2"}});
        EXPECT_EQ(exit_of(lines), kExitOk) << words_of(lines);
        return one.journal().resolve("web01")->id;
    }
    // The target has promised; the source knows nothing of it, as after a reinstallation.
    void promise() {
        one.make_zone("web01", "/zones/web01");
        auto talk = session(one, "host2");
        const PrepareRequest prepare = prepare_of(one, "web01", "ab");
        ASSERT_TRUE(talk.ask<PrepareReply>(prepare));
        write_file(two.path("/zones/.zoneferry-incoming-ab/root/etc/hostname"), "web01\n");
        StageRequest stage;
        stage.move_id = "ab";
        stage.manifest = prepare.manifest;
        const auto reply = talk.ask<StageReply>(stage);
        ASSERT_TRUE(reply && reply->ready) << (reply ? "" : reply.error().text());
    }
};

TEST_F(Verbs, WithoutASwitchItWaitsAndIsFreshWhenItSwitches) {
    one.make_zone("web01", "/zones/web01");
    auto lines = one.ask({{"verb", "move"}, {"zone", "web01"}, {"host", "host2"}, {"no_switch", true}});
    EXPECT_EQ(exit_of(lines), kExitOk) << words_of(lines);
    EXPECT_EQ(lines.back().value("phase", ""), "waiting");
    const std::string id = one.journal().resolve("web01")->id;
    EXPECT_EQ(one.owner("web01"), "none") << "nothing has happened to the zone";
    EXPECT_EQ(two.phase(id), Phase::incoming);
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01"));
    {
        const auto lock = ZoneStore(one.root()).lock(*ZoneName::create("web01"));
        EXPECT_TRUE(lock) << "others may work with the zone while it waits";
    }
    write_file(one.path("/zones/web01/root/late"), "written while it waited\n");
    lines = one.ask({{"verb", "switch"}, {"move", "web01"}});
    EXPECT_EQ(exit_of(lines), kExitOk) << words_of(lines);
    EXPECT_EQ(one.phase(id), Phase::activated);
    EXPECT_EQ(*read_file(two.path("/zones/web01/root/late"), 100), "written while it waited\n");
    EXPECT_EQ(two.owner("web01"), "owned 2 host2");
    EXPECT_EQ(exit_of(one.ask({{"verb", "switch"}, {"move", "web01"}})), kExitBusy);
}

TEST_F(Verbs, AMoveThatWaitsGoesOnWaitingAfterARestart) {
    one.make_zone("web01", "/zones/web01");
    one.ask({{"verb", "move"}, {"zone", "web01"}, {"host", "host2"}, {"no_switch", true}});
    const std::string id = one.journal().resolve("web01")->id;
    one.restart();
    EXPECT_EQ(one.phase(id), Phase::waiting);
    EXPECT_EQ(exit_of(one.ask({{"verb", "abort"}, {"move", id}})), kExitOk);
    EXPECT_EQ(one.phase(id), Phase::aborted);
    EXPECT_EQ(two.phase(id), Phase::discarded);
    EXPECT_TRUE(two.leftovers().empty());
}

TEST_F(Verbs, APausedMoveSendsNothingAndGoesOn) {
    one.make_zone("web01", "/zones/web01", 4'000'000);
    MoveWish wish{.zone = "web01", .peer = "host2"};
    wish.hold = true;
    wish.bytes_per_second = 1'000'000;
    const auto started = start_move(one.context(), one.desk(), wish);
    ASSERT_TRUE(started) << started.error().text();
    const std::string id = started->move_id;
    one.wait_for(id, MoveNews::Type::progress);
    auto lines = one.ask({{"verb", "pause"}, {"move", id}});
    EXPECT_EQ(exit_of(lines), kExitOk) << words_of(lines);
    EXPECT_EQ(one.phase(id), Phase::paused);
    EXPECT_EQ(exit_of(one.ask({{"verb", "switch"}, {"move", id}})), kExitBusy) << "resume first";
    one.restart();
    EXPECT_EQ(one.phase(id), Phase::paused);
    lines = one.ask({{"verb", "resume"}, {"move", id}});
    EXPECT_EQ(exit_of(lines), kExitOk) << words_of(lines);
    EXPECT_EQ(one.phase(id), Phase::waiting);
    EXPECT_EQ(exit_of(one.ask({{"verb", "resume"}, {"move", id}})), kExitBusy);
    EXPECT_EQ(exit_of(one.ask({{"verb", "switch"}, {"move", id}})), kExitOk);
    EXPECT_EQ(two.state("web01"), "installed");
}

TEST_F(Verbs, ARollbackThatDiscardsTakesTheCopyKeptAtHome) {
    const std::string id = move_zone();
    write_file(two.path("/zones/web01/root/since"), "lost\n");
    const auto lines = one.ask({{"verb", "rollback"}, {"move", id}, {"discard", true}});
    EXPECT_EQ(exit_of(lines), kExitOk) << words_of(lines);
    two.wait_for(two.journal().resolve("web01")->id, MoveNews::Type::end);
    EXPECT_EQ(one.state("web01"), "installed");
    EXPECT_EQ(one.owner("web01"), "owned 3 host1");
    EXPECT_EQ(two.state("web01"), "none");
    EXPECT_FALSE(path_exists(one.path("/zones/web01/root/since")));
    EXPECT_TRUE(path_exists(one.path("/zones/web01/root/etc/hostname")));
    EXPECT_EQ(one.phase(id), Phase::returned);
    const MoveRecord back = *two.journal().resolve("web01");
    EXPECT_EQ(std::tuple(back.passes, back.raw_bytes), std::tuple(0U, 0U)) << "nothing travelled";
    EXPECT_TRUE(one.leftovers().empty());
    EXPECT_TRUE(two.leftovers().empty());
}

TEST_F(Verbs, ResolveNamesTheRiskAndDoesNothingUnasked) {
    const std::string id = move_zone();
    two.stop();
    auto lines = one.ask({{"verb", "resolve"}, {"move", id}, {"word", "reclaim"}});
    EXPECT_EQ(exit_of(lines), kExitUsage);
    EXPECT_EQ(lines.front().value("type", ""), "risk");
    EXPECT_NE(lines.front().value("text", "").find("runs twice"), std::string::npos);
    lines = one.ask({{"verb", "resolve"}, {"move", id}, {"word", "reclaim"}, {"confirmed", "db01"}});
    EXPECT_EQ(exit_of(lines), kExitUsage) << "another zone's name";
    lines = one.ask({{"verb", "resolve"}, {"move", id}, {"word", "reclaim"}, {"confirmed", "web01"}});
    EXPECT_EQ(exit_of(lines), kExitInDoubt) << "nobody said that the other host is fenced";
    EXPECT_EQ(one.phase(id), Phase::activated);
    EXPECT_FALSE(one.may_boot_zone("web01", "/zones/web01"));
    EXPECT_TRUE(one.journal().audits()->empty());
}

TEST_F(Verbs, AReclaimedZoneIsParkedOnTheHostThatComesBack) {
    const std::string id = move_zone();
    two.stop();
    const auto lines =
        one.ask({{"verb", "resolve"}, {"move", id}, {"word", "reclaim"}, {"yes", true}, {"fenced", true}});
    EXPECT_EQ(exit_of(lines), kExitOk) << words_of(lines);
    EXPECT_EQ(one.phase(id), Phase::reclaimed);
    EXPECT_EQ(one.owner("web01"), "owned 3 host1");
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01"));
    EXPECT_NE(one.journal().audits()->front().text.find("reclaimed by root on host1, epoch 3"), std::string::npos);

    two.start(two.port());
    ask_peers_for_claims(two.context(), two.desk(), 5'000);
    EXPECT_EQ(two.owner("web01"), "parked 3 host1");
    EXPECT_EQ(two.phase(id), Phase::superseded);
    EXPECT_FALSE(two.may_boot_zone("web01", "/zones/web01"));
    EXPECT_TRUE(path_exists(two.path("/zones/web01/root/etc/hostname"))) << "parked, not deleted";
    ask_peers_for_claims(one.context(), one.desk(), 5'000);
    EXPECT_EQ(one.owner("web01"), "owned 3 host1") << "the higher epoch stays";
}

TEST_F(Verbs, WhileTheOtherHostAnswersNobodyReclaims) {
    const std::string id = move_zone();
    const auto lines = one.ask({{"verb", "resolve"}, {"move", id}, {"word", "reclaim"}, {"yes", true}});
    EXPECT_EQ(exit_of(lines), kExitBusy) << words_of(lines);
    EXPECT_EQ(one.phase(id), Phase::activated);
}

// The state directory came back from an old backup: it says that the zone is here, at an epoch of the past.
TEST_F(Verbs, AStateDirectoryOfThePastDoesNotResurrectARight) {
    move_zone();
    OwnerRecord old;
    old.zone = "web01";
    old.zone_uuid = one.record(one.journal().resolve("web01")->id).zone_uuid;
    old.epoch = 1;
    old.state = Ownership::owned;
    old.host = "host1";
    ASSERT_TRUE(OwnerStore(one.root()).save(old, "/zones/web01"));
    ZoneStore store(one.root());
    {
        const ZoneLock lock = *store.lock(*ZoneName::create("web01"));
        ASSERT_TRUE(store.change_state(lock, ZoneState::configured, ZoneState::installed));
    }
    ASSERT_TRUE(one.may_boot_zone("web01", "/zones/web01")) << "that is the danger";
    ask_peers_for_claims(one.context(), one.desk(), 5'000);
    EXPECT_EQ(one.owner("web01"), "parked 2 host2");
    EXPECT_FALSE(one.may_boot_zone("web01", "/zones/web01"));
    EXPECT_EQ(two.owner("web01"), "owned 2 host2");
    const auto may = may_boot(one.root(), *ZoneName::create("web01"), "/zones/web01");
    EXPECT_NE(may.error().text().find("is unavailable: host host2 holds it under epoch 2"), std::string::npos)
        << may.error().text();
    // A person may end that, too.
    const Json unpark{{"verb", "resolve"}, {"move", "web01"}, {"word", "adopt"}, {"yes", true}};
    EXPECT_EQ(exit_of(one.ask(unpark)), kExitInDoubt);
    Json fenced = unpark;
    fenced["fenced"] = true;
    EXPECT_EQ(exit_of(one.ask(fenced)), kExitOk);
    EXPECT_EQ(one.owner("web01"), "owned 3 host1");
    two.restart();
    ask_peers_for_claims(two.context(), two.desk(), 5'000);
    EXPECT_EQ(two.owner("web01"), "parked 3 host1");
}

TEST_F(Verbs, APromiseToASourceThatForgotCanBeAdopted) {
    promise();
    Json adopt{{"verb", "resolve"}, {"move", "ab"}, {"word", "adopt"}, {"yes", true}};
    EXPECT_EQ(exit_of(two.ask(adopt)), kExitInDoubt) << "who knows nothing of the move may still run the zone";
    EXPECT_EQ(two.phase("ab"), Phase::ready);
    adopt["fenced"] = true;
    const auto lines = two.ask(adopt);
    EXPECT_EQ(exit_of(lines), kExitOk) << words_of(lines);
    EXPECT_EQ(two.phase("ab"), Phase::activated);
    EXPECT_EQ(two.state("web01"), "installed");
    EXPECT_EQ(two.owner("web01"), "owned 3 host2") << "above what the source could have released";
}

TEST_F(Verbs, APromiseCanBeGivenBackByAPerson) {
    promise();
    const auto lines = two.ask({{"verb", "resolve"}, {"move", "ab"}, {"word", "reclaim"}, {"yes", true}});
    EXPECT_EQ(lines.back().value("phase", ""), "discarded") << words_of(lines);
    EXPECT_TRUE(two.leftovers().empty());
    EXPECT_EQ(two.owner("web01"), "none");
}

TEST_F(Verbs, APromiseToASilentSourceIsNotGivenBackUnfenced) {
    promise();
    one.stop();
    Json discard{{"verb", "resolve"}, {"move", "ab"}, {"word", "reclaim"}, {"yes", true}};
    EXPECT_EQ(exit_of(two.ask(discard)), kExitInDoubt) << "it may have released the zone";
    EXPECT_EQ(two.phase("ab"), Phase::ready);
    discard["fenced"] = true;
    EXPECT_EQ(two.ask(discard).back().value("phase", ""), "discarded");
}

TEST(Resolve, WhatTheOtherHostSaysIsNoFence) {
    using Deed = Resolution::Deed;
    using Kind = PeerWord::Kind;
    MoveRecord record{.id = "ab", .role = Role::source, .phase = Phase::released, .zone = "web01", .peer = "host2"};
    const auto may = [&](Deed deed, const PeerWord& peer) { return check_deed(record, deed, peer, false).has_value(); };
    EXPECT_FALSE(may(Deed::reclaim_here, {Kind::knows_nothing, ""}));
    EXPECT_FALSE(may(Deed::reclaim_here, {Kind::silent, ""}));
    EXPECT_FALSE(may(Deed::reclaim_here, {Kind::knows, "owned"}));
    EXPECT_TRUE(may(Deed::reclaim_here, {Kind::knows, "discarded"})) << "a person has deleted it there";
    EXPECT_TRUE(check_deed(record, Deed::reclaim_here, {Kind::knows_nothing, ""}, true));
    record.role = Role::target;
    record.phase = Phase::ready;
    EXPECT_FALSE(may(Deed::adopt_here, {Kind::knows_nothing, ""}));
    EXPECT_FALSE(may(Deed::adopt_here, {Kind::knows, "discarded"}));
    EXPECT_FALSE(may(Deed::discard_here, {Kind::knows, "released"}));
    EXPECT_TRUE(may(Deed::discard_here, {Kind::knows_nothing, ""}));
    record.phase = Phase::incoming;
    EXPECT_TRUE(may(Deed::discard_here, {Kind::silent, ""})) << "nothing was promised";
}

TEST_F(Verbs, APromiseIsNotMadeTwiceWithAnotherManifest) {
    promise();
    const std::string staged = two.path("/zones/.zoneferry-incoming-ab/SUNWdetached.xml");
    const std::string before = *read_file(staged, 1 << 20);
    auto talk = session(one, "host2");
    const PrepareRequest prepare = prepare_of(one, "web01", "ab");
    ASSERT_TRUE(talk.ask<PrepareReply>(prepare));
    StageRequest stage;
    stage.move_id = "ab";
    stage.manifest = prepare.manifest;
    EXPECT_TRUE(talk.ask<StageReply>(stage)) << "the same again is the same promise";
    stage.manifest += "\n";
    const auto again = talk.ask<StageReply>(stage);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), Errc::conflict);
    EXPECT_EQ(*read_file(staged, 1 << 20), before);
}

TEST_F(Verbs, RightsAreChangedByAVerb) {
    one.make_zone("web01", "/zones/web01");
    EXPECT_EQ(exit_of(one.ask({{"verb", "trust-rights"}, {"host", "host2"}, {"receive", "no"}})), kExitOk);
    EXPECT_TRUE(one.trust().peer("host2")->may_send);
    EXPECT_EQ(exit_of(one.ask({{"verb", "move"}, {"zone", "web01"}, {"host", "host2"}})), kExitUntrusted);
    EXPECT_EQ(exit_of(one.ask({{"verb", "trust-rights"}, {"host", "host2"}, {"receive", "yes"}})), kExitOk);
    EXPECT_EQ(exit_of(two.ask({{"verb", "trust-rights"}, {"host", "host1"}, {"send", "no"}})), kExitOk);
    EXPECT_EQ(exit_of(one.ask({{"verb", "move"}, {"zone", "web01"}, {"host", "host2"}})), kExitUntrusted);
    EXPECT_EQ(exit_of(one.ask({{"verb", "trust-rights"}, {"host", "host9"}, {"send", "no"}})), kExitUntrusted);
}

TEST_F(Verbs, BothJournalsTellOfAMove) {
    const std::string id = move_zone();
    auto lines = one.ask({{"verb", "history"}});
    ASSERT_GE(lines.size(), 2U);
    EXPECT_EQ(lines.front().value("type", ""), "history");
    EXPECT_GT(lines.front().value("raw_bytes", 0), 10'000);
    EXPECT_TRUE(lines.front()["times_ms"].contains("verify"));
    EXPECT_EQ(one.ask({{"verb", "history"}, {"zone", "db01"}}).size(), 1U);
    lines = one.ask({{"verb", "report"}, {"move", id}, {"both", true}});
    EXPECT_EQ(exit_of(lines), kExitOk) << words_of(lines);
    const auto has = [&](const char* side, const char* kind) {
        return std::any_of(lines.begin(), lines.end(), [&](const Json& line) {
            return line.value("side", "") == side && line.value("kind", "") == kind;
        });
    };
    EXPECT_TRUE(has("source", "released") && has("target", "ready") && has("target", "owned"));
    two.stop();
    EXPECT_NE(exit_of(one.ask({{"verb", "report"}, {"move", id}, {"both", true}})), kExitOk);
}

TEST_F(Verbs, RubbishGoesAndWhatNobodyKnowsStays) {
    const std::string id = move_zone();
    EXPECT_EQ(exit_of(one.ask({{"verb", "finalize"}, {"move", id}})), kExitOk);
    write_file(one.path("/zones/.zoneferry-trash-" + id + "/root/x"), "x");
    write_file(one.path("/zones/.zoneferry-incoming-77/root/x"), "maybe the only one");
    write_file(one.path("/var/lib/zoneferry/moves/" + id + "/catalog.a"), "x");
    auto lines = one.ask({{"verb", "gc"}, {"dry_run", true}});
    EXPECT_EQ(words_of(lines), "2 would be removed, 1 kept -> ");
    EXPECT_TRUE(path_exists(one.path("/zones/.zoneferry-trash-" + id)));
    lines = one.ask({{"verb", "gc"}});
    EXPECT_EQ(words_of(lines), "2 removed, 1 kept -> ");
    EXPECT_FALSE(path_exists(one.path("/zones/.zoneferry-trash-" + id)));
    EXPECT_TRUE(path_exists(one.path("/zones/.zoneferry-incoming-77/root/x")));
    EXPECT_TRUE(*one.journal().find(id)) << "too young to be forgotten";
}

TEST_F(Verbs, AKeptCopyIsNoRubbish) {
    const std::string id = move_zone();
    EXPECT_EQ(words_of(one.ask({{"verb", "gc"}})), "0 removed, 0 kept -> ");
    one.context().settings.history_days = -1;  // everything is old
    EXPECT_EQ(words_of(one.ask({{"verb", "gc"}})), "0 removed, 0 kept -> ");
    EXPECT_EQ(exit_of(one.ask({{"verb", "rollback"}, {"move", id}})), kExitOk);
    EXPECT_EQ(one.state("web01"), "installed");
}

TEST(Claims, APeerIsAskedOnlyAboutZonesThatItHadAMoveOf) {
    OwnerClaim claim;
    claim.zone = "web01";
    claim.zone_uuid = "u1";
    MoveRecord move{.id = "ab", .role = Role::target, .zone = "web01", .zone_uuid = "u1", .peer = "host2"};
    EXPECT_EQ(claims_shared_with({move}, "host2", {claim}).size(), 1U);
    EXPECT_TRUE(claims_shared_with({move}, "host3", {claim}).empty());
    EXPECT_TRUE(claims_shared_with({}, "host2", {claim}).empty());
    move.zone_uuid = "u2";
    EXPECT_TRUE(claims_shared_with({move}, "host2", {claim}).empty()) << "another zone of that name";
}

// host2 holds the zone under a higher epoch, as the owner record there says; host1 is about to move it once more.
TEST_F(Verbs, AMoveThatWaitsDoesNotKeepALoserFromBeingParked) {
    one.make_zone("web01", "/zones/web01");
    one.ask({{"verb", "move"}, {"zone", "web01"}, {"host", "host2"}, {"no_switch", true}});
    const std::string id = one.journal().resolve("web01")->id;
    const OwnerRecord theirs{"web01", one.record(id).zone_uuid, 7, Ownership::owned, "host2", "cc", 1};
    ASSERT_TRUE(OwnerStore(two.root()).save(theirs, ""));
    ask_peers_for_claims(one.context(), one.desk(), 5'000);
    one.wait_for(id, MoveNews::Type::end);
    EXPECT_EQ(one.phase(id), Phase::aborted);
    ASSERT_TRUE(OwnerStore(two.root()).save(theirs, ""));
    one.restart();  // the move's thread has ended for sure
    ask_peers_for_claims(one.context(), one.desk(), 5'000);
    EXPECT_EQ(one.owner("web01"), "parked 7 host2");
}

TEST(Claims, WhoLoses) {
    OwnerClaim ours;
    ours.zone = "web01";
    ours.zone_uuid = "u1";
    ours.epoch = 4;
    ours.held = true;
    OwnerClaim theirs = ours;
    EXPECT_TRUE(loses_against(ours, theirs)) << "a tie: both park";
    theirs.epoch = 5;
    EXPECT_TRUE(loses_against(ours, theirs));
    theirs.held = false;
    EXPECT_FALSE(loses_against(ours, theirs)) << "it says that it does not hold it";
    theirs.held = true;
    theirs.epoch = 3;
    EXPECT_FALSE(loses_against(ours, theirs));
    theirs.epoch = 5;
    theirs.zone_uuid = "u2";
    EXPECT_FALSE(loses_against(ours, theirs)) << "another zone of that name";
    theirs.zone_uuid = ours.zone_uuid = "";
    EXPECT_FALSE(loses_against(ours, theirs));
}

}  // namespace
}  // namespace zoneferry
