#include "core/packages/inventory.h"

#include <fcntl.h>

#include "core/packages/dpkg/database.h"
#include "core/packages/dpkg/inventory.h"
#include "core/packages/policy.h"
#include "core/packages/svr4/inventory.h"

namespace zoneferry {
namespace {

Result<bool> exists_in_root(int root, const std::string& path) {
    auto fd = open_in_root(root, path, O_PATH);
    if (fd) return true;
    if (fd.error().code() == Errc::not_found) return false;
    return std::move(fd).error();
}

}  // namespace

Result<PackageSystem> find_package_system(int root) {
    ZF_TRY(const bool dpkg, exists_in_root(root, "/var/lib/dpkg/status"));
    ZF_TRY(const bool svr4, exists_in_root(root, "/var/sadm/install/contents"));
    if (dpkg && svr4) {
        return Error(Errc::conflict,
                     "this host has two package databases, /var/lib/dpkg/status and /var/sadm/install/contents, and "
                     "only one can be the host's own")
            .remedy("move the one away that does not describe this host");
    }
    if (!dpkg && !svr4) {
        return Error(Errc::unsupported,
                     "this host has no package database that is known here: neither /var/lib/dpkg/status nor "
                     "/var/sadm/install/contents");
    }
    return dpkg ? PackageSystem::dpkg : PackageSystem::svr4;
}

Result<Inventory> take_inventory(int root, const DependencyScope& scope) {
    ZF_TRY(const PackageSystem system, find_package_system(root));
    ZF_TRY(const HostPolicy policy, HostPolicy::load(root));
    ZF_TRY(const ScopeMatcher matcher, ScopeMatcher::make(scope, root_aliases(root)));
    auto inventory = system == PackageSystem::dpkg ? take_dpkg_inventory(root, matcher, policy)
                                                   : take_svr4_inventory(root, matcher, policy);
    if (!inventory) return std::move(inventory).error().during("reading this host's packages");
    return inventory;
}

Result<Inventory> take_inventory(const HostRoot& root, const DependencyScope& scope) {
    ZF_TRY(const UniqueFd fd, open_directory(root.directory()));
    return take_inventory(fd.get(), scope);
}

Result<std::string> find_package_architecture(int root) {
    ZF_TRY(const PackageSystem system, find_package_system(root));
    if (system == PackageSystem::svr4) return std::string();
    ZF_TRY(const DpkgDatabase database, DpkgDatabase::open(root));
    return database.native_architecture();
}

}  // namespace zoneferry
