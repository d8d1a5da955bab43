// A peer that is trusted and lies; and people who do two things at once. Each test fails without its guard.
#include "agent/janitor.h"
#include "agent/move/preflight_view.h"
#include "tests/unit/agent/two_agents.h"

namespace zoneferry {
namespace {

constexpr const char* kUuid = "01234567-89ab-4def-8123-456789abcdef";

Errc code_of(const auto& result) { return result ? Errc::unknown : result.error().code(); }

MoveRecord source_move(const std::string& id, const std::string& zone) {
    MoveRecord record;
    record.id = id;
    record.zone = zone;
    record.zone_uuid = kUuid;
    record.peer = "host2";
    record.zonepath = "/zones/" + zone;
    record.epoch = 1;
    return record;
}

// ---- who may run the zone -------------------------------------------------------------------------------

TEST_F(TwoAgents, OnlyOneMoveOfAZoneBegins) {
    one.make_zone("web01", "/zones/web01", 8'000'000);
    const std::string first = one.started("web01", "host2", 2'000'000);
    ASSERT_FALSE(first.empty());
    EXPECT_EQ(code_of(one.desk().start(source_move("aa", "web01"))), Errc::busy);
    EXPECT_FALSE(*one.journal().find("aa"));
    EXPECT_TRUE(one.desk().request(first, {.reason = "enough"}));
    one.wait_for(first, MoveNews::Type::end);
}

// A move that was planned before another one took the zone away must not freeze, release or give back what is not
// here any more.
TEST_F(TwoAgents, AMovePlannedEarlierFindsTheZoneGone) {
    one.make_zone("web01", "/zones/web01");
    MoveRecord late = source_move("bb", "web01");
    late.was_running = true;
    const std::string first = one.started("web01", "host2");
    one.wait_for(first, MoveNews::Type::end);
    ASSERT_EQ(one.owner("web01"), "released 2 host2");
    late.zone_uuid = one.record(first).zone_uuid;
    for (const std::uint64_t epoch : {1U, 2U}) {  // as read before the first move, and after it
        late.id = "bb" + std::to_string(epoch);
        late.epoch = epoch;
        ASSERT_TRUE(one.desk().start(late));
        const MoveNews end = one.wait_for(late.id, MoveNews::Type::end);
        EXPECT_EQ(one.phase(late.id), Phase::aborted);
        EXPECT_NE(end.message.find("was not this move's any more"), std::string::npos) << end.message;
        EXPECT_EQ(end.message.find("as before"), std::string::npos) << end.message;
        EXPECT_NE(end.exit_code, 0);
        EXPECT_EQ(one.owner("web01"), "released 2 host2") << "the undo has taken the zone back";
        EXPECT_FALSE(*two.journal().find(late.id)) << "it was asked for before anybody looked";
    }
    EXPECT_TRUE(two.may_boot_zone("web01", "/zones/web01"));
}

TEST_F(TwoAgents, AGrantWithoutAPromiseIsRefused) {
    one.make_zone("web01", "/zones/web01");
    PeerSession talk = session(one, "host2");
    ASSERT_TRUE(talk.ask<PrepareReply>(prepare_of(one, "web01", "ab")));
    Grant grant;
    grant.move_id = "ab";
    grant.epoch = 2;
    EXPECT_EQ(code_of(talk.ask<Owned>(grant)), Errc::conflict);
    EXPECT_EQ(two.phase("ab"), Phase::incoming);
    AbortRequest abort;
    abort.move_id = "ab";
    ASSERT_TRUE(talk.ask<AbortReply>(abort));
    EXPECT_EQ(code_of(talk.ask<Owned>(grant)), Errc::conflict);
    EXPECT_EQ(two.phase("ab"), Phase::discarded);
}

TEST_F(TwoAgents, AGrantOfAnOldEpochIsRefused) {
    one.make_zone("web01", "/zones/web01");
    PeerSession talk = session(one, "host2");
    const PrepareRequest request = prepare_of(one, "web01", "ab");
    ASSERT_TRUE(talk.ask<PrepareReply>(request));
    ASSERT_TRUE(make_directories(staging_path(two.root(), {0, "/zones/web01"}, "ab") + "/root", 0755));
    StageRequest stage;
    stage.move_id = "ab";
    stage.manifest = request.manifest;
    const auto staged = talk.ask<StageReply>(stage);
    ASSERT_TRUE(staged && staged->ready) << (staged ? "" : staged.error().text());
    for (const std::uint64_t epoch : {0U, 1U, 3U}) {
        Grant grant;
        grant.move_id = "ab";
        grant.epoch = epoch;
        EXPECT_EQ(code_of(talk.ask<Owned>(grant)), Errc::protocol) << epoch;
    }
    EXPECT_EQ(two.phase("ab"), Phase::ready);
    EXPECT_EQ(two.owner("web01"), "incoming 1 host1");
}

// Hashes under a key of the asker's choice: of what he has sent himself, while he may send, and of nothing else.
TEST_F(TwoAgents, BlocksAreListedOnlyOfAnIncomingTree) {
    one.make_zone("web01", "/zones/web01");
    PeerSession talk = session(one, "host2");
    const PrepareRequest request = prepare_of(one, "web01", "ab");
    BlocksRequest blocks;
    blocks.move_id = "ab";
    blocks.key.resize(16);
    BlocksOfFile& file = blocks.files.emplace_back();
    file.path = "root/file";
    file.block_log = 14;
    EXPECT_EQ(code_of(talk.ask<BlocksReply>(blocks)), Errc::not_found);
    ASSERT_TRUE(talk.ask<PrepareReply>(request));
    const std::string staging = staging_path(two.root(), {0, "/zones/web01"}, "ab");
    ASSERT_TRUE(make_directories(staging + "/root", 0755));
    ASSERT_TRUE(replace_file(staging + "/root/file", std::string(20'000, 'x'), 0600));
    const auto hashes = talk.ask<BlocksReply>(blocks);
    ASSERT_TRUE(hashes) << hashes.error().text();
    EXPECT_EQ(hashes->hashes.size(), 32U);
    EXPECT_FALSE(hashes->ends_file);
    EXPECT_TRUE(talk.expect<BlocksReply>(5'000)->ends_file);
    file.path = "../../etc/hostname";
    EXPECT_TRUE(talk.ask<BlocksReply>(blocks)->ends_file);
    file.path = "root/file";
    blocks.key.resize(15);
    EXPECT_EQ(code_of(talk.ask<BlocksReply>(blocks)), Errc::protocol);
    blocks.key.resize(16);
    StageRequest stage;
    stage.move_id = "ab";
    stage.manifest = request.manifest;
    ASSERT_TRUE(talk.ask<StageReply>(stage));
    EXPECT_EQ(code_of(talk.ask<BlocksReply>(blocks)), Errc::conflict);
}

TEST_F(TwoAgents, FinalizeDeletesOnlyWhatWasLeftBehind) {
    one.make_zone("web01", "/zones/web01");
    const std::string id = one.started("web01", "host2");
    one.wait_for(id, MoveNews::Type::end);
    // The zone has come back in another way: it is ours again, whatever the old move's record says.
    OwnerRecord owner{"web01", one.record(id).zone_uuid, 3, Ownership::owned, "host1", "cc", 1};
    ASSERT_TRUE(OwnerStore(one.root()).save(owner, "/zones/web01"));
    EXPECT_EQ(code_of(finalize_move(one.context(), one.record(id))), Errc::conflict);
    EXPECT_TRUE(path_exists(one.path("/zones/web01/root/etc/hostname")));
}

// A deletion that a crash broke off must end as one of the old copy only, whatever lies at its place meanwhile.
TEST_F(TwoAgents, ABrokenOffFinalizeLeavesWhatCameSinceAlone) {
    one.make_zone("web01", "/zones/web01");
    const std::string id = one.started("web01", "host2");
    one.wait_for(id, MoveNews::Type::end);
    ASSERT_TRUE(forget_way_back(two.context(), two.record(id)));  // the target was asked and told
    const std::string trash = trash_path(one.root(), {0, "/zones/web01"}, id);
    ASSERT_EQ(::rename(one.path("/zones/web01").c_str(), trash.c_str()), 0);
    const ZoneName name = *ZoneName::create("web01");
    ASSERT_TRUE(ZoneStore(one.root()).remove(*ZoneStore(one.root()).lock(name)));
    ASSERT_TRUE(OwnerStore(one.root()).remove(name, ""));
    // Killed here. Another zone is made at that place before the agent is back ...
    write_file(one.path("/zones/web01/root/etc/hostname"), "another zone's\n");
    const auto ended = finalize_move(one.context(), one.record(id));
    ASSERT_TRUE(ended) << ended.error().text();
    EXPECT_EQ(one.phase(id), Phase::finalized);
    EXPECT_FALSE(path_exists(trash));
    EXPECT_TRUE(path_exists(one.path("/zones/web01/root/etc/hostname")));
}

TEST_F(TwoAgents, ABrokenOffFinalizeDoesNotKeepACopyThatIsGone) {
    one.make_zone("web01", "/zones/web01");
    const std::string id = one.started("web01", "host2");
    one.wait_for(id, MoveNews::Type::end);
    const std::string trash = trash_path(one.root(), {0, "/zones/web01"}, id);
    ASSERT_EQ(::rename(one.path("/zones/web01").c_str(), trash.c_str()), 0);
    two.stop();  // it was asked and told before
    const auto ended = finalize_move(one.context(), one.record(id));
    ASSERT_TRUE(ended) << ended.error().text();
    EXPECT_FALSE(path_exists(trash));
    EXPECT_EQ(one.state("web01"), "none");
    EXPECT_EQ(one.owner("web01"), "none");
}

TEST_F(TwoAgents, ABrokenOffFinalizeEndsAlsoWhenTheZoneCameBack) {
    one.make_zone("web01", "/zones/web01");
    const std::string id = one.started("web01", "host2");
    one.wait_for(id, MoveNews::Type::end);
    ASSERT_TRUE(forget_way_back(two.context(), two.record(id)));
    const std::string trash = trash_path(one.root(), {0, "/zones/web01"}, id);
    ASSERT_EQ(::rename(one.path("/zones/web01").c_str(), trash.c_str()), 0);
    const ZoneName name = *ZoneName::create("web01");
    ASSERT_TRUE(ZoneStore(one.root()).remove(*ZoneStore(one.root()).lock(name)));
    ASSERT_TRUE(OwnerStore(one.root()).remove(name, ""));
    two.wait_for(two.started("web01", "host1"), MoveNews::Type::end);
    ASSERT_EQ(one.owner("web01"), "owned 3 host1");
    ASSERT_TRUE(finalize_move(one.context(), one.record(id)));
    EXPECT_EQ(one.phase(id), Phase::finalized);
    EXPECT_FALSE(path_exists(trash)) << "a whole zone's disk space for ever";
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01"));
    EXPECT_TRUE(path_exists(one.path("/zones/web01/root/etc/hostname")));
}

// ---- one place, one name --------------------------------------------------------------------------------

TEST_F(TwoAgents, TwoComingZonesNeverShareAPlace) {
    one.make_zone("web01", "/zones/web01");
    PeerSession talk = session(one, "host2");
    PrepareRequest first = prepare_of(one, "web01", "aa");
    ASSERT_TRUE(talk.ask<PrepareReply>(first));
    PrepareRequest second = first;
    second.move_id = "bb";
    second.zone = "web02";
    Manifest manifest = *parse_manifest(first.manifest);
    manifest.config.name = "web02";
    for (const std::string place : {"/zones/web01", "/zones/web01/root/inside", "/zones"}) {
        manifest.config.zonepath = place;
        second.manifest = manifest_text(manifest);
        EXPECT_EQ(code_of(talk.ask<PrepareReply>(second)), Errc::blocked) << place;
    }
    EXPECT_FALSE(*two.journal().find("bb"));
}

TEST_F(TwoAgents, AZoneIsNotPutIntoAnotherZonesTree) {
    one.make_zone("web01", "/zones/web01");
    two.make_zone("db01", "/zones/db01");
    PrepareRequest request = prepare_of(one, "web01", "aa");
    Manifest manifest = *parse_manifest(request.manifest);
    manifest.config.zonepath = "/zones/db01/root/web01";
    request.manifest = manifest_text(manifest);
    EXPECT_EQ(code_of(session(one, "host2").ask<PrepareReply>(request)), Errc::blocked);
}

TEST_F(TwoAgents, AZoneIsNotPutAmongTheHostsOwnFiles) {
    one.make_zone("web01", "/zones/web01");
    PrepareRequest request = prepare_of(one, "web01", "aa");
    Manifest manifest = *parse_manifest(request.manifest);
    for (const std::string place : {"/etc/systemd/system/ssh.service.d", "/etc/new", "/usr/lib/x", "/root/x",
                                    "/var/lib/zoneferry/x", "/var/spool/cron/x"}) {
        ASSERT_TRUE(make_directories(two.path(place.substr(0, place.rfind('/'))), 0755));
        manifest.config.zonepath = place;
        request.manifest = manifest_text(manifest);
        EXPECT_EQ(code_of(session(one, "host2").ask<PrepareReply>(request)), Errc::blocked) << place;
    }
}

TEST_F(TwoAgents, WhatAppearedAtTheZonepathSinceThePromiseIsKept) {
    one.make_zone("web01", "/zones/web01");
    PeerSession talk = session(one, "host2");
    const PrepareRequest request = prepare_of(one, "web01", "ab");
    ASSERT_TRUE(talk.ask<PrepareReply>(request));
    ASSERT_TRUE(make_directories(staging_path(two.root(), {0, "/zones/web01"}, "ab") + "/root", 0755));
    StageRequest stage;
    stage.move_id = "ab";
    stage.manifest = request.manifest;
    ASSERT_TRUE(talk.ask<StageReply>(stage));
    write_file(two.path("/zones/web01/precious"), "mine");
    Grant grant;
    grant.move_id = "ab";
    grant.epoch = 2;
    ASSERT_TRUE(talk.ask<Owned>(grant));
    EXPECT_EQ(code_of(talk.expect<Activated>(kTestTimeoutMs)), Errc::conflict);
    EXPECT_TRUE(path_exists(two.path("/zones/web01/precious")));
    EXPECT_EQ(two.phase("ab"), Phase::owned) << "ours, and put in place as soon as that is possible";
    ASSERT_TRUE(remove_tree(two.path("/zones/web01")));
    two.restart();
    const Janitor janitor(two.context(), two.desk());  // takes it up at the agent's start
    std::uint64_t seen = 0;
    while (two.phase("ab") != Phase::activated) {
        const auto news = two.context().board.wait("ab", seen, kTestTimeoutMs);
        ASSERT_FALSE(news.empty()) << "the janitor says nothing";
        seen = news.back().seq;
    }
    EXPECT_EQ(two.state("web01"), "installed");
    two.desk().stop();  // the janitor ends with the agent
}

// ---- whose move it is -----------------------------------------------------------------------------------

TEST_F(TwoAgents, AnotherPeersMoveIsNobodyElsesBusiness) {
    TestHost three("host3");
    let_in(three);
    one.make_zone("web01", "/zones/web01");
    three.make_zone("web01", "/zones/web01");
    PeerSession owner = session(one, "host2");
    ASSERT_TRUE(owner.ask<PrepareReply>(prepare_of(one, "web01", "ab")));

    PeerSession stranger = session(three, "host2");
    EXPECT_EQ(code_of(stranger.ask<PrepareReply>(prepare_of(three, "web01", "ab"))), Errc::conflict);
    StatusRequest status;
    status.move_id = "ab";
    const auto seen = stranger.ask<StatusReply>(status);
    ASSERT_TRUE(seen);
    EXPECT_FALSE(seen->known);
    AbortRequest abort;
    abort.move_id = "ab";
    EXPECT_TRUE(stranger.ask<AbortReply>(abort)) << "answered, and without effect";
    Grant grant;
    grant.move_id = "ab";
    grant.epoch = 2;
    EXPECT_EQ(code_of(stranger.ask<Owned>(grant)), Errc::not_found);
    FinalizeRequest finalize;
    finalize.move_id = "ab";
    EXPECT_EQ(code_of(stranger.ask<FinalizeReply>(finalize)), Errc::not_found);
    ReturnRequest back;
    back.move_id = "ab";
    EXPECT_EQ(code_of(stranger.ask<ReturnReply>(back)), Errc::conflict);
    StageRequest stage;
    stage.move_id = "ab";
    EXPECT_EQ(code_of(stranger.ask<StageReply>(stage)), Errc::not_found);
    PassBegin pass;
    pass.move_id = "ab";
    EXPECT_EQ(code_of(stranger.ask<PassReady>(pass)), Errc::not_found);

    EXPECT_EQ(two.phase("ab"), Phase::incoming);
    // The owner's session was not even disturbed.
    EXPECT_TRUE(owner.ask<StatusReply>(status));
    pass.pass = 1;
    EXPECT_TRUE(owner.ask<PassReady>(pass));
}

TEST_F(TwoAgents, RightsCountInBothDirections) {
    one.make_zone("web01", "/zones/web01");
    Peer peer = *two.trust().peer("host1");
    peer.may_send = false;
    ASSERT_TRUE(two.trust().save_peer(peer));
    EXPECT_EQ(one.ask({{"verb", "check"}, {"zone", "web01"}, {"host", "host2"}}).back()["exit_code"], kExitUntrusted);
    EXPECT_EQ(code_of(session(one, "host2").ask<PrepareReply>(prepare_of(one, "web01", "ab"))), Errc::untrusted);
    peer.may_send = true;
    ASSERT_TRUE(two.trust().save_peer(peer));
    Peer there = *one.trust().peer("host2");
    there.may_receive = false;
    ASSERT_TRUE(one.trust().save_peer(there));
    EXPECT_EQ(one.ask({{"verb", "check"}, {"zone", "web01"}, {"host", "host2"}}).back()["exit_code"], kExitUntrusted);
}

// A stolen key whose certificate is still good for a year: the one who connects must ask its trust store as well.
TEST_F(TwoAgents, AKeyThatIsNotTrustedAnyMoreIsNotSentAZone) {
    Peer known = *one.trust().peer("host2");
    known.fingerprint = std::string(64, 'a');  // host2 has joined again with another key since
    ASSERT_TRUE(one.trust().save_peer(known));
    EXPECT_EQ(code_of(PeerSession::open(one.context(), "host2")), Errc::untrusted);
}

TEST_F(TwoAgents, AnAgentThatCallsItselfOtherwiseIsNotBelieved) {
    two.context().settings.name = "host7";
    EXPECT_EQ(code_of(PeerSession::open(one.context(), "host2")), Errc::untrusted);
}

TEST_F(TwoAgents, ARollbackUndoesOnlyOurMoveToThatPeer) {
    TestHost three("host3");
    let_in(three);
    one.make_zone("web01", "/zones/web01");
    const std::string id = one.started("web01", "host2");
    one.wait_for(id, MoveNews::Type::end);
    three.make_zone("web01", "/zones/web01");
    PrepareRequest request = prepare_of(three, "web01", "ab");
    request.zone_uuid = one.record(id).zone_uuid;
    request.return_of = id;
    request.epoch = 99;
    Peer peer = *one.trust().peer("host3");
    peer.address = "127.0.0.1";
    peer.port = three.port();
    Peer back = *three.trust().peer("host1");
    back.address = "127.0.0.1";
    back.port = one.port();
    ASSERT_TRUE(three.trust().save_peer(back));
    PeerSession stranger = session(three, "host1");
    EXPECT_EQ(code_of(stranger.ask<PrepareReply>(request)), Errc::conflict);
    EXPECT_EQ(one.owner("web01"), "released 2 host2");

    // The right peer, with an epoch from before the move, or another zone's uuid.
    PeerSession right = session(two, "host1");
    request = prepare_of(two, "web01", "cd");
    request.return_of = id;
    request.epoch = 2;
    EXPECT_EQ(code_of(right.ask<PrepareReply>(request)), Errc::conflict) << "another uuid";
    request.zone_uuid = one.record(id).zone_uuid;
    request.epoch = 1;
    EXPECT_EQ(code_of(right.ask<PrepareReply>(request)), Errc::conflict) << "an older epoch";
    request.epoch = 2;
    EXPECT_TRUE(right.ask<PrepareReply>(request));
}

TEST_F(TwoAgents, WhatCannotBeAnOwnerRecordIsNotJournaled) {
    one.make_zone("web01", "/zones/web01");
    PeerSession talk = session(one, "host2");
    PrepareRequest request = prepare_of(one, "web01", "ab");
    request.zone_uuid = "not one\nstate=owned";
    EXPECT_EQ(code_of(talk.ask<PrepareReply>(request)), Errc::protocol);
    request = prepare_of(one, "web01", "ab");
    request.epoch = ~0ULL;
    EXPECT_EQ(code_of(talk.ask<PrepareReply>(request)), Errc::protocol);
    for (const std::string id : {"", "../../etc", "AB", "ab/cd", "0123456789012345678901234567890123456789f"}) {
        request = prepare_of(one, "web01", id);
        EXPECT_EQ(code_of(talk.ask<PrepareReply>(request)), Errc::protocol) << id;
    }
    request = prepare_of(one, "web01", "ab");
    request.zone = "../x";
    EXPECT_NE(code_of(talk.ask<PrepareReply>(request)), Errc::unknown);
    EXPECT_TRUE(two.journal().all()->empty());
}

TEST_F(TwoAgents, AfterThePromiseNothingIsWrittenAnyMore) {
    one.make_zone("web01", "/zones/web01");
    PeerSession talk = session(one, "host2");
    const PrepareRequest request = prepare_of(one, "web01", "ab");
    ASSERT_TRUE(talk.ask<PrepareReply>(request));
    ASSERT_TRUE(make_directories(staging_path(two.root(), {0, "/zones/web01"}, "ab") + "/root", 0755));
    PassBegin pass;
    pass.move_id = "ab";
    pass.pass = 1;
    ASSERT_TRUE(talk.ask<PassReady>(pass));
    StageRequest stage;
    stage.move_id = "ab";
    stage.manifest = request.manifest;
    ASSERT_TRUE(talk.ask<StageReply>(stage));
    PassEnd end;  // the pass that was open is answered no more
    end.pass = 1;
    ASSERT_TRUE(talk.connection().send(end));
    StatusRequest status;
    status.move_id = "ab";
    EXPECT_TRUE(talk.ask<StatusReply>(status));
    pass.pass = 2;
    EXPECT_EQ(code_of(talk.ask<PassReady>(pass)), Errc::conflict);
}

// What was judged when it was prepared need not be what is staged.
TEST_F(TwoAgents, WhatIsStagedReachesNoFurtherThanWhatWasPrepared) {
    one.make_zone("web01", "/zones/web01");
    PeerSession talk = session(one, "host2");
    const PrepareRequest request = prepare_of(one, "web01", "ab");
    ASSERT_TRUE(talk.ask<PrepareReply>(request));
    ASSERT_TRUE(make_directories(staging_path(two.root(), {0, "/zones/web01"}, "ab") + "/root", 0755));
    const auto staged = [&](auto change) {
        Manifest manifest = *parse_manifest(request.manifest);
        change(manifest.config);
        StageRequest stage;
        stage.move_id = "ab";
        stage.manifest = manifest_text(manifest);
        return talk.ask<StageReply>(stage);
    };
    const auto reaching = staged([](ZoneConfig& config) { config.filesystems = {{"/etc", "", "/mnt", "lofs", {}}}; });
    ASSERT_TRUE(reaching) << reaching.error().text();
    EXPECT_FALSE(reaching->ready);
    EXPECT_EQ(code_of(staged([](ZoneConfig& config) {
                  config.storage = StorageResource{"ext4", "4ab1", "", "", {}};
              })),
              Errc::protocol);
    EXPECT_NE(two.phase("ab"), Phase::ready);
}

// ---- the janitor ----------------------------------------------------------------------------------------

TEST_F(TwoAgents, APromiseOutlivesASourceThatHasForgottenEverything) {
    one.make_zone("web01", "/zones/web01");
    const PrepareRequest begun = prepare_of(one, "web01", "ab");
    PrepareRequest other = prepare_of(one, "web01", "cd");
    other.zone = "web02";
    Manifest manifest = *parse_manifest(other.manifest);
    manifest.config.name = "web02";
    manifest.config.zonepath = "/zones/web02";
    other.manifest = manifest_text(manifest);
    {
        PeerSession talk = session(one, "host2");
        ASSERT_TRUE(talk.ask<PrepareReply>(begun));
        ASSERT_TRUE(make_directories(staging_path(two.root(), {0, "/zones/web01"}, "ab") + "/root", 0755));
        StageRequest stage;
        stage.move_id = "ab";
        stage.manifest = begun.manifest;
        ASSERT_TRUE(talk.ask<StageReply>(stage));
        ASSERT_TRUE(talk.ask<PrepareReply>(other));  // the younger one: looked after last
    }
    two.restart();  // no session holds them any more
    {
        const Janitor janitor(two.context(), two.desk());
        two.wait_for("cd", MoveNews::Type::end);  // begun only: removed at the source's word that it knows nothing
        two.desk().stop();                        // the janitor ends with the agent
    }
    EXPECT_EQ(two.phase("cd"), Phase::discarded);
    EXPECT_EQ(two.phase("ab"), Phase::ready) << "it may be the only copy there is";
    EXPECT_TRUE(path_exists(staging_path(two.root(), {0, "/zones/web01"}, "ab")));
}

TEST_F(TwoAgents, TheClocksAreCompared) {
    one.make_zone("web01", "/zones/web01");
    const auto config = *ZoneStore(one.root()).config(*ZoneName::create("web01"));
    MoveDemand demand{config, *gather_host_facts(one.root())};
    demand.clock_skew_ms = -61'000;
    const auto view = view_target(two.context(), demand, "ab", "");
    ASSERT_TRUE(view) << view.error().text();
    EXPECT_EQ(view->clock_skew_ms, -61'000);
}

TEST_F(TwoAgents, AMoveIsNotRunTwiceWhenItBeganBeforeTheOthersWereResumed) {
    one.make_zone("web01", "/zones/web01", 4'000'000);
    const std::string id = one.started("web01", "host2", 1'000'000);
    one.desk().resume_all();  // as at the agent's start, a moment later
    const MoveNews end = one.wait_for(id, MoveNews::Type::end);
    EXPECT_EQ(end.exit_code, 0) << end.message;
}

}  // namespace
}  // namespace zoneferry
