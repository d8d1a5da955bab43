// Whole moves of a halted zone between two agents in one process: fast enough for the sanitizers.
#include "tests/unit/agent/two_agents.h"

namespace zoneferry {
namespace {

Json end_of(const std::vector<Json>& lines) { return lines.empty() ? Json::object() : lines.back(); }

std::string id_of(const std::vector<Json>& lines) {
    for (const Json& line : lines) {
        if (line["type"] == "started") return line["move"];
    }
    return {};
}

TEST_F(TwoAgents, ACheckChangesNothing) {
    one.make_zone("web01", "/zones/web01");
    const auto lines = one.ask({{"verb", "check"}, {"zone", "web01"}, {"host", "host2"}});
    EXPECT_EQ(end_of(lines)["exit_code"], kExitOk) << Json(lines).dump(1);
    EXPECT_EQ(two.state("web01"), "none");
    EXPECT_EQ(two.owner("web01"), "none");
    EXPECT_TRUE(two.leftovers().empty());
    EXPECT_TRUE(one.journal().all()->empty());
    EXPECT_TRUE(two.journal().all()->empty());
}

TEST_F(TwoAgents, AMoveAndItsFinalize) {
    one.make_zone("web01", "/zones/web01");
    const auto lines = one.ask({{"verb", "move"}, {"zone", "web01"}, {"host", "host2"}});
    ASSERT_EQ(end_of(lines)["exit_code"], kExitOk) << Json(lines).dump(1);
    const std::string id = id_of(lines);
    EXPECT_EQ(two.state("web01"), "installed");
    EXPECT_EQ(one.state("web01"), "configured");
    EXPECT_EQ(two.owner("web01"), "owned 2 host2");
    EXPECT_EQ(one.owner("web01"), "released 2 host2");
    EXPECT_FALSE(one.may_boot_zone("web01", "/zones/web01"));
    EXPECT_TRUE(two.may_boot_zone("web01", "/zones/web01"));
    EXPECT_EQ(*read_file(two.path("/zones/web01/root/etc/hostname"), 100), "web01\n");
    EXPECT_TRUE(path_exists(one.path("/zones/web01/root")));
    EXPECT_TRUE(two.leftovers().empty());

    EXPECT_EQ(end_of(one.ask({{"verb", "finalize"}, {"move", id}}))["exit_code"], kExitOk);
    EXPECT_FALSE(path_exists(one.path("/zones/web01")));
    EXPECT_EQ(one.state("web01"), "none");
    EXPECT_EQ(one.owner("web01"), "none");
    EXPECT_EQ(one.phase(id), Phase::finalized);
    EXPECT_EQ(two.phase(id), Phase::finalized);
    EXPECT_TRUE(two.may_boot_zone("web01", "/zones/web01"));
    EXPECT_EQ(end_of(one.ask({{"verb", "rollback"}, {"move", id}}))["exit_code"], kExitBusy);
}

TEST_F(TwoAgents, ARollbackBringsTheZoneBackAndCanBeDoneOnce) {
    one.make_zone("web01", "/zones/web01");
    const auto there = one.ask({{"verb", "move"}, {"zone", "web01"}, {"host", "host2"}});
    ASSERT_EQ(end_of(there)["exit_code"], kExitOk) << Json(there).dump(1);
    write_file(two.path("/zones/web01/root/etc/new"), "written there\n");
    const auto back = one.ask({{"verb", "rollback"}, {"move", id_of(there)}});
    ASSERT_EQ(end_of(back)["exit_code"], kExitOk) << Json(back).dump(1);
    two.wait_for(id_of(back), MoveNews::Type::end);
    EXPECT_EQ(one.owner("web01"), "owned 3 host1");
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01"));
    EXPECT_FALSE(two.may_boot_zone("web01", "/zones/web01"));
    EXPECT_TRUE(path_exists(one.path("/zones/web01/root/etc/new"))) << "what was written there came along";
    EXPECT_EQ(one.phase(id_of(there)), Phase::returned);
    EXPECT_EQ(two.phase(id_of(there)), Phase::returned);
    EXPECT_EQ(one.journal().resolve("web01")->id, id_of(back)) << "the newest move of the zone";
    EXPECT_FALSE(path_exists(two.path("/zones/web01"))) << "a rollback deletes the copy it leaves";
    EXPECT_NE(end_of(one.ask({{"verb", "rollback"}, {"move", id_of(there)}}))["exit_code"], kExitOk);
    EXPECT_NE(end_of(one.ask({{"verb", "finalize"}, {"move", id_of(there)}}))["exit_code"], kExitOk)
        << "this would delete the zone that came back";
    EXPECT_TRUE(path_exists(one.path("/zones/web01/root")));
}

TEST_F(TwoAgents, AnAbortInTheMiddleLeavesNothingBehind) {
    one.make_zone("web01", "/zones/web01", 24'000'000);
    const std::string id = one.started("web01", "host2", 4'000'000);
    ASSERT_FALSE(id.empty());
    one.wait_for(id, MoveNews::Type::progress);
    EXPECT_EQ(end_of(one.ask({{"verb", "abort"}, {"move", id}}))["exit_code"], kExitOk);
    EXPECT_EQ(one.phase(id), Phase::aborted);
    EXPECT_EQ(one.owner("web01"), "owned 1 host1");
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01"));
    EXPECT_EQ(two.phase(id), Phase::discarded);
    EXPECT_TRUE(two.leftovers().empty());
    EXPECT_EQ(two.owner("web01"), "none");
}

TEST_F(TwoAgents, AMoveGoesOnAfterTheTargetsAgentCameBack) {
    one.make_zone("web01", "/zones/web01", 24'000'000);
    const std::string id = one.started("web01", "host2", 8'000'000);
    ASSERT_FALSE(id.empty());
    one.wait_for(id, MoveNews::Type::progress);
    two.restart();
    const MoveNews end = one.wait_for(id, MoveNews::Type::end);
    EXPECT_EQ(end.exit_code, 0) << end.message;
    EXPECT_TRUE(two.may_boot_zone("web01", "/zones/web01"));
}

TEST_F(TwoAgents, AMoveGoesOnAfterTheSourcesAgentCameBack) {
    one.make_zone("web01", "/zones/web01", 24'000'000);
    const std::string id = one.started("web01", "host2", 8'000'000);
    ASSERT_FALSE(id.empty());
    one.wait_for(id, MoveNews::Type::progress);
    one.restart();
    const MoveNews end = one.wait_for(id, MoveNews::Type::end);
    EXPECT_EQ(end.exit_code, 0) << end.message;
    EXPECT_TRUE(two.may_boot_zone("web01", "/zones/web01"));
    EXPECT_FALSE(one.may_boot_zone("web01", "/zones/web01"));
}

// As after a power cut: a directory that nothing has synced may be gone, though the journal knows of later things.
TEST_F(TwoAgents, AMoveGoesOnWithoutWhatTheSourceKeptOfIt) {
    one.make_zone("web01", "/zones/web01", 24'000'000);
    const std::string id = one.started("web01", "host2", 8'000'000);
    ASSERT_FALSE(id.empty());
    one.wait_for(id, MoveNews::Type::progress);
    one.stop();
    const std::string kept = one.root().state_directory() + "/moves/" + id;
    ASSERT_TRUE(path_exists(kept));
    ASSERT_TRUE(remove_tree(kept));
    one.restart();
    const MoveNews end = one.wait_for(id, MoveNews::Type::end);
    EXPECT_EQ(end.exit_code, 0) << end.message;
    EXPECT_TRUE(two.may_boot_zone("web01", "/zones/web01"));
}

TEST_F(TwoAgents, WhatIsOnTheTargetAlreadyIsNotTouched) {
    one.make_zone("web01", "/zones/web01");
    two.make_zone("web01", "/zones/other");
    EXPECT_TRUE(make_directories(two.path("/zones/web01"), 0700));
    const auto lines = one.ask({{"verb", "move"}, {"zone", "web01"}, {"host", "host2"}});
    EXPECT_EQ(end_of(lines)["exit_code"], kExitBlocked);
    std::vector<std::string> codes;
    for (const Json& line : lines) codes.push_back(line.value("code", ""));
    EXPECT_NE(std::find(codes.begin(), codes.end(), "NAME_TAKEN"), codes.end());
    EXPECT_NE(std::find(codes.begin(), codes.end(), "ZONEPATH_EXISTS"), codes.end());
    EXPECT_TRUE(one.journal().all()->empty());
}

}  // namespace
}  // namespace zoneferry
