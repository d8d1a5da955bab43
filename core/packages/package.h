// What is installed on a host, as far as a zone depends on it: values only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zoneferry {

enum class PackageSystem { dpkg, svr4 };

std::string_view package_system_name(PackageSystem system);  // "dpkg", "svr4"
std::optional<PackageSystem> package_system_from_name(std::string_view name);

// Why a zone depends on a package of the global zone.
enum class DependencyReason {
    unknown,    // a manifest that does not tell (Solaris wrote none)
    all_zones,  // SUNW_PKG_ALLZONES, or host policy: must be the same in every zone
    inherited,  // it delivers into a directory that the zone inherits
    required,   // a dependent package needs it (SVR4 install/depend)
};

std::string_view dependency_reason_name(DependencyReason reason);  // "all-zones", ...; "" for unknown
std::optional<DependencyReason> dependency_reason_from_name(std::string_view name);

// "118833-36": a base number and a revision. Without a '-' the revision is empty.
struct PatchId {
    std::string base;
    std::string revision;

    static PatchId parse(std::string_view text);
    std::string text() const { return revision.empty() ? base : base + "-" + revision; }
    bool operator==(const PatchId&) const = default;
};

struct Patch {
    PatchId id;
    std::vector<std::string> obsoletes;  // bases only; sorted, each once

    bool operator==(const Patch&) const = default;
};

struct Package {
    std::string name;  // dpkg: "libc6"; of a foreign architecture "libc6:i386"
    std::string version;
    DependencyReason reason = DependencyReason::unknown;
    std::vector<Patch> patches;  // by base number, each base once

    bool operator==(const Package&) const = default;
};

// The dependent packages of one zone on one host.
struct Inventory {
    PackageSystem system = PackageSystem::dpkg;
    std::vector<Package> packages;  // sorted by name, each name once
    // What the reader met that a person should look at (a package left half configured). About the reading,
    // not about the packages: not in a manifest, and not part of equality.
    std::vector<std::string> warnings;

    const Package* find(std::string_view name) const;
    bool operator==(const Inventory& other) const { return system == other.system && packages == other.packages; }
};

}  // namespace zoneferry
