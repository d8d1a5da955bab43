#include "transfer/sender.h"

#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <stop_token>
#include <thread>

#include "core/base/files.h"
#include "transfer/pipeline.h"
#include "transfer/rate_limit.h"
#include "transfer/resume.h"
#include "transfer/walk.h"

namespace zoneferry {
namespace {

// What each thread of a pass does first.
std::function<void()> priority_of(const SendOptions& options) {
    return [is_background = options.in_background] {
        if (is_background) step_back();
    };
}

}  // namespace

struct TreeSender::State {
    State(const SendOptions& options, const SenderPools& pools, CatalogWriter writer, BlockStore store)
        : paths(options.catalog_path_prefix),
          catalog(std::move(writer)),
          blocks(std::move(store)),
          control(pools.threads, options.zstd_level, pools.dearest_mode),
          pipeline(pools.threads, control, pools.queue_bytes, priority_of(options)),
          limit(options.bytes_per_second) {
        control.set_limit(options.bytes_per_second);
    }

    CatalogPaths paths;
    std::string pass_id;
    CatalogWriter catalog;
    BlockStore blocks;
    WalkCounts counts;
    CompressionControl control;
    SegmentPipeline pipeline;
    RateLimit limit;
    std::atomic<std::uint64_t> raw_bytes{0};
    std::atomic<std::uint64_t> payload_bytes{0};
    std::atomic<std::uint64_t> given_out{0};
    std::atomic<bool> all_given_out{false};
    std::mutex acknowledge_mutex;
    std::uint64_t acknowledged = 0;
    bool is_tracked = false;           // this pass visits announced changes only
    std::unique_ptr<PassTrail> trail;  // else
    std::string walked_because;
    std::vector<std::string> notes;  // the walker's, until it has ended
    std::jthread walker;             // last: it uses all the above
};

TreeSender::TreeSender() = default;
TreeSender::~TreeSender() {
    if (state_) cancel();
}

Result<bool> TreeSender::knows_target(const std::string& catalog_path_prefix) {
    const CatalogPaths paths(catalog_path_prefix);
    ZF_TRY(BlockStore blocks, BlockStore::open(paths.blocks));
    return settle_catalogs(paths, blocks);
}

namespace {

// An error says why the pass has to walk the whole tree.
Result<std::shared_ptr<const PlanNode>> plan_of(int tree, const SendOptions& options, const CatalogPaths& paths) {
    if (options.forget || path_exists(paths.fresh)) {
        return Error(Errc::unsupported, "the pass before did not come to its end");
    }
    ZF_TRY(const CatalogReader base, CatalogReader::open(paths.base));
    if (base.pass_id() != options.changes->trail.pass_id) {
        return Error(Errc::unsupported, "the catalog is not that of the pass before");
    }
    ZF_TRY(PlanNode plan, make_change_plan(tree, *options.changes, paths.base));
    return std::make_shared<const PlanNode>(std::move(plan));
}

}  // namespace

Result<std::unique_ptr<TreeSender>> TreeSender::start(UniqueFd tree, SendOptions options) {
    const CatalogPaths paths(options.catalog_path_prefix);
    std::shared_ptr<const PlanNode> plan;
    std::string walked_because;
    if (options.changes) {
        auto planned = plan_of(tree.get(), options, paths);
        if (planned) {
            plan = *std::move(planned);
        } else {
            walked_because = planned.error().text();
        }
    }
    if (options.forget) ZF_TRY_STATUS(forget_catalogs(paths));
    ZF_TRY(BlockStore blocks, BlockStore::open(paths.blocks));
    bool known = plan != nullptr;  // the base was written by this process, and is hashed where it is read
    if (!known) {
        ZF_TRY(known, settle_catalogs(paths, blocks));
    }
    if (!known) {
        ZF_TRY(blocks, BlockStore::open(paths.blocks));
    }
    CatalogCursor base;
    if (known) {
        ZF_TRY(CatalogReader reader, CatalogReader::open(paths.base));
        base = CatalogCursor(std::move(reader));
    }
    const std::string pass_id = new_pass_id();
    ZF_TRY(CatalogWriter writer, CatalogWriter::create(paths.fresh, pass_id));

    std::unique_ptr<TreeSender> sender(new TreeSender);  // NOLINT: private constructor
    sender->state_ = std::make_unique<State>(options, sender_pools(options.memory_bytes, options.compressor_threads),
                                             std::move(writer), std::move(blocks));
    State& state = *sender->state_;
    state.pass_id = pass_id;
    state.walked_because = std::move(walked_because);
    state.is_tracked = plan != nullptr;
    if (!plan) {
        state.trail = std::make_unique<PassTrail>();
        state.trail->pass_id = pass_id;
        state.catalog.set_watch(
            [trail = state.trail.get()](const CatalogEntry& entry, const CatalogPosition& position) {
                trail->note(entry, position);
            });
    }
    std::shared_ptr<const PassTrail> base_trail;
    if (plan) base_trail = std::shared_ptr<const PassTrail>(options.changes, &options.changes->trail);
    const auto emit = [&state](std::uint64_t number, ByteVector raw) {
        return state.pipeline.push(number, std::move(raw));
    };
    const auto segment_bytes = [&state, most = std::clamp<std::size_t>(options.segment_bytes, 1, kSegmentTargetBytes)] {
        return std::min(most, kCompressionModes[state.control.mode()].segment_bytes);
    };
    auto walk = std::make_shared<TreeWalk>(
        std::move(tree),
        WalkOptions{!known, options.tolerate_changes, options.devices, segment_bytes, options.excluded,
                    known ? paths.base : std::string(), std::move(plan), std::move(base_trail), options.may_put_aside,
                    options.readers, options.stat_threads, priority_of(options)},
        std::move(base), state.blocks, state.catalog, state.counts, emit);
    state.walker = std::jthread([&state, walk, begin_thread = priority_of(options)] {
        begin_thread();
        Status done = walk->run();
        state.notes = walk->notes();
        if (state.trail) walk->note_outside_names(*state.trail);
        state.pipeline.close(std::move(done));
    });
    return sender;
}

Result<std::optional<TreeSegment>> TreeSender::next() {
    State& state = *state_;
    ZF_TRY(std::optional<TreeSegment> segment, state.pipeline.next());
    if (!segment) {
        state.all_given_out = true;
        return segment;
    }
    state.limit.wait_for(segment->payload.size(), [&] { return state.pipeline.is_cancelled(); });
    if (state.pipeline.is_cancelled()) return Error(Errc::cancelled, "the transfer was asked to stop");
    state.raw_bytes += segment->raw_bytes;
    state.payload_bytes += segment->payload.size();
    ++state.given_out;
    return segment;
}

Status TreeSender::acknowledge(std::uint64_t durable_count) {
    State& state = *state_;
    const std::lock_guard lock(state.acknowledge_mutex);
    if (durable_count > state.given_out) {
        return Error(Errc::protocol, "the peer acknowledges segments that were never sent");
    }
    if (durable_count <= state.acknowledged) return {};
    // What the catalog tells of these segments must survive before they count.
    ZF_TRY_STATUS(state.blocks.sync());
    if (::fdatasync(state.catalog.fd()) != 0) return system_error("sync the catalog", errno);
    ZF_TRY_STATUS(replace_file(state.paths.acked, state.pass_id + " " + std::to_string(durable_count) + "\n", 0600));
    state.acknowledged = durable_count;
    return {};
}

Result<PassSummary> TreeSender::finish() {
    State& state = *state_;
    const std::lock_guard lock(state.acknowledge_mutex);
    if (!state.all_given_out || state.acknowledged != state.given_out) {
        return Error(Errc::conflict, "the pass is not over: not every segment was sent and acknowledged");
    }
    if (state.walker.joinable()) state.walker.join();
    ZF_TRY_STATUS(state.blocks.sync());
    ZF_TRY_STATUS(state.catalog.sync());
    if (!state.is_tracked) {
        if (::rename(state.paths.fresh.c_str(), state.paths.base.c_str()) != 0) {
            return system_error("rename the catalog", errno);
        }
        ZF_TRY_STATUS(remove_file(state.paths.acked));  // syncs the directory
    }
    const WalkCounts& counts = state.counts;
    return PassSummary{state.given_out,     counts.entries,
                       counts.bytes,        counts.entries_sent,
                       counts.files_sent,   counts.data_bytes_sent,
                       state.raw_bytes,     state.payload_bytes,
                       counts.removed,      counts.changed_while_read,
                       counts.vanished,     counts.moved,
                       counts.patched,      counts.open_links_max,
                       state.notes,         state.is_tracked,
                       state.walked_because};
}

std::unique_ptr<PassTrail> TreeSender::take_trail() { return std::move(state_->trail); }

Progress TreeSender::progress() const {
    return {state_->counts.entries, state_->counts.bytes, state_->raw_bytes, state_->payload_bytes, state_->is_tracked};
}

void TreeSender::cancel() {
    state_->pipeline.cancel();
    state_->limit.wake();
}

void TreeSender::note_link(const LinkCounters& counters) { state_->control.note_link(counters); }

void TreeSender::set_limit(std::uint64_t bytes_per_second) {
    state_->control.set_limit(bytes_per_second);
    state_->limit.set(bytes_per_second);
}

}  // namespace zoneferry
