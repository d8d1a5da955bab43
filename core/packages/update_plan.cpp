#include "core/packages/update_plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/text.h"
#include "core/packages/compare.h"
#include "core/packages/svr4/version.h"

namespace zoneferry {
namespace {

bool is_dependent(const KnownPackage* known) {
    return known != nullptr && known->package.reason != DependencyReason::unknown;
}

bool obsoletes(const Package& package, const std::string& base) {
    return std::any_of(package.patches.begin(), package.patches.end(), [&](const Patch& patch) {
        return patch.id.base != base &&
               std::find(patch.obsoletes.begin(), patch.obsoletes.end(), base) != patch.obsoletes.end();
    });
}

const Patch* patch_of(const Package& package, const std::string& base) {
    const auto found = std::find_if(package.patches.begin(), package.patches.end(),
                                    [&](const Patch& patch) { return patch.id.base == base; });
    return found == package.patches.end() ? nullptr : &*found;
}

// How the zone's package stands to the host's of the same name.
struct Standing {
    bool host_is_newer = false;
    std::vector<Downgrade> downgrades;
};

// With a higher version of the package its patches came in: only a patch that both have can then be lower.
void compare_patches(const Package& zone, const Package& host, bool same_version, Standing& standing) {
    for (const Patch& patch : zone.patches) {
        const Patch* here = patch_of(host, patch.id.base);
        if (here == nullptr) {
            if (same_version && !obsoletes(host, patch.id.base))
                standing.downgrades.push_back({zone.name, patch.id.base, patch.id.revision, ""});
            continue;
        }
        const auto order = compare_patch_revisions(patch.id.revision, here->id.revision);
        if (order > 0) standing.downgrades.push_back({zone.name, patch.id.base, patch.id.revision, here->id.revision});
        if (order < 0) standing.host_is_newer = true;
    }
    for (const Patch& patch : host.patches) {
        if (patch_of(zone, patch.id.base) == nullptr) standing.host_is_newer = true;
    }
}

Standing compare_package(PackageSystem system, const Package& zone, const Package& host) {
    Standing standing;
    const auto order = compare_versions(system, zone.version, host.version);
    if (order > 0) {
        standing.downgrades.push_back({zone.name, "", zone.version, host.version});
        return standing;
    }
    standing.host_is_newer = order < 0;
    compare_patches(zone, host, order == 0, standing);
    return standing;
}

class Planner {
public:
    Planner(const PackageSet& zone, const PackageSet& host, bool everything, std::uint64_t steps_max)
        : zone_(zone), host_(host), everything_(everything), steps_max_(steps_max) {
        plan_.system = zone.system;
    }

    UpdatePlan run() {
        for (const KnownPackage& known : zone_.packages) consider_zone_package(known);
        for (const KnownPackage& known : host_.packages) {
            if (is_dependent(&known) && !known.global_only && zone_.find(known.package.name) == nullptr)
                take(known, std::string(dependency_reason_name(known.package.reason)));
        }
        follow_relations();
        if (steps_ > steps_max_) {
            plan_.conflicts = {
                "what the packages of the zone and of this host need of each other is too much to follow (" +
                std::to_string(steps_max_) + " comparisons were made)"};
        }
        for (const std::string& warning : zone_.warnings) plan_.notes.push_back("in the zone: " + warning);
        if (!plan_.is_refused()) make_steps();
        return std::move(plan_);
    }

private:
    void consider_zone_package(const KnownPackage& known) {
        const Package& package = known.package;
        const KnownPackage* here = host_.find(package.name);
        if (known.global_only || (here != nullptr && here->global_only)) return;
        const bool dependent = is_dependent(&known) || is_dependent(here);
        if (here == nullptr) {
            if (dependent) removed_.emplace(package.name, std::string(dependency_reason_name(package.reason)));
            return;
        }
        if (!dependent && !everything_) return;
        const Standing standing = compare_package(zone_.system, package, here->package);
        if (!standing.downgrades.empty() && dependent) {
            plan_.downgrades.insert(plan_.downgrades.end(), standing.downgrades.begin(), standing.downgrades.end());
        } else if (!standing.downgrades.empty()) {
            plan_.notes.push_back(printable(package.name) + " (" + printable(package.version) +
                                  ") is newer in the zone than on this host and stays");
        } else if (standing.host_is_newer) {
            const DependencyReason reason = is_dependent(here) ? here->package.reason : package.reason;
            take(*here, dependent ? std::string(dependency_reason_name(reason)) : "newer");
        }
    }

