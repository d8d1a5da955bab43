// A walk of what is announced as changed. The plan names it; in a directory that is walked this way the base's entries
// in between are neither read nor written again: the catalog says "sparse", and the merge (resume.cpp) puts both
// together when that is needed.
#include <algorithm>

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
        ZF_TRY_STATUS(visit(name, true));
        ZF_TRY_STATUS(catalog_.flush_if_large());
    }
    return {};
}

// In front of the base is then the entry of this name in the present directory, or what comes behind its place. The
// cursor may still be inside a directory visited before; the trail shortens the way.
Status TreeWalk::base_to(const std::string& name) {
    std::string path;
    for (std::size_t i = 1; i < levels_.size(); ++i) path += levels_[i].name + "/";
    path += name;
    const std::size_t depth = levels_.size();
    const PassTrail::Place* place = options_.base_trail->find(path);
    ZF_TRY(const CatalogEntry* base, base_.peek());
    if (place != nullptr && base->position.frame_at < place->position.frame_at) {
        ZF_TRY(CatalogReader reader, CatalogReader::open_at(options_.base_path, place->position));
        const auto slashes = std::count(place->path.begin(), place->path.end(), '/');
        base_.jump(std::move(reader), static_cast<std::size_t>(slashes) + 1);
    }
    while (true) {
        ZF_TRY(base, base_.peek());
        if (base->kind == CatalogKind::complete) {
            return Error(Errc::corrupt, "the catalog of the last pass ends early");
        }
        if (base_.depth() > depth) {
            base_.take();
            continue;
        }
        if (base->kind == CatalogKind::directory_end || base->name >= name) return {};
        ZF_TRY_STATUS(base_.skip());
    }
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
