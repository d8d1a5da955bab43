#include "agent/peer_runs.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "agent/claims.h"
#include "core/zone/state_binding.h"
#include "tests/unit/agent/two_agents.h"

namespace zoneferry {
namespace {

const std::string kHere = "10.0.0.1:7743";
const std::string kThere = "10.0.0.9:7743";

TEST(PeerRuns, AnAgentMayStartAgainAsOftenAsItLikes) {
    PeerRuns runs;
    for (int start = 1; start < 100; ++start) {
        EXPECT_EQ(runs.hear("host1", "run" + std::to_string(start), kHere, kHere, start * 10, start * 10 + 1), "");
        EXPECT_EQ(runs.hear("host1", "run" + std::to_string(start), kHere, kHere, start * 10 + 2, start * 10 + 3), "");
        EXPECT_TRUE(runs.check("host1", start * 10 + 3)) << start;
    }
}

TEST(PeerRuns, OneThatComesBackAfterANewerOneLivesBesideIt) {
    PeerRuns runs;
    runs.hear("host1", "a", kHere, kHere, 1, 2);
    runs.hear("host1", "b", kHere, kHere, 10, 11);
    runs.hear("host1", "a", kHere, kHere, 11, 12);
    EXPECT_TRUE(runs.check("host1", 12)) << "said before it was killed";
    runs.hear("host1", "a", kHere, kHere, 20, 21);
    const Status doubled = runs.check("host1", 22);
    ASSERT_FALSE(doubled);
    EXPECT_EQ(doubled.error().code(), Errc::doubled);
    EXPECT_FALSE(doubled.error().remedy_text().empty());
    EXPECT_TRUE(runs.check("host2", 22)) << "another host";
}

TEST(PeerRuns, ItEndsWhenOnlyOneIsHeardAnyMore) {
    PeerRuns runs;
    std::int64_t now_ms = 0;
    for (const char* run : {"a", "b", "a", "b"}) {
        now_ms += 60'000;
        runs.hear("host1", run, kHere, kHere, now_ms, now_ms);
    }
    for (const std::int64_t until_ms = now_ms + kDoubledMs; now_ms < until_ms; now_ms += 60'000) {
        EXPECT_FALSE(runs.check("host1", now_ms));
        runs.hear("host1", "b", kHere, kHere, now_ms, now_ms);
    }
    EXPECT_TRUE(runs.check("host1", now_ms));
}

TEST(PeerRuns, ANewOneFromElsewhereIsLookedAfterOnce) {
    PeerRuns runs;
    EXPECT_EQ(runs.hear("host1", "a", kHere, kHere, 1, 2), "");
    EXPECT_EQ(runs.hear("host1", "b", kThere, kHere, 3, 4), kHere);
    EXPECT_EQ(runs.hear("host1", "b", kThere, kHere, 5, 6), "");
    runs.found_another("host1", "b", kHere, 7);
    EXPECT_TRUE(runs.check("host1", 8)) << "one host with two addresses";
    runs.found_another("host1", "", kHere, 7);
    EXPECT_TRUE(runs.check("host1", 8)) << "an older version answers there";
    runs.found_another("host1", "a", kHere, 9);
    ASSERT_FALSE(runs.check("host1", 10));
    EXPECT_NE(runs.check("host1", 10).error().text().find(kThere + " and at " + kHere), std::string::npos);
    EXPECT_EQ(PeerRuns().hear("host1", "b", kThere, kHere, 3, 4), kHere) << "where the trust store says that it is";
    EXPECT_EQ(PeerRuns().hear("host1", "b", kThere, "", 3, 4), "");
    EXPECT_EQ(PeerRuns().hear("host1", "", kThere, kHere, 3, 4), "") << "an older version";
}

class Clone : public TwoAgents {
protected:
    static void ask(TestHost& host) { ask_peers_for_claims(host.context(), host.desk(), 5'000); }
    // A busy machine may not answer a look within its second: then the next one does.
    static bool learns_that_it_may_not_boot(TestHost& host) {
        for (int tries = 0; tries < 60; ++tries) {
            ask(host);
            if (!host.may_boot_zone("web01", "/zones/web01")) return true;
        }
        return false;
    }
};

TEST_F(Clone, OfAHostBootsNothingAndBothAreTold) {
    one.make_zone("web01", "/zones/web01");
    TestHost copy("host1");
    std::filesystem::copy(one.path(""), copy.path(""),
                          std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing |
                              std::filesystem::copy_options::copy_symlinks);
    ask(one);
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01"));
    copy.start();
    ASSERT_TRUE(copy.may_boot_zone("web01", "/zones/web01")) << "the copy is not like the host";
    ASSERT_TRUE(learns_that_it_may_not_boot(copy));
    const Status refused = may_boot(copy.root(), *ZoneName::create("web01"), "/zones/web01");
    EXPECT_NE(refused.error().text().find("host1 is there twice"), std::string::npos) << refused.error().text();
    EXPECT_TRUE(learns_that_it_may_not_boot(one)) << "who is the copy?";

    const auto refusal = session(one, "host2").ask<OwnersReply>(OwnersRequest());
    ASSERT_FALSE(refusal);
    EXPECT_EQ(refusal.error().code(), Errc::doubled);
    EXPECT_TRUE(one.started("web01", "host2").empty()) << "no move begins";
    EXPECT_FALSE(PeerSession::open(two.context(), "host1")) << "and nothing is sent to it";

    copy.stop();
    two.restart();  // forgets, as after some minutes
    ask(one);
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01"));
    EXPECT_TRUE(check_not_doubled(one.root()));
}

TEST_F(Clone, AHostThatMovedToAnotherAddressIsNone) {
    one.make_zone("web01", "/zones/web01");
    ask(one);
    one.stop();
    one.start(0);  // another port
    ask(one);
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01"));
    EXPECT_TRUE(start_move(one.context(), one.desk(), [] {
        MoveWish wish;
        wish.zone = "web01";
        wish.peer = "host2";
        return wish;
    }()));
}

}  // namespace
}  // namespace zoneferry
