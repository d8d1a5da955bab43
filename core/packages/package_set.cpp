#include "core/packages/package_set.h"

#include <algorithm>
#include <map>

#include "core/base/text.h"
#include "core/packages/dpkg/database.h"
#include "core/packages/dpkg/inventory.h"
#include "core/packages/inventory.h"
#include "core/packages/limits.h"
#include "core/packages/svr4/inventory.h"
#include "core/packages/svr4/pkginfo.h"

namespace zoneferry {
namespace {

using Reasons = std::map<std::string, DependencyReason, std::less<>>;

Reasons reasons_of(const Inventory& inventory) {
    Reasons reasons;
    for (const Package& package : inventory.packages) reasons.emplace(package.name, package.reason);
    return reasons;
}

DependencyReason reason_for(const Reasons& reasons, std::string_view name) {
    const auto found = reasons.find(name);
    return found == reasons.end() ? DependencyReason::unknown : found->second;
}

void append(std::vector<Requirement>& to, std::vector<Clause> clauses) {
    for (Clause& clause : clauses) {
        for (Requirement& requirement : clause) to.push_back(std::move(requirement));
    }
}

Result<PackageRelations> relations_of(const DpkgPackage& package) {
    PackageRelations relations;
    ZF_TRY(relations.needs, parse_relations(package.pre_depends, "Pre-Depends"));
    ZF_TRY(std::vector<Clause> depends, parse_relations(package.depends, "Depends"));
    std::move(depends.begin(), depends.end(), std::back_inserter(relations.needs));
    ZF_TRY(std::vector<Clause> breaks, parse_relations(package.breaks, "Breaks"));
    append(relations.excludes, std::move(breaks));
    ZF_TRY(std::vector<Clause> conflicts, parse_relations(package.conflicts, "Conflicts"));
    append(relations.excludes, std::move(conflicts));
    ZF_TRY(std::vector<Clause> provides, parse_relations(package.provides, "Provides"));
    append(relations.provides, std::move(provides));
    return relations;
}

std::size_t count(const PackageRelations& relations) {
    std::size_t all = relations.excludes.size() + relations.provides.size();
    for (const Clause& clause : relations.needs) all += clause.size();
    return all;
}

Result<PackageSet> take_dpkg_set(int root, const ScopeMatcher& scope, const HostPolicy& policy) {
    PackageSet set;
    set.system = PackageSystem::dpkg;
    ZF_TRY(const Inventory dependent, take_dpkg_inventory(root, scope, policy));
    const Reasons reasons = reasons_of(dependent);
    set.warnings = dependent.warnings;
    std::size_t requirements = 0;
    ZF_TRY(const DpkgDatabase database, DpkgDatabase::open(root));
    for (const DpkgPackage& package : database.packages()) {
        if (!package.has_files()) continue;
        KnownPackage known;
        known.package.name = database.shown_name(package);
        known.package.version = package.version;
        known.package.reason = reason_for(reasons, known.package.name);
        known.global_only = is_global_zone_only(package.name) || policy.is_this_zone(known.package.name);
        auto relations = relations_of(package);
        if (!relations) return std::move(relations).error().during("package " + package.name);
        known.relations = *std::move(relations);
        requirements += count(known.relations);
        if (requirements > kRequirementsMax)
            return Error(Errc::invalid, "the packages have more than " + std::to_string(kRequirementsMax) +
                                            " relations to each other: more than is read");
        known.bytes = parse_number<std::uint32_t>(package.installed_size).value_or(0) * std::uint64_t{1024};
        set.packages.push_back(std::move(known));
    }
    return set;
}

Result<PackageSet> take_svr4_set(int root, const ScopeMatcher& scope, const HostPolicy& policy) {
    PackageSet set;
    set.system = PackageSystem::svr4;
    ZF_TRY(const Inventory dependent, take_svr4_inventory(root, scope, policy));
    const Reasons reasons = reasons_of(dependent);
    set.warnings = dependent.warnings;
    ZF_TRY(std::vector<Svr4Installed> installed, read_svr4_packages(root));
    std::vector<Package> packages;
    for (Svr4Installed& each : installed) {
        packages.push_back({each.name, each.package.version, reason_for(reasons, each.name), each.package.patches});
    }
    drop_obsoleted_patches(packages);
    for (std::size_t i = 0; i < packages.size(); ++i) {
        KnownPackage known;
        known.package = std::move(packages[i]);
        const bool alone = installed[i].global_only && known.package.reason == DependencyReason::unknown;
        known.global_only = installed[i].package.this_zone || alone || policy.is_this_zone(installed[i].name);
        for (std::string& needed : installed[i].needs) known.relations.needs.push_back({{std::move(needed), "", ""}});
        set.packages.push_back(std::move(known));
    }
    return set;
}

}  // namespace

const KnownPackage* PackageSet::find(std::string_view name) const {
    const auto at =
        std::lower_bound(packages.begin(), packages.end(), name,
                         [](const KnownPackage& known, std::string_view n) { return known.package.name < n; });
    return at != packages.end() && at->package.name == name ? &*at : nullptr;
}

Result<PackageSet> take_package_set(int root, const DependencyScope& scope, const HostPolicy& policy) {
    ZF_TRY(const PackageSystem system, find_package_system(root));
    ZF_TRY(const ScopeMatcher matcher, ScopeMatcher::make(scope, root_aliases(root)));
    ZF_TRY(PackageSet set,
           system == PackageSystem::dpkg ? take_dpkg_set(root, matcher, policy) : take_svr4_set(root, matcher, policy));
    std::sort(set.packages.begin(), set.packages.end(),
              [](const KnownPackage& a, const KnownPackage& b) { return a.package.name < b.package.name; });
    return set;
}

Inventory inventory_of(const PackageSet& set) {
    Inventory inventory;
    inventory.system = set.system;
    for (const KnownPackage& known : set.packages) inventory.packages.push_back(known.package);
    return inventory;
}

PackageSet package_set_of(const Inventory& inventory) {
    PackageSet set;
    set.system = inventory.system;
    for (const Package& package : inventory.packages) {
        KnownPackage known;
        known.package = package;
        known.has_relations = false;
        set.packages.push_back(std::move(known));
    }
    return set;
}

}  // namespace zoneferry
