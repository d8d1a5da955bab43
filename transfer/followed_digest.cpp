#include "transfer/followed_digest.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/base/files.h"
#include "transfer/change_plan.h"
#include "transfer/change_tracker.h"
#include "transfer/entry_facts.h"
#include "transfer/reading.h"

namespace zoneferry {
namespace {

Error doubtful(const std::string& why) { return Error(Errc::unsupported, why); }

// Names of inodes of several names, as they are taken out or put in: the others refer to the first in the order of the
// walk, so all must be met.
class NameGroups {
public:
    // The path of the inode's first name; empty: this is the first.
    std::string add(std::uint64_t inode, const std::string& path, std::uint64_t names) {
        auto [found, is_first] = groups_.try_emplace(inode, Group{path, names, 0});
        ++found->second.met;
        return is_first ? std::string() : found->second.first;
    }
    bool are_whole() const {
        return std::all_of(groups_.begin(), groups_.end(),
                           [](const auto& group) { return group.second.met == group.second.names; });
    }

private:
    struct Group {
        std::string first;
        std::uint64_t names = 0;
        std::uint64_t met = 0;
    };
    std::unordered_map<std::uint64_t, Group> groups_;
};

std::string joined(const std::string& directory, const std::string& name) {
    return directory.empty() ? name : directory + "/" + name;
}

// first: of a further name the path of the first one; empty of all other entries, which have a digest.
void toggle_entry(TreeSum& sum, const std::string& path, const std::optional<Digest>& digest,
                  const std::string& first) {
    if (first.empty()) {
        sum.toggle(SumKind::entry, path, digest.value());
    } else {
        sum.toggle(SumKind::name, path, sha256(as_bytes(first)));
    }
}

// The first reading: what of it is changed is taken out of the sum.
class OldEntries {
public:
    static Result<OldEntries> open(const std::string& path, const PassTrail& places, DigestTrail& trail) {
        ZF_TRY(CatalogReader reader, CatalogReader::open(path));
        if (reader.pass_id() != places.pass_id) return doubtful("its file of digests is another one by now");
        OldEntries old(path, places, trail, CatalogCursor(std::move(reader)));
        ZF_TRY(const CatalogEntry* root, old.cursor_.peek());
        if (root->kind != CatalogKind::directory) return Error(Errc::corrupt, "a file of digests has no root");
        old.cursor_.take();
        return old;
    }

    // What lay there: null for nothing. Its directory is entered.
    Result<const CatalogEntry*> find(const std::string& path) {
        ZF_TRY_STATUS(go_to(cursor_, *places_, file_, path));
        ZF_TRY(const CatalogEntry* entry, cursor_.peek());
        const bool is_there =
            entry->kind != CatalogKind::directory_end && entry->name == path.substr(path.rfind('/') + 1);
        return is_there ? entry : nullptr;
    }
    // The directory just found.
    void enter() { cursor_.take(); }
    // The directory entered last: leaves it; its own metadata is out of the sum.
    Status leave(const std::string& path) {
        ZF_TRY_STATUS(go_to_end(cursor_, *places_, file_, path));
        return drop_end(path);
    }
    // What was just found, with all below it.
    Status drop(const std::string& path) {
        ZF_TRY(const CatalogEntry* entry, cursor_.peek());
        if (entry->kind != CatalogKind::directory) return drop_leaf(path);
        cursor_.take();
        while (true) {
            ZF_TRY(entry, cursor_.peek());
            if (entry->kind == CatalogKind::complete) return Error(Errc::corrupt, "a file of digests ends early");
            if (entry->kind == CatalogKind::directory_end) return drop_end(path);
            ZF_TRY_STATUS(drop(joined(path, entry->name)));
        }
    }

    bool has_whole_groups() const { return groups_.are_whole(); }

private:
    OldEntries(std::string file, const PassTrail& places, DigestTrail& trail, CatalogCursor cursor)
        : file_(std::move(file)), places_(&places), trail_(&trail), cursor_(std::move(cursor)) {}

