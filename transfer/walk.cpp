#include "transfer/walk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "transfer/reading.h"
#include "transfer/segment.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kLookEvery = 32;  // names

}  // namespace

TreeWalk::TreeWalk(UniqueFd root, WalkOptions options, CatalogCursor base, BlockStore& blocks, CatalogWriter& catalog,
                   WalkCounts& counts, Emit emit)
    : options_(std::move(options)),
      base_(std::move(base)),
      blocks_(blocks),
      catalog_(catalog),
      counts_(counts),
      emit_(std::move(emit)) {
    options_.excluded.emplace_back(kStashDirectory);
    for (const std::string& path : options_.excluded) {
        const auto slashes = static_cast<std::size_t>(std::count(path.begin(), path.end(), '/'));
        excluded_depth_ = std::max(excluded_depth_, slashes + 1);
    }
    levels_.push_back({std::move(root), {}, true, options_.plan.get(), options_.plan != nullptr, {}});
    if (options_.plan != nullptr) return;
    if (options_.stat_threads != 0 && !options_.clear)
        stat_ahead_.emplace(options_.stat_threads, options_.begin_thread);
    if (options_.readers == 0) return;
    ahead_.emplace(levels_.back().fd.get(),
                   ReadAheadOptions{options_.readers, options_.clear, options_.excluded, options_.begin_thread});
}

Error TreeWalk::naming(Error error, std::string_view name) const {
    std::string path;
    for (const Level& level : levels_) {
        if (!level.name.empty()) path += level.name + "/";
    }
    path += name;
    return Error(std::move(error).during("reading " + printable(path.empty() ? "." : path)));
}

Status TreeWalk::run() {
    begin_segment();
    ZF_TRY_STATUS(put(BeginRecord{kStreamVersion, options_.clear}));
    ZF_TRY(const EntryStat stat, stat_entry(levels_.back().fd.get(), ""));
    ZF_TRY(const CatalogEntry* base, base_.peek());
    const bool has_base = base->kind == CatalogKind::directory;
    if (has_base) base_.take();
    const Source here{.kind = Origin::Kind::here};
    ZF_TRY_STATUS(walk_directory(stat, has_base, &here));
    catalog_.add({});
    ZF_TRY_STATUS(put(EndRecord{records_}));
    return seal();
}

// from: what the target has of it; null: nothing.
Status TreeWalk::walk_directory(const EntryStat& stat, bool has_base, const Source* from) {
    const std::int64_t read_at_ns = file_clock_ns();
    CatalogEntry begin;
    begin.kind = CatalogKind::directory;
    begin.name = levels_.back().name;
    begin.identity.inode = stat.inode;
    const bool is_here = from != nullptr && from->kind == Origin::Kind::here;
    if (!is_here) {
        Level& level = levels_.back();
        Level entered{std::move(level.fd), begin.name, true, level.plan, level.sparse, {}};
        levels_.pop_back();
        ZF_TRY_STATUS(enter_all());
        ZF_TRY_STATUS(put(EnterRecord{from == nullptr ? Origin{} : origin_of(*from), begin.name}));
        levels_.push_back(std::move(entered));
        begin.segment = number_;
        begin.moved = from != nullptr;
        if (begin.moved) {
            for (const std::string& component : from->path) begin.from += (begin.from.empty() ? "" : "/") + component;
            claim(*from);
            ++counts_.moved;
        }
    }
    begin.sparse = levels_.back().sparse;
    catalog_.add(begin);
    ZF_TRY_STATUS(begin.sparse ? walk_announced() : walk_children(has_base));
    return end_directory(stat, has_base, begin.moved, read_at_ns);
}

Status TreeWalk::walk_children(bool has_base) {
    const int fd = levels_.back().fd.get();
    const std::size_t depth = levels_.size();
    AheadListing listing = std::move(levels_.back().seen);
    if (listing.inode == 0) {
        auto names = list_directory_fd(fd);
        if (!names) return naming(std::move(names).error(), "");
        listing.names = *std::move(names);
        if (depth <= excluded_depth_)
            std::erase_if(listing.names, [this](const auto& name) { return is_excluded(name); });
    }
    std::optional<DirectoryAhead> ahead;
    const bool looks_into = depth + 1 > excluded_depth_ && depth <= kLookIntoDepthMax;
    if (stat_ahead_ && has_base) ahead.emplace(*stat_ahead_, fd, std::move(listing), looks_into);
    const std::vector<std::string>& names = ahead ? ahead->names() : listing.names;
    for (std::size_t index = 0; index < names.size(); ++index) {
        if (ahead_ && ++names_ % kLookEvery == 0) look_ahead(names[index]);
        ZF_TRY_STATUS(visit(names[index], has_base, {ahead ? &*ahead : nullptr, index}));
        ZF_TRY_STATUS(catalog_.flush_if_large());
    }
    while (true) {
        ZF_TRY(const CatalogEntry* base, base_entry(has_base));
        if (base == nullptr) return {};
        ZF_TRY_STATUS(remove(base->name, base));
    }
}

