// What storage a zone's tree lies on, told in a way that another host understands: not by paths, which say nothing, but
// by what the file system and the device carry. Two kinds let a zone move without its bytes:
//
//   directory   both hosts have the zonepath on one mounted file system now: NFS, CephFS, GFS2, virtiofs, a cluster
//               file system. Nothing that can be read proves it (paths, UUIDs and sizes of two of them may be equal),
//               only a number that one host writes and the other one reads does: agent/move/storage_proof.h.
//   LUN         a file system on a block device that both hosts see and one may mount: iSCSI, FC, NVMe-oF, a volume.
//
// The text of a LUN, as it stands in an owner record and travels; words without blanks, "-" for an empty one:
//
//     lun ext4 4ab1d5c2-... wwid:naa.600140500 10737418240 /export/zones/web01 noatime,discard
//         type UUID         device             bytes       mount point         options; left out if there are none
//
// A device is named by what it carries through every path to it: the WWID (SCSI, NVMe), a serial number (virtio), the
// device mapper's UUID, and for a loop device its image ("file:DEVICE:INODE:OFFSET").
//
// A LUN may be declared in the zone's configuration (zonecfg: add storage). Then its size is not known, and its device
// need not be: declared_lun().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"
#include "core/base/host_root.h"
#include "core/base/result.h"
#include "core/zone/config.h"
#include "core/zone/reservation.h"

namespace zoneferry {

inline constexpr const char* kSharedDirectory = "directory";

struct Storage {
    std::string file_system;           // "ext4"
    std::string uuid;                  // of the file system; empty: none
    std::string device_id;             // empty: no block device, or one that carries nothing
    std::uint64_t size_bytes = 0;      // of the device; 0: none
    std::string mount_point;           // in the global zone
    std::vector<std::string> options;  // those of mount_options.h only
    bool operator==(const Storage&) const = default;
};

bool is_lun(std::string_view storage);
std::string lun_text(const Storage& storage);
Result<Storage> parse_lun(std::string_view text);  // Errc::invalid

// The LUN that the configuration declares; nullopt: it declares none.
std::optional<Storage> declared_lun(const ZoneConfig& config);
// Is what is mounted, or what a device carries, that LUN? What a declaration leaves open fits everything. Purely.
bool is_lun_on(const Storage& wanted, const Storage& found);

// Where a path of the global zone lies now. Reads only.
struct MountedAt {
    Storage storage;
    std::string device;    // "/dev/sdb"; empty: no block device
    bool is_whole = true;  // false: the mount shows only a part of its file system (a bind mount)
};
Result<MountedAt> mounted_at(const std::string& path);

// Why the zonepath's storage cannot be unmounted here and mounted elsewhere; empty: it can. Purely.
std::string lun_problem(const MountedAt& at, const std::string& zonepath, const std::vector<std::string>& others);

// A block device of this host.
struct BlockDevice {
    std::string path;  // "/dev/sdb"
    Storage storage;   // as probed on the disk itself, never from a cache; mount_point: where it is mounted, if it is
    bool is_busy = false;
};
Result<std::vector<BlockDevice>> block_devices();

// Which of this host's devices is that LUN? Purely.
struct FoundLun {
    std::string device;  // empty: none
    std::string code;    // STORAGE_CLONE, STORAGE_MOUNTED, STORAGE_MISSING; empty: found
    std::string problem;
};
FoundLun find_lun(const Storage& wanted, const std::vector<BlockDevice>& devices);

// Mounts it at its mount point, read-write; already mounted there from that device: nothing to do. Where the device has
// reservations it is reserved under that key first (0: it is not asked).
Status mount_lun(const Storage& lun, ReservationKey key);
// Its file system, read-only and without replaying a log, at no path: it is gone when the descriptor is closed, also
// after a SIGKILL.
Result<UniqueFd> open_lun_read_only(const Storage& lun);
// What was written there lies at its place on the device and not in a log only, so that a host that looks at the device
// without replaying a log, while it is mounted here, sees it. file: any descriptor on it. Fails on nothing that it can
// do without.
void settle_lun(int file);
// A part of that: xfs writes its log back only when it is frozen. In a process of its own, because whoever is killed
// while it is frozen leaves a file system that nobody can write to; if that one is killed, this one thaws. For tests:
// while_frozen, or null.
void freeze_and_thaw(int file, void (*while_frozen)());
// Both were killed (or the host's administrator froze it): writable again. True: it was frozen.
Result<bool> thaw_lun(const Storage& lun);
// Unmounted everywhere on this host when it returns: nobody holds the device any more, and this host's reservation is
// given up. Nothing to do is no error.
Status unmount_lun(const Storage& lun, ReservationKey of_this_host);
// Errc::conflict while another host is registered to write to it.
Status check_lun_given_up(const Storage& lun, ReservationKey of_this_host);

}  // namespace zoneferry
