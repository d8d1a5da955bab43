// Makes the unpacked image of a physical system a good zone: the edits that p2v promises, on the tree alone.
//
// Nothing of the image is run. All is done below one directory descriptor, no symbolic link of the image is followed
// (image_editor.h). Done twice it changes nothing the second time. When it is called the image is complete and brought
// up to date (update on attach), and the zone is not yet installed: after an error the image is thrown away.
//
//   kind       Linux, Debian family                           Solaris, svr4
//   services   units and scripts that need hardware           an SMF profile; services of hollow packages
//   network    ifupdown, networkd, NetworkManager, netplan    hostname.*, dhcp.*, SMF
//   nfs        exports, exports.d; the servers' units         dfstab; SMF
//   mounts     fstab                                          vfstab
//   nested     zones, machines, lxc, docker ...               zones
//   system     -                                              directories that a running system fills
//   identity   with -u only                                   with -u only, what sys-unconfig does
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/adjust/sysid.h"
#include "core/base/result.h"
#include "core/zone/config.h"

namespace zoneferry {

enum class OsFamily { linux_debian, solaris_svr4 };
std::string_view os_family_name(OsFamily family);  // "linux", "solaris"

enum class AdjustmentKind { services, network, nfs, mounts, nested, system, identity };
std::string_view adjustment_kind_name(AdjustmentKind kind);  // "services", ...

struct Change {
    AdjustmentKind kind = AdjustmentKind::services;
    std::string path;  // what was changed, below the root: "etc/fstab"; raw, from the image: printable() before showing
    std::string done;  // "commented out 2 local file systems"; printable already
    std::string backup;  // where the original lies, below the root; empty: there was none, or none is kept
    bool operator==(const Change&) const = default;
};

struct AdjustChoices {
    bool unconfigure = false;         // -u; false: -p
    bool delete_containers = false;   // the data of containers that are no zones (machines, lxc, docker ...) too
    std::optional<Sysid> sysid = {};  // --sysid, with unconfigure only; else the first boot asks
    std::string date;                 // put into edited files: "2026-11-22"
};

struct Adjustments {
    OsFamily family = OsFamily::linux_debian;
    std::vector<Change> changes;        // in the order they were made
    std::vector<std::string> warnings;  // what was left alone and why, what to do by hand; printable
};

// What kind of system lies below root (an open directory); Errc::unsupported, with what it lacks, if it is neither.
Result<OsFamily> recognise_os(int root);

// root: an open directory of the image. zone: its ip-type, nets and name count. Not durable: the caller syncs.
Result<Adjustments> adjust_image(int root, const ZoneConfig& zone, const AdjustChoices& choices);
// What that would do, by the same units; nothing is changed, and no Change has a backup.
Result<Adjustments> foresee_adjustments(int root, const ZoneConfig& zone, const AdjustChoices& choices);

}  // namespace zoneferry
