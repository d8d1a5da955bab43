#include "core/packages/package.h"

#include <algorithm>

namespace zoneferry {

std::string_view package_system_name(PackageSystem system) { return system == PackageSystem::dpkg ? "dpkg" : "svr4"; }

std::optional<PackageSystem> package_system_from_name(std::string_view name) {
    if (name == "dpkg") return PackageSystem::dpkg;
    if (name == "svr4") return PackageSystem::svr4;
    return std::nullopt;
}

std::string_view dependency_reason_name(DependencyReason reason) {
    switch (reason) {
        case DependencyReason::unknown: return "";
        case DependencyReason::all_zones: return "all-zones";
        case DependencyReason::inherited: return "inherited";
        case DependencyReason::required: return "required";
    }
    return "";
}

std::optional<DependencyReason> dependency_reason_from_name(std::string_view name) {
    for (const auto reason : {DependencyReason::unknown, DependencyReason::all_zones, DependencyReason::inherited,
                              DependencyReason::required}) {
        if (dependency_reason_name(reason) == name) return reason;
    }
    return std::nullopt;
}

PatchId PatchId::parse(std::string_view text) {
    const std::size_t dash = text.find('-');
    if (dash == std::string_view::npos) return {std::string(text), ""};
    return {std::string(text.substr(0, dash)), std::string(text.substr(dash + 1))};
}

const Package* Inventory::find(std::string_view name) const {
    const auto at = std::lower_bound(packages.begin(), packages.end(), name,
                                     [](const Package& package, std::string_view n) { return package.name < n; });
    return at != packages.end() && at->name == name ? &*at : nullptr;
}

}  // namespace zoneferry
