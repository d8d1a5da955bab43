#include "core/attach/detach.h"

#include "core/attach/zone_tree.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/inventory.h"
#include "core/zone/zonepath.h"

namespace zoneferry {
namespace {

Status check_state(const HostRoot& root, const ZoneEntry& entry, ZoneState state_now) {
    const std::string zone = "zone " + entry.name.str();
    if (entry.state == ZoneState::incomplete) {
        return Error(Errc::conflict, zone + " is incomplete and cannot be detached")
            .remedy(incomplete_remedy(root, entry.name.str(), entry.zonepath));
    }
    if (entry.state != ZoneState::installed) {
        return Error(Errc::conflict,
                     zone + " is " + std::string(state_name(entry.state)) + "; only an installed zone can be detached")
            .remedy("zoneadm list -i shows the installed ones");
    }
    if (state_now != ZoneState::installed) {
        return Error(Errc::conflict,
                     zone + " is " + std::string(state_name(state_now)) + "; it must be halted before it is detached")
            .remedy("zoneadm -z " + entry.name.str() + " halt");
    }
    return {};
}

Status check_mounts(int zonepath) {
    ZF_TRY(const std::vector<std::string> mounts, mounts_below(zonepath));
    if (mounts.empty()) return {};
    std::vector<std::string> shown;
    for (const std::string& mount : mounts) shown.push_back(printable(mount));
    return Error(Errc::conflict, "these file systems are still mounted below the zonepath: " + join(shown, ", ") +
                                     "; nothing was changed")
        .remedy("umount " + shown.back());
}

}  // namespace

DependencyScope dependency_scope(const ZoneConfig& config) {
    DependencyScope scope;
    scope.inherited = config.inherited_directories;
    for (const FsResource& fs : config.filesystems) scope.filesystems.push_back(fs.directory);
    return scope;
}

Result<Manifest> make_manifest(const HostRoot& root, const ZoneConfig& config) {
    Manifest manifest;
    manifest.config = config;
    ZF_TRY(manifest.inventory, take_inventory(root, dependency_scope(config)));
    ZF_TRY(manifest.source, gather_host_facts(root));
    return manifest;
}

Status write_manifest(const HostRoot& root, const std::string& zonepath, const Manifest& manifest) {
    ZF_TRY(const UniqueFd directory, open_zone_tree(root, zonepath));
    const std::string text = manifest_text(manifest);
    const auto again = parse_manifest(text);
    if (!again || *again != manifest) {
        const std::string why = again ? "its values change on the way" : again.error().text();
        return Error(Errc::invalid, "the manifest of zone " + printable(manifest.config.name) +
                                        " could not be read back (" + why + "); it was not written");
    }
    return replace_file_at(directory.get(), kDetachedName, text, 0644);
}

Result<Manifest> read_manifest(const HostRoot& root, const std::string& zonepath) {
    ZF_TRY(const UniqueFd directory, open_zone_tree(root, zonepath));
    const std::string shown = zonepath + "/" + kDetachedName;
    auto text = read_in_directory(directory.get(), kDetachedName, shown, kManifestBytesMax);
    if (!text && text.error().code() == Errc::not_found) {
        return Error(Errc::not_found, "there is no " + printable(shown) + ", so what the zone depends on is unknown")
            .remedy("detach the zone on its host first (zoneadm detach), or attach it without validation (attach -F)");
    }
    if (!text) return std::move(text).error();
    return parse_manifest(*text, shown);
}

Status detach_zone(const HostRoot& root, const ZoneLock& lock, const ZoneName& name, ZoneState state_now) {
    ZF_CHECK(lock.name() == name);
    ZoneStore store(root);
    ZF_TRY(const ZoneEntry entry, store.find(name));
    ZF_TRY_STATUS(check_state(root, entry, state_now));
    ZF_TRY(const ZoneConfig config, store.config(name));
    ZF_TRY(const UniqueFd zonepath, open_zone_tree(root, config.zonepath));
    ZF_TRY_STATUS(check_mounts(zonepath.get()));
    ZF_TRY(const Manifest manifest, make_manifest(root, config));
    ZF_TRY_STATUS(write_manifest(root, config.zonepath, manifest));
    return store.change_state(lock, ZoneState::installed, ZoneState::configured);
}

}  // namespace zoneferry
