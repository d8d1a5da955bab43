#include "transfer/comparison.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "core/base/file_flags.h"
#include "core/base/text.h"
#include "transfer/catalog.h"
#include "transfer/resume.h"

namespace zoneferry {
namespace {

constexpr std::size_t kNamedMax = 10;

bool is_end(const CatalogEntry& entry) {
    return entry.kind == CatalogKind::directory_end || entry.kind == CatalogKind::complete;
}
bool same_digest(const CatalogEntry& here, const CatalogEntry& there) {
    return here.digest && there.digest && *here.digest == *there.digest;
}

// Both are walked side by side; out becomes what there has, in terms of here.
class Comparer {
public:
    using Listener = std::function<void(Unequal, const std::string& path)>;
    using Doubts = std::function<bool(const std::string& path)>;
    Comparer(CatalogReader here, CatalogReader there, CatalogWriter& out, const Listener& each, const Doubts& doubts)
        : here_(std::move(here)), there_(std::move(there)), out_(out), each_(each), doubts_(doubts) {}

    Result<TreeComparison> run() {
        for (CatalogCursor* side : {&here_, &there_}) {
            ZF_TRY(const CatalogEntry* root, side->peek());
            if (root->kind != CatalogKind::directory) return Error(Errc::corrupt, "a file of digests has no root");
        }
        ZF_TRY_STATUS(both_directories(""));
        out_.add({});
        ZF_TRY_STATUS(out_.sync());
        return std::move(found_);
    }

private:
    void note(Unequal how, const std::string& path) {
        ++(how == Unequal::differs ? found_.differing : how == Unequal::missing ? found_.missing : found_.extra);
        if (found_.first.size() < kNamedMax) found_.first.push_back(path.empty() ? "." : path);
        if (each_) each_(how, path.empty() ? "." : path);
    }
    bool is_doubted(const std::string& path) const { return doubts_ && doubts_(path); }
    // There is something that is not to be trusted: it is sent again or removed.
    void add_doubtful(const std::string& name, const Identity& identity = {}) {
        CatalogEntry entry;
        entry.kind = CatalogKind::leaf;
        entry.name = name;
        entry.identity = identity;
        entry.again = true;
        out_.add(entry);
    }

    Status both_directories(const std::string& path) {
        ZF_TRY(const CatalogEntry* begin, here_.peek());
        out_.add(*begin);
        here_.take();
        there_.take();
        while (true) {
            ZF_TRY_STATUS(out_.flush_if_large());
            ZF_TRY(const CatalogEntry* here, here_.peek());
            ZF_TRY(const CatalogEntry* there, there_.peek());
            if (is_end(*here) && is_end(*there)) return both_ends(path, *here, *there);
            const bool only_here = is_end(*there) || (!is_end(*here) && here->name < there->name);
            const bool only_there = is_end(*here) || (!is_end(*there) && there->name < here->name);
            const std::string name = only_there ? there->name : here->name;
            const std::string below = path.empty() ? name : path + "/" + name;
            if (only_here) {
                note(Unequal::missing, below);
                ZF_TRY_STATUS(here_.skip());
            } else if (only_there) {
                note(Unequal::extra, below);
                add_doubtful(name);
                ZF_TRY_STATUS(there_.skip());
            } else {
                ZF_TRY_STATUS(both_have(below, *here, *there));
            }
        }
    }

    Status both_ends(const std::string& path, const CatalogEntry& here, const CatalogEntry& there) {
        CatalogEntry end = here;
        end.again = !same_digest(here, there) || is_doubted(path);
        end.digest.reset();
        note_pair(path, !end.again);
        out_.add(end);
        here_.take();
        there_.take();
        return {};
    }

    Status both_have(const std::string& path, const CatalogEntry& here, const CatalogEntry& there) {
        const bool are_directories = here.kind == CatalogKind::directory && there.kind == CatalogKind::directory;
        if (are_directories) return both_directories(path);
        const bool are_leaves = here.kind == CatalogKind::leaf && there.kind == CatalogKind::leaf;
        const bool are_other_names = are_leaves && !here.digest && !there.digest;
        const bool is_file = are_leaves && S_ISREG(here.identity.mode);
        const bool are_equal = are_leaves && same_digest(here, there) && !(is_file && is_doubted(path));
        note_pair(path, are_equal || are_other_names);
        if (are_equal) {
            CatalogEntry entry = here;
            entry.digest.reset();
            out_.add(entry);
        } else {
            add_doubtful(here.name, here.identity);  // also a second name: of what, only the pass finds out
            if (!same_digest(here, there)) note_large(path, here, there);
        }
        ZF_TRY_STATUS(here_.skip());
        return there_.skip();
    }

    void note_large(const std::string& path, const CatalogEntry& here, const CatalogEntry& there) {
        const auto is_large = [](const CatalogEntry& entry) {
            return entry.digest && S_ISREG(entry.identity.mode) && entry.identity.size >= kBlockFileBytesMin;
        };
        if (!is_large(here) || !is_large(there) || found_.large.size() >= kLargeDifferencesMax) return;
        const unsigned log = block_log_for(std::max(here.identity.size, there.identity.size));
        found_.large.push_back({path, there.identity.size, log});
    }

    void note_pair(const std::string& path, bool are_equal) {
        are_equal ? void(++found_.equal) : note(Unequal::differs, path);
    }

    CatalogCursor here_;
    CatalogCursor there_;
    CatalogWriter& out_;
    const Listener& each_;
    const Doubts& doubts_;
    TreeComparison found_;
};

}  // namespace

Result<TreeComparison> adopt_comparison(const std::string& here, const std::string& there,
                                        const std::string& catalog_path_prefix,
                                        const std::function<void(Unequal, const std::string& path)>& each,
                                        const std::function<bool(const std::string& path)>& doubts) {
    if (!is_sound_catalog(there)) return Error(Errc::protocol, "the target's list of digests is damaged");
    const CatalogPaths paths(catalog_path_prefix);
    ZF_TRY_STATUS(forget_catalogs(paths));
    ZF_TRY(CatalogReader ours, CatalogReader::open(here));
    ZF_TRY(CatalogReader theirs, CatalogReader::open(there));
    ZF_TRY(CatalogWriter out, CatalogWriter::create(paths.merged, new_pass_id()));
    ZF_TRY(TreeComparison found, Comparer(std::move(ours), std::move(theirs), out, each, doubts).run());
    if (::rename(paths.merged.c_str(), paths.base.c_str()) != 0) return system_error("rename the catalog", errno);
    return found;
}

std::function<bool(const std::string& path)> has_file_attributes(int tree) {
    return [tree](const std::string& path) {
        const auto fd = open_beneath(tree, path.empty() ? "." : path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        if (!fd) return true;
        const auto attributes = read_file_attributes(fd->get());
        return !attributes || *attributes != FileAttributes{};
    };
}

}  // namespace zoneferry
