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
TreeWalk::TreeWalk(UniqueFd root, WalkOptions options, CatalogCursor base, CatalogWriter& catalog, WalkCounts& counts,
                   Emit emit)
    : options_(std::move(options)), base_(std::move(base)), catalog_(catalog), counts_(counts), emit_(std::move(emit)) {
    levels_.push_back({std::move(root), {}, true});
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
    ZF_TRY_STATUS(walk_directory(stat, has_base, false));
    catalog_.add({CatalogKind::complete});
    ZF_TRY_STATUS(put(EndRecord{records_}));
    return seal();
}

Status TreeWalk::walk_directory(const EntryStat& stat, bool has_base, bool fresh) {
    const std::int64_t read_at_ns = file_clock_ns();
    if (fresh) {
        Level& level = levels_.back();
        const std::string name = level.name;
        UniqueFd fd = std::move(level.fd);
        levels_.pop_back();
        ZF_TRY_STATUS(enter_all());
        ZF_TRY_STATUS(put(EnterRecord{true, name}));
        levels_.push_back({std::move(fd), name, true});
    }
    catalog_.add({CatalogKind::directory, levels_.back().name, {}, fresh ? number_ : kNotSent});
    ZF_TRY_STATUS(walk_children(has_base));
    return end_directory(stat, has_base, read_at_ns);
}

Status TreeWalk::walk_children(bool has_base) {
    auto names = list_directory_fd(levels_.back().fd.get());
    if (!names) return naming(std::move(names).error(), "");
    for (const std::string& name : *names) {
        if (levels_.size() == 1 &&
            std::find(options_.excluded.begin(), options_.excluded.end(), name) != options_.excluded.end()) {
            continue;
        }
        ZF_TRY_STATUS(visit(name, has_base));
        ZF_TRY_STATUS(catalog_.flush_if_large());
    }
    while (true) {
        ZF_TRY(const CatalogEntry* base, base_entry(has_base));
        if (base == nullptr) return {};
        ZF_TRY_STATUS(remove(base->name, base));
    }
}

// The base's next entry in this directory, or null behind its last.
Result<const CatalogEntry*> TreeWalk::base_entry(bool has_base) {
    const CatalogEntry* none = nullptr;
    if (!has_base) return none;
    ZF_TRY(const CatalogEntry* base, base_.peek());
    if (base->kind == CatalogKind::complete) return Error(Errc::corrupt, "the catalog of the last pass ends early");
    return base->kind == CatalogKind::directory_end ? none : base;
}

Status TreeWalk::end_directory(const EntryStat& stat, bool has_base, std::int64_t read_at_ns) {
    const bool is_root = levels_.size() == 1;
    bool unchanged = false;
    if (has_base) {
        ZF_TRY(const CatalogEntry* base, base_.peek());
        unchanged = !base->again && base->identity == identity_of(stat);
        base_.take();
    }
    Level& level = levels_.back();
    CatalogEntry entry{CatalogKind::directory_end, {}, identity_of(stat)};
    if (!unchanged || (level.entered && !is_root) || (is_root && records_ > 1)) {
        ZF_TRY_STATUS(enter_all());
        auto xattrs = read_xattrs(level.fd.get());
        if (!xattrs) return naming(std::move(xattrs).error(), "");
        ZF_TRY(const EntryStat after, stat_entry(level.fd.get(), ""));
        const bool changed = identity_of(after) != entry.identity;
        if (changed && !options_.tolerate_changes) {
            return naming(Error(Errc::conflict, "the directory changed while it was read"), "");
        }
        ZF_TRY_STATUS(put(LeaveRecord{make_metadata(stat, *xattrs)}));
        entry.segment = number_;
        entry.again = changed || is_racy(stat, read_at_ns);
        if (changed) ++counts_.changed_while_read;
        ++counts_.entries_sent;
    }
    ++counts_.entries;
    catalog_.add(entry);
    return {};
}

