// The merge walks two catalogs side by side: `fresh`, the unfinished pass, which may end anywhere, and `older`, the
// base it was compared with. Where fresh has been, it decides: acknowledged entries are known, others are marked
// "again" (the target may have them, have an older state, or nothing). Behind its end, older still holds.
#include "transfer/resume.h"

#include <unistd.h>

#include <optional>
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
    Merge(CatalogReader fresh, CatalogCursor older, CatalogWriter& out, std::uint64_t acked)
        : fresh_(std::move(fresh)), older_(std::move(older)), out_(out), acked_(acked) {}

    Status run() {
        ZF_TRY(const CatalogEntry* root, peek_fresh());
        if (root == nullptr) return copy_older();
        take_fresh();
        ZF_TRY(const CatalogEntry* older, older_.peek());
        const bool has_older = older->kind == CatalogKind::directory;
        if (has_older) older_.take();
        out_.add({CatalogKind::directory});
        ZF_TRY_STATUS(merge_directory(has_older));
        out_.add({CatalogKind::complete});
        return out_.sync();
    }

private:
    bool is_acked(std::uint64_t segment) const { return segment == kNotSent || segment < acked_; }
    static CatalogEntry doubtful(const std::string& name) {
        return {CatalogKind::leaf, name, {}, kNotSent, 0, 0, true};
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
    // Drops older's children up to name; true if the one called name is in front.
    Result<bool> older_up_to(bool has_older, const std::string& name) {
        while (true) {
            ZF_TRY(const CatalogEntry* entry, older_child(has_older));
            if (entry == nullptr || entry->name > name) return false;
            if (entry->name == name) return true;
            ZF_TRY_STATUS(older_.skip());
        }
    }

    Status merge_directory(bool has_older);
    Status merge_child(bool has_older);
    Status merge_subdirectory(const CatalogEntry& begin, bool has_older);
    Status merge_leaf(CatalogEntry entry);
    Status drop_fresh_subtree();
    Status end_from_older(bool has_older);

    CatalogReader fresh_;
    std::optional<CatalogEntry> present_;
    CatalogCursor older_;
    CatalogWriter& out_;
    std::uint64_t acked_;
};

Status Merge::merge_directory(bool has_older) {
    while (true) {
        ZF_TRY_STATUS(out_.flush_if_large());
        ZF_TRY(const CatalogEntry* entry, peek_fresh());
        if (entry == nullptr) return end_from_older(has_older);
        if (entry->kind != CatalogKind::directory_end) {
            ZF_TRY_STATUS(merge_child(has_older));
            continue;
        }
        CatalogEntry end = *entry;
        take_fresh();
        while (true) {
            ZF_TRY(const CatalogEntry* rest, older_child(has_older));
            if (rest == nullptr) break;
            ZF_TRY_STATUS(older_.skip());
        }
        if (has_older) older_.take();
        end.again = end.again || !is_acked(end.segment);
        end.segment = kNotSent;
        out_.add(end);
        return {};
    }
}

// fresh ended inside this directory: what older has from here on still holds.
Status Merge::end_from_older(bool has_older) {
    std::size_t depth = 1;
    CatalogEntry end{CatalogKind::directory_end};
    while (has_older && depth > 0) {
        ZF_TRY(const CatalogEntry* entry, older_.peek());
        if (entry->kind == CatalogKind::complete)
            return Error(Errc::corrupt, "the catalog of the last pass ends early");
        if (entry->kind == CatalogKind::directory) ++depth;
        if (entry->kind == CatalogKind::directory_end && --depth == 0) {
            end = *entry;
        } else {
            out_.add(*entry);
            ZF_TRY_STATUS(out_.flush_if_large());
        }
        older_.take();
    }
    end.again = true;
    out_.add(end);
    return {};
}

Status Merge::merge_child(bool has_older) {
    const CatalogEntry entry = *present_;
    take_fresh();
    ZF_TRY(const bool same, older_up_to(has_older, entry.name));
    if (entry.kind == CatalogKind::directory) return merge_subdirectory(entry, same);
    if (same) ZF_TRY_STATUS(older_.skip());
    return merge_leaf(entry);
}

