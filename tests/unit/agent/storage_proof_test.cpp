// Two agents that see one zonepath (a bind mount): the proof both ways, and what a target asks of the tree before it
// promises and before it takes over. Each guard has a line here that fails without it; docs/shared-storage.md has the
// table.
#include "agent/move/storage_proof.h"
#include "agent/move/shared_move.h"
#include "core/base/process.h"
#include "core/zone/storage.h"
#include "tests/unit/agent/two_agents.h"

namespace zoneferry {
namespace {

constexpr const char* kUuid = "01234567-89ab-4def-8123-456789abcdef";

Errc code_of(const auto& result) { return result ? Errc::unknown : result.error().code(); }

class SharedZonepath : public TwoAgents {
protected:
    void SetUp() override {
        TwoAgents::SetUp();
        if (IsSkipped()) return;
        one.make_zone("web01", "/zones/web01");
        config_ = *ZoneStore(one.root()).config(*ZoneName::create("web01"));
        ASSERT_TRUE(run_checked({"mount", "--bind", one.path("/zones"), two.path("/zones")}));
    }
    ~SharedZonepath() override { unmount(); }
    void unmount() { (void)run_process({"umount", two.path("/zones")}); }

    // The source's word beside the tree.
    void freeze(const std::string& nonce) {
        OwnerRecord owner{.zone = "web01", .zone_uuid = kUuid, .epoch = 1, .state = Ownership::frozen, .host = "host1"};
        owner.move_id = "ab";
        owner.storage = kSharedDirectory;
        owner.nonce = nonce;
        ASSERT_TRUE(OwnerStore(one.root()).save(owner, "/zones/web01"));
    }
    PrepareRequest prepare() {
        PrepareRequest request = prepare_of(one, "web01", "ab");
        request.shared = static_cast<std::uint8_t>(SharedKind::directory);
        return request;
    }
    static Result<StageReply> stage(PeerSession& talk, const PrepareRequest& prepared, const std::string& nonce) {
        StageRequest request;
        request.move_id = "ab";
        request.manifest = prepared.manifest;
        request.nonce = nonce;
        return talk.ask<StageReply>(std::move(request));
    }

    ZoneConfig config_;
};

TEST_F(SharedZonepath, IsProvedByWhatEachSideHasWritten) {
    const StorageOffer offer(one.context(), config_, "ab");
    const StorageAnswer answer = answer_offer(two.context(), config_, "ab", offer.text(), "host1");
    EXPECT_EQ(answer.kind, SharedKind::directory);
    CheckReply reply;
    reply.proof = answer.proof;
    reply.answer = answer.answer;
    EXPECT_TRUE(offer.is_proved_by(reply));
    reply.proof = std::string(32, '0');
    EXPECT_FALSE(offer.is_proved_by(reply)) << "it has read something else";
    reply.proof = answer.proof;
    reply.answer = std::string(32, '0');
    EXPECT_FALSE(offer.is_proved_by(reply)) << "what it wrote is not seen here";
}

TEST_F(SharedZonepath, IsNotTakenForSharedWhereOnlyThePathIsEqual) {
    const StorageOffer offer(one.context(), config_, "ab");
    unmount();
    ASSERT_TRUE(make_directories(two.path("/zones/web01/root"), 0700));
    const StorageAnswer answer = answer_offer(two.context(), config_, "ab", offer.text(), "host1");
    EXPECT_EQ(answer.kind, SharedKind::none);
    ASSERT_EQ(answer.findings.size(), 1U);
    EXPECT_EQ(answer.findings.front().code, "STORAGE_OTHER");
}

TEST_F(SharedZonepath, IsPromisedAndTakenOnlyAsItWasFrozen) {
    PeerSession talk = session(one, "host2");
    const PrepareRequest request = prepare();
    ASSERT_TRUE(talk.ask<PrepareReply>(request));
    freeze("0123456789abcdef");
    EXPECT_EQ(code_of(stage(talk, request, "fedcba9876543210")), Errc::conflict) << "another nonce";
    EXPECT_EQ(two.phase("ab"), Phase::incoming);
    const auto staged = stage(talk, request, "0123456789abcdef");
    ASSERT_TRUE(staged && staged->ready) << (staged ? "" : staged.error().text());
    freeze("fedcba9876543210");  // since then the tree is another one
    Grant grant;
    grant.move_id = "ab";
    grant.epoch = 2;
    ASSERT_TRUE(talk.ask<Owned>(grant));
    EXPECT_EQ(code_of(talk.expect<Activated>(5000)), Errc::conflict);
    EXPECT_FALSE(two.may_boot_zone("web01", "/zones/web01"));
}

TEST_F(SharedZonepath, IsNotOfferedByWhoHadItLongAgo) {
    OwnerRecord newer{.zone = "web01", .zone_uuid = kUuid, .epoch = 7, .state = Ownership::released, .host = "host3"};
    ASSERT_TRUE(OwnerStore(two.root()).save(newer, ""));
    EXPECT_EQ(code_of(session(one, "host2").ask<PrepareReply>(prepare())), Errc::not_owner);
}

TEST_F(SharedZonepath, IsOfOneKindAndGoesBackTheWayItCame) {
    PrepareRequest request = prepare();
    request.storage = "lun ext4 u d 1 /zones/web01";
    EXPECT_EQ(code_of(session(one, "host2").ask<PrepareReply>(request)), Errc::protocol) << "a directory is no LUN";
    request.shared = static_cast<std::uint8_t>(SharedKind::lun);
    request.storage.clear();
    EXPECT_EQ(code_of(session(one, "host2").ask<PrepareReply>(request)), Errc::protocol) << "which LUN?";
    MoveRecord first{.id = "aa", .role = Role::source, .phase = Phase::activated, .zone = "web01", .zone_uuid = kUuid};
    first.peer = "host1";
    first.shared = SharedKind::directory;
    ASSERT_TRUE(two.journal().add(first));
    request.shared = static_cast<std::uint8_t>(SharedKind::none);
    request.return_of = "aa";
    EXPECT_EQ(code_of(session(one, "host2").ask<PrepareReply>(request)), Errc::conflict) << "its only tree is there";
}

}  // namespace
}  // namespace zoneferry
