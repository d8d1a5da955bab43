#include "transfer/tree_digest.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <unordered_set>

#include "core/base/files.h"
#include "core/base/text.h"
#include "transfer/attributes.h"
#include "transfer/content_hash.h"
#include "transfer/entry_facts.h"
#include "transfer/reading.h"
#include "transfer/resume.h"

namespace zoneferry {
namespace {

// The plain walk that both functions share: sorted, by held descriptors, on one file system.
class Visitor {
public:
    virtual ~Visitor() = default;
    virtual Status entry(int directory, const std::string& name, const EntryStat& stat) = 0;
    // Around a directory's content; before entry() is called for what is in it. The root has no name.
    virtual Status enter(const std::string& name, const EntryStat& stat) = 0;
    virtual Status leave(int directory, const EntryStat& stat) = 0;
};

Error naming(Error error, const std::string& path) {
    return Error(std::move(error).during("reading " + printable(path.empty() ? "." : path)));
}

Status walk(int directory, const std::string& path, std::size_t depth, const DigestOptions& options, Visitor& visitor) {
    ZF_TRY(const EntryStat own, stat_entry(directory, ""));
    ZF_TRY_STATUS(visitor.enter(path.substr(path.rfind('/') + 1), own));
    auto names = list_directory_fd(directory);
    if (!names) return naming(std::move(names).error(), path);
    const bool may_hold_excluded = std::any_of(options.excluded.begin(), options.excluded.end(),
                                               [&](const std::string& excluded) { return excluded.starts_with(path); });
    const auto is_excluded = [&](const std::string& below) {
        return may_hold_excluded &&
               std::find(options.excluded.begin(), options.excluded.end(), below) != options.excluded.end();
    };
    const auto may_be_left_out = [&options](const Error& error) {
        return options.tolerate_changes && (is_gone(error) || error.code() == Errc::conflict);
    };
    for (const std::string& name : *names) {
        if (options.stop.stop_requested()) return Error(Errc::cancelled, "reading the tree was asked to stop");
        const std::string below = path.empty() ? name : path + "/" + name;
        if (is_excluded(below)) continue;
        auto stat = stat_entry(directory, name);
        if (!stat && may_be_left_out(stat.error())) continue;
        if (!stat) return naming(std::move(stat).error(), below);
        if (stat->is_mount_point) return naming(Error(Errc::conflict, "something is mounted here"), below);
        if (!S_ISDIR(stat->mode)) {
            auto done = visitor.entry(directory, name, *stat);
            if (!done && !may_be_left_out(done.error())) return naming(std::move(done).error(), below);
            continue;
        }
        if (depth >= kDepthMax) return naming(Error(Errc::unsupported, "the directory lies too deep"), below);
        auto fd = open_to_read(directory, name, O_DIRECTORY);
        if (!fd && may_be_left_out(fd.error())) continue;
        if (!fd) return naming(std::move(fd).error(), below);
        ZF_TRY_STATUS(walk(fd->get(), below, depth + 1, options, visitor));
    }
    if (auto done = visitor.leave(directory, own); !done) return naming(std::move(done).error(), path);
    return {};
}

// What was found the last time, beside the walk.
class KnownDigests {
public:
    static KnownDigests open(const std::string& path, const std::string& boot) {
        KnownDigests known;
        auto reader = CatalogReader::open(path);
        if (!reader || !reader->pass_id().starts_with(boot) || !is_sound_catalog(path)) return known;
        known.cursor_ = CatalogCursor(*std::move(reader));
        return known;
    }
    Status enter(const std::string& name) {
        ZF_TRY(const CatalogEntry* entry, find(name));
        const bool known = entry != nullptr && entry->kind == CatalogKind::directory;
        if (known) cursor_.take();
        inside_.push_back(known);
        return {};
    }
    Status leave() {
        while (inside_.back()) {
            ZF_TRY(const CatalogEntry* entry, cursor_.peek());
            if (entry->kind == CatalogKind::directory_end) break;
            ZF_TRY_STATUS(cursor_.skip());
        }
        if (inside_.back()) cursor_.take();
        inside_.pop_back();
        return {};
    }
    Result<std::optional<Digest>> digest(const std::string& name, const Identity& identity) {
        ZF_TRY(const CatalogEntry* entry, find(name));
        if (entry == nullptr || entry->kind != CatalogKind::leaf || entry->identity != identity) {
            return std::optional<Digest>();
        }
        return entry->again ? std::optional<Digest>() : entry->digest;
    }

private:
    Result<const CatalogEntry*> find(const std::string& name) {
        const CatalogEntry* none = nullptr;
        if (!inside_.empty() && !inside_.back()) return none;
        while (true) {
            ZF_TRY(const CatalogEntry* entry, cursor_.peek());
            if (entry->kind == CatalogKind::directory_end || entry->kind == CatalogKind::complete) return none;
            if (entry->name >= name) return entry->name == name ? entry : none;
            ZF_TRY_STATUS(cursor_.skip());
        }
    }
    CatalogCursor cursor_;
    std::vector<bool> inside_;
};

// Told of every entry in its order: writes the file of digests, and what else is kept of them.
class DigestNotes {
public:
    DigestNotes(std::optional<CatalogWriter> file, DigestTrail* trail) : file_(std::move(file)), trail_(trail) {
        if (!file_ || trail_ == nullptr) return;
        file_->set_watch([this](const CatalogEntry& entry, const CatalogPosition& position) {
            trail_->places.note(entry, position);
        });
    }
    DigestNotes(const DigestNotes&) = delete;
    DigestNotes& operator=(const DigestNotes&) = delete;

