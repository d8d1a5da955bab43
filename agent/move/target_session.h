// One connection that a peer has made to us: answers its requests until it ends. What a request does is in
// target_move.h; here is only who may ask, in what order, and the receiving of segments.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/context.h"
#include "agent/move/moved_tree.h"
#include "agent/move_desk.h"
#include "agent/push/push_target.h"
#include "transfer/bulk_receiver.h"
#include "transfer/followed_digest.h"
#include "transfer/intake.h"
#include "wire/messages.h"

namespace zoneferry {

class TargetSession {
public:
    TargetSession(AgentContext& context, MoveDesk& desk, std::shared_ptr<Connection> connection);
    ~TargetSession();
    void run();

private:
    void converse();
    struct Pass {
        std::uint32_t number = 0;
        bool is_final = false;
        std::unique_ptr<SegmentIntake> intake;
        std::unique_ptr<BulkReceiver> bulk;  // instead: a file system's own stream
        std::uint64_t bytes = 0;
        std::int64_t began_ms = 0;
        std::int64_t told_ms = 0;
    };

    Status greet();
    void serve_join();
    Status answer(Message request);
    Status on(const CheckRequest& request);
    Status on(const PrepareRequest& request);
    Status on(const PassBegin& request);
    Status on(Segment segment);
    Status on(const PassEnd& request);
    Status on(const VerifyRequest& request);
    Status on(const BlocksRequest& request);
    Status on(const StageRequest& request);
    Status on(const Grant& request);
    Status on(const StatusRequest& request);
    Status on(const AbortRequest& request);
    Status on(const FinalizeRequest& request);
    Status on(const ReturnRequest& request);
    Status on(const OwnersRequest& request);
    Status on(const HistoryRequest& request);
    Status on(const PushRequest& request);
    Status on(const PushInstall& request);
    Status begin_pass(const PassBegin& request, UniqueFd staging, const MovedTree& tree);
    // target_pass.cpp
    std::vector<std::string> transports_for(const MoveRecord& record) const;
    Status begin_bulk(const PassBegin& request, const MoveRecord& record, const BulkLimits& limits);

    // The move, if it is a move of this peer's that this session has prepared or may speak of.
    Result<MoveRecord> own_record(const std::string& move_id) const;
    // The tree that the peer speaks of, and its staging.
    Result<std::pair<MovedTree, UniqueFd>> staged_tree(const MoveRecord& record, std::uint32_t number) const;
    // This session works on the move from now on; an older one lets go of it first.
    Status take_over(const std::string& move_id);
    Status answer_verify(const VerifyRequest& request, UniqueFd staging, const MovedTree& tree,
                         const std::string& digests);
    Result<TreeDigest> digest_staging(const VerifyRequest& request, UniqueFd staging, const MovedTree& tree,
                                      const DigestOptions& options);
    void tell(const MoveRecord& record, const std::string& message);

    AgentContext& context_;
    MoveDesk& desk_;
    std::shared_ptr<Connection> connection_;
    std::string peer_;
    std::uint32_t peer_port_ = 0;
    std::int64_t began_ms_;
    std::string peer_run_;            // peer_runs.h
    std::int64_t clock_skew_ms_ = 0;  // the peer's clock less ours
    std::optional<MoveDesk::Claim> claim_;
    std::string claimed_id_;
    std::optional<Pass> pass_;
    std::optional<PushTarget> push_;
    FollowedDigest digest_;  // of the zonepath that is received
};

}  // namespace zoneferry
