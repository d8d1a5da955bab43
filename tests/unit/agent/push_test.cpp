// p2v push between two agents: what is compared, what a lying or stranger peer gets, what stays on the target's disk
// and when it goes. Links that break and agents that are killed: tests/e2e/push_test.py.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/push/push_staging.h"
#include "agent/push/push_verify.h"
#include "tests/unit/agent/two_agents.h"
#include "transfer/reading.h"

namespace zoneferry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Errc code_of(const auto& result) { return result ? Errc::unknown : result.error().code(); }

class PushTest : public TwoAgents {
protected:
    void SetUp() override {
        TwoAgents::SetUp();
        if (IsSkipped()) return;
        for (TestHost* host : {&one, &two}) make_dpkg_system(host->path(""), {{"dpkg", "1.21"}, {"tool", "1.0"}});
        configure(two, "old");
    }
    static void configure(TestHost& host, const std::string& name, const std::string& inherits = {}) {
        ZoneConfig config;
        config.name = name;
        config.zonepath = "/zones/" + name;
        if (!inherits.empty()) config.inherited_directories.push_back(inherits);
        ZoneStore store(host.root());
        ASSERT_TRUE(store.create(*store.lock(*ZoneName::create(name)), config));
    }
    std::vector<Json> push(Json more = Json::object()) {
        Json request{{"verb", "p2v-push"}, {"host", "host2"}, {"zone", "old"}};
        request.update(more);
        return one.ask(request);
    }
    static int exit_of(const std::vector<Json>& lines) { return lines.back().value("exit_code", -1); }
    static std::string text_of(const std::vector<Json>& lines) {
        std::string text;
        for (const Json& line : lines) text += line.value("message", "") + "\n";
        return text;
    }
    static PushRequest request(const std::string& zone = "old") {
        PushRequest push;
        push.push_id = "ab12";
        push.zone = zone;
        push.tree_bytes = 1000;
        push.tree_entries = 10;
        return push;
    }
    std::string staging(const std::string& peer = "host1") {
        return push_staging_path(two.root(), "/zones/old", push_staging_id(peer, "old"));
    }
    std::string zone_root() { return two.path("/zones/old/root"); }
    std::vector<std::string> garbage() {
        std::vector<std::string> told;
        for (const Json& line : two.ask({{"verb", "gc"}})) {
            if (line["type"] == "leftover") told.push_back((line["removed"] ? "-" : "") + line.value("why", ""));
        }
        return told;
    }
};

TEST_F(PushTest, ArrivesComparedAndLeavesNothing) {
    EXPECT_EQ(exit_of(push()), kExitOk);
    EXPECT_TRUE(path_exists(staging() + "/root/usr/lib/systemd/systemd"));
    write_file(one.path("/etc/new"), "since");
    const auto lines = push({{"preserve", true}});
    ASSERT_EQ(exit_of(lines), kExitOk) << text_of(lines);
    EXPECT_THAT(text_of(lines), HasSubstr("comparing the digests of both sides"));
    EXPECT_EQ(*read_file(zone_root() + "/etc/new", 100), "since");
    EXPECT_EQ(two.state("old"), "installed");
    EXPECT_THAT(two.leftovers(), IsEmpty());
    EXPECT_THAT(*list_directory(two.path("/var/lib/zoneferry/pushes-here")), IsEmpty());
    EXPECT_THAT(*list_directory(one.path("/var/lib/zoneferry/pushes")), IsEmpty());
}