    Status note(CatalogEntry entry, const std::optional<Digest>& digest) {
        entry.digest = digest;
        if (entry.kind != CatalogKind::directory) ++entries_;
        if (entry.kind == CatalogKind::leaf && S_ISREG(entry.identity.mode)) bytes_ += entry.identity.size;
        if (trail_ != nullptr) add_to_sum(entry);
        entry.from.clear();
        if (!file_) return {};
        file_->add(entry);
        return file_->flush_if_large();
    }
    Status finish() {
        if (!file_) return {};
        file_->add({});
        return file_->flush();
    }
    // Of what was read to its end: what vanished or changed meanwhile is none of it.
    std::uint64_t entries() const { return entries_; }
    std::uint64_t bytes() const { return bytes_; }

private:
    void add_to_sum(const CatalogEntry& entry) {
        if (entry.kind == CatalogKind::directory) {
            lengths_.push_back(path_.size());
            if (!entry.name.empty()) path_ += (path_.empty() ? "" : "/") + entry.name;
        } else if (entry.kind == CatalogKind::directory_end) {
            trail_->sum.toggle(SumKind::directory, path_, *entry.digest);
            path_.resize(lengths_.back());
            lengths_.pop_back();
        } else {
            const std::string path = path_.empty() ? entry.name : path_ + "/" + entry.name;
            const Digest& digest = entry.digest ? *entry.digest : sha256(as_bytes(entry.from));
            trail_->sum.toggle(entry.digest ? SumKind::entry : SumKind::name, path, digest);
        }
    }

    std::optional<CatalogWriter> file_;
    DigestTrail* trail_;
    std::string path_;  // of the open directory
    std::vector<std::size_t> lengths_;
    std::uint64_t entries_ = 0;
    std::uint64_t bytes_ = 0;
};

class Digester final : public Visitor {
public:
    Digester(ContentHasher& contents, KnownDigests known, const EntryReading& reading)
        : contents_(contents), known_(std::move(known)), reading_(reading) {}

