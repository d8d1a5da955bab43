// What a source move compares with its target: the digests of both trees, and, where more must be known than that they
// differ, the digests of all entries. From these the catalog is made again: after it was lost, before the first pass of
// a rollback (the copy kept at home has most of it), and when the trees differ after the last pass.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "agent/move/digest_list.h"
#include "agent/move/source_move.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "transfer/block_list.h"
#include "transfer/sender.h"

namespace zoneferry {
namespace {

std::string joined(const std::vector<std::string>& paths, std::uint64_t count) {
    std::string text;
    for (const std::string& path : paths) text += (text.empty() ? "" : ", ") + printable(path);
    return count > paths.size() ? text + " and " + std::to_string(count - paths.size()) + " more" : text;
}

std::uint64_t count_of(const TreeComparison& found) { return found.differing + found.missing + found.extra; }

}  // namespace

// Both sides read all that they have and note the digest of every entry, so that after the halt only what changed since
// is read again. What the zone changed meanwhile is sent now, not while it is down.
Status SourceMove::digest_while_running() {
    constexpr std::int64_t kLongMs = 1'000;
    if (record_.verify == VerifyMode::off) return {};
    const Reading reading{.tolerate_changes = true, .contents = record_.verify == VerifyMode::full, .follows = true};
    const std::int64_t began_ms = context_.clock.monotonic_ms();
    tell_phase("reading both sides once, so that little is left to compare after the halt");
    for (const MovedTree& tree : sent_trees(record_)) {
        ZF_TRY([[maybe_unused]] const auto both, digest_both_sides(tree, reading));
    }
    if (context_.clock.monotonic_ms() - began_ms < kLongMs) return {};
    ZF_TRY_STATUS(pass_and_note(false));
    return check_undisturbed();
}

Result<std::pair<TreeDigest, VerifyReply>> SourceMove::digest_both_sides(const MovedTree& tree, Reading reading) {
    DigestOptions options;
    options.excluded = excluded_names(tree);
    options.threads = std::max(1U, std::thread::hardware_concurrency());
    options.digests_path = digests_path(context_.root, tree, record_.id, reading.contents);
    options.contents = reading.contents;
    options.tolerate_changes = reading.tolerate_changes;
    if (reading.tolerate_changes) {
        {
            const std::lock_guard guard(interrupt_mutex_);
            digesting_ = std::stop_source();
            options.stop = digesting_.get_token();
        }
        ZF_TRY_STATUS(check_undisturbed());
    }
    VerifyRequest request;
    request.move_id = record_.id;
    request.metadata_only = !reading.contents;
    request.wants_list = reading.wants_list;
    request.tree = tree.number;
    const bool is_keyed = tree.is_zonepath() && !reading.wants_list && session_->need("followed-digests");
    if (is_keyed) request.key.assign(digest_key_.begin(), digest_key_.end());
    request.follows = is_keyed && reading.follows;
    ZF_TRY_STATUS(session_->connection().send(std::move(request)));
    ZF_TRY(TreeDigest here, digest_here(tree, options, is_keyed, reading.follows));
    if (reading.wants_list) ZF_TRY_STATUS(receive_digest_list(*session_, list_path(tree), tree.entries));
    ZF_TRY(VerifyReply there, session_->expect<VerifyReply>(kWorkTimeoutMs));
    return std::pair(here, there);
}

// Where both agents can, the zonepath has the keyed digest, which after the halt is told by what changed.
Result<TreeDigest> SourceMove::digest_here(const MovedTree& tree, const DigestOptions& options, bool is_keyed,
                                           bool follows) {
    const std::string directory = context_.root.at(tree.path);
    if (is_keyed && follows) return digest_.whole(directory, options, digest_key_, context_.settings.change_tracking);
    if (is_keyed) {
        auto digest = digest_.again(directory, options, digest_key_);
        if (!digest_.why_whole().empty()) {
            spdlog::info("move {}: every entry was compared: {}", record_.id, digest_.why_whole());
        }
        return digest;
    }
    ZF_TRY(UniqueFd top, open_directory(directory));
    return digest_tree(std::move(top), options);
}

Result<TreeComparison> SourceMove::compare_with_target(const MovedTree& tree, Reading reading) {
    reading.wants_list = true;
    ZF_TRY([[maybe_unused]] const auto both, digest_both_sides(tree, reading));
    ZF_TRY(const UniqueFd top, open_directory(context_.root.at(tree.path)));
    std::function<bool(const std::string&)> doubts;
    if (reading.doubts_attributes) doubts = has_file_attributes(top.get());
    ZF_TRY(TreeComparison found, adopt_comparison(digests_path(context_.root, tree, record_.id, reading.contents),
                                                  list_path(tree), catalog_prefix(tree), {}, doubts));
    ZF_TRY_STATUS(remove_file(list_path(tree)));
    ZF_TRY_STATUS(fetch_block_maps(tree, found.large));
    return found;
}

// Of large files that differ the target names the blocks that it has, so that only the others are sent.
Status SourceMove::fetch_block_maps(const MovedTree& tree, const std::vector<LargeDifference>& files) {
    if (files.empty() || !session_->need("block-lists")) return {};
    ZF_TRY(BlockListTaker taker, BlockListTaker::open(catalog_prefix(tree)));
    std::vector<LargeDifference> some;
    for (const LargeDifference& file : files) {
        if (file.path.size() <= kSentenceBytesMax) some.push_back(file);
        if (some.size() < kBlockFilesMax) continue;
        ZF_TRY_STATUS(take_block_lists(tree, taker, some));
        some.clear();
    }
    if (!some.empty()) ZF_TRY_STATUS(take_block_lists(tree, taker, some));
    return taker.adopt();
}

Status SourceMove::take_block_lists(const MovedTree& tree, BlockListTaker& taker,
                                    const std::vector<LargeDifference>& files) {
    BlocksRequest request;
    request.move_id = record_.id;
    request.tree = tree.number;
    request.key.assign(taker.key().begin(), taker.key().end());
    for (const LargeDifference& file : files) {
        BlocksOfFile& wanted = request.files.emplace_back();
        wanted.path = file.path;
        wanted.block_log = static_cast<std::uint8_t>(file.block_log);
    }
    ZF_TRY_STATUS(session_->connection().send(std::move(request)));
    for (const LargeDifference& file : files) {
        taker.begin(file);
        for (bool ends = false; !ends;) {
            ZF_TRY_STATUS(check_undisturbed());
            ZF_TRY(const BlocksReply part, session_->expect<BlocksReply>(kWorkTimeoutMs));
            if (part.hashes.empty() && !part.ends_file) return Error(Errc::protocol, "a list of blocks has no end");
            ZF_TRY_STATUS(taker.add(part.hashes));
            ends = part.ends_file;
        }
        ZF_TRY_STATUS(taker.end());
    }
    return {};
}

// Before a pass of which nothing tells what the target has, although it has something.
Status SourceMove::find_out_what_is_there(const MovedTree& tree, bool is_final) {
    const bool is_fresh = fresh_trees_.contains(tree.number);
    const bool has_copy = tree.is_zonepath() && target_has_copy_;
    if ((is_fresh && !has_copy) || !session_->need("tree-lists")) return {};
    if (!is_fresh) {
        ZF_TRY(const bool known, TreeSender::knows_target(catalog_prefix(tree)));
        if (known) return {};
    }
    const bool is_bulk = tree.is_zonepath() && path_exists(bulk_marker());
    tell_phase(has_copy ? "comparing with the copy that " + record_.peer + " has kept"
                        : "comparing with what " + record_.peer + " has received" +
                              (is_bulk ? "" : ": the record of that is lost"));
    auto found = compare_with_target(tree, {.tolerate_changes = !is_final, .doubts_attributes = is_bulk});
    if (!found && found.error().code() == Errc::protocol) {
        tell_note(found.error().text() + ": sending everything");
        fresh_trees_.insert(tree.number);
        return {};
    }
    if (!found) return std::move(found).error();
    fresh_trees_.erase(tree.number);
    if (tree.is_zonepath()) target_has_copy_ = false;
    tell_phase(std::to_string(found->equal) + " entries are there already, " + std::to_string(count_of(*found)) +
               " differ");
    return {};
}

Status SourceMove::verify() {
    arm_budget();
    ZF_TRY_STATUS(ensure_prepared());
    if (record_.verify == VerifyMode::off) {
        tell_phase("nothing is compared, as asked for");
        return journal(MoveEvent{.kind = EventKind::verified});
    }
    const std::int64_t began_ms = context_.clock.monotonic_ms();
    const Reading reading{.contents = record_.verify == VerifyMode::full};
    tell_phase(reading.contents ? "comparing the digests of both sides"
                                : "comparing the digests of both sides: metadata only");
    std::string digests;
    std::uint64_t looked_at = 0;
    std::uint64_t looked_at_there = 0;
    std::vector<Difference> differences;
    for (const MovedTree& tree : sent_trees(record_)) {
        ZF_TRY(const auto both, digest_both_sides(tree, reading));
        const auto& [here, there] = both;
        digests += (digests.empty() ? "" : " ") + to_hex(here.digest);
        looked_at += here.looked_at;
        looked_at_there += there.looked_at;
        if (here.digest != there.digest) differences.push_back({tree, here.digest, there.digest});
    }
    if (!differences.empty()) return repair(reading, differences);
    times_ms_.emplace_back("verify", context_.clock.monotonic_ms() - began_ms);
    return journal(MoveEvent{.kind = EventKind::verified,
                             .text = digests,
                             .number = static_cast<std::int64_t>(looked_at),
                             .extra = static_cast<std::int64_t>(looked_at_there)});
}

// Once: what was damaged on the way or on a disk is sent again. What differs twice is not sent a third time.
Status SourceMove::repair(const Reading& reading, const std::vector<Difference>& differences) {
    const Difference& one = differences.front();
    const Error differs(Errc::verify_failed, "the tree on " + record_.peer + " differs from the zone: digest " +
                                                 to_hex(one.there).substr(0, 16) + " there, " +
                                                 to_hex(one.here).substr(0, 16) + " here");
    if (!session_->need("tree-lists")) return differs;
    std::uint64_t count = 0;
    std::string names;
    for (const Difference& difference : differences) {
        ZF_TRY(const TreeComparison found, compare_with_target(difference.tree, reading));
        const std::string place = difference.tree.is_zonepath() ? "" : "in " + difference.tree.path + ": ";
        count += count_of(found);
        names += (names.empty() ? "" : "; ") + place +
                 (found.is_equal() ? "hard links" : joined(found.first, count_of(found)));
    }
    if (!allows(record_, EventKind::repairing)) {
        return Error(Errc::verify_failed, differs.text() + ", although it was sent again: " + names)
            .remedy("look for errors of the disks and the memory of both hosts (dmesg), then move it again");
    }
    tell_note("the tree on " + record_.peer + " differs from the zone: " + names + "; that is sent again");
    return journal(MoveEvent{.kind = EventKind::repairing, .text = names, .number = static_cast<std::int64_t>(count)});
}

}  // namespace zoneferry