void TreeWalk::look_ahead(const std::string& name) {
    const auto path = [this, &name] {
        TreePath here;
        for (std::size_t i = 1; i < levels_.size(); ++i) here.push_back(levels_[i].name);
        here.push_back(name);
        return here;
    };
    ahead_->walk_is_at(path, counts_.entries, counts_.bytes, blocks_read_by_thread());
}

bool TreeWalk::is_excluded(const std::string& name) const {
    const auto holds = [this](const std::string& path) {
        return std::find(options_.excluded.begin(), options_.excluded.end(), path) != options_.excluded.end();
    };
    if (levels_.size() == 1) return holds(name);
    if (levels_.size() > excluded_depth_) return false;
    std::string path;
    for (std::size_t i = 1; i < levels_.size(); ++i) path += levels_[i].name + "/";
    return holds(path + name);
}

// The base's next entry in this directory, or null behind its last.
Result<const CatalogEntry*> TreeWalk::base_entry(bool has_base) {
    const CatalogEntry* none = nullptr;
    if (!has_base) return none;
    ZF_TRY(const CatalogEntry* base, base_.peek());
    if (base->kind == CatalogKind::complete) return Error(Errc::corrupt, "the catalog of the last pass ends early");
    return base->kind == CatalogKind::directory_end ? none : base;
}

Status TreeWalk::end_directory(const EntryStat& stat, bool has_base, bool is_moved, std::int64_t read_at_ns) {
    const bool is_root = levels_.size() == 1;
    bool unchanged = levels_.back().sparse && !levels_.back().plan->is_itself;
    if (has_base && !levels_.back().sparse) {
        ZF_TRY(const CatalogEntry* base, base_.peek());
        unchanged = !is_moved && !base->again && base->identity == identity_of(stat);
        base_.take();
    }
    CatalogEntry entry;
    entry.kind = CatalogKind::directory_end;
    entry.identity = identity_of(stat);
    if (!unchanged || (levels_.back().entered && !is_root) || (is_root && records_ > 1)) {
        ZF_TRY_STATUS(enter_all());
        if (auto left = leave_directory(entry, stat, read_at_ns); !left) return naming(std::move(left).error(), "");
    }
    ++counts_.entries;
    catalog_.add(entry);
    return {};
}

Status TreeWalk::leave_directory(CatalogEntry& entry, const EntryStat& stat, std::int64_t read_at_ns) {
    const int fd = levels_.back().fd.get();
    ZF_TRY(const OwnedXattrs xattrs, read_xattrs(fd, &left_out_));
    note_left_out("");
    ZF_TRY(const FileAttributes attributes, read_file_attributes(fd));
    ZF_TRY(const EntryStat after, stat_entry(fd, ""));
    const bool changed = identity_of(after) != entry.identity;
    if (changed && !options_.tolerate_changes) {
        return Error(Errc::conflict, "the directory changed while it was read");
    }
    ZF_TRY_STATUS(put(LeaveRecord{make_metadata(stat, xattrs, attributes)}));
    entry.segment = number_;
    entry.again = changed || is_racy(stat, read_at_ns);
    if (changed) ++counts_.changed_while_read;
    ++counts_.entries_sent;
    return {};
}

