// What a source move compares with its target: the digests of both trees, and, where more must be known than that they
// differ, the digests of all entries. From these the catalog is made again: after it was lost, before the first pass of
// a rollback (the copy kept at home has most of it), and when the trees differ after the last pass.
#include <algorithm>
#include <thread>
#include <utility>

#include "agent/digest_list.h"
#include "agent/source_move.h"
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
    if (record_.verify != VerifyMode::full) return {};
    const std::int64_t began_ms = context_.clock.monotonic_ms();
    tell_phase("reading both sides once, so that little is left to compare after the halt");
    ZF_TRY([[maybe_unused]] const auto both, digest_both_sides({.tolerate_changes = true}));
    if (context_.clock.monotonic_ms() - began_ms < kLongMs) return {};
    ZF_TRY_STATUS(pass_and_note(false));
    return check_undisturbed();
}

Result<std::pair<TreeDigest, VerifyReply>> SourceMove::digest_both_sides(Reading reading) {
    DigestOptions options;
    options.excluded = excluded_names();
    options.threads = std::max(1U, std::thread::hardware_concurrency());
    options.digests_path = digests_path(context_.root, record_.id, reading.contents);
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
    ZF_TRY_STATUS(session_->connection().send(std::move(request)));
    ZF_TRY(UniqueFd tree, open_directory(zone_tree()));
    ZF_TRY(TreeDigest here, digest_tree(std::move(tree), options));
    if (reading.wants_list) ZF_TRY_STATUS(receive_digest_list(*session_, list_path(), record_.tree_entries));
    ZF_TRY(VerifyReply there, session_->expect<VerifyReply>(kWorkTimeoutMs));
    return std::pair(here, there);
}

std::string SourceMove::list_path() const { return move_directory(context_.root, record_.id) + "/their-digests"; }

Result<TreeComparison> SourceMove::compare_with_target(Reading reading) {
    reading.wants_list = true;
    ZF_TRY([[maybe_unused]] const auto both, digest_both_sides(reading));
    ZF_TRY(const UniqueFd tree, open_directory(zone_tree()));
    std::function<bool(const std::string&)> doubts;
    if (reading.doubts_attributes) doubts = has_file_attributes(tree.get());
    ZF_TRY(TreeComparison found, adopt_comparison(digests_path(context_.root, record_.id, reading.contents),
                                                  list_path(), catalog_prefix(), {}, doubts));
    ZF_TRY_STATUS(remove_file(list_path()));
    ZF_TRY_STATUS(fetch_block_maps(found.large));
    return found;
}

// Of large files that differ the target names the blocks that it has, so that only the others are sent.
Status SourceMove::fetch_block_maps(const std::vector<LargeDifference>& files) {
    if (files.empty() || !session_->need("block-lists")) return {};
    ZF_TRY(BlockListTaker taker, BlockListTaker::open(catalog_prefix()));
    std::vector<LargeDifference> some;
    for (const LargeDifference& file : files) {
        if (file.path.size() <= kSentenceBytesMax) some.push_back(file);
        if (some.size() < kBlockFilesMax) continue;
        ZF_TRY_STATUS(take_block_lists(taker, some));
        some.clear();
    }
    if (!some.empty()) ZF_TRY_STATUS(take_block_lists(taker, some));
    return taker.adopt();
}

Status SourceMove::take_block_lists(BlockListTaker& taker, const std::vector<LargeDifference>& files) {
    BlocksRequest request;
    request.move_id = record_.id;
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
Status SourceMove::find_out_what_is_there(bool is_final) {
    const bool may_have_some = !staging_is_fresh_ || target_has_copy_;
    if (!may_have_some || !session_->need("tree-lists")) return {};
    if (!staging_is_fresh_) {
        ZF_TRY(const bool known, TreeSender::knows_target(catalog_prefix()));
        if (known) return {};
    }
    const bool is_bulk = path_exists(bulk_marker());
    tell_phase(target_has_copy_ ? "comparing with the copy that " + record_.peer + " has kept"
                                : "comparing with what " + record_.peer + " has received" +
                                      (is_bulk ? "" : ": the record of that is lost"));
    auto found = compare_with_target({.tolerate_changes = !is_final, .doubts_attributes = is_bulk});
    if (!found && found.error().code() == Errc::protocol) {
        tell_note(found.error().text() + ": sending everything");
        staging_is_fresh_ = true;
        return {};
    }
    if (!found) return std::move(found).error();
    staging_is_fresh_ = false;
    target_has_copy_ = false;
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
    ZF_TRY(const auto both, digest_both_sides(reading));
    const auto& [here, there] = both;
    if (here.digest != there.digest) return repair(reading, here.digest, there.digest);
    times_ms_.emplace_back("verify", context_.clock.monotonic_ms() - began_ms);
    return journal(MoveEvent{.kind = EventKind::verified, .text = to_hex(here.digest)});
}

// Once: what was damaged on the way or on a disk is sent again. What differs twice is not sent a third time.
Status SourceMove::repair(const Reading& reading, const Digest& here, const Digest& there) {
    const Error differs(Errc::verify_failed, "the tree on " + record_.peer + " differs from the zone: digest " +
                                                 to_hex(there).substr(0, 16) + " there, " + to_hex(here).substr(0, 16) +
                                                 " here");
    if (!session_->need("tree-lists")) return differs;
    ZF_TRY(const TreeComparison found, compare_with_target(reading));
    const std::uint64_t count = count_of(found);
    const std::string names = found.is_equal() ? "hard links" : joined(found.first, count);
    if (!allows(record_, EventKind::repairing)) {
        return Error(Errc::verify_failed, differs.text() + ", although it was sent again: " + names)
            .remedy("look for errors of the disks and the memory of both hosts (dmesg), then move it again");
    }
    tell_note("the tree on " + record_.peer + " differs from the zone: " + names + "; that is sent again");
    return journal(MoveEvent{.kind = EventKind::repairing, .text = names, .number = static_cast<std::int64_t>(count)});
}

}  // namespace zoneferry