Status TreeWalk::visit(const std::string& name, bool has_base) {
    const CatalogEntry* base = nullptr;
    while (true) {
        ZF_TRY(base, base_entry(has_base));
        if (base == nullptr || base->name >= name) break;
        ZF_TRY_STATUS(remove(base->name, base));
    }
    if (base != nullptr && base->name != name) base = nullptr;
    auto stat = stat_entry(levels_.back().fd.get(), name);
    if (!stat) {
        if (is_gone(stat.error())) return vanished(name, base);
        return naming(std::move(stat).error(), name);
    }
    if (stat->is_mount_point) {
        return naming(Error(Errc::conflict, "something is mounted here; a tree is sent from one file system")
                          .remedy("unmount it, or configure it as an fs of the zone"),
                      name);
    }
    if (S_ISDIR(stat->mode)) return visit_directory(name, base);
    return visit_leaf(name, *stat, base);
}

Status TreeWalk::visit_directory(const std::string& name, const CatalogEntry* base) {
    if (levels_.size() > kDepthMax) return naming(Error(Errc::unsupported, "the directory lies too deep"), name);
    auto fd = open_to_read(levels_.back().fd.get(), name, O_DIRECTORY);
    if (!fd) {
        if (is_gone(fd.error())) return vanished(name, base);
        return naming(std::move(fd).error(), name);
    }
    auto stat = stat_entry(fd->get(), "");
    if (!stat) return naming(std::move(stat).error(), name);
    const bool has_base = base != nullptr && base->kind == CatalogKind::directory;
    if (has_base) base_.take();
    if (!has_base && base != nullptr) ZF_TRY_STATUS(base_.skip());
    levels_.push_back({*std::move(fd), name, false});
    ZF_TRY_STATUS(walk_directory(*stat, has_base, !has_base));
    levels_.pop_back();
    return {};
}

bool TreeWalk::is_unchanged(const EntryStat& stat, const CatalogEntry* base) const {
    if (base == nullptr || base->kind != CatalogKind::leaf || base->again) return false;
    if (base->identity != identity_of(stat)) return false;
    // All names of an inode must be the same one there: after the rename of a directory, one of them may have been
    // sent anew while nothing about the others shows a change.
    const auto first = first_names_.find(stat.inode);
    return stat.links < 2 || first == first_names_.end() || first->second.target_inode == base->target_inode;
}

Status TreeWalk::visit_leaf(const std::string& name, const EntryStat& stat, const CatalogEntry* base) {
    if (!is_unchanged(stat, base)) return send_leaf(name, stat, base);
    note_first_name(name, stat, base->target_inode);
    CatalogEntry entry = *base;
    base_.take();
    entry.segment = kNotSent;
    note_leaf(std::move(entry), stat);
    return {};
}

Status TreeWalk::send_leaf(const std::string& name, const EntryStat& stat, const CatalogEntry* base) {
    const std::int64_t read_at_ns = file_clock_ns();
    if (const FirstName* first = find_first_name(stat)) {
        if (base != nullptr) ZF_TRY_STATUS(base_.skip());
        ZF_TRY_STATUS(enter_all());
        ZF_TRY_STATUS(put(LinkRecord{{first->path.begin(), first->path.end()}, name}));
        note_sent(name, stat, first->target_inode, is_racy(stat, read_at_ns));
        return {};
    }
    if (S_ISREG(stat.mode)) return send_file(name, base);
    if (base != nullptr) ZF_TRY_STATUS(base_.skip());
    ZF_TRY_STATUS(enter_all());
    Status sent = S_ISLNK(stat.mode) ? send_symlink(name, stat) : send_special(name, stat);
    if (!sent) {
        if (!is_gone(sent.error())) return naming(std::move(sent).error(), name);
        if (!options_.tolerate_changes) return naming(Error(Errc::conflict, "it vanished while it was read"), name);
        // The target may or may not have it from before: said in the catalog, so that it is removed or sent again.
        ++counts_.vanished;
        catalog_.add({CatalogKind::leaf, name, {}, kNotSent, 0, 0, true});
        return {};
    }
    note_sent(name, stat, note_first_name(name, stat, 0), is_racy(stat, read_at_ns));
    return {};
}