Status Merge::merge_leaf(CatalogEntry entry) {
    // A file's partials, then the whole: the last that is acknowledged counts.
    std::optional<CatalogEntry> best;
    bool whole = false;
    const std::string name = entry.name;
    while (true) {
        if (is_acked(entry.segment) && !entry.again) best = entry;
        if (entry.kind != CatalogKind::partial) {
            whole = true;
            if (is_acked(entry.segment)) best = entry;  // also "again", also a removal
        }
        if (whole) break;
        ZF_TRY(const CatalogEntry* after, peek_fresh());
        if (after == nullptr || after->name != name) break;
        entry = *after;
        take_fresh();
    }
    if (!best) {
        out_.add(doubtful(name));
    } else if (best->kind != CatalogKind::removed) {
        best->segment = kNotSent;
        out_.add(*best);
    }
    return {};
}

Status Merge::merge_subdirectory(const CatalogEntry& begin, bool same) {
    bool older_is_directory = false;
    if (same) {
        ZF_TRY(const CatalogEntry* older, older_.peek());
        older_is_directory = older->kind == CatalogKind::directory;
    }
    if (!is_acked(begin.segment)) {  // a new directory that may not be there, or may be something else still
        if (same) ZF_TRY_STATUS(older_.skip());
        out_.add(doubtful(begin.name));
        return drop_fresh_subtree();
    }
    const bool fresh_directory = begin.segment != kNotSent;  // made by the unfinished pass: older says nothing of it
    if (same && (fresh_directory || !older_is_directory)) ZF_TRY_STATUS(older_.skip());
    const bool has_older = same && older_is_directory && !fresh_directory;
    if (has_older) older_.take();
    out_.add({CatalogKind::directory, begin.name});
    return merge_directory(has_older);
}

Status Merge::drop_fresh_subtree() {
    std::size_t depth = 1;
    while (depth > 0) {
        ZF_TRY(const CatalogEntry* entry, peek_fresh());
        if (entry == nullptr) return {};
        if (entry->kind == CatalogKind::directory) ++depth;
        if (entry->kind == CatalogKind::directory_end) --depth;
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

Status merge_unfinished(const CatalogPaths& paths, CatalogReader fresh, bool has_base) {
    ZF_TRY(const std::uint64_t acked, read_acked(paths, fresh.pass_id()));
    CatalogCursor older;
    if (has_base) {
        ZF_TRY(CatalogReader reader, CatalogReader::open(paths.base));
        older = CatalogCursor(std::move(reader));
    }
    ZF_TRY(CatalogWriter out, CatalogWriter::create(paths.merged, fresh.pass_id()));
    ZF_TRY_STATUS(Merge(std::move(fresh), std::move(older), out, acked).run());
    if (::rename(paths.merged.c_str(), paths.base.c_str()) != 0) return system_error("rename the catalog", errno);
    return remove_file(paths.fresh);
}

}  // namespace

std::string new_pass_id() {
    auto boot = boot_id();
    return (boot ? *boot : std::string("unknown")) + "." + to_hex(random_bytes(8));
}

Status forget_catalogs(const CatalogPaths& paths) {
    for (const std::string& path : {paths.base, paths.fresh, paths.merged, paths.acked})
        ZF_TRY_STATUS(remove_file(path));
    return {};
}

Result<bool> settle_catalogs(const CatalogPaths& paths) {
    const bool has_base = path_exists(paths.base);
    const bool has_fresh = path_exists(paths.fresh);
    bool sound = has_base ? is_sound_catalog(paths.base) : has_fresh;
    if (sound && has_fresh) {
        auto fresh = CatalogReader::open(paths.fresh);
        ZF_TRY(const std::string boot, boot_id());
        sound = fresh && fresh->pass_id().starts_with(boot + ".") &&
                merge_unfinished(paths, *std::move(fresh), has_base).has_value() && is_sound_catalog(paths.base);
    }
    if (!sound) ZF_TRY_STATUS(forget_catalogs(paths));
    return sound;
}

}  // namespace zoneferry