TEST_F(PushTest, WhatWasDamagedThereIsSentAgainBeforeItIsInstalled) {
    // What is read within a clock tick of its change is sent again in any case; this is about what is not.
    for (const std::int64_t made_ns = file_clock_ns(); file_clock_ns() <= made_ns + kRacyMarginNs;) ::usleep(1'000);
    ASSERT_EQ(exit_of(push()), kExitOk);
    write_file(staging() + "/root/usr/lib/systemd/systemd", "An init");
    ASSERT_TRUE(remove_file(staging() + "/root/etc/os-release"));
    write_file(staging() + "/root/etc/stranger", "x");
    const auto lines = push({{"preserve", true}});
    ASSERT_EQ(exit_of(lines), kExitOk) << text_of(lines);
    EXPECT_THAT(text_of(lines), HasSubstr("differs from this machine"));
    EXPECT_THAT(text_of(lines), HasSubstr("usr/lib/systemd/systemd"));
    EXPECT_EQ(*read_file(zone_root() + "/usr/lib/systemd/systemd", 100), "an init");
    EXPECT_TRUE(path_exists(zone_root() + "/etc/os-release"));
    EXPECT_FALSE(path_exists(zone_root() + "/etc/stranger"));
}

TEST_F(PushTest, ChangesAreToldFromDamageByTheirTime) {
    const std::int64_t before_ns = file_clock_ns();
    write_file(one.path("/etc/file"), "x");
    const UniqueFd root = *open_directory(one.path(""));
    const std::int64_t later_ns = file_clock_ns() + 3'600'000'000'000;
    EXPECT_TRUE(is_changed_since(root.get(), "etc/file", false, before_ns));
    EXPECT_FALSE(is_changed_since(root.get(), "etc/file", true, later_ns));
    EXPECT_TRUE(is_changed_since(root.get(), "etc/gone", true, before_ns));
    EXPECT_FALSE(is_changed_since(root.get(), "etc/gone", false, before_ns));
    EXPECT_FALSE(is_changed_since(root.get(), "etc/gone", true, later_ns));
    for (const std::string path : {"../etc/passwd", "/etc/passwd", "", "a//b", "usr/../../etc/passwd"})
        EXPECT_FALSE(is_changed_since(root.get(), path, false, 0)) << path;
}

TEST_F(PushTest, ARefusedImageStaysForTheNextTry) {
    make_dpkg_system(one.path(""), {{"dpkg", "1.22"}, {"tool", "1.0"}});
    EXPECT_EQ(exit_of(push({{"preserve", true}})), kExitBlocked);
    EXPECT_EQ(two.state("old"), "configured");
    EXPECT_TRUE(path_exists(staging() + "/root/etc/os-release"));
    EXPECT_THAT(*list_directory(two.path("/zones/old")), IsEmpty());
    make_dpkg_system(one.path(""), {{"dpkg", "1.21"}, {"tool", "1.0"}});
    EXPECT_EQ(exit_of(push({{"preserve", true}})), kExitOk);
}

// Killed when it had renamed the image to the zonepath and nothing more.
TEST_F(PushTest, AnImageThatWasPutInPlaceIsTakenBack) {
    ASSERT_EQ(exit_of(push()), kExitOk);
    write_file(staging() + "/placed", "");
    ASSERT_EQ(::rename((staging() + "/root").c_str(), zone_root().c_str()), 0);
    EXPECT_THAT(garbage(), ElementsAre(HasSubstr("can go on with its push")));
    const auto lines = push({{"preserve", true}});
    ASSERT_EQ(exit_of(lines), kExitOk) << text_of(lines);
    EXPECT_THAT(two.leftovers(), IsEmpty());
}

TEST_F(PushTest, RubbishIsWhatNoPushCanGoOnFrom) {
    ASSERT_EQ(exit_of(push()), kExitOk);
    EXPECT_THAT(garbage(), ElementsAre(HasSubstr("host1 can go on with its push into zone old")));
    {
        PeerSession talk = session(one, "host2");
        ASSERT_TRUE(talk.ask<PushReply>(request()));  // begun anew, and under way
        Peer peer = *two.trust().peer("host1");
        peer.may_send = false;
        ASSERT_TRUE(two.trust().save_peer(peer));
        EXPECT_THAT(garbage(), ElementsAre("host1 may not send zones here any more"));
        EXPECT_TRUE(path_exists(staging())) << "a session works on it";
    }
    two.restart();
    EXPECT_THAT(garbage(), ElementsAre("-host1 may not send zones here any more"));
    EXPECT_FALSE(path_exists(staging()));
    Peer peer = *two.trust().peer("host1");
    peer.may_send = true;
    peer.port = two.port();
    ASSERT_TRUE(two.trust().save_peer(peer));
    know(one, two);
    ASSERT_EQ(exit_of(push()), kExitOk);
    ZoneStore store(two.root());
    two.restart();
    ASSERT_TRUE(store.remove(*store.lock(*ZoneName::create("old"))));
    EXPECT_THAT(garbage(), ElementsAre("-zone old is not configured any more"));
    EXPECT_THAT(two.leftovers(), IsEmpty());
    EXPECT_TRUE(path_exists(one.path("/var/lib/zoneferry/pushes/host2:old")));
    ASSERT_TRUE(one.trust().remove_peer("host2"));
    EXPECT_EQ(one.ask({{"verb", "gc"}}).back()["message"], "1 removed, 0 kept");
    EXPECT_THAT(*list_directory(one.path("/var/lib/zoneferry/pushes")), IsEmpty());
}

TEST_F(PushTest, APushThatIsGivenUpLeavesNothing) {
    ASSERT_EQ(exit_of(push()), kExitOk);
    EXPECT_EQ(exit_of(push({{"forget", true}})), kExitOk);
    EXPECT_THAT(two.leftovers(), IsEmpty());
    EXPECT_THAT(*list_directory(one.path("/var/lib/zoneferry/pushes")), IsEmpty());
}

// ---- peers that lie -------------------------------------------------------------------------------------

TEST_F(PushTest, OnlyWhatMayBePushedIsTaken) {
    configure(two, "sparse", "/usr");
    two.make_zone("full", "/zones/full");
    PeerSession talk = session(one, "host2");
    EXPECT_EQ(code_of(talk.ask<PushReply>(request("nozone"))), Errc::not_found);
    EXPECT_EQ(code_of(talk.ask<PushReply>(request("full"))), Errc::conflict);
    EXPECT_EQ(code_of(talk.ask<PushReply>(request("sparse"))), Errc::unsupported);
    EXPECT_NE(code_of(talk.ask<PushReply>(request("../old"))), Errc::unknown);
    PushRequest odd = request();
    odd.push_id = "../../etc";
    EXPECT_EQ(code_of(talk.ask<PushReply>(odd)), Errc::protocol);
    odd = request();
    odd.tree_bytes = ~0ULL;
    EXPECT_EQ(code_of(talk.ask<PushReply>(odd)), Errc::no_space);
    ASSERT_TRUE(talk.ask<PushReply>(request()));
    EXPECT_EQ(code_of(talk.ask<PushReply>(odd)), Errc::no_space) << "also when something is there already";
    Peer peer = *two.trust().peer("host1");
    peer.may_send = false;
    ASSERT_TRUE(two.trust().save_peer(peer));
    EXPECT_EQ(code_of(talk.ask<PushReply>(request())), Errc::untrusted);
    EXPECT_EQ(two.state("old"), "configured");
    EXPECT_THAT(*list_directory(two.path("/zones/old")), IsEmpty());
}

TEST_F(PushTest, RequestsOutOfOrderAreRefused) {
    PeerSession talk = session(one, "host2");
    PassBegin pass;
    pass.move_id = "ab12";
    pass.pass = 1;
    PushInstall install;
    install.push_id = "ab12";
    VerifyRequest verify;
    verify.move_id = "ab12";
    EXPECT_EQ(code_of(talk.ask<PassReady>(pass)), Errc::not_found);
    EXPECT_EQ(code_of(talk.ask<PushInstalled>(install)), Errc::protocol);
    EXPECT_EQ(code_of(talk.ask<VerifyReply>(verify)), Errc::not_found);
    ASSERT_TRUE(talk.ask<PushReply>(request()));
    install.push_id = "cd34";
    EXPECT_EQ(code_of(talk.ask<PushInstalled>(install)), Errc::protocol);
    // An install with nothing sent, and in the midst of a pass: no system, so refused, and the zone is as it was.
    ASSERT_TRUE(talk.ask<PassReady>(pass));
    install.push_id = "ab12";
    const auto refused = talk.ask<PushInstalled>(install);
    ASSERT_TRUE(refused) << refused.error().text();
    EXPECT_FALSE(refused->installed);
    EXPECT_EQ(refused->findings.front().code, "IMAGE_NO_SYSTEM");
    EXPECT_EQ(two.state("old"), "configured");
    // That push is over for this session.
    EXPECT_EQ(code_of(talk.ask<PassReady>(pass)), Errc::not_found);
    EXPECT_EQ(code_of(talk.ask<PushInstalled>(install)), Errc::protocol);
}

TEST_F(PushTest, BadRecordsEndThePassAndTouchNothingElse) {
    PeerSession talk = session(one, "host2");
    const auto begin = [&](std::uint32_t number) {
        ASSERT_TRUE(talk.ask<PushReply>(request()));
        PassBegin pass;
        pass.move_id = "ab12";
        pass.pass = number;
        ASSERT_TRUE(talk.ask<PassReady>(pass));
    };
    Segment segment;
    segment.payload = ByteVector(1000, std::byte{0x5a});
    segment.raw_bytes = 1000;
    const auto refusal = [&]() -> Errc {
        PassEnd end;
        end.pass = segment.pass;
        end.segments = 1;
        EXPECT_TRUE(talk.connection().send(end));
        return code_of(talk.expect<PassDone>(kTestTimeoutMs));
    };
    for (std::uint32_t number = 1; const auto& [encoding, first, raw_bytes] :
                                   {std::tuple{0, 0, 1000U}, std::tuple{9, 0, 1000U}, std::tuple{1, 0, 1000U},
                                    std::tuple{0, 7, 1000U}, std::tuple{0, 0, 999U}}) {
        begin(number);
        segment.pass = number++;
        segment.encoding = static_cast<std::uint8_t>(encoding);
        segment.number = static_cast<std::uint64_t>(first);
        segment.raw_bytes = raw_bytes;
        ASSERT_TRUE(talk.connection().send(segment));
        EXPECT_NE(refusal(), Errc::unknown) << encoding << " " << first;
    }
    begin(9);
    segment.pass = 9;
    EXPECT_NE(refusal(), Errc::unknown) << "a pass that ends with a segment that never came";
    EXPECT_THAT(*list_directory(staging() + "/root"), IsEmpty());
    EXPECT_THAT(*list_directory(two.path("/zones/old")), IsEmpty());
    EXPECT_EQ(two.state("old"), "configured");
}

TEST_F(PushTest, AStrangerDoesNotReachAnothersPush) {
    TestHost three("host3");
    let_in(three);
    ASSERT_EQ(exit_of(push()), kExitOk);
    write_file(staging() + "/root/etc/mine", "x");
    PushAbout about = *read_push_about(staging());
    EXPECT_EQ(about.peer, "host1");
    PeerSession stranger = session(three, "host2");
    PushRequest same = request();
    same.push_id = about.push_id;
    const auto reply = stranger.ask<PushReply>(same);
    ASSERT_TRUE(reply) << reply.error().text();
    EXPECT_TRUE(reply->staging_is_fresh);
    AbortRequest abort;
    abort.move_id = about.push_id;
    ASSERT_TRUE(stranger.ask<AbortReply>(abort));
    EXPECT_FALSE(path_exists(staging("host3")));
    EXPECT_TRUE(path_exists(staging() + "/root/etc/mine"));
    // While the zone is being pushed into by one, the other waits.
    ASSERT_TRUE(stranger.ask<PushReply>(same));
    PeerSession owner = session(one, "host2");
    EXPECT_EQ(code_of(owner.ask<PushReply>(request())), Errc::busy);
}

// A link that is cut is noticed late: the older session must not keep the zone.
TEST_F(PushTest, ANewSessionOfThePushTakesOver) {
    PeerSession older = session(one, "host2");
    ASSERT_TRUE(older.ask<PushReply>(request()));
    PeerSession newer = session(one, "host2");
    const auto reply = newer.ask<PushReply>(request());
    ASSERT_TRUE(reply) << reply.error().text();
    EXPECT_FALSE(reply->staging_is_fresh);
    EXPECT_FALSE(older.ask<PushReply>(request()));
}

}  // namespace
}  // namespace zoneferry
