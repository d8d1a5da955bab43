#include "core/adjust/adjust.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/adjust/image_editor.h"
#include "core/adjust/linux_identity.h"
#include "core/adjust/linux_network.h"
#include "core/adjust/linux_services.h"
#include "core/adjust/mounts.h"
#include "core/adjust/nested.h"
#include "core/adjust/nfs_server.h"
#include "core/adjust/solaris_services.h"
#include "core/adjust/solaris_system.h"
#include "core/base/fd.h"

namespace zoneferry {
namespace {

bool has(int root, const char* path, mode_t type) {
    const auto found = open_beneath(root, path, O_PATH | O_NOFOLLOW);
    if (!found) return false;
    const auto info = stat_fd(found->get());
    return info && (info->st_mode & S_IFMT) == type;
}

Status adjust_linux(ImageEditor& image, const ZoneConfig& zone, const AdjustChoices& choices) {
    ZF_TRY_STATUS(delete_nested_zones(image));
    ZF_TRY_STATUS(adjust_linux_containers(image, choices.delete_containers));
    ZF_TRY_STATUS(adjust_linux_network(image, zone, choices.unconfigure));
    ZF_TRY_STATUS(adjust_linux_nfs(image));
    ZF_TRY_STATUS(adjust_fstab(image));
    ZF_TRY_STATUS(adjust_linux_services(image));
    if (choices.unconfigure) return unconfigure_linux(image, zone.name, choices.sysid);
    return {};
}

Status adjust_solaris(ImageEditor& image, const ZoneConfig& zone, const AdjustChoices& choices) {
    ZF_TRY_STATUS(adjust_solaris_directories(image));
    ZF_TRY_STATUS(delete_nested_zones(image));
    ZF_TRY_STATUS(adjust_solaris_network(image, zone, choices.unconfigure));
    ZF_TRY_STATUS(adjust_solaris_nfs(image));
    // sys-unconfig saves what vfstab was: before it is edited.
    if (choices.unconfigure) ZF_TRY_STATUS(unconfigure_solaris(image, zone.name, choices.sysid));
    ZF_TRY_STATUS(adjust_vfstab(image));
    return adjust_solaris_services(image, zone.ip_type);
}

Result<Adjustments> run_units(int root, const ZoneConfig& zone, const AdjustChoices& choices,
                              ImageEditor::Hands hands) {
    Adjustments adjustments;
    ZF_TRY(const OsFamily family, recognise_os(root));
    adjustments.family = family;
    ImageEditor image(root, choices.date, !choices.unconfigure, hands);
    Status done =
        family == OsFamily::linux_debian ? adjust_linux(image, zone, choices) : adjust_solaris(image, zone, choices);
    if (!done) return std::move(done).error();
    adjustments.changes = image.take_changes();
    adjustments.warnings = image.take_warnings();
    return adjustments;
}

}  // namespace

std::string_view os_family_name(OsFamily family) { return family == OsFamily::linux_debian ? "linux" : "solaris"; }

std::string_view adjustment_kind_name(AdjustmentKind kind) {
    switch (kind) {
        case AdjustmentKind::services: return "services";
        case AdjustmentKind::network: return "network";
        case AdjustmentKind::nfs: return "nfs";
        case AdjustmentKind::mounts: return "mounts";
        case AdjustmentKind::nested: return "nested";
        case AdjustmentKind::system: return "system";
        case AdjustmentKind::identity: return "identity";
    }
    return "unknown";
}

Result<OsFamily> recognise_os(int root) {
    // What the edits need, in real directories: a link in their place could lead anywhere.
    for (const char* directory : {"etc", "usr", "var"}) {
        if (has(root, directory, S_IFDIR)) continue;
        return Error(Errc::unsupported, "the image is no whole system: /" + std::string(directory) +
                                            " is missing, or is no directory of its own")
            .remedy("give the root of a whole system");
    }
    if (has(root, "var/lib/dpkg/status", S_IFREG)) return OsFamily::linux_debian;
    if (has(root, "var/sadm/install/contents", S_IFREG) || has(root, "etc/svc", S_IFDIR)) {
        return OsFamily::solaris_svr4;
    }
    return Error(Errc::unsupported,
                 "the image is of no known system: it has neither /var/lib/dpkg/status (Debian family) nor "
                 "/var/sadm/install/contents (Solaris)");
}

Result<Adjustments> adjust_image(int root, const ZoneConfig& zone, const AdjustChoices& choices) {
    return run_units(root, zone, choices, ImageEditor::Hands::work);
}

Result<Adjustments> foresee_adjustments(int root, const ZoneConfig& zone, const AdjustChoices& choices) {
    return run_units(root, zone, choices, ImageEditor::Hands::none);
}

}  // namespace zoneferry