Status TreeWalk::visit(const std::string& name, bool has_base, const Seen& seen) {
    const CatalogEntry* base = nullptr;
    while (true) {
        ZF_TRY(base, base_entry(has_base));
        if (base == nullptr || base->name >= name) break;
        ZF_TRY_STATUS(remove(base->name, base));
    }
    if (base != nullptr && base->name != name) base = nullptr;
    const EntryStat* before = seen.ahead == nullptr ? nullptr : seen.ahead->stat(seen.index);
    const bool is_seen = before != nullptr && !before->is_mount_point;
    if (is_seen && is_unchanged(*before, base)) return visit_leaf(name, *before, base);
    auto stat = stat_entry(levels_.back().fd.get(), name);
    if (!stat) {
        if (!is_gone(stat.error())) return naming(std::move(stat).error(), name);
        if (planned(name) == nullptr) return vanished(name, base);
        return base == nullptr ? Status() : remove(name, base);
    }
    if (stat->is_mount_point) {
        return naming(Error(Errc::conflict, "something is mounted here; a tree is sent from one file system")
                          .remedy("unmount it, or configure it as an fs of the zone"),
                      name);
    }
    if (S_ISDIR(stat->mode)) return visit_directory(name, base, seen);
    return visit_leaf(name, *stat, base);
}

Status TreeWalk::visit_directory(const std::string& name, const CatalogEntry* base, const Seen& seen) {
    if (levels_.size() > kDepthMax) return naming(Error(Errc::unsupported, "the directory lies too deep"), name);
    auto fd = open_to_read(levels_.back().fd.get(), name, O_DIRECTORY);
    if (!fd) {
        if (is_gone(fd.error())) return vanished(name, base);
        return naming(std::move(fd).error(), name);
    }
    auto stat = stat_entry(fd->get(), "");
    if (!stat) return naming(std::move(stat).error(), name);
    const bool is_here = base != nullptr && base->kind == CatalogKind::directory &&
                         base->identity.inode == stat->inode && !claimed_.contains(base->position);
    if (!is_here) return visit_other_directory(name, *stat, *std::move(fd), base);
    base_.take();
    const PlanNode* plan = planned(name);
    const bool sparse = levels_.back().sparse && !plan->is_deep;
    AheadListing listing = seen.ahead == nullptr ? AheadListing() : seen.ahead->listing(seen.index);
    if (listing.inode != stat->inode) listing = {};
    levels_.push_back({*std::move(fd), name, false, plan, sparse, std::move(listing)});
    const Source here{.kind = Origin::Kind::here};
    ZF_TRY_STATUS(walk_directory(*stat, true, &here));
    levels_.pop_back();
    return {};
}

// The target has none under this name: perhaps in another place.
Status TreeWalk::visit_other_directory(const std::string& name, const EntryStat& stat, UniqueFd fd,
                                       const CatalogEntry* base) {
    ZF_TRY_STATUS(free_name(name, base));
    const PlanNode* plan = planned(name);
    std::optional<Source> from;
    if (plan == nullptr || !plan->is_new) {
        ZF_TRY(from, find_moved(name, stat.inode, true));
    }
    CatalogCursor base_here = std::move(base_);
    if (from) {
        ZF_TRY(CatalogReader reader, CatalogReader::open_at(options_.base_path, from->position));
        base_ = CatalogCursor(std::move(reader));
        ZF_TRY([[maybe_unused]] const CatalogEntry* begin, base_.peek());
        base_.take();
    } else {
        base_ = CatalogCursor();
    }
    levels_.push_back({std::move(fd), name, false, plan, false, {}});
    Status done = walk_directory(stat, from.has_value(), from ? &*from : nullptr);
    levels_.pop_back();
    base_ = std::move(base_here);
    return done;
}

bool TreeWalk::is_unchanged(const EntryStat& stat, const CatalogEntry* base) const {
    if (base == nullptr || base->kind != CatalogKind::leaf || base->again) return false;
    if (claimed_.contains(base->position)) return false;
    if (base->identity != identity_of(stat)) return false;
    // All names of an inode must be the same one there: after the rename of a directory, one of them may have been
    // sent anew while nothing about the others shows a change.
    const auto first = first_names_.find(stat.inode);
    return stat.links < 2 || first == first_names_.end() || first->second.target_inode == base->target_inode;
}

Status TreeWalk::visit_leaf(const std::string& name, const EntryStat& stat, const CatalogEntry* base) {
    if (!is_unchanged(stat, base)) return send_leaf(name, stat, base);
    note_first_name(name, stat, base->blocks, base->target_inode);
    base_.present().segment = kNotSent;
    note_leaf(base_.present(), stat);
    base_.take();
    return {};
}

