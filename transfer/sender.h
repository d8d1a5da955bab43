// The sending side: each TreeSender is one pass over a tree; passes know from catalog files what the target has.
//
//     start -> next, next, ... nullopt; acknowledge in between, as the target says what is durable -> finish
//
// Resume is just another pass: a sender destroyed unfinished (or killed) leaves its catalog, and the next start sends
// only what was not acknowledged or has changed since.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "transfer/change_plan.h"
#include "transfer/devices.h"
#include "transfer/memory_budget.h"
#include "transfer/read_ahead.h"
#include "transfer/segment_source.h"
#include "transfer/stat_ahead.h"

namespace zoneferry {

struct SendOptions {
    std::string catalog_path_prefix;     // files of our own, one prefix per move and target (catalog.h)
    bool forget = false;                 // the target's staging is fresh: drop what is known, send everything
    bool tolerate_changes = true;        // what changes or vanishes while read comes again; false: an Error naming it
    std::uint64_t bytes_per_second = 0;  // of payload; 0: no limit
    unsigned compressor_threads = 1;     // at most: as many as fit in the memory
    unsigned readers = kReadersDefault;  // that read ahead of the walk in a cold cache; 0: none
    unsigned stat_threads = stat_threads_default();   // beside the walk of a pass that has a base (stat_ahead.h)
    std::size_t memory_bytes = kTransferMemoryBytes;  // for the pools of this side (memory_budget.h)
    bool in_background = false;     // reads and compresses at low priority: what runs on the source goes first
    std::optional<int> zstd_level;  // 0: no compression; none: adapted to link and processors
    std::size_t segment_bytes = kSegmentTargetBytes;  // raw, at most; the compression may want smaller ones
    std::vector<std::string> excluded;                // paths below the tree's root that are not sent: "a", "b/c"
    DevicePolicy devices = DevicePolicy::known;
    // What was moved to a later place waits there on the target. Not where the target's tree is a subvolume: nothing
    // can be renamed out of one; it is removed and sent again.
    bool may_put_aside = true;
    std::shared_ptr<const ChangesSince> changes;  // visit only these, if nothing about them is in doubt
};

struct PassSummary {
    std::uint64_t segments = 0;
    std::uint64_t entries = 0;             // in the tree
    std::uint64_t bytes = 0;               // in its files
    std::uint64_t entries_sent = 0;        // new or changed
    std::uint64_t files_sent = 0;          // regular files among these
    std::uint64_t data_bytes_sent = 0;     // of file content
    std::uint64_t raw_bytes = 0;           // the stream before compression
    std::uint64_t payload_bytes = 0;       // and after
    std::uint64_t removed = 0;             // names (with all below them)
    std::uint64_t changed_while_read = 0;  // these come again in the next pass
    std::uint64_t vanished = 0;
    std::uint64_t moved = 0;           // directories and large files taken from another place of the target
    std::uint64_t patched = 0;         // large files of which only changed blocks were sent
    std::uint64_t open_links_max = 0;  // inodes of several names held in memory at once
    std::vector<std::string> notes;    // what stays behind, one sentence each
    bool is_tracked = false;           // only what was announced as changed was visited; entries and bytes are of these
    std::string walked_because;        // why not, if options.changes asked for it
};

class TreeSender final : public SegmentSource {
public:
    static Result<std::unique_ptr<TreeSender>> start(UniqueFd tree, SendOptions options);
    ~TreeSender() override;
    // Is anything known of what the target has? What is damaged is forgotten: start() would have it drop all.
    static Result<bool> knows_target(const std::string& catalog_path_prefix);

    Result<std::optional<TreeSegment>> next() override;
    // The resume point, durable when this returns.
    Status acknowledge(std::uint64_t durable_count) override;
    // After next() gave nullopt and all was acknowledged: the target has this tree.
    Result<PassSummary> finish();
    // Once, after finish(): for the changes since. Null after a tracked pass.
    std::unique_ptr<PassTrail> take_trail();
    Progress progress() const override;
    void note_link(const LinkCounters& counters) override;
    void set_limit(std::uint64_t bytes_per_second) override;
    void cancel() override;

private:
    TreeSender();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace zoneferry
