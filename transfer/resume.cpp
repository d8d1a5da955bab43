// The merge walks two catalogs side by side: `fresh`, the unfinished pass, which may end anywhere, and `older`, the
// base it was compared with. Where fresh has been, it decides: acknowledged entries are known, others are marked
// "again" (the target may have them, have an older state, or nothing). Behind its end, older still holds, but for what
// fresh took away from there (a move) or changed through another name of the same inode (a patch).
//
// A file that was under way: a block counts as known if the segment that carried it was acknowledged, if it had the
// same hash before and after (so that it was not sent), or if the pass had not come to it. A moved directory counts
// only as a whole, because what it brought along is told by no other entry.
//
// A pass over announced changes (walk_announced.cpp) stays as it is when it is finished, all of it acknowledged: the
// merge is done only when somebody asks for a base again.
#include "transfer/resume.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "transfer/catalog.h"

namespace zoneferry {
namespace {

Result<std::string> boot_id() {
    ZF_TRY(const std::string text, read_file("/proc/sys/kernel/random/boot_id", 128));
    return std::string(trim(text));
}

class Merge {
public:
    Merge(CatalogReader fresh, CatalogCursor older, CatalogWriter& out, std::uint64_t acked, BlockStore& blocks,
          std::set<CatalogPosition> whole_moves)
        : fresh_(std::move(fresh)),
          older_(std::move(older)),
          out_(out),
          acked_(acked),
          blocks_(blocks),
          whole_moves_(std::move(whole_moves)) {}

    Status run() {
        ZF_TRY(const CatalogEntry* root, peek_fresh());
        if (root == nullptr) return copy_older();
        const bool is_sparse = root->sparse;
        take_fresh();
        ZF_TRY(const CatalogEntry* older, older_.peek());
        const bool has_older = older->kind == CatalogKind::directory;
        if (has_older) older_.take();
        CatalogEntry begin;
        begin.kind = CatalogKind::directory;
        out_.add(begin);
        ZF_TRY_STATUS(merge_directory(has_older, is_sparse));
        out_.add({});
        return out_.sync();
    }

private:
    bool is_acked(std::uint64_t segment) const { return segment == kNotSent || segment < acked_; }
    static CatalogEntry doubtful(const std::string& name) {
        CatalogEntry entry;
        entry.kind = CatalogKind::leaf;
        entry.name = name;
        entry.again = true;
        return entry;
    }

    // Null where fresh ends.
    Result<const CatalogEntry*> peek_fresh() {
        const CatalogEntry* none = nullptr;
        if (!present_) {
            ZF_TRY(present_, fresh_.next());
        }
        if (!present_ || present_->kind == CatalogKind::complete) return none;
        return &*present_;
    }
    void take_fresh() { present_.reset(); }

    Status copy_older() {
        while (true) {
            ZF_TRY(const CatalogEntry* entry, older_.peek());
            out_.add(*entry);
            ZF_TRY_STATUS(out_.flush_if_large());
            if (entry->kind == CatalogKind::complete) return out_.sync();
            older_.take();
        }
    }

    // The next child of the directory in older, or null.
    Result<const CatalogEntry*> older_child(bool has_older) {
        const CatalogEntry* none = nullptr;
        if (!has_older) return none;
        ZF_TRY(const CatalogEntry* entry, older_.peek());
        if (entry->kind == CatalogKind::complete)
            return Error(Errc::corrupt, "the catalog of the last pass ends early");
        return entry->kind == CatalogKind::directory_end ? none : entry;
    }
    // Drops older's children up to name, or takes them over; true if the one called name is in front.
    Result<bool> older_up_to(bool has_older, bool keeps, const std::string& name) {
        while (true) {
            ZF_TRY(const CatalogEntry* entry, older_child(has_older));
            if (entry == nullptr || entry->name > name) return false;
            if (entry->name == name) return true;
            ZF_TRY_STATUS(keeps ? keep_older() : older_.skip());
        }
    }

