// A walk of what is announced as changed. The plan names it; in a directory that is walked this way the base's entries
// in between are neither read nor written again: the catalog says "sparse", and the merge (resume.cpp) puts both
// together when that is needed.
#include "transfer/walk.h"

namespace zoneferry {

const PlanNode* TreeWalk::planned(const std::string& name) const {
    const PlanNode* plan = levels_.back().plan;
    if (plan == nullptr) return nullptr;
    const auto child = plan->children.find(name);
    return child == plan->children.end() ? nullptr : &child->second;
}

Status TreeWalk::walk_announced() {
    // By name: what is visited puts further levels on the stack, but the plan stays where it is.
    for (const auto& [name, child] : levels_.back().plan->children) {
        if (is_excluded(name)) continue;
        ZF_TRY_STATUS(base_to(name));
        ZF_TRY_STATUS(visit(name, true, {}));
        ZF_TRY_STATUS(catalog_.flush_if_large());
    }
    return {};
}

// The cursor may still be inside a directory visited before.
Status TreeWalk::base_to(const std::string& name) {
    std::string path;
    for (std::size_t i = 1; i < levels_.size(); ++i) path += levels_[i].name + "/";
    path += name;
    return go_to(base_, *options_.base_trail, options_.base_path, path);
}

// Of an inode that has names outside the tree changes need not be announced by its names in it.
void TreeWalk::note_outside_names(PassTrail& trail) const {
    for (const auto& [inode, first] : first_names_) {
        if (first.names >= first.links) continue;
        std::string path;
        for (const std::string& component : first.path) path += (path.empty() ? "" : "/") + component;
        trail.note_doubtful(path, false);
    }
}

}  // namespace zoneferry
