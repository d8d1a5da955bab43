// Every package of a root with what an update has to know of it: whether a zone depends on it, what it needs, how big
// it is. Of a zone's own tree it is the inventory that an update goes by; the zone wrote it, so it is hostile and
// bounded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/packages/package.h"
#include "core/packages/policy.h"
#include "core/packages/relations.h"
#include "core/packages/scope.h"

namespace zoneferry {

struct PackageRelations {
    std::vector<Clause> needs;          // Depends and Pre-Depends; svr4: install/depend P lines
    std::vector<Requirement> excludes;  // Breaks and Conflicts
    std::vector<Requirement> provides;  // with "=" and a version, or without either

    bool operator==(const PackageRelations&) const = default;
};

struct KnownPackage {
    Package package;           // its reason: unknown if the zone does not depend on it
    bool global_only = false;  // belongs to the global zone alone: no zone gets it
    bool has_relations = true;
    PackageRelations relations;
    std::uint64_t bytes = 0;  // on the disk, as the package says; 0: not told

    bool operator==(const KnownPackage&) const = default;
};

struct PackageSet {
    PackageSystem system = PackageSystem::dpkg;
    std::vector<KnownPackage> packages;  // sorted by name, each once
    std::vector<std::string> warnings;

    const KnownPackage* find(std::string_view name) const;
};

// root: a host's, or a zone's with the policy of the host that looks at it.
Result<PackageSet> take_package_set(int root, const DependencyScope& scope, const HostPolicy& policy);

// What of it travels in a manifest: names, versions, reasons and patches. And back: without relations.
Inventory inventory_of(const PackageSet& set);
PackageSet package_set_of(const Inventory& inventory);

}  // namespace zoneferry
