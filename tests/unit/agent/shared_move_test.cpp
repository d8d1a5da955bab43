// The pure rules of a move over shared storage: what the proof and the findings come to, and what must stand beside the
// tree before the target promises anything.
#include <gtest/gtest.h>

#include <algorithm>

#include "agent/move/shared_move.h"
#include "agent/move/storage_proof.h"
#include "core/zone/storage.h"

namespace zoneferry {
namespace {

Finding finding_of(const char* code, Severity severity = Severity::warn) {
    Finding finding;
    finding.code = code;
    finding.side = Side::target;
    finding.severity = severity;
    return finding;
}

std::vector<std::string> codes(const SharedVerdict& verdict) {
    std::vector<std::string> all;
    for (const Finding& finding : verdict.findings) all.push_back(finding.code);
    return all;
}
using Codes = std::vector<std::string>;

TEST(SharedVerdict, a_directory_counts_only_with_the_proof_both_ways) {
    for (const SharedWish wish : {SharedWish::detect, SharedWish::require}) {
        const SharedVerdict proved = judge_shared(wish, SharedKind::directory, true, {});
        EXPECT_EQ(proved.kind, SharedKind::directory);
        EXPECT_EQ(codes(proved), Codes());
        const SharedVerdict one_way = judge_shared(wish, SharedKind::directory, false, {});
        EXPECT_EQ(one_way.kind, SharedKind::none);
        EXPECT_TRUE(is_blocked(one_way.findings));
    }
    EXPECT_EQ(judge_shared(SharedWish::never, SharedKind::directory, true, {}).kind, SharedKind::none);
}

TEST(SharedVerdict, nothing_shared_is_a_finding_only_if_it_was_required) {
    EXPECT_EQ(codes(judge_shared(SharedWish::detect, SharedKind::none, false, {})), Codes());
    EXPECT_EQ(codes(judge_shared(SharedWish::never, SharedKind::none, false, {})), Codes());
    EXPECT_EQ(codes(judge_shared(SharedWish::require, SharedKind::none, false, {})), Codes({"STORAGE_NOT_SHARED"}));
}

TEST(SharedVerdict, traps_are_told_and_plain_absence_is_not) {
    for (const char* plain : {"STORAGE_OTHER", "STORAGE_MISSING"}) {
        EXPECT_EQ(codes(judge_shared(SharedWish::detect, SharedKind::none, false, {finding_of(plain)})), Codes());
        EXPECT_EQ(codes(judge_shared(SharedWish::require, SharedKind::none, false, {finding_of(plain)})),
                  Codes({plain, "STORAGE_NOT_SHARED"}));
    }
    for (const char* trap : {"STORAGE_CLONE", "STORAGE_STALE"}) {
        EXPECT_EQ(codes(judge_shared(SharedWish::detect, SharedKind::none, false, {finding_of(trap)})), Codes({trap}));
    }
    // Mounted twice destroys data, whatever was asked for.
    const Finding mounted = finding_of("STORAGE_MOUNTED", Severity::block);
    for (const SharedWish wish : {SharedWish::detect, SharedWish::require, SharedWish::never}) {
        EXPECT_TRUE(is_blocked(judge_shared(wish, SharedKind::none, false, {mounted}).findings));
    }
}

MoveRecord incoming() {
    MoveRecord record;
    record.id = "ab";
    record.role = Role::target;
    record.zone = "web01";
    record.zone_uuid = "01234567-89ab-4def-8123-456789abcdef";
    record.peer = "host1";
    record.zonepath = "/export/zones/web01";
    record.epoch = 3;
    record.shared = SharedKind::directory;
    return record;
}

OwnerRecord frozen() {
    OwnerRecord record{"web01", "01234567-89ab-4def-8123-456789abcdef", 3, Ownership::frozen, "host1", "ab", 1};
    record.storage = kSharedDirectory;
    record.nonce = "77";
    return record;
}

// Each thing that must stand there, spoiled alone.
TEST(Handover, is_promised_only_for_the_tree_that_was_frozen_for_this_move) {
    EXPECT_TRUE(check_frozen_for(incoming(), "77", frozen()));
    EXPECT_FALSE(check_frozen_for(incoming(), "77", std::nullopt));
    EXPECT_FALSE(check_frozen_for(incoming(), "78", frozen()));
    EXPECT_FALSE(check_frozen_for(incoming(), "", frozen()));
    OwnerRecord no_nonce = frozen();
    no_nonce.nonce.clear();
    EXPECT_FALSE(check_frozen_for(incoming(), "", no_nonce)) << "two empty words prove nothing";
    const auto refused = [](auto spoil) {
        OwnerRecord record = frozen();
        spoil(record);
        return !check_frozen_for(incoming(), "77", record);
    };
    EXPECT_TRUE(refused([](OwnerRecord& record) { record.zone = "db01"; }));
    EXPECT_TRUE(refused([](OwnerRecord& record) { record.zone_uuid = "01234567-89ab-4def-8123-456789abcde0"; }));
    EXPECT_TRUE(refused([](OwnerRecord& record) { record.epoch = 2; }));
    EXPECT_TRUE(refused([](OwnerRecord& record) { record.epoch = 4; }));
    EXPECT_TRUE(refused([](OwnerRecord& record) { record.host = "host3"; }));
    EXPECT_TRUE(refused([](OwnerRecord& record) { record.move_id = "ac"; }));
    EXPECT_TRUE(refused([](OwnerRecord& record) { record.state = Ownership::owned; }));
}

TEST(SharedMove, a_target_is_told_of_a_declared_lun_only_when_it_gets_that_lun) {
    ZoneConfig config;
    config.name = "web01";
    config.zonepath = "/export/zones/web01";
    const std::string lun = "lun ext4 4ab1 wwid:naa.6 4096 /export/zones/web01 noatime";
    EXPECT_TRUE(check_declared(config, SharedKind::none, ""));
    EXPECT_TRUE(check_declared(config, SharedKind::lun, lun)) << "found, not declared";
    config.storage = StorageResource{"ext4", "4ab1", "wwid:naa.6", "", {"noatime"}};
    EXPECT_TRUE(config_to_send(config, SharedKind::lun).storage);
    for (const SharedKind kind : {SharedKind::none, SharedKind::directory}) {
        EXPECT_FALSE(config_to_send(config, kind).storage);
        EXPECT_EQ(check_declared(config, kind, "").error().code(), Errc::protocol);
    }
    EXPECT_TRUE(check_declared(config, SharedKind::lun, lun));
    const auto refused = [&](auto change) {
        ZoneConfig other = config;
        change(*other.storage);
        EXPECT_FALSE(check_declared(other, SharedKind::lun, lun));
    };
    refused([](StorageResource& s) { s.uuid = "4ab2"; });
    refused([](StorageResource& s) { s.device = "wwid:naa.7"; });
    refused([](StorageResource& s) { s.directory = "/export"; });
    refused([](StorageResource& s) { s.options.clear(); });
}

TEST(SharedMove, says_what_stands_in_owner_records) {
    MoveRecord record = incoming();
    EXPECT_EQ(storage_of_owner(record), "directory");
    record.shared = SharedKind::lun;
    record.storage = "lun ext4 u d 1 /x";
    EXPECT_EQ(storage_of_owner(record), record.storage);
    record.shared = SharedKind::none;
    EXPECT_EQ(storage_of_owner(record), "");
}

}  // namespace
}  // namespace zoneferry