    Status merge_directory(bool has_older, bool is_sparse);
    Status merge_child(bool has_older, bool is_sparse);
    Status keep_older();
    Status merge_subdirectory(const CatalogEntry& begin, bool has_older);
    Status merge_leaf(CatalogEntry entry);
    Result<CatalogEntry> merge_blocks(const CatalogEntry& last, const std::optional<CatalogEntry>& acked);
    void note_effects(const CatalogEntry& entry);
    Status drop_fresh_subtree();
    Status end_from_older(bool has_older);
    Status add_from_older(CatalogEntry entry);
    std::string path_of(const std::string& name) const;

    CatalogReader fresh_;
    std::optional<CatalogEntry> present_;
    CatalogCursor older_;
    CatalogWriter& out_;
    std::uint64_t acked_;
    BlockStore& blocks_;
    std::set<CatalogPosition> whole_moves_;  // directories that were moved, acknowledged to their end
    std::vector<std::string> path_;
    std::set<std::string> taken_;             // paths from which fresh took something
    std::set<std::uint64_t> patched_inodes_;  // by target_inode
};

Status Merge::merge_directory(bool has_older, bool is_sparse) {
    if (is_sparse && !has_older) return Error(Errc::corrupt, "the catalog of the last pass misses a directory");
    while (true) {
        ZF_TRY_STATUS(out_.flush_if_large());
        ZF_TRY(const CatalogEntry* entry, peek_fresh());
        if (entry == nullptr) return end_from_older(has_older);
        if (entry->kind != CatalogKind::directory_end) {
            ZF_TRY_STATUS(merge_child(has_older, is_sparse));
            continue;
        }
        CatalogEntry end = *entry;
        take_fresh();
        while (true) {
            ZF_TRY(const CatalogEntry* rest, older_child(has_older));
            if (rest == nullptr) break;
            ZF_TRY_STATUS(is_sparse ? keep_older() : older_.skip());
        }
        if (has_older) {
            ZF_TRY(const CatalogEntry* older_end, older_.peek());
            // Only gone through, it was not looked at: the target has it as it was sent before.
            if (is_sparse && end.segment == kNotSent) end = *older_end;
            older_.take();
        }
        end.again = end.again || !is_acked(end.segment);
        end.segment = kNotSent;
        out_.add(end);
        return {};
    }
}

std::string Merge::path_of(const std::string& name) const {
    std::string path;
    for (const std::string& component : path_) path += component + "/";
    return path + name;
}

// What fresh did to places of the target that it had not come to.
void Merge::note_effects(const CatalogEntry& entry) {
    if (!entry.from.empty()) taken_.insert(entry.from);
    if (entry.patched && entry.target_inode != 0) patched_inodes_.insert(entry.target_inode);
}

// An entry of older that still holds, in the directory at path_. A directory that was taken goes with all that is in
// it.
Status Merge::add_from_older(CatalogEntry entry) {
    if (entry.kind != CatalogKind::directory_end && taken_.contains(path_of(entry.name))) {
        out_.add(doubtful(entry.name));
        return older_.skip();
    }
    older_.take();
    if (entry.target_inode != 0 && patched_inodes_.contains(entry.target_inode)) entry = doubtful(entry.name);
    if (entry.kind == CatalogKind::directory) path_.push_back(entry.name);
    if (entry.kind == CatalogKind::directory_end) path_.pop_back();
    out_.add(entry);
    return out_.flush_if_large();
}

// fresh ended inside this directory: what older has from here on still holds.
Status Merge::end_from_older(bool has_older) {
    const std::size_t depth = path_.size();
    CatalogEntry end;
    end.kind = CatalogKind::directory_end;
    while (has_older) {
        ZF_TRY(const CatalogEntry* entry, older_.peek());
        if (entry->kind == CatalogKind::complete)
            return Error(Errc::corrupt, "the catalog of the last pass ends early");
        if (entry->kind == CatalogKind::directory_end && path_.size() == depth) {
            end = *entry;
            older_.take();
            break;
        }
        ZF_TRY_STATUS(add_from_older(*entry));
    }
    end.again = true;
    out_.add(end);
    return {};
}

// Older's child in front, with all below it.
Status Merge::keep_older() {
    const std::size_t depth = path_.size();
    do {
        ZF_TRY(const CatalogEntry* entry, older_.peek());
        if (entry->kind == CatalogKind::complete)
            return Error(Errc::corrupt, "the catalog of the last pass ends early");
        ZF_TRY_STATUS(add_from_older(*entry));
    } while (path_.size() > depth);
    return {};
}

Status Merge::merge_child(bool has_older, bool is_sparse) {
    const CatalogEntry entry = *present_;
    take_fresh();
    ZF_TRY(const bool same, older_up_to(has_older, is_sparse, entry.name));
    if (entry.kind == CatalogKind::directory) return merge_subdirectory(entry, same);
    if (same) ZF_TRY_STATUS(older_.skip());
    return merge_leaf(entry);
}

Status Merge::merge_leaf(CatalogEntry entry) {
    // A file's partials, then the whole.
    const std::string name = entry.name;
    std::optional<CatalogEntry> acked;  // the last that is acknowledged
    while (true) {
        note_effects(entry);
        if (is_acked(entry.segment)) acked = entry;
        if (entry.kind != CatalogKind::partial) break;
        ZF_TRY(const CatalogEntry* after, peek_fresh());
        if (after == nullptr || after->name != name) break;
        entry = *after;
        take_fresh();
    }
    if (acked && acked->kind == CatalogKind::removed) return {};
    if (acked && acked->kind == CatalogKind::leaf) {
        acked->segment = kNotSent;
        acked->patched = {};
        acked->moved = false;
        acked->from.clear();
        out_.add(*acked);
        return {};
    }
    ZF_TRY(const CatalogEntry merged, merge_blocks(entry, acked));
    out_.add(merged);
    return {};
}

// last: all that the pass has said of the file. The target has it if a part was acknowledged, or if it had it here.
Result<CatalogEntry> Merge::merge_blocks(const CatalogEntry& last, const std::optional<CatalogEntry>& acked) {
    const bool was_here = last.patched && !last.moved;
    const bool has_map = last.kind == CatalogKind::partial || last.kind == CatalogKind::leaf;
    if (!has_map || !last.blocks || (!acked && !was_here)) return doubtful(last.name);
    BlockMapReader after(blocks_, last.blocks);
    BlockMapReader before(blocks_, last.patched);
    BlockMapWriter merged(blocks_, last.blocks.block_log);
    const std::uint64_t sure = acked ? acked->offset / last.blocks.block_bytes() : 0;
    const bool ended = last.kind == CatalogKind::leaf;  // also cut to its size
    const std::uint64_t count = ended ? last.blocks.count : std::max(last.blocks.count, last.patched.count);
    for (std::uint64_t block = 0; block < count; ++block) {
        BlockHash hash = before.at(block);
        if (block < sure) {
            hash = after.at(block);
        } else if (block < last.blocks.count && after.at(block) != hash) {
            hash = kUnknownBlock;
        }
        ZF_TRY_STATUS(merged.add(hash));
    }
    ZF_TRY_STATUS(merged.flush());
    CatalogEntry entry = last;
    entry.kind = CatalogKind::partial;
    entry.segment = kNotSent;
    entry.offset = acked ? acked->offset : 0;
    entry.blocks = merged.ref();
    entry.patched = {};
    entry.moved = false;
    entry.from.clear();
    return entry;
}

Status Merge::merge_subdirectory(const CatalogEntry& begin, bool same) {
    bool older_is_directory = false;
    if (same) {
        ZF_TRY(const CatalogEntry* older, older_.peek());
        older_is_directory = older->kind == CatalogKind::directory;
    }
    note_effects(begin);
    if (begin.moved ? !whole_moves_.contains(begin.position) : !is_acked(begin.segment)) {
        // A new directory that may not be there, or may be something else still.
        if (same) ZF_TRY_STATUS(older_.skip());
        out_.add(doubtful(begin.name));
        return drop_fresh_subtree();
    }
    const bool fresh_directory = begin.segment != kNotSent;  // made by the unfinished pass: older says nothing of it
    if (same && (fresh_directory || !older_is_directory)) ZF_TRY_STATUS(older_.skip());
    const bool has_older = same && older_is_directory && !fresh_directory;
    if (has_older) older_.take();
    CatalogEntry entry;
    entry.kind = CatalogKind::directory;
    entry.name = begin.name;
    entry.identity = begin.identity;
    out_.add(entry);
    path_.push_back(begin.name);
    Status done = merge_directory(has_older, begin.sparse);
    path_.pop_back();
    return done;
}

Status Merge::drop_fresh_subtree() {
    std::size_t depth = 1;
    while (depth > 0) {
        ZF_TRY(const CatalogEntry* entry, peek_fresh());
        if (entry == nullptr) return {};
        if (entry->kind == CatalogKind::directory) ++depth;
        if (entry->kind == CatalogKind::directory_end) --depth;
        note_effects(*entry);
        take_fresh();
    }
    return {};
}

Result<std::uint64_t> read_acked(const CatalogPaths& paths, const std::string& pass_id) {
    auto text = read_file(paths.acked, 1024);
    if (!text) return std::uint64_t{0};
    const auto words = split_words(trim(*text));
    if (words.size() != 2 || words[0] != pass_id) return std::uint64_t{0};
    return parse_number<std::uint64_t>(words[1]).value_or(0);
}

Result<std::set<CatalogPosition>> find_whole_moves(const std::string& path, std::uint64_t acked) {
    std::set<CatalogPosition> whole;
    std::vector<std::optional<CatalogPosition>> open;
    ZF_TRY(CatalogReader reader, CatalogReader::open(path));
    while (true) {
        ZF_TRY(const std::optional<CatalogEntry> entry, reader.next());
        if (!entry || entry->kind == CatalogKind::complete) return whole;
        if (entry->kind == CatalogKind::directory) {
            open.push_back(entry->moved ? std::optional(entry->position) : std::nullopt);
        } else if (entry->kind == CatalogKind::directory_end && !open.empty()) {
            if (open.back() && entry->segment < acked) whole.insert(*open.back());
            open.pop_back();
        }
    }
}

Status merge_unfinished(const CatalogPaths& paths, CatalogReader fresh, bool has_base, BlockStore& blocks) {
    ZF_TRY(const std::uint64_t acked, read_acked(paths, fresh.pass_id()));
    CatalogCursor older;
    if (has_base) {
        ZF_TRY(CatalogReader reader, CatalogReader::open(paths.base));
        older = CatalogCursor(std::move(reader));
    }
    ZF_TRY(CatalogWriter out, CatalogWriter::create(paths.merged, fresh.pass_id()));
    ZF_TRY(std::set<CatalogPosition> whole_moves, find_whole_moves(paths.fresh, acked));
    ZF_TRY_STATUS(Merge(std::move(fresh), std::move(older), out, acked, blocks, std::move(whole_moves)).run());
    ZF_TRY_STATUS(blocks.sync());
    if (::rename(paths.merged.c_str(), paths.base.c_str()) != 0) return system_error("rename the catalog", errno);
    return remove_file(paths.fresh);
}

}  // namespace

std::string new_pass_id() {
    auto boot = boot_id();
    return (boot ? *boot : std::string("unknown")) + "." + to_hex(random_bytes(8));
}

Status forget_catalogs(const CatalogPaths& paths) {
    for (const std::string& path : {paths.base, paths.fresh, paths.merged, paths.acked, paths.blocks})
        ZF_TRY_STATUS(remove_file(path));
    return {};
}

Result<bool> settle_catalogs(const CatalogPaths& paths, BlockStore& blocks) {
    const bool has_base = path_exists(paths.base);
    const bool has_fresh = path_exists(paths.fresh);
    bool sound = has_base ? is_sound_catalog(paths.base) : has_fresh;
    if (sound && has_fresh) {
        auto fresh = CatalogReader::open(paths.fresh);
        ZF_TRY(const std::string boot, boot_id());
        sound = fresh && fresh->pass_id().starts_with(boot + ".") &&
                merge_unfinished(paths, *std::move(fresh), has_base, blocks).has_value() &&
                is_sound_catalog(paths.base);
    }
    if (!sound) ZF_TRY_STATUS(forget_catalogs(paths));
    return sound;
}

}  // namespace zoneferry
