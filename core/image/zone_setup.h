// What maintainer scripts would have made in a zone that was copied from the host's packages.
//
//   var/lib/dpkg        status and info of the zone's packages, diversions, statoverride, triggers, alternatives
//   etc/passwd, group   base-passwd's accounts and the host's system accounts (100..999) with the same numbers, because
//                       files in an inherited /usr belong to them; then systemd-sysusers. All locked: no host secrets
//   alternatives        the links of update-alternatives whose targets the zone has
//   systemd units       enabled as the packages enable them (deb-systemd-helper's records), not as the host's
//                       administrator chose
//   etc                 os-release (a real file if /usr is inherited), empty machine-id, hostname, hosts
//   dev proc sys run tmp and other empty directories; ld.so.cache
#pragma once

#include <string>

#include "core/base/host_root.h"
#include "core/image/host_packages.h"

namespace zoneferry {

// The part that is written entry by entry; before writer.finish().
Status write_zone_setup(int host_root, const DpkgDatabase& database, const HostPackagesPlan& plan,
                        const std::string& zone_name, ImageWriter& writer);

// The part that needs programs (systemd-sysusers, ldconfig), on the finished tree. zone_root is a path of ours.
Status run_setup_programs(int host_root, const HostPackagesPlan& plan, const std::string& zone_root);

// For any kind of image: the directories that the runtime mounts on, where they are missing.
Status add_mount_points(ImageWriter& writer);

// Pure parts.
// base-passwd's lines ("passwd.master", "group.master") and the host's system accounts, without passwords and members.
std::string merge_accounts(std::string_view master, std::string_view host, bool is_group);
std::string locked_shadow(std::string_view accounts, bool is_group);

}  // namespace zoneferry