    Status drop_leaf(const std::string& path) {
        ZF_TRY(const CatalogEntry* entry, cursor_.peek());
        std::string first;
        const auto linked = trail_->linked.find(entry->identity.inode);
        if (linked != trail_->linked.end()) first = groups_.add(linked->first, path, linked->second);
        if (first.empty() != entry->digest.has_value()) return doubtful("not all names of a file are known");
        toggle_entry(trail_->sum, path, entry->digest, first);
        --trail_->result.entries;
        if (S_ISREG(entry->identity.mode)) trail_->result.bytes -= entry->identity.size;
        cursor_.take();
        return {};
    }
    Status drop_end(const std::string& path) {
        ZF_TRY(const CatalogEntry* entry, cursor_.peek());
        if (!entry->digest) return Error(Errc::corrupt, "a directory without a digest");
        trail_->sum.toggle(SumKind::directory, path, *entry->digest);
        --trail_->result.entries;
        cursor_.take();
        return {};
    }

    std::string file_;
    const PassTrail* places_;
    DigestTrail* trail_;
    CatalogCursor cursor_;
    NameGroups groups_;
};

// Takes out of the sum what was at the places of a plan, and puts in what is there now.
class Refresh {
public:
    Refresh(OldEntries old, DigestTrail& trail, const DigestOptions& options)
        : old_(std::move(old)),
          trail_(trail),
          options_(options),
          contents_(options.threads, false, [this](const CatalogEntry& entry, const std::optional<Digest>& digest) {
              return put_in(entry, digest);
          }) {}

    Result<TreeDigest> run(int root, const PlanNode& plan) {
        ZF_TRY_STATUS(visit_directory(root, "", plan));
        ZF_TRY([[maybe_unused]] const Digest unused, contents_.finish());
        if (!old_.has_whole_groups() || !groups_.are_whole()) return doubtful("not all names of a file are known");
        TreeDigest result = trail_.result;
        result.digest = trail_.sum.digest();
        result.bytes_read = contents_.bytes_read();
        result.looked_at = looked_at_;
        return result;
    }

private:
    // A directory before and now, the old one entered.
    Status visit_directory(int directory, const std::string& path, const PlanNode& node) {
        for (const auto& [name, child] : node.children) {
            const std::string below = joined(path, name);
            if (!is_excluded(below)) ZF_TRY_STATUS(visit(directory, name, below, child));
        }
        ZF_TRY_STATUS(old_.leave(path));
        return add_own(directory, path);
    }

    Status visit(int directory, const std::string& name, const std::string& path, const PlanNode& node) {
        if (options_.stop.stop_requested()) return Error(Errc::cancelled, "reading the tree was asked to stop");
        ZF_TRY(const CatalogEntry* before, old_.find(path));
        const auto now = stat_entry(directory, name);
        if (!now && !is_gone(now.error())) return now.error();
        const bool was_directory = before != nullptr && before->kind == CatalogKind::directory;
        if (was_directory && now && S_ISDIR(now->mode) && !now->is_mount_point && !node.is_deep) {
            old_.enter();
            ZF_TRY(const UniqueFd fd, open_to_read(directory, name, O_DIRECTORY));
            return visit_directory(fd.get(), path, node);
        }
        if (before != nullptr) ZF_TRY_STATUS(old_.drop(path));
        return now ? add(directory, name, path, *now) : Status();
    }

    Status add(int directory, const std::string& name, const std::string& path, const EntryStat& stat) {
        if (stat.is_mount_point) return doubtful("something is mounted in it");
        if (S_ISDIR(stat.mode)) {
            ZF_TRY(const UniqueFd fd, open_to_read(directory, name, O_DIRECTORY));
            return add_below(fd.get(), path);
        }
        HashItem item = begin_item('e', path);
        item.note.kind = CatalogKind::leaf;
        item.note.identity = identity_of(stat);
        if (stat.links > 1) item.note.from = groups_.add(stat.inode, path, stat.links);
        ++looked_at_;
        if (!item.note.from.empty()) return contents_.add(std::move(item));
        ZF_TRY_STATUS(read_entry(item, directory, name, stat, {.contents = options_.contents, .for_later = false}));
        return contents_.add(std::move(item));
    }

