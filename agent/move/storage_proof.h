// Do both hosts have one and the same storage? Found without being told, by a proof, in one question and one answer:
//
//   source   writes ZONEPATH/.zoneferry-proof-MOVE (32 random hex digits), asks with CheckRequest.storage
//   target   reads that file at its own ZONEPATH; it is there: writes .zoneferry-answer-MOVE, and answers both texts
//   source   the first is what it wrote, and the second is what it reads in that file: one directory. Removes both.
//
// CheckRequest.storage is "directory", or the LUN that the tree lies on (core/zone/storage.h) if that could be
// unmounted. Without a proof the target looks for that LUN among its devices: same UUID, same device, not in use. That
// it really is the same one is proved before the release, by the nonce in the owner record (agent/move/shared_move.h).
//
// Findings, all of the target but the last two: STORAGE_STALE, STORAGE_OTHER, STORAGE_CLONE, STORAGE_MOUNTED,
// STORAGE_MISSING, STORAGE_ONE_WAY, STORAGE_NOT_SHARED.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/move/move_record.h"
#include "core/attach/finding.h"
#include "core/base/fd.h"
#include "core/zone/config.h"
#include "wire/messages.h"

namespace zoneferry {

// --shared
enum class SharedWish { detect, require, never };
std::optional<SharedWish> shared_wish_from_name(std::string_view name);  // "auto", "require", "never"

// Source: the proof lies there for as long as this lives.
class StorageOffer {
public:
    StorageOffer(AgentContext& context, const ZoneConfig& config, const std::string& move_id);
    ~StorageOffer();
    StorageOffer(const StorageOffer&) = delete;
    StorageOffer& operator=(const StorageOffer&) = delete;

    const std::string& text() const { return text_; }  // for CheckRequest.storage
    // True: the target has read what was written here, and wrote what is read here.
    bool is_proved_by(const CheckReply& reply) const;

private:
    UniqueFd zonepath_;
    std::string move_id_;
    std::string proof_;
    std::string text_;
};

// Target.
struct StorageAnswer {
    SharedKind kind = SharedKind::none;
    std::string proof;
    std::string answer;
    std::vector<Finding> findings;  // severity: warn
};
// What a zone mounts from its host and writes to (fs, type lofs) stays where it is only if the target has the same
// directory; else it travels (extra_check.h). For as long as this lives, a random number lies in each, by which the
// target can tell.
class FsProofs {
public:
    FsProofs(AgentContext& context, const ZoneConfig& config, const std::string& move_id);
    ~FsProofs();
    FsProofs(const FsProofs&) = delete;
    FsProofs& operator=(const FsProofs&) = delete;
    // Where a number lies.
    const std::vector<std::string>& paths() const { return paths_; }

private:
    std::string name_;
    std::vector<std::string> paths_;
    std::vector<UniqueFd> directories_;
};
// At the target: is its directory the one in which the source has left its number?
bool has_fs_proof(AgentContext& context, const std::string& directory, const std::string& move_id);
// Written to by the zone, and not marked `hostlocal`.
bool must_be_shared(const FsResource& fs);

// That the target will know nothing of the LUN that the zone declares here: its bytes travel.
Finding storage_left(const ZoneConfig& config);

StorageAnswer answer_offer(AgentContext& context, const ZoneConfig& config, const std::string& move_id,
                           const std::string& offer, const std::string& source_host_id);

// Source, purely: how the zone will be moved, and what of the target's findings stays. `proved`: is_proved_by().
struct SharedVerdict {
    SharedKind kind = SharedKind::none;
    std::vector<Finding> findings;
};
SharedVerdict judge_shared(SharedWish wish, SharedKind answered, bool proved, std::vector<Finding> findings);

}  // namespace zoneferry
