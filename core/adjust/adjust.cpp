#include "core/adjust/adjust.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/base/fd.h"

namespace zoneferry {
namespace {

bool has(int root, const char* path, mode_t type) {
    const auto found = open_beneath(root, path, O_PATH | O_NOFOLLOW);
    if (!found) return false;
    const auto info = stat_fd(found->get());
    return info && (info->st_mode & S_IFMT) == type;
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

Result<Adjustments> adjust_image(int root, const ZoneConfig&, const AdjustChoices&) {
    Adjustments adjustments;
    ZF_TRY(const OsFamily family, recognise_os(root));
    adjustments.family = family;
    return adjustments;
}

}  // namespace zoneferry
