#include "transfer/tree_digest.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <unordered_map>
#include <unordered_set>

#include "core/base/files.h"
#include "core/base/text.h"
#include "transfer/attributes.h"
#include "transfer/content_hash.h"
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
        return entry->digest;
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

class Digester final : public Visitor {
public:
    // keeps: what is found is for later, so that a change from now on must be seen.
    Digester(ContentHasher& contents, KnownDigests known, bool keeps, bool reads_contents)
        : contents_(contents), known_(std::move(known)), keeps_(keeps), reads_contents_(reads_contents) {}

    Status entry(int directory, const std::string& name, const EntryStat& stat) override {
        HashItem item = begin('e', name);
        if (S_ISREG(stat.mode)) bytes_ += stat.size;
        if (stat.links > 1) {
            // Further names of an inode carry the number of its first: groups are the same or the digest is not. A name
            // outside the tree does not count.
            const auto [first, is_new] = first_seen_.emplace(stat.inode, count_);
            if (!is_new) {
                item = begin('h', name);
                append_little_endian(item.head, first->second);
                ++count_;
                item.note.kind = CatalogKind::leaf;
                return contents_.add(std::move(item));
            }
        }
        ++count_;
        item.note.kind = CatalogKind::leaf;
        item.note.identity = identity_of(stat);
        ZF_TRY(item.known, known_.digest(name, item.note.identity));
        if (!item.known) ZF_TRY_STATUS(read(item, directory, name, stat));
        return contents_.add(std::move(item));
    }
    Status enter(const std::string& name, const EntryStat& stat) override {
        ZF_TRY_STATUS(known_.enter(name));
        HashItem item = begin('d', name);
        item.note.kind = CatalogKind::directory;
        item.note.identity.inode = stat.inode;
        return contents_.add(std::move(item));
    }
    Status leave(int directory, const EntryStat& stat) override {
        ZF_TRY_STATUS(known_.leave());
        HashItem item = begin('l', "");
        ZF_TRY(const OwnedXattrs xattrs, read_xattrs(directory));
        item.facts.emplace();
        append_entry(*item.facts, stat, xattrs);
        item.note.kind = CatalogKind::directory_end;
        item.note.identity = identity_of(stat);
        ++count_;
        return contents_.add(std::move(item));
    }
    std::uint64_t count() const { return count_; }
    std::uint64_t bytes() const { return bytes_; }

private:
    Status read(HashItem& item, int directory, const std::string& name, const EntryStat& stat) {
        const std::int64_t read_at_ns = file_clock_ns();
        bool is_settled = true;
        OwnedXattrs xattrs;
        if (S_ISREG(stat.mode) && reads_contents_) {
            ZF_TRY(item.file, open_to_read(directory, name, 0));
            ZF_TRY(const EntryStat opened, stat_entry(item.file.get(), ""));
            if (opened.inode != stat.inode || !S_ISREG(opened.mode)) {
                return Error(Errc::conflict, "it changed while the tree was read");
            }
            is_settled = !keeps_ || settle_pages(item.file.get());
            item.size = stat.size;
            ZF_TRY(xattrs, read_xattrs(item.file.get()));
        } else {
            ZF_TRY(xattrs, read_xattrs_at(directory, name));
        }
        item.facts.emplace();
        append_entry(*item.facts, stat, xattrs);
        if (S_ISLNK(stat.mode)) ZF_TRY_STATUS(append_target(*item.facts, directory, name));
        item.note.again = is_racy(stat, read_at_ns) || !is_settled;
        return {};
    }
    static HashItem begin(char kind, const std::string& name) {
        HashItem item;
        append_little_endian(item.head, static_cast<std::uint8_t>(kind));
        append_little_endian(item.head, static_cast<std::uint32_t>(name.size()));
        append_bytes(item.head, as_bytes(name));
        item.note.name = name;
        return item;
    }
    static void append_entry(ByteVector& line, const EntryStat& stat, const OwnedXattrs& xattrs) {
        append_little_endian(line, stat.mode);
        append_little_endian(line, stat.uid);
        append_little_endian(line, stat.gid);
        append_little_endian(line, stat.device_major);
        append_little_endian(line, stat.device_minor);
        append_little_endian(line, static_cast<std::uint64_t>(stat.mtime_seconds));
        append_little_endian(line, stat.mtime_nanoseconds);
        append_little_endian(line, S_ISREG(stat.mode) ? stat.size : std::uint64_t{0});
        append_little_endian(line, static_cast<std::uint32_t>(xattrs.size()));
        for (const auto& [name, value] : xattrs) {
            append_little_endian(line, static_cast<std::uint32_t>(name.size()));
            append_bytes(line, as_bytes(name));
            append_little_endian(line, static_cast<std::uint32_t>(value.size()));
            append_bytes(line, value);
        }
    }
    static Status append_target(ByteVector& line, int directory, const std::string& name) {
        std::array<char, kLinkTargetBytesMax + 1> target{};
        const ssize_t got = ::readlinkat(directory, name.c_str(), target.data(), target.size());
        if (got < 0) return system_error("read the link", errno);
        append_little_endian(line, static_cast<std::uint32_t>(got));
        append_bytes(line, as_bytes({target.data(), static_cast<std::size_t>(got)}));
        return {};
    }

    ContentHasher& contents_;
    KnownDigests known_;
    bool keeps_;
    bool reads_contents_;
    std::unordered_map<std::uint64_t, std::uint64_t> first_seen_;
    std::uint64_t count_ = 0;
    std::uint64_t bytes_ = 0;
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

Result<TreeDigest> digest_tree(UniqueFd tree, const DigestOptions& options) {
    const std::string fresh_path = options.digests_path + ".new";
    KnownDigests known;
    std::optional<CatalogWriter> fresh;
    if (!options.digests_path.empty()) {
        const std::string id = new_pass_id();
        known = KnownDigests::open(options.digests_path, id.substr(0, id.find('.')));
        ZF_TRY(fresh, CatalogWriter::create(fresh_path, id));
    }
    const auto note = [&fresh](CatalogEntry entry, const std::optional<Digest>& digest) -> Status {
        if (!fresh || entry.again) return {};
        entry.digest = digest;
        fresh->add(entry);
        return fresh->flush_if_large();
    };
    ContentHasher contents(options.threads, options.tolerate_changes, note);
    Digester digester(contents, std::move(known), fresh.has_value(), options.contents);
    ZF_TRY_STATUS(walk(tree.get(), "", 0, options, digester));
    TreeDigest result;
    ZF_TRY(result.digest, contents.finish());
    result.entries = digester.count();
    result.bytes = digester.bytes();
    result.bytes_read = contents.bytes_read();
    if (!fresh) return result;
    fresh->add({});
    ZF_TRY_STATUS(fresh->flush());
    if (::rename(fresh_path.c_str(), options.digests_path.c_str()) != 0) {
        return system_error("rename the file of digests", errno);
    }
    return result;
}

Result<TreeTotals> measure_tree(UniqueFd tree, const std::vector<std::string>& excluded) {
    Measurer measurer;
    ZF_TRY_STATUS(
        walk(tree.get(), "", 0, {.excluded = excluded, .threads = 1, .stop = {}, .digests_path = {}}, measurer));
    return measurer.totals;
}

}  // namespace zoneferry