Status TreeWalk::send_leaf(const std::string& name, const EntryStat& stat, const CatalogEntry* base) {
    const std::int64_t read_at_ns = file_clock_ns();
    CatalogEntry entry;
    entry.kind = CatalogKind::leaf;
    entry.name = name;
    entry.identity = identity_of(stat);
    entry.again = is_racy(stat, read_at_ns);
    if (const FirstName* first = find_first_name(stat)) {
        ZF_TRY_STATUS(free_name(name, base));
        ZF_TRY_STATUS(enter_all());
        ZF_TRY_STATUS(put(LinkRecord{{first->path.begin(), first->path.end()}, name}));
        // What the first name was sent with may be older than what is seen now.
        entry.again = entry.again || first->identity != entry.identity;
        entry.target_inode = first->target_inode;
        entry.blocks = first->blocks;
        note_sent(std::move(entry), stat);
        forget_if_complete(stat);
        return {};
    }
    if (S_ISREG(stat.mode)) return send_file(name, base);
    ZF_TRY_STATUS(free_name(name, base));
    ZF_TRY_STATUS(enter_all());
    Status sent = S_ISLNK(stat.mode) ? send_symlink(name, stat) : send_special(name, stat);
    if (!sent) {
        if (!is_gone(sent.error())) return naming(std::move(sent).error(), name);
        if (!options_.tolerate_changes) return naming(Error(Errc::conflict, "it vanished while it was read"), name);
        // The target may or may not have it from before: said in the catalog, so that it is removed or sent again.
        ++counts_.vanished;
        entry.identity = {};
        entry.again = true;
        catalog_.add(entry);
        return {};
    }
    entry.target_inode = note_first_name(name, stat, {}, 0);
    note_sent(std::move(entry), stat);
    return {};
}

Status TreeWalk::send_symlink(const std::string& name, const EntryStat& stat) {
    const int directory = levels_.back().fd.get();
    std::array<char, kLinkTargetBytesMax + 1> target{};
    const ssize_t got = ::readlinkat(directory, name.c_str(), target.data(), target.size());
    if (got < 0) return system_error("read the link", errno == EINVAL ? ENOENT : errno);
    ZF_TRY(const OwnedXattrs xattrs, read_xattrs_at(directory, name, &left_out_));
    note_left_out(name);
    return put(SymlinkRecord{make_metadata(stat, xattrs), {target.data(), static_cast<std::size_t>(got)}, name});
}

Status TreeWalk::send_special(const std::string& name, const EntryStat& stat) {
    const bool device = S_ISCHR(stat.mode) || S_ISBLK(stat.mode);
    if (device && !may_travel(options_.devices, stat.mode, stat.device_major, stat.device_minor)) {
        return Error(Errc::unsupported, "a device " + std::to_string(stat.device_major) + ":" +
                                            std::to_string(stat.device_minor) + " may not travel")
            .remedy("remove it from the zone; device resources are configured on the target");
    }
    ZF_TRY(const OwnedXattrs xattrs, read_xattrs_at(levels_.back().fd.get(), name, &left_out_));
    note_left_out(name);
    return put(SpecialRecord{stat.mode & S_IFMT, device ? stat.device_major : 0, device ? stat.device_minor : 0,
                             make_metadata(stat, xattrs), name});
}

Status TreeWalk::vanished(const std::string& name, const CatalogEntry* base) {
    if (!options_.tolerate_changes) return naming(Error(Errc::conflict, "it vanished while the tree was read"), name);
    ++counts_.vanished;
    return base == nullptr ? Status() : remove(name, base);
}

Status TreeWalk::remove(const std::string& name, const CatalogEntry* base) {
    CatalogEntry gone;
    gone.kind = CatalogKind::removed;
    gone.name = name;  // which may belong to the base entry that is skipped now
    const auto claimed = base == nullptr ? claimed_.end() : claimed_.find(base->position);
    if (claimed != claimed_.end() && base->kind == CatalogKind::directory) {
        gone.segment = claimed->second;
        ZF_TRY_STATUS(base_.skip());
    } else if (base != nullptr && can_put_aside(*base)) {
        ZF_TRY_STATUS(put_aside(gone.name, *base));
        gone.segment = number_;
        ++counts_.removed;
    } else {
        ZF_TRY_STATUS(enter_all());
        if (base != nullptr) ZF_TRY_STATUS(base_.skip());
        ZF_TRY_STATUS(put(RemoveRecord{gone.name}));
        gone.segment = number_;
        ++counts_.removed;
    }
    catalog_.add(gone);
    return {};
}