    Status entry(int directory, const std::string& name, const EntryStat& stat) override {
        HashItem item = begin_item('e', name);
        if (stat.links > 1) {
            // Further names of an inode carry the number of its first: groups are the same or the digest is not. A name
            // outside the tree does not count.
            auto [found, is_new] = linked_.try_emplace(stat.inode);
            Linked& linked = found->second;
            linked.links = stat.links;
            ++linked.names;
            if (is_new) {
                linked.first = count_;
                linked.path = path_ + name;
            } else {
                item = begin_item('h', name);
                append_little_endian(item.head, linked.first);
                ++count_;
                item.note.kind = CatalogKind::leaf;
                item.note.identity = identity_of(stat);
                item.note.from = linked.path;
                return contents_.add(std::move(item));
            }
        }
        ++count_;
        item.note.kind = CatalogKind::leaf;
        item.note.identity = identity_of(stat);
        ZF_TRY(item.known, known_.digest(name, item.note.identity));
        if (!item.known) ZF_TRY_STATUS(read_entry(item, directory, name, stat, reading_));
        return contents_.add(std::move(item));
    }
    Status enter(const std::string& name, const EntryStat& stat) override {
        ZF_TRY_STATUS(known_.enter(name));
        lengths_.push_back(path_.size());
        if (!name.empty()) path_ += name + "/";
        HashItem item = begin_item('d', name);
        item.note.kind = CatalogKind::directory;
        item.note.identity.inode = stat.inode;
        return contents_.add(std::move(item));
    }
    Status leave(int directory, const EntryStat& stat) override {
        ZF_TRY_STATUS(known_.leave());
        path_.resize(lengths_.back());
        lengths_.pop_back();
        HashItem item = begin_item('l', "");
        ZF_TRY_STATUS(read_directory(item, directory, stat));
        ++count_;
        return contents_.add(std::move(item));
    }
    void tell(DigestTrail& trail) const {
        for (const auto& [inode, linked] : linked_) {
            trail.linked.emplace(inode, linked.names);
            if (linked.names < linked.links) trail.places.note_doubtful(linked.path, false);
        }
    }

private:
    struct Linked {
        std::uint64_t first = 0;  // number of its first name, in the order of the walk
        std::string path;         // of that
        std::uint64_t links = 0;
        std::uint64_t names = 0;  // met
    };
    ContentHasher& contents_;
    KnownDigests known_;
    EntryReading reading_;
    std::unordered_map<std::uint64_t, Linked> linked_;
    std::string path_;  // of the open directory, with a slash at its end
    std::vector<std::size_t> lengths_;
    std::uint64_t count_ = 0;
};

class Measurer final : public Visitor {
public:
    Status entry(int /*directory*/, const std::string& name, const EntryStat& stat) override {
        ++totals.entries;
        if (S_ISLNK(stat.mode) && stat.size > totals.longest_link_bytes) {
            totals.longest_link_bytes = stat.size;
            totals.longest_link = path_ + name;
        }
        if (stat.links > 1 && !seen_.insert(stat.inode).second) return {};
        totals.allocated_bytes += stat.allocated_bytes;
        if (S_ISREG(stat.mode)) totals.bytes += stat.size;
        return {};
    }
    Status enter(const std::string& name, const EntryStat& /*stat*/) override {
        lengths_.push_back(path_.size());
        if (!name.empty()) path_ += name + "/";
        return {};
    }
    Status leave(int /*directory*/, const EntryStat& stat) override {
        path_.resize(lengths_.back());
        lengths_.pop_back();
        ++totals.entries;
        totals.allocated_bytes += stat.allocated_bytes;
        return {};
    }
    TreeTotals totals;

private:
    std::unordered_set<std::uint64_t> seen_;
    std::string path_;  // of the open directory, with a slash at its end
    std::vector<std::size_t> lengths_;
};

}  // namespace

Result<TreeDigest> digest_tree(UniqueFd tree, const DigestOptions& options, DigestTrail* trail) {
    const std::string fresh_path = options.digests_path + ".new";
    KnownDigests known;
    std::optional<CatalogWriter> fresh;
    if (!options.digests_path.empty()) {
        const std::string id = new_pass_id();
        known = KnownDigests::open(options.digests_path, id.substr(0, id.find('.')));
        ZF_TRY(fresh, CatalogWriter::create(fresh_path, id));
        if (trail != nullptr) trail->places.pass_id = id;
    }
    const bool writes = fresh.has_value();
    DigestNotes notes(std::move(fresh), trail);
    ContentHasher contents(options.threads, options.tolerate_changes,
                           [&notes](CatalogEntry entry, const std::optional<Digest>& digest) {
                               return notes.note(std::move(entry), digest);
                           });
    Digester digester(contents, std::move(known), {.contents = options.contents, .for_later = writes});
    ZF_TRY_STATUS(walk(tree.get(), "", 0, options, digester));
    TreeDigest result;
    ZF_TRY(result.digest, contents.finish());
    result.entries = notes.entries();
    result.bytes = notes.bytes();
    result.bytes_read = contents.bytes_read();
    result.looked_at = result.entries;
    ZF_TRY_STATUS(notes.finish());
    if (writes && ::rename(fresh_path.c_str(), options.digests_path.c_str()) != 0) {
        return system_error("rename the file of digests", errno);
    }
    if (trail == nullptr) return result;
    digester.tell(*trail);
    result.digest = trail->sum.digest();
    trail->result = result;
    return result;
}

Result<TreeTotals> measure_tree(UniqueFd tree, const std::vector<std::string>& excluded) {
    Measurer measurer;
    ZF_TRY_STATUS(
        walk(tree.get(), "", 0, {.excluded = excluded, .threads = 1, .stop = {}, .digests_path = {}}, measurer));
    return measurer.totals;
}

}  // namespace zoneferry
