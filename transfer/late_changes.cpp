#include "transfer/late_changes.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "core/base/files.h"
#include "core/base/text.h"
#include "transfer/reading.h"
#include "transfer/resume.h"

namespace zoneferry {
namespace {

// Catalog and tree side by side, both sorted by name.
class LateLook {
public:
    LateLook(CatalogCursor sent, const std::vector<std::string>& excluded, const std::function<Status()>& go_on)
        : sent_(std::move(sent)), excluded_(excluded), go_on_(go_on) {}

    Result<LateChanges> run(int tree) {
        ZF_TRY(const CatalogEntry* root, sent_.peek());
        if (root->kind != CatalogKind::directory) return Error(Errc::corrupt, "the catalog has no tree");
        sent_.take();
        ZF_TRY_STATUS(look_below(tree, 1));
        return std::move(found_);
    }

private:
    Status look_below(int directory, std::size_t depth);
    Status look_at(int directory, const std::string& name, std::size_t depth);
    Status look_at_directory(int parent, const std::string& name, std::size_t depth);
    Status note_gone_before(const std::string* name);
    void note(const std::string& name, Lateness how, const FileAttributes& attributes = {});
    void note(int parent, const std::string& name, const EntryStat& now, Lateness how);

    CatalogCursor sent_;
    const std::vector<std::string>& excluded_;
    const std::function<Status()>& go_on_;
    std::string path_;  // of the directory at hand, with a '/' behind each component
    LateChanges found_;
};

void LateLook::note(const std::string& name, Lateness how, const FileAttributes& attributes) {
    if (how == Lateness::none) return;
    const bool is_more = how == Lateness::more;
    ++found_.count;
    found_.is_more = found_.is_more || is_more;
    if (found_.first.size() < kLateChangesToldMax) found_.first.push_back({path_ + name, is_more, attributes});
}

void LateLook::note(int parent, const std::string& name, const EntryStat& now, Lateness how) {
    FileAttributes attributes;
    if (how != Lateness::none && (S_ISREG(now.mode) || S_ISDIR(now.mode))) {
        if (const auto fd = open_to_read(parent, name, 0)) {
            attributes = read_file_attributes(fd->get()).value_or(FileAttributes());
        }
    }
    note(name, how, attributes);
}

// What was sent and is not there, up to the entry of that name, or to the directory's end.
Status LateLook::note_gone_before(const std::string* name) {
    while (true) {
        ZF_TRY(const CatalogEntry* sent, sent_.peek());
        if (sent->kind == CatalogKind::complete) return Error(Errc::corrupt, "the catalog ends early");
        if (sent->kind == CatalogKind::directory_end || (name != nullptr && sent->name >= *name)) return {};
        note(sent->name, sent->again ? Lateness::none : Lateness::more);
        ZF_TRY_STATUS(sent_.skip());
    }
}

// The cursor has entered it, and leaves its end in front.
Status LateLook::look_below(int directory, std::size_t depth) {
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(directory));
    for (const std::string& name : names) {
        ZF_TRY_STATUS(go_on_());
        const bool is_excluded = depth == 1 && std::find(excluded_.begin(), excluded_.end(), name) != excluded_.end();
        if (!is_excluded) ZF_TRY_STATUS(look_at(directory, name, depth));
    }
    return note_gone_before(nullptr);
}

Status LateLook::look_at(int directory, const std::string& name, std::size_t depth) {
    ZF_TRY_STATUS(note_gone_before(&name));
    ZF_TRY(const EntryStat now, stat_entry(directory, name));
    ++found_.looked_at;
    ZF_TRY(const CatalogEntry* sent, sent_.peek());
    const bool is_known = sent->kind != CatalogKind::directory_end && sent->name == name;
    if (!is_known) {
        note(directory, name, now, Lateness::more);
        return {};
    }
    const bool was_directory = sent->kind == CatalogKind::directory;
    if (was_directory && S_ISDIR(now.mode) && sent->identity.inode == now.inode) {
        sent_.take();
        return look_at_directory(directory, name, depth);
    }
    note(directory, name, now, was_directory ? Lateness::more : lateness_of(*sent, now));
    return sent_.skip();
}

Status LateLook::look_at_directory(int parent, const std::string& name, std::size_t depth) {
    if (depth > kDepthMax) return Error(Errc::unsupported, "a directory lies too deep");
    ZF_TRY(const UniqueFd fd, open_to_read(parent, name, O_DIRECTORY));
    ZF_TRY(const EntryStat now, stat_entry(fd.get(), ""));
    const std::size_t length = path_.size();
    path_ += name + "/";
    ZF_TRY_STATUS(look_below(fd.get(), depth + 1));
    path_.resize(length);
    ZF_TRY(const CatalogEntry* end, sent_.peek());
    const Lateness how = lateness_of(*end, now);
    sent_.take();
    note(parent, name, now, how);
    return {};
}

}  // namespace

Lateness lateness_of(const CatalogEntry& sent, const EntryStat& now) {
    const Identity identity = identity_of(now);
    // What was not to be trusted came again in the last pass, when nobody changed it any more.
    if (sent.again || sent.identity == identity) return Lateness::none;
    Identity with_ctime = sent.identity;
    with_ctime.ctime_seconds = identity.ctime_seconds;
    with_ctime.ctime_nanoseconds = identity.ctime_nanoseconds;
    // What is trusted was read a margin after its ctime. A time that somebody has set may lie in the future.
    constexpr std::int64_t kSecondNs = 1'000'000'000;
    const std::int64_t margin_from_ns = sent.identity.ctime_nanoseconds + kRacyMarginNs;
    const std::pair read_after{sent.identity.ctime_seconds + margin_from_ns / kSecondNs, margin_from_ns % kSecondNs};
    const std::pair written{now.mtime_seconds, std::int64_t{now.mtime_nanoseconds}};
    const std::pair changed{now.ctime_seconds, std::int64_t{now.ctime_nanoseconds}};
    const bool was_written = written > read_after && written <= changed;
    return with_ctime == identity && !was_written ? Lateness::attributes : Lateness::more;
}

Result<LateChanges> find_late_changes(const UniqueFd& tree, const std::string& catalog_path_prefix,
                                      const std::vector<std::string>& excluded, const std::function<Status()>& go_on) {
    const CatalogPaths paths(catalog_path_prefix);
    ZF_TRY(BlockStore blocks, BlockStore::open(paths.blocks));
    ZF_TRY(const bool is_known, settle_catalogs(paths, blocks));
    if (!is_known) return Error(Errc::not_found, "what was sent is not known any more");
    ZF_TRY(CatalogReader reader, CatalogReader::open(paths.base));
    std::vector<std::string> not_sent = excluded;
    not_sent.emplace_back(kStashDirectory);
    LateLook look(CatalogCursor(std::move(reader)), not_sent, go_on);
    return look.run(tree.get());
}

}  // namespace zoneferry