    Status add_below(int directory, const std::string& path) {
        if (static_cast<std::size_t>(std::count(path.begin(), path.end(), '/')) >= kDepthMax) {
            return doubtful("a directory lies too deep");
        }
        ZF_TRY(const std::vector<std::string> names, list_directory_fd(directory));
        for (const std::string& name : names) {
            const std::string below = joined(path, name);
            if (is_excluded(below)) continue;
            ZF_TRY(const EntryStat stat, stat_entry(directory, name));
            ZF_TRY_STATUS(add(directory, name, below, stat));
        }
        return add_own(directory, path);
    }

    Status add_own(int directory, const std::string& path) {
        ZF_TRY(const EntryStat stat, stat_entry(directory, ""));
        HashItem item = begin_item('l', path);
        ZF_TRY_STATUS(read_directory(item, directory, stat));
        ++looked_at_;
        return contents_.add(std::move(item));
    }

    // The note's name is the whole path.
    Status put_in(const CatalogEntry& entry, const std::optional<Digest>& digest) {
        if (entry.kind == CatalogKind::directory_end) {
            trail_.sum.toggle(SumKind::directory, entry.name, digest.value());
        } else {
            toggle_entry(trail_.sum, entry.name, digest, entry.from);
        }
        ++trail_.result.entries;
        if (S_ISREG(entry.identity.mode)) trail_.result.bytes += entry.identity.size;
        return {};
    }

    bool is_excluded(const std::string& path) const {
        return std::find(options_.excluded.begin(), options_.excluded.end(), path) != options_.excluded.end();
    }

    OldEntries old_;
    DigestTrail& trail_;
    const DigestOptions& options_;
    NameGroups groups_;
    std::uint64_t looked_at_ = 0;
    ContentHasher contents_;  // last: it calls into the others
};

}  // namespace

struct FollowedDigest::First {
    explicit First(const Digest& key) : trail(key) {}
    std::string directory;
    std::string digests_path;
    std::vector<std::string> excluded;
    std::unique_ptr<ChangeTracker> tracker;
    DigestTrail trail;
};

FollowedDigest::FollowedDigest() = default;
FollowedDigest::~FollowedDigest() = default;

Result<TreeDigest> FollowedDigest::whole(const std::string& directory, const DigestOptions& options, const Digest& key,
                                         bool follows) {
    first_.reset();
    auto first = std::make_unique<First>(key);
    first->directory = directory;
    first->digests_path = options.digests_path;
    first->excluded = options.excluded;
    if (follows) {
        auto tracker = ChangeTracker::start(directory);
        if (tracker) first->tracker = *std::move(tracker);
        if (!tracker) why_whole_ = tracker.error().text();
    }
    ZF_TRY(UniqueFd tree, open_directory(directory));
    ZF_TRY(const TreeDigest digest, digest_tree(std::move(tree), options, &first->trail));
    if (!first->tracker) return digest;
    first_ = std::move(first);
    return digest;
}

Result<TreeDigest> FollowedDigest::again(const std::string& directory, const DigestOptions& options,
                                         const Digest& key) {
    if (first_) {
        auto done = by_changes(directory, options, key);
        why_whole_ = done ? "" : done.error().text();
        if (done || done.error().code() == Errc::cancelled) return done;
    }
    if (why_whole_.empty()) why_whole_ = "it was told by what changed before";
    return whole(directory, options, key, false);
}

Result<TreeDigest> FollowedDigest::by_changes(const std::string& directory, const DigestOptions& options,
                                              const Digest& key) {
    const std::unique_ptr<First> first = std::move(first_);
    DigestTrail& trail = first->trail;
    if (first->directory != directory || first->digests_path != options.digests_path ||
        first->excluded != options.excluded || trail.sum.key() != key) {
        return doubtful("it was read for something else before");
    }
    ZF_TRY(Changes changes, first->tracker->finish());
    const ChangesSince since{std::move(trail.places), std::move(changes)};
    ZF_TRY(const UniqueFd root, open_directory(directory));
    ZF_TRY(const PlanNode plan, make_change_plan(root.get(), since, options.digests_path));
    ZF_TRY(OldEntries old, OldEntries::open(options.digests_path, since.trail, trail));
    return Refresh(std::move(old), trail, options).run(root.get(), plan);
}

}  // namespace zoneferry