void TreeWalk::note_sent(CatalogEntry entry, const EntryStat& stat) {
    entry.segment = number_;
    note_leaf(entry, stat);
    ++counts_.entries_sent;
}

void TreeWalk::note_leaf(const CatalogEntry& entry, const EntryStat& stat) {
    catalog_.add(entry);
    ++counts_.entries;
    if (S_ISREG(stat.mode)) counts_.bytes += stat.size;
}

TreeWalk::FirstName* TreeWalk::find_first_name(const EntryStat& stat) {
    if (stat.links < 2) return nullptr;
    const auto found = first_names_.find(stat.inode);
    if (found == first_names_.end()) return nullptr;
    ++found->second.names;
    return &found->second;
}

// The target's inode, by a number of ours: a new one (0 given) for what is made anew. 0 for what has one name.
std::uint64_t TreeWalk::note_first_name(const std::string& name, const EntryStat& stat, const BlockRef& blocks,
                                        std::uint64_t target_inode) {
    if (stat.links < 2) return 0;
    const auto [first, is_new] = first_names_.try_emplace(stat.inode);
    ++first->second.names;
    if (is_new) {
        first->second.links = stat.links;
        for (std::size_t i = 1; i < levels_.size(); ++i) first->second.path.push_back(levels_[i].name);
        first->second.path.push_back(name);
        first->second.identity = identity_of(stat);
        first->second.blocks = blocks;
        first->second.target_inode =
            target_inode != 0 ? target_inode : load_little_endian<std::uint64_t>(random_bytes(8));
        if (first_names_.size() > counts_.open_links_max) counts_.open_links_max = first_names_.size();
    }
    const std::uint64_t noted = first->second.target_inode;
    forget_if_complete(stat);
    return noted;
}

// Once all names of an inode were met, no other needs the first: only those are held whose names lie far apart, or
// outside the tree. (Should one appear meanwhile, its inode's ctime has changed, and the next pass puts it right.)
void TreeWalk::forget_if_complete(const EntryStat& stat) {
    const auto first = first_names_.find(stat.inode);
    if (first == first_names_.end()) return;
    first->second.links = std::max<std::uint64_t>(first->second.links, stat.links);
    if (first->second.names >= first->second.links) first_names_.erase(first);
}

// Extended attributes that do not travel are the host's; that they were there is said.
void TreeWalk::note_left_out(std::string_view name) {
    if (left_out_.empty()) return;
    if (left_out_count_++ == 0) {
        for (const Level& level : levels_) left_out_first_ += level.name.empty() ? "" : level.name + "/";
        left_out_first_ = left_out_ + " of " + printable(left_out_first_ + std::string(name));
    }
    left_out_.clear();
}

std::vector<std::string> TreeWalk::notes() const {
    if (left_out_count_ == 0) return {};
    return {"extended attributes that belong to the host stay behind, " + std::to_string(left_out_count_) +
            " times in this pass; first: " + left_out_first_};
}

// Brings the stream into the present directory.
Status TreeWalk::enter_all() {
    for (Level& level : levels_) {
        if (level.entered) continue;
        ZF_TRY_STATUS(put(EnterRecord{Origin{Origin::Kind::here, {}, 0}, level.name}));
        level.entered = true;
    }
    return {};
}

Status TreeWalk::put(const Record& record) {
    ZF_TRY_STATUS(make_room());
    append_record(raw_, record);
    ++records_;
    return {};
}

// A full segment is closed only here, before the next record: by then the catalog tells of all that is in it.
Status TreeWalk::make_room() { return raw_.size() >= segment_bytes_ ? seal() : Status(); }

Status TreeWalk::seal() {
    if (open_file_ && large_ != nullptr) ZF_TRY_STATUS(note_partial());
    ZF_TRY_STATUS(catalog_.flush());
    ByteVector full = std::move(raw_);
    if (!emit_(number_, std::move(full))) return Error(Errc::cancelled, "the transfer was asked to stop");
    ++number_;
    begin_segment();
    return {};
}

void TreeWalk::begin_segment() {
    segment_bytes_ = options_.segment_bytes();
    raw_ = {};
    raw_.reserve(segment_bytes_ + kRecordBodyMax);
}

}  // namespace zoneferry
