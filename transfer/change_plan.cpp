#include "transfer/change_plan.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/base/files.h"
#include "core/base/text.h"
#include "transfer/reading.h"

namespace zoneferry {
namespace {

PlanNode& node_at(PlanNode& root, std::string_view path) {
    PlanNode* node = &root;
    if (path.empty()) return *node;
    for (const std::string_view name : split(path, '/')) node = &node->children[std::string(name)];
    return *node;
}

PlanNode plan_announced(const ChangesSince& since) {
    PlanNode root;
    for (const Changes::Name& name : since.changes.names) {
        PlanNode& node = node_at(root, name.path);
        node.is_deep = node.is_deep || name.is_listed;
        node.is_new = name.is_new;
    }
    for (const std::string& path : since.changes.directories) node_at(root, path).is_itself = true;
    for (const PassTrail::Doubtful& doubtful : since.trail.doubtful()) {
        PlanNode& node = node_at(root, doubtful.path);
        node.is_itself = true;
        node.is_deep = node.is_deep || !doubtful.is_directory;
        node.is_new = false;
    }
    return root;
}

const PlanNode* child_of(const PlanNode* node, const std::string& name) {
    if (node == nullptr) return nullptr;
    const auto child = node->children.find(name);
    return child == node->children.end() ? nullptr : &child->second;
}

// What lies on the disk at the places of a plan.
class Survey {
public:
    Status look_below(int directory, const PlanNode* node, bool deep, std::size_t depth) {
        if (depth > kDepthMax) return Error(Errc::unsupported, "a changed directory lies too deep");
        std::set<std::string> names;
        if (node != nullptr) {
            for (const auto& [name, child] : node->children) names.insert(name);
        }
        if (deep) {
            ZF_TRY(const std::vector<std::string> listed, list_directory_fd(directory));
            names.insert(listed.begin(), listed.end());
        }
        for (const std::string& name : names) {
            if (++entries_ > kPlanEntriesMax) return Error(Errc::unsupported, "more changed than is followed");
            ZF_TRY_STATUS(look(directory, name, child_of(node, name), deep, depth));
        }
        return {};
    }

    // Files that changed and of which not all names are known.
    std::unordered_set<std::uint64_t> wanted(const std::vector<Changes::File>& announced) const {
        std::unordered_set<std::uint64_t> inodes;
        for (const auto& [inode, seen] : seen_) {
            if (seen.names < seen.links) inodes.insert(inode);
        }
        for (const Changes::File& file : announced) {
            if (!seen_.contains(file.inode)) inodes.insert(file.inode);
        }
        return inodes;
    }

private:
    struct Seen {
        std::uint64_t links = 0;
        std::uint64_t names = 0;
    };

    Status look(int directory, const std::string& name, const PlanNode* node, bool deep, std::size_t depth) {
        auto stat = stat_entry(directory, name);
        if (!stat && is_gone(stat.error())) return {};
        if (!stat) return std::move(stat).error();
        if (!S_ISDIR(stat->mode)) {
            Seen& seen = seen_[stat->inode];
            seen.links = stat->links;
            ++seen.names;
            return {};
        }
        const bool deep_here = deep || (node != nullptr && node->is_deep);
        if (!deep_here && (node == nullptr || node->children.empty())) return {};
        ZF_TRY(const UniqueFd fd, open_to_read(directory, name, O_DIRECTORY));
        return look_below(fd.get(), node, deep_here, depth + 1);
    }

    std::unordered_map<std::uint64_t, Seen> seen_;
    std::size_t entries_ = 0;
};

// The paths under which the base has these inodes.
Result<std::vector<std::string>> find_names(const std::string& base_path,
                                            const std::unordered_set<std::uint64_t>& inodes) {
    std::vector<std::string> found;
    std::string path;
    ZF_TRY(CatalogReader reader, CatalogReader::open(base_path));
    while (true) {
        ZF_TRY(const std::optional<CatalogEntry> entry, reader.next());
        if (!entry) return Error(Errc::corrupt, "the catalog of the last pass ends early");
        if (entry->kind == CatalogKind::complete) return found;
        if (entry->kind == CatalogKind::directory_end) {
            if (!path.empty()) path.pop_back();
            const std::size_t slash = path.rfind('/');
            path.resize(slash == std::string::npos ? 0 : slash + 1);
        } else if (entry->kind == CatalogKind::directory) {
            if (!entry->name.empty()) path += entry->name + "/";
        } else if (entry->kind == CatalogKind::leaf && inodes.contains(entry->identity.inode)) {
            found.push_back(path + entry->name);
            if (found.size() > kPlanEntriesMax) return Error(Errc::unsupported, "changed files have too many names");
        }
    }
}

}  // namespace

Result<PlanNode> make_change_plan(int root, const ChangesSince& since, const std::string& base_path) {
    if (!since.trail.is_whole()) return Error(Errc::unsupported, "the pass before left too much in doubt");
    PlanNode plan = plan_announced(since);
    if (plan.is_deep) return Error(Errc::unsupported, "the whole tree is in doubt");
    Survey survey;
    ZF_TRY_STATUS(survey.look_below(root, &plan, false, 0));
    const auto wanted = survey.wanted(since.changes.files);
    if (wanted.empty()) return plan;
    ZF_TRY(const std::vector<std::string> names, find_names(base_path, wanted));
    for (const std::string& name : names) (void)node_at(plan, name);
    return plan;
}

}  // namespace zoneferry
