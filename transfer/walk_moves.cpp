// What the target has already, in another place or as another name of the same inode.
//
// The walk goes in sorted order, so the old place of a moved entry comes either before or behind the new one. Before:
// the walk met a name that is no more, put it aside (stash) instead of removing it, and remembers its inode. Behind:
// the index of the base finds it where it still lies. In between nothing is asked of the source's disk.
//
// A directory that is put aside or taken takes what is in it along: nothing below it can be taken by its old path any
// more (gone_), but what the walk of its new place finds missing is put aside as anywhere else.
#include "transfer/walk.h"

namespace zoneferry {

bool TreeWalk::can_put_aside(const CatalogEntry& base) const {
    const bool worth = options_.may_put_aside && (base.kind == CatalogKind::directory || base.blocks);
    return worth && stash_count_ < kStashMax && !claimed_.contains(base.position);
}

// base is in front of the cursor, and is taken.
Status TreeWalk::put_aside(const std::string& name, const CatalogEntry& base) {
    Source aside;
    aside.kind = Origin::Kind::stash;
    aside.is_directory = base.kind == CatalogKind::directory;
    aside.stash = stash_count_++;
    aside.position = base.position;
    aside.blocks = base.blocks;
    aside.target_inode = base.target_inode;
    aside.identity = base.identity;
    if (aside.is_directory) gone_.insert(base.position);
    ZF_TRY_STATUS(base_.skip());
    ZF_TRY_STATUS(enter_all());
    ZF_TRY_STATUS(put(StashRecord{name}));
    stashed_[aside.identity.inode] = std::move(aside);
    return {};
}

// Something else comes under this name.
Status TreeWalk::free_name(const std::string& name, const CatalogEntry* base) {
    if (base == nullptr) return {};
    if (can_put_aside(*base)) return put_aside(name, *base);
    if (base->kind == CatalogKind::directory) gone_.insert(base->position);
    return base_.skip();
}

// Does a path from the root come behind this name in the present directory, and not below it?
bool TreeWalk::is_later(const std::vector<std::string>& path, const std::string& name) const {
    for (std::size_t i = 0; i < path.size() && i < levels_.size(); ++i) {
        const std::string& here = i + 1 < levels_.size() ? levels_[i + 1].name : name;
        if (path[i] != here) return path[i] > here;
    }
    return false;
}

Result<std::optional<TreeWalk::Source>> TreeWalk::find_moved(const std::string& name, std::uint64_t inode,
                                                             bool is_directory) {
    const std::optional<Source> none;
    if (const auto aside = stashed_.find(inode); aside != stashed_.end()) {
        if (aside->second.is_directory == is_directory) return std::optional<Source>(aside->second);
        return none;
    }
    if (options_.base_path.empty()) return none;
    if (!index_) {
        ZF_TRY(index_, BaseIndex::build(options_.base_path));
    }
    const auto found = is_directory ? index_->directory(inode, gone_) : index_->file(inode, gone_);
    if (!found || claimed_.contains(found->position) || !is_later(found->path, name)) return none;
    ZF_TRY(CatalogReader reader, CatalogReader::open_at(options_.base_path, found->position));
    ZF_TRY(const std::optional<CatalogEntry> entry, reader.next());
    if (!entry) return Error(Errc::corrupt, "the catalog of the last pass is damaged");
    Source source;
    source.kind = Origin::Kind::path;
    source.is_directory = is_directory;
    source.path = found->path;
    source.position = found->position;
    source.blocks = entry->blocks;
    source.target_inode = entry->target_inode;
    source.identity = entry->identity;
    return std::optional<Source>(std::move(source));
}

// What the target has of a large file: here, or in another place. A file is patched only where it is the same inode on
// both sides: then all names that change with it have changed here, too.
Result<TreeWalk::Source> TreeWalk::find_blocks(const std::string& name, const EntryStat& stat,
                                               const CatalogEntry* base) {
    Source source;
    const bool is_file =
        base != nullptr && (base->kind == CatalogKind::leaf || base->kind == CatalogKind::partial) && base->blocks;
    if (is_file && base->identity.inode == stat.inode && !claimed_.contains(base->position)) {
        source.kind = Origin::Kind::here;
        source.blocks = base->blocks;
        source.target_inode = base->target_inode;
        source.identity = base->identity;
        const bool trusted = base->kind == CatalogKind::partial && !base->again;
        source.trusted_bytes = trusted && base->identity == identity_of(stat) ? base->offset : 0;
    } else {
        const PlanNode* plan = planned(name);
        const bool is_new = plan != nullptr && plan->is_new && stat.links < 2;
        std::optional<Source> moved;
        if (!is_new) {
            ZF_TRY(moved, find_moved(name, stat.inode, false));
        }
        if (moved) source = *moved;
    }
    if (block_count(stat.size, source.blocks.block_log) > 2 * kBlocksPerFileMax) return Source{};
    return source;
}

void TreeWalk::claim(const Source& source) {
    if (source.kind == Origin::Kind::stash) stashed_.erase(source.identity.inode);
    if (source.kind != Origin::Kind::path) return;
    claimed_[source.position] = number_;
    if (source.is_directory) gone_.insert(source.position);
}

Origin TreeWalk::origin_of(const Source& source) {
    return {source.kind, {source.path.begin(), source.path.end()}, source.stash};
}

}  // namespace zoneferry