    void take(const KnownPackage& from_host, std::string why) {
        taken_.emplace(from_host.package.name, Taken{&from_host, std::move(why)});
    }

    bool is_changed(const std::string& name) const { return taken_.contains(name) || removed_.contains(name); }

    // ---- what the changed ones need -----------------------------------------------------------------------

    // The packages as they will be: the zone's, less the removed, with the host's in place of the changed.
    struct Provided {
        const Requirement* what;
        const KnownPackage* by;
    };

    struct Result {
        std::map<std::string_view, const KnownPackage*> packages;
        std::multimap<std::string_view, Provided> provided;
    };

    // False once too much was compared: all is then taken for met, so that planning ends.
    bool spend() const { return ++steps_ <= steps_max_; }

    Result result() const {
        Result all;
        const auto add = [&](const KnownPackage& known) {
            steps_ += 1 + known.relations.provides.size();
            all.packages[known.package.name] = &known;
            for (const Requirement& provided : known.relations.provides)
                all.provided.emplace(provided.name, Provided{&provided, &known});
        };
        for (const KnownPackage& known : zone_.packages) {
            if (!is_changed(known.package.name)) add(with_relations(known));
        }
        for (const auto& [name, taken] : taken_) add(*taken.package);
        return all;
    }

    // A zone package whose relations did not come along has the host's, if it is the very same.
    const KnownPackage& with_relations(const KnownPackage& known) const {
        if (known.has_relations) return known;
        const KnownPackage* here = host_.find(known.package.name);
        return here != nullptr && here->package.version == known.package.version ? *here : known;
    }

    bool is_met(const Result& all, const Requirement& wanted) const {
        if (!spend()) return true;
        const auto found = all.packages.find(wanted.name);
        if (found != all.packages.end() && fits(wanted, found->second->package.version)) return true;
        const auto [begin, end] = all.provided.equal_range(wanted.name);
        return std::any_of(begin, end, [&](const auto& entry) {
            if (!spend()) return true;
            return provides(*entry.second.what, wanted);
        });
    }

    static bool provides(const Requirement& provided, const Requirement& wanted) {
        return wanted.relation.empty() || (!provided.version.empty() && fits(wanted, provided.version));
    }

    bool is_met(const Result& all, const Clause& clause) const {
        return std::any_of(clause.begin(), clause.end(),
                           [&](const Requirement& wanted) { return is_met(all, wanted); });
    }

    void follow_relations() {
        const Result before = zone_as_it_is();
        std::set<std::string> told;
        for (bool changed = true; changed;) {
            changed = false;
            const Result all = result();
            for (const auto& [name, known] : all.packages) {
                if (is_foreign(name)) continue;
                if (follow_needs(all, before, *known, told) || follow_exclusions(all, *known, told)) {
                    changed = true;
                    break;
                }
            }
        }
    }

    // Of another architecture: which of its relations hold is dpkg's to judge.
    static bool is_foreign(std::string_view name) { return name.find(':') != std::string_view::npos; }

    Result zone_as_it_is() const {
        Result all;
        for (const KnownPackage& known : zone_.packages) {
            const KnownPackage& full = with_relations(known);
            all.packages[known.package.name] = &full;
            for (const Requirement& provided : full.relations.provides)
                all.provided.emplace(provided.name, Provided{&provided, &full});
        }
        return all;
    }

