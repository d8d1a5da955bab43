#include "core/adjust/nfs_server.h"

#include <array>

#include "core/adjust/linux_services.h"
#include "core/adjust/text_edit.h"

namespace zoneferry {
namespace {

constexpr const char* kServer = "a zone does not serve NFS";

constexpr std::array kRules = {
    ServiceRule{"nfs-server.service", kServer}, ServiceRule{"nfs-kernel-server.service", kServer},
    ServiceRule{"nfs-mountd.service", kServer}, ServiceRule{"nfs-idmapd.service", kServer},
    ServiceRule{"nfs-blkmap.service", kServer}, ServiceRule{"nfsdcld.service", kServer},
    ServiceRule{"nfsdclnts.service", kServer},  ServiceRule{"fsidd.service", kServer},
    ServiceRule{"proc-fs-nfsd.mount", kServer}, ServiceRule{"nfs-ganesha*.service", kServer},
    ServiceRule{"nfs-config.service", kServer}, ServiceRule{"rpc-svcgssd.service", kServer},
};

// A share may go on over several lines that end in '\': every line of it goes.
Status turn_off_shares(ImageEditor& image, const std::string& path) {
    ZF_TRY(const auto text, image.text(path));
    if (!text) return {};
    const EditedText edited = comment_out(*text, image.date(), [](std::string_view) { return true; });
    return image.edit(AdjustmentKind::nfs, path, edited.text, "commented out " + count_of(edited.lines, "line"));
}

}  // namespace

Status adjust_linux_nfs(ImageEditor& image) {
    ZF_TRY_STATUS(turn_off_shares(image, "etc/exports"));
    ZF_TRY(const std::vector<std::string> names, image.names("etc/exports.d"));
    for (const std::string& name : names) {
        if (name.ends_with(".exports")) ZF_TRY_STATUS(turn_off_shares(image, "etc/exports.d/" + name));
    }
    return turn_off_services(image, AdjustmentKind::nfs, kRules);
}

Status adjust_solaris_nfs(ImageEditor& image) { return turn_off_shares(image, "etc/dfs/dfstab"); }

}  // namespace zoneferry
