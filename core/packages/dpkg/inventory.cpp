#include "core/packages/dpkg/inventory.h"

#include <algorithm>
#include <map>

#include "core/packages/database_file.h"
#include "core/packages/dpkg/database.h"
#include "core/packages/limits.h"

namespace zoneferry {
namespace {

// Only diversions that lead into the scope or out of it change who is dependent; there are hardly ever any.
std::map<std::string, DpkgDiversion, std::less<>> crossing_diversions(const std::vector<DpkgDiversion>& all,
                                                                      const ScopeMatcher& scope) {
    std::map<std::string, DpkgDiversion, std::less<>> crossing;
    for (const DpkgDiversion& diversion : all) {
        if (scope.contains(diversion.original) != scope.contains(diversion.to))
            crossing[diversion.original] = diversion;
    }
    return crossing;
}

class DependentFinder {
public:
    DependentFinder(const DpkgDatabase& database, const ScopeMatcher& scope, const HostPolicy& policy)
        : database_(database), scope_(scope), policy_(policy) {}

    Result<Inventory> run() {
        inventory_.system = PackageSystem::dpkg;
        if (scope_.has_inherited()) {
            ZF_TRY(const std::vector<DpkgDiversion> diversions, database_.diversions());
            diversions_ = crossing_diversions(diversions, scope_);
        }
        for (const DpkgPackage& package : database_.packages()) ZF_TRY_STATUS(consider(package));
        std::sort(inventory_.packages.begin(), inventory_.packages.end(),
                  [](const Package& a, const Package& b) { return a.name < b.name; });
        return std::move(inventory_);
    }

private:
    Status consider(const DpkgPackage& package) {
        if (package.state == DpkgState::not_installed || package.state == DpkgState::config_files) return {};
        const std::string name = database_.shown_name(package);
        if (policy_.is_this_zone(name)) return {};
        DependencyReason reason = DependencyReason::unknown;
        if (policy_.is_all_zones(name)) {
            reason = DependencyReason::all_zones;
        } else if (scope_.has_inherited()) {
            // Of a package that was only half unpacked the list may not be there yet: take it for dependent.
            if (!package.has_files()) return broken(package);
            ZF_TRY(const bool inside, delivers_into_scope(package));
            if (inside) reason = DependencyReason::inherited;
        }
        if (reason == DependencyReason::unknown) return {};
        if (!package.has_files() || package.reinstall_required) return broken(package);
        if (!package.is_installed()) {
            inventory_.warnings.push_back("package " + name + " is " + std::string(dpkg_state_name(package.state)) +
                                          ", not fully installed; run: dpkg --configure -a");
        }
        Package dependent;
        dependent.name = name;
        dependent.version = package.version;
        dependent.reason = reason;
        inventory_.packages.push_back(std::move(dependent));
        return {};
    }

    static Error broken(const DpkgPackage& package) {
        return Error(Errc::corrupt, "/var/lib/dpkg/status line " + std::to_string(package.line) + ": package " +
                                        package.name + " is broken (" + std::string(dpkg_state_name(package.state)) +
                                        (package.reinstall_required ? ", to be reinstalled" : "") +
                                        "), so what the zone would depend on is unknown")
            .remedy("apt-get install --reinstall " + package.name);
    }

    // A directory of which more is listed does not count itself: it is only the way there.
    Result<bool> delivers_into_scope(const DpkgPackage& package) const {
        ZF_TRY(const std::string text, database_.file_list_text(package));
        bool found = false;
        const auto look = [&](std::string_view path, bool is_parent) {
            if (is_parent) return true;
            if (!diversions_.empty()) path = where_it_lies(path, package.name);
            found = scope_.contains(path);
            return !found;
        };
        ZF_TRY_STATUS(for_each_dpkg_path(text, DpkgDatabase::list_path(package), look));
        return found;
    }

    std::string_view where_it_lies(std::string_view path, std::string_view package) const {
        const auto at = diversions_.find(path);
        return at == diversions_.end() || at->second.package == package ? path : std::string_view(at->second.to);
    }

    const DpkgDatabase& database_;
    const ScopeMatcher& scope_;
    const HostPolicy& policy_;
    std::map<std::string, DpkgDiversion, std::less<>> diversions_;
    Inventory inventory_;
};

}  // namespace

Result<Inventory> take_dpkg_inventory(int root, const ScopeMatcher& scope, const HostPolicy& policy) {
    ZF_TRY(const DpkgDatabase database, DpkgDatabase::open(root));
    return DependentFinder(database, scope, policy).run();
}

}  // namespace zoneferry
