#include "core/image/clone.h"

#include <algorithm>

#include "core/attach/zone_tree.h"
#include "core/base/text.h"
#include "core/zone/owner_record.h"

namespace zoneferry {
namespace {

std::vector<std::string> sorted(std::vector<std::string> texts) {
    std::sort(texts.begin(), texts.end());
    return texts;
}

// The copy must find in its own configuration what the original's tree was made for.
Status check_alike(const ZoneConfig& target, const ZoneConfig& source) {
    if (is_native_brand(target.brand) != is_native_brand(source.brand)) {
        return Error(Errc::conflict, "zone " + source.name + " is of brand " + printable(source.brand) + ", zone " +
                                         target.name + " of brand " + printable(target.brand))
            .remedy("zonecfg -z " + target.name + " set brand=" + source.brand);
    }
    if (sorted(target.inherited_directories) == sorted(source.inherited_directories)) return {};
    const auto shown = [](const ZoneConfig& config) {
        return config.inherited_directories.empty() ? "nothing" : printable(join(config.inherited_directories, " "));
    };
    return Error(Errc::conflict, "zone " + source.name + " inherits " + shown(source) + ", but zone " + target.name +
                                     " " + shown(target))
        .remedy("give both the same inherit-pkg-dir resources: zonecfg -z " + target.name + " create -F -t " +
                source.name);
}

}  // namespace

Result<InstallReport> clone_zone(const ZoneStore& store, const ZoneLock& target, const ZoneLock& source,
                                 const InstallProgressCallback& progress) {
    ZF_TRY(const ZoneEntry entry, store.find(source.name()));
    if (entry.state != ZoneState::installed) {
        return Error(Errc::conflict, "zone " + entry.name.str() + " is " + std::string(state_name(entry.state)) +
                                         ": only an installed zone can be cloned")
            .remedy("zoneadm list -i shows the installed ones");
    }
    ZF_TRY(const ZoneConfig from, store.config(source.name()));
    ZF_TRY(const ZoneConfig to, store.config(target.name()));
    ZF_TRY_STATUS(check_alike(to, from));
    if (Status ours = may_boot(store.root(), source.name(), from.zonepath); !ours)
        return std::move(ours).error().during("cloning is refused");
    ZF_TRY(const UniqueFd tree, open_zone_tree(store.root(), from.zonepath));
    ZF_TRY(const std::vector<std::string> mounts, mounts_below(tree.get()));
    if (!mounts.empty()) {
        return Error(Errc::conflict, "a file system is mounted in zone " + from.name + ", at " +
                                         printable(mounts.front()) + "; nothing was changed")
            .remedy("umount " + printable(mounts.back()));
    }
    return install_zone(store, target, ZoneTree{from.zonepath}, {progress, {}, {}});
}

}  // namespace zoneferry
