// What travels beside the zonepath: the table of trees, the judgement of their places, and a peer that lies about them.
#include <algorithm>

#include "agent/move/extra_check.h"
#include "agent/move/moved_tree.h"
#include "core/base/process.h"
#include "tests/unit/agent/two_agents.h"

namespace zoneferry {
namespace {

Errc code_of(const auto& result) { return result ? Errc::unknown : result.error().code(); }

FsResource lofs(const std::string& special, const std::string& directory, std::vector<std::string> options = {}) {
    FsResource fs;
    fs.special = special;
    fs.directory = directory;
    fs.type = "lofs";
    fs.options = std::move(options);
    return fs;
}

MoveRecord record_with(SharedKind shared, bool kept, const std::vector<ExtraTree>& extras) {
    MoveRecord record;
    record.zonepath = "/zones/web01";
    record.tree_bytes = 7;
    record.tree_entries = 8;
    record.shared = shared;
    record.uses_kept_copy = kept;
    record.extra_trees = extra_trees_text(extras);
    return record;
}

std::string numbers(const std::vector<MovedTree>& trees) {
    std::string text;
    for (const MovedTree& tree : trees) text += std::to_string(tree.number);
    return text;
}

TEST(MovedTrees, WhatIsSentAndWhatIsAHostsOwn) {
    struct Row {
        SharedKind shared;
        bool kept;
        bool extras;
        const char* sent;
        const char* own;
    };
    for (const Row& row :
         {Row{SharedKind::none, false, false, "0", "0"}, Row{SharedKind::none, false, true, "012", "012"},
          Row{SharedKind::none, true, true, "", "012"}, Row{SharedKind::lun, false, false, "", ""},
          Row{SharedKind::directory, false, true, "12", "12"}}) {
        const std::vector<ExtraTree> extras{{"/data/a", 1, 2}, {"/data/b c", 3, 4}};
        const MoveRecord record = record_with(row.shared, row.kept, row.extras ? extras : std::vector<ExtraTree>());
        EXPECT_EQ(numbers(sent_trees(record)), row.sent);
        EXPECT_EQ(numbers(own_trees(record)), row.own);
        EXPECT_EQ(brings_no_bytes(record), *row.sent == '\0');
        EXPECT_EQ(sends_zonepath(record), row.sent[0] == '0');
    }
}

TEST(MovedTrees, TheirPlacesAreDifferentOnes) {
    const MoveRecord record = record_with(SharedKind::none, false, {{"/zones/a", 1, 2}, {"/zones/b c", 3, 4}});
    EXPECT_EQ(sent_tree(record, 2), (MovedTree{2, "/zones/b c", 3, 4}));
    EXPECT_EQ(sent_tree(record, 0), (MovedTree{0, "/zones/web01", 7, 8}));
    EXPECT_FALSE(sent_tree(record, 3));
    std::vector<std::string> places;
    const HostRoot root("/r");
    for (const MovedTree& tree : sent_trees(record)) {
        places.push_back(staging_path(root, tree, "ab"));
        places.push_back(kept_path(root, tree, "ab"));
        places.push_back(trash_path(root, tree, "ab"));
        places.push_back(digests_path(root, tree, "ab", true));
        places.push_back(digests_path(root, tree, "ab", false));
        places.push_back(move_file(root, tree, "ab", "catalog"));
    }
    EXPECT_EQ(places[0], "/r/zones/.zoneferry-incoming-ab");
    EXPECT_EQ(places[6], "/r/zones/.zoneferry-incoming.fs1-ab");
    std::sort(places.begin(), places.end());
    EXPECT_EQ(std::adjacent_find(places.begin(), places.end()), places.end());
}

TEST(MovedTrees, ASharedZoneWithATreeOfItsOwnIsComparedBeforeItsRelease) {
    MoveRecord record = record_with(SharedKind::directory, false, {{"/data/a", 1, 2}});
    record.phase = Phase::quiesced;
    EXPECT_EQ(next_source_step(record), SourceStep::final_pass);
    EXPECT_FALSE(allows(record, EventKind::staged));
    record.extra_trees.clear();
    EXPECT_EQ(next_source_step(record), SourceStep::stage);
}

// ---- judging --------------------------------------------------------------------------------------------

std::vector<std::string> blocks(const ExtraPlace& place) {
    std::vector<std::string> codes;
    for (const Finding& finding : judge_extra_place(place)) {
        if (finding.severity == Severity::block) codes.push_back(finding.code);
    }
    return codes;
}

ExtraPlace sound_place() {
    ExtraPlace place{.tree = {"/data/a", 1000, 10}, .directory = "/srv"};
    place.file_system = "ext4";
    place.free_bytes = 1ULL << 40U;
    return place;
}

TEST(ExtraPlaces, EachThingThatIsWrongIsTold) {
    using Codes = std::vector<std::string>;
    const auto with = [](auto change) {
        ExtraPlace place = sound_place();
        change(place);
        return blocks(place);
    };
    EXPECT_EQ(blocks(sound_place()), Codes{});
    EXPECT_EQ(judge_extra_place(sound_place()).front().message, "fs /srv: 1000 B are sent from /data/a");
    EXPECT_EQ(with([](ExtraPlace& p) { p.is_allowed = false; }), Codes{"FS_NOT_ALLOWED"});
    EXPECT_EQ(with([](ExtraPlace& p) { p.is_taken = true; }), Codes{"FS_PLACE_TAKEN"});
    EXPECT_EQ(with([](ExtraPlace& p) { p.problem = "/data is a link"; }), Codes{"FS_PLACE_UNSAFE"});
    EXPECT_EQ(with([](ExtraPlace& p) { p.user = "zone db01"; }), Codes{"FS_IN_USE"});
    EXPECT_EQ(with([](ExtraPlace& p) { p.file_system = "nfs"; }), Codes{"FILE_SYSTEM"});
    EXPECT_EQ(with([](ExtraPlace& p) { p.free_inodes = 9; }), Codes{"NO_INODES"});
    EXPECT_EQ(with([](ExtraPlace& p) { p.free_bytes = 1000; }), Codes{"NO_SPACE"});
    EXPECT_EQ(with([](ExtraPlace& p) { p.bytes_beside = 1ULL << 40U; }), Codes{"NO_SPACE"}) << "of the same disk";
    EXPECT_EQ(with([](ExtraPlace& p) {
                  p.side = Side::source;
                  p.mounts_inside = {"/data/a/b"};
              }),
              Codes{"MOUNTED_INSIDE"});
}

TEST(ExtraPlaces, OnlyWhatTheZoneWritesToIsSent) {
    ZoneConfig config;
    config.filesystems = {lofs("/data/a", "/a"), lofs("/data/ro", "/ro", {"ro"}),
                          lofs("/data/own", "/o", {"hostlocal"})};
    EXPECT_TRUE(check_extra_trees(config, {{"/data/a", 1, 1}}));
    for (const std::string path : {"/data/ro", "/data/own", "/data", "/etc", "/data/a/../../etc", ""}) {
        EXPECT_EQ(code_of(check_extra_trees(config, {{path, 1, 1}})), Errc::protocol) << path;
    }
    EXPECT_EQ(code_of(check_extra_trees(config, {{"/data/a", 1, 1}, {"/data/a", 1, 1}})), Errc::protocol);
}

// ---- a peer ---------------------------------------------------------------------------------------------

class ExtraTreesOfTwoAgents : public TwoAgents {
protected:
    void SetUp() override {
        TwoAgents::SetUp();
        if (IsSkipped()) return;
        for (TestHost* host : {&one, &two}) {
            ASSERT_TRUE(make_directories(host->path("/data"), 0700));
            host->context().settings.extra_fs_roots = {"/data"};
        }
        write_file(one.path("/data/web01/file"), "bytes");
        one.make_zone("web01", "/zones/web01");
        mount({lofs("/data/web01", "/srv")});
    }
    void mount(std::vector<FsResource> filesystems) {
        const ZoneStore store(one.root());
        const ZoneName name = *ZoneName::create("web01");
        ZoneConfig config = *store.config(name);
        config.filesystems = std::move(filesystems);
        ASSERT_TRUE(ZoneStore(one.root()).save_config(*store.lock(name), config));
    }
    PrepareRequest prepare_with(const std::string& path, const std::string& move = "ab") {
        PrepareRequest request = prepare_of(one, "web01", move);
        request.extra_trees = {{path, 100, 1}};
        return request;
    }
    Result<PrepareReply> prepared(const std::string& path) {
        return session(one, "host2").ask<PrepareReply>(prepare_with(path));
    }
};

TEST_F(ExtraTreesOfTwoAgents, TravelWithTheZoneAndAreKeptAtHome) {
    const std::string move = one.started("web01", "host2");
    ASSERT_FALSE(move.empty());
    EXPECT_EQ(one.wait_for(move, MoveNews::Type::end).exit_code, 0);
    EXPECT_EQ(*read_file(two.path("/data/web01/file"), 100), "bytes");
    EXPECT_TRUE(path_exists(one.path("/data/web01/file")));
    EXPECT_EQ(*list_directory(two.path("/data")), std::vector<std::string>{"web01"});
    const MoveRecord record = one.record(move);
    EXPECT_EQ(extra_trees(record).front().path, "/data/web01");
    ASSERT_TRUE(finalize_move(one.context(), record));
    EXPECT_TRUE(list_directory(one.path("/data"))->empty());
}

TEST_F(ExtraTreesOfTwoAgents, GoNowhereThatTheTargetDoesNotName) {
    const auto refused = [&](const std::string& path) {
        mount({lofs(path, "/srv")});
        return code_of(prepared(path));
    };
    write_file(two.path("/data/taken/file"), "of another");
    ASSERT_TRUE(make_directories(two.path("/database"), 0700));
    for (const std::string path :
         {"/data", "/database/a", "/zones/web01/x", "/etc/cron.d", "/data/taken", "/data/no/such"}) {
        EXPECT_EQ(refused(path), Errc::blocked) << path;
    }
    EXPECT_EQ(*read_file(two.path("/data/taken/file"), 100), "of another");
    mount({lofs("/data/web01", "/srv")});
    EXPECT_EQ(code_of(prepared("/data/other")), Errc::protocol) << "its zone does not mount that";
    ASSERT_EQ(::chmod(two.path("/data").c_str(), 0755), 0);
    EXPECT_EQ(code_of(prepared("/data/web01")), Errc::blocked) << "every user of the host could enter it";
    ASSERT_EQ(::chmod(two.path("/data").c_str(), 0700), 0);
    ASSERT_EQ(::symlink("/etc", two.path("/data/web01").c_str()), 0);
    EXPECT_EQ(code_of(prepared("/data/web01")), Errc::blocked) << "a link";
    ASSERT_EQ(::unlink(two.path("/data/web01").c_str()), 0);
    EXPECT_TRUE(prepared("/data/web01"));
    EXPECT_FALSE(*two.journal().find("aa"));
}

TEST_F(ExtraTreesOfTwoAgents, APassMustBeOfATreeOfTheMove) {
    PeerSession talk = session(one, "host2");
    ASSERT_TRUE(talk.ask<PrepareReply>(prepare_with("/data/web01")));
    for (const std::uint32_t tree : {2U, 77U}) {
        PassBegin begin;
        begin.move_id = "ab";
        begin.tree = tree;
        EXPECT_EQ(code_of(talk.ask<PassReady>(begin)), Errc::protocol);
        VerifyRequest verify;
        verify.move_id = "ab";
        verify.tree = tree;
        EXPECT_EQ(code_of(talk.ask<VerifyReply>(verify)), Errc::protocol);
        BlocksRequest blocks;
        blocks.move_id = "ab";
        blocks.tree = tree;
        EXPECT_EQ(code_of(talk.ask<BlocksReply>(blocks)), Errc::protocol);
    }
    PassBegin in_bulk;
    in_bulk.move_id = "ab";
    in_bulk.tree = 1;
    in_bulk.transport = "btrfs";
    EXPECT_EQ(code_of(talk.ask<PassReady>(in_bulk)), Errc::protocol);
    AbortRequest abort;
    abort.move_id = "ab";
    ASSERT_TRUE(talk.ask<AbortReply>(abort));
    EXPECT_TRUE(list_directory(two.path("/data"))->empty());
    EXPECT_TRUE(two.leftovers().empty());
}

TEST_F(ExtraTreesOfTwoAgents, WhatCameToLieThereIsNotOverwritten) {
    PeerSession talk = session(one, "host2");
    const PrepareRequest request = prepare_with("/data/web01");
    ASSERT_TRUE(talk.ask<PrepareReply>(request));
    ASSERT_TRUE(make_directories(staging_path(two.root(), {0, "/zones/web01"}, "ab") + "/root", 0755));
    StageRequest stage;
    stage.move_id = "ab";
    stage.manifest = request.manifest;
    ASSERT_TRUE(talk.ask<StageReply>(stage));
    write_file(two.path("/data/web01/file"), "of another");
    Grant grant;
    grant.move_id = "ab";
    grant.epoch = 2;
    ASSERT_TRUE(talk.ask<Owned>(grant));
    EXPECT_EQ(code_of(talk.expect<Activated>(5000)), Errc::conflict);
    EXPECT_EQ(*read_file(two.path("/data/web01/file"), 100), "of another");
    ASSERT_TRUE(remove_tree(two.path("/data/web01")));
    const auto done = activate_move(two.context(), two.record("ab"));
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_TRUE(list_directory(two.path("/data/web01"))->empty()) << "the empty tree that was sent";
}

// A zone that left a LUN behind, its files sent (--shared never): its kept copy cannot be renamed.
TEST_F(TwoAgents, AKeptCopyThatIsAMountPointIsNotReplacedByARollback) {
    const std::string place = one.path("/zones/web01");
    ASSERT_TRUE(make_directories(place, 0700));
    ASSERT_TRUE(run_checked({"mount", "-t", "tmpfs", "-o", "mode=0700", "none", place}));
    one.make_zone("web01", "/zones/web01");
    const std::string first = one.started("web01", "host2");
    EXPECT_EQ(one.wait_for(first, MoveNews::Type::end).exit_code, 0);
    const auto refused = start_return(two.context(), two.desk(), two.record(first), "", false);
    EXPECT_EQ(code_of(refused), Errc::blocked);
    const bool is_told = !refused && refused.error().remedy_text().find("umount /zones/web01") != std::string::npos;
    EXPECT_TRUE(is_told);
    EXPECT_TRUE(two.may_boot_zone("web01", "/zones/web01"));
    const auto finalized = finalize_move(one.context(), one.record(first));
    ASSERT_FALSE(finalized);
    EXPECT_NE(finalized.error().remedy_text().find("umount /zones/web01"), std::string::npos);
    ASSERT_TRUE(run_checked({"umount", place}));
    const auto back = start_return(two.context(), two.desk(), two.record(first), "", false);
    ASSERT_TRUE(back) << back.error().text();
    EXPECT_EQ(two.wait_for(*back, MoveNews::Type::end).exit_code, 0);
    EXPECT_TRUE(one.may_boot_zone("web01", "/zones/web01"));
}

}  // namespace
}  // namespace zoneferry