    // True if the plan has grown. What was not met before is not ours to mend, unless it is a changed package's.
    bool follow_needs(const Result& all, const Result& before, const KnownPackage& known, std::set<std::string>& told) {
        const bool is_taken = taken_.contains(known.package.name);
        for (const Clause& clause : known.relations.needs) {
            if (is_met(all, clause) || (!is_taken && !is_met(before, clause))) continue;
            if (zone_.system == PackageSystem::svr4 && !host_has(clause)) continue;  // missing ones are skipped there
            if (bring(clause)) return true;
            if (!is_taken && bring_itself(known)) return true;
            tell(told, printable(known.package.name) + " (" + printable(known.package.version) + ") needs " +
                           clause_text(clause) + ", which neither the zone nor this host can give it");
        }
        return false;
    }

    bool host_has(const Clause& clause) const {
        return std::any_of(clause.begin(), clause.end(),
                           [&](const Requirement& wanted) { return host_.find(wanted.name) != nullptr; });
    }

    // Takes the host's package that meets one of the alternatives.
    bool bring(const Clause& clause) {
        for (const Requirement& wanted : clause) {
            const KnownPackage* here = host_.find(wanted.name);
            if (here != nullptr && fits(wanted, here->package.version) && bring_package(*here)) return true;
            for (const KnownPackage& other : host_.packages) {
                steps_ += other.relations.provides.size();
                if (!spend()) return false;
                const auto& provides = other.relations.provides;
                const bool provides_it =
                    std::any_of(provides.begin(), provides.end(), [&](const Requirement& provided) {
                        return provided.name == wanted.name &&
                               (wanted.relation.empty() ||
                                (!provided.version.empty() && fits(wanted, provided.version)));
                    });
                if (provides_it && bring_package(other)) return true;
            }
        }
        return false;
    }

    // False if it is in the plan, belongs to the global zone, or would go down.
    bool bring_package(const KnownPackage& here) {
        if (here.global_only || is_changed(here.package.name)) return false;
        if (const KnownPackage* there = zone_.find(here.package.name)) {
            const Standing standing = compare_package(zone_.system, there->package, here.package);
            if (!standing.downgrades.empty() || !standing.host_is_newer) return false;
        }
        take(here, std::string(dependency_reason_name(DependencyReason::required)));
        return true;
    }

    bool bring_itself(const KnownPackage& known) {
        const KnownPackage* here = host_.find(known.package.name);
        return here != nullptr && bring_package(*here);
    }

    bool follow_exclusions(const Result& all, const KnownPackage& known, std::set<std::string>& told) {
        for (const Requirement& excluded : known.relations.excludes) {
            if (!spend()) return false;
            const auto found = all.packages.find(excluded.name);
            if (found != all.packages.end() && fits(excluded, found->second->package.version) &&
                part(known, *found->second, told))
                return true;
            const auto [begin, end] = all.provided.equal_range(excluded.name);
            for (auto at = begin; at != end; ++at) {
                if (!spend()) return false;
                if (provides(*at->second.what, excluded) && part(known, *at->second.by, told)) return true;
            }
        }
        return false;
    }

    // The two do not go together. True if the plan has grown.
    bool part(const KnownPackage& known, const KnownPackage& other, std::set<std::string>& told) {
        if (other.package.name == known.package.name || is_foreign(other.package.name)) return false;
        if (!taken_.contains(known.package.name) && !taken_.contains(other.package.name)) return false;  // as it was
        if (bring_itself(other) || bring_itself(known)) return true;
        tell(told, printable(known.package.name) + " (" + printable(known.package.version) + ") does not go with " +
                       printable(other.package.name) + " (" + printable(other.package.version) + ")");
        return false;
    }

    void tell(std::set<std::string>& told, const std::string& sentence) {
        if (told.insert(sentence).second) plan_.conflicts.push_back(sentence);
    }

    // ---- order ----------------------------------------------------------------------------------------------