Status TreeWalk::send_symlink(const std::string& name, const EntryStat& stat) {
    const int directory = levels_.back().fd.get();
    std::array<char, kLinkTargetBytesMax + 1> target{};
    const ssize_t got = ::readlinkat(directory, name.c_str(), target.data(), target.size());
    if (got < 0) return system_error("read the link", errno == EINVAL ? ENOENT : errno);
    ZF_TRY(const OwnedXattrs xattrs, read_xattrs_at(directory, name));
    return put(SymlinkRecord{make_metadata(stat, xattrs), {target.data(), static_cast<std::size_t>(got)}, name});
}

Status TreeWalk::send_special(const std::string& name, const EntryStat& stat) {
    const bool device = S_ISCHR(stat.mode) || S_ISBLK(stat.mode);
    if (device && !may_travel(options_.devices, stat.mode, stat.device_major, stat.device_minor)) {
        return Error(Errc::unsupported, "a device " + std::to_string(stat.device_major) + ":" +
                                            std::to_string(stat.device_minor) + " may not travel")
            .remedy("remove it from the zone; device resources are configured on the target");
    }
    ZF_TRY(const OwnedXattrs xattrs, read_xattrs_at(levels_.back().fd.get(), name));
    return put(SpecialRecord{stat.mode & S_IFMT, device ? stat.device_major : 0, device ? stat.device_minor : 0,
                             make_metadata(stat, xattrs), name});
}

Status TreeWalk::vanished(const std::string& name, const CatalogEntry* base) {
    if (!options_.tolerate_changes) return naming(Error(Errc::conflict, "it vanished while the tree was read"), name);
    ++counts_.vanished;
    return base == nullptr ? Status() : remove(name, base);
}

Status TreeWalk::remove(const std::string& name, const CatalogEntry* base) {
    ZF_TRY_STATUS(enter_all());
    const std::string gone = name;  // name may belong to the base entry that is skipped now
    if (base != nullptr) ZF_TRY_STATUS(base_.skip());
    ZF_TRY_STATUS(put(RemoveRecord{gone}));
    catalog_.add({CatalogKind::removed, gone, {}, number_});
    ++counts_.removed;
    return {};
}

void TreeWalk::note_sent(const std::string& name, const EntryStat& stat, std::uint64_t target_inode, bool again) {
    note_leaf({CatalogKind::leaf, name, identity_of(stat), number_, 0, target_inode, again}, stat);
    ++counts_.entries_sent;
}

void TreeWalk::note_leaf(CatalogEntry entry, const EntryStat& stat) {
    catalog_.add(entry);
    ++counts_.entries;
    if (S_ISREG(stat.mode)) counts_.bytes += stat.size;
}

TreeWalk::FirstName* TreeWalk::find_first_name(const EntryStat& stat) {
    if (stat.links < 2) return nullptr;
    const auto found = first_names_.find(stat.inode);
    return found == first_names_.end() ? nullptr : &found->second;
}

// The target's inode, by a number of ours: a new one (0 given) for what is made anew. 0 for what has one name.
std::uint64_t TreeWalk::note_first_name(const std::string& name, const EntryStat& stat, std::uint64_t target_inode) {
    if (stat.links < 2) return 0;
    const auto [first, is_new] = first_names_.try_emplace(stat.inode);
    if (is_new) {
        for (std::size_t i = 1; i < levels_.size(); ++i) first->second.path.push_back(levels_[i].name);
        first->second.path.push_back(name);
        first->second.target_inode =
            target_inode != 0 ? target_inode : load_little_endian<std::uint64_t>(random_bytes(8));
    }
    return first->second.target_inode;
}

// Brings the stream into the present directory.
Status TreeWalk::enter_all() {
    for (Level& level : levels_) {
        if (level.entered) continue;
        ZF_TRY_STATUS(put(EnterRecord{false, level.name}));
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
    if (open_file_) {
        catalog_.add({CatalogKind::partial, open_file_->name, open_file_->identity, number_, open_file_->position, 0,
                      open_file_->racy});
    }
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