    void make_steps() {
        std::vector<std::string> removals;
        for (const auto& [name, why] : removed_) visit(name, *zone_.find(name), removed_, removals);
        std::reverse(removals.begin(), removals.end());
        for (const std::string& name : removals) {
            const KnownPackage& known = *zone_.find(name);
            plan_.steps.push_back(
                {UpdateAction::remove, name, known.package.version, "", removed_.find(name)->second, known.bytes});
        }
        std::vector<std::string> others;
        for (const auto& [name, taken] : taken_) visit(name, *taken.package, taken_, others);
        for (const std::string& name : others) {
            const Taken& taken = taken_.find(name)->second;
            const KnownPackage* there = zone_.find(name);
            plan_.steps.push_back({there == nullptr ? UpdateAction::add : UpdateAction::replace, name,
                                   there == nullptr ? "" : there->package.version, taken.package->package.version,
                                   taken.why, taken.package->bytes});
        }
    }

    // What it needs of the same set comes before it.
    // With a stack of its own: a hostile chain may be as long as the database.
    template <class Set>
    void visit(const std::string& name, const KnownPackage& known, const Set& set, std::vector<std::string>& order) {
        struct Visit {
            std::string name;
            std::vector<std::string> needs;
            std::size_t next = 0;
        };
        if (!visited_.insert(name).second) return;
        std::vector<Visit> open;
        open.push_back({name, needs_in(known, set)});
        while (!open.empty()) {
            Visit& top = open.back();
            if (top.next == top.needs.size()) {
                order.push_back(std::move(top.name));
                open.pop_back();
                continue;
            }
            const std::string wanted = top.needs[top.next++];
            const KnownPackage* next = taken_.contains(wanted) ? host_.find(wanted) : zone_.find(wanted);
            if (next != nullptr && visited_.insert(wanted).second) open.push_back({wanted, needs_in(*next, set)});
        }
    }

    template <class Set>
    std::vector<std::string> needs_in(const KnownPackage& known, const Set& set) const {
        std::vector<std::string> names;
        for (const Clause& clause : with_relations(known).relations.needs) {
            for (const Requirement& wanted : clause) {
                if (set.contains(wanted.name)) names.push_back(wanted.name);
            }
        }
        return names;
    }

    struct Taken {
        const KnownPackage* package;
        std::string why;
    };

    const PackageSet& zone_;
    const PackageSet& host_;
    bool everything_;
    UpdatePlan plan_;
    std::uint64_t steps_max_;
    mutable std::uint64_t steps_ = 0;
    std::map<std::string, Taken, std::less<>> taken_;
    std::map<std::string, std::string, std::less<>> removed_;  // name, why
    std::set<std::string> visited_;
};

void compare_with_manifest(const Inventory& manifest, const PackageSet& zone, const PackageSet& host,
                           UpdatePlan& plan) {
    const auto is_global = [&](const std::string& name) {
        const KnownPackage* here = host.find(name);
        return is_global_zone_only(name) || (here != nullptr && here->global_only);
    };
    for (const Package& said : manifest.packages) {
        const KnownPackage* known = zone.find(said.name);
        if (is_global(said.name)) continue;
        if (known == nullptr) {
            plan.disagreements.push_back({said.name, said.version, ""});
        } else if (compare_versions(zone.system, said.version, known->package.version) != 0) {
            plan.disagreements.push_back({said.name, said.version, known->package.version});
        }
    }
    for (const KnownPackage& known : zone.packages) {
        if (is_dependent(&known) && !is_global(known.package.name) && manifest.find(known.package.name) == nullptr)
            plan.disagreements.push_back({known.package.name, "", known.package.version});
    }
}

}  // namespace

UpdatePlan plan_update(const PackageSet& zone, const PackageSet& host, bool everything,
                       const std::optional<Inventory>& manifest, std::uint64_t steps_max) {
    UpdatePlan plan;
    if (zone.system != host.system) {
        plan.system = zone.system;
        plan.conflicts.push_back("the zone's packages are of " + std::string(package_system_name(zone.system)) +
                                 ", this host's of " + std::string(package_system_name(host.system)));
        return plan;
    }
    plan = Planner(zone, host, everything, steps_max).run();
    if (manifest && manifest->system == zone.system) compare_with_manifest(*manifest, zone, host, plan);
    return plan;
}

}  // namespace zoneferry
