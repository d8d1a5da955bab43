// Mounting and unmounting a LUN, with the mount system calls that take descriptors (Linux 5.2).
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/storage.h"

namespace zoneferry {
namespace {

constexpr int kBusyTimeoutMs = 5'000;
constexpr int kLookAgainMs = 10;

// What the kernel says about a mount that failed, from the file system's own log.
std::string reason_of(int context) {
    std::array<char, 512> line{};
    const ssize_t n = ::read(context, line.data(), line.size());
    return n > 2 ? ": " + printable(std::string_view(line.data() + 2, static_cast<std::size_t>(n) - 2)) : std::string();
}

struct MountFlag {
    std::string_view option;
    unsigned attribute;
};
constexpr std::array<MountFlag, 4> kMountFlags{
    MountFlag{"noatime", MOUNT_ATTR_NOATIME}, MountFlag{"strictatime", MOUNT_ATTR_STRICTATIME},
    MountFlag{"nodiratime", MOUNT_ATTR_NODIRATIME}, MountFlag{"nodev", MOUNT_ATTR_NODEV}};

unsigned attributes_of(const Storage& lun) {
    unsigned attributes = 0;
    for (const MountFlag& flag : kMountFlags) {
        if (std::find(lun.options.begin(), lun.options.end(), flag.option) != lun.options.end())
            attributes |= flag.attribute;
    }
    return attributes;
}

// Those that are the file system's, not the mount's.
Status set_options(int context, const Storage& lun) {
    for (const std::string& option : lun.options) {
        const auto is_flag = [&](const MountFlag& flag) { return flag.option == option; };
        if (std::any_of(kMountFlags.begin(), kMountFlags.end(), is_flag)) continue;
        const std::size_t equals = option.find('=');
        const std::string key = option.substr(0, equals);
        const bool has_value = equals != std::string::npos;
        const std::string value = has_value ? option.substr(equals + 1) : std::string();
        const unsigned command = has_value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;
        if (::fsconfig(context, command, key.c_str(), has_value ? value.c_str() : nullptr, 0) == 0) continue;
        const int why = errno;
        return Error(Errc::unsupported,
                     "the file system " + lun.file_system + " cannot be mounted with " + printable(option) +
                         reason_of(context),
                     why)
            .remedy("see the zone's storage in zonecfg, and how the LUN was mounted on the other host");
    }
    return {};
}

Status configure(int context, const std::string& device, bool read_only) {
    const auto set = [&](unsigned command, const char* key, const char* value) {
        return ::fsconfig(context, command, key, value, 0) == 0;
    };
    bool done = set(FSCONFIG_SET_STRING, "source", device.c_str());
    if (read_only) {
        done = done && set(FSCONFIG_SET_FLAG, "ro", nullptr);
        // A read-only mount still replays a log unless it is told not to; a file system without one does not know this.
        if (done) (void)set(FSCONFIG_SET_FLAG, "norecovery", nullptr);
    }
    if (done && set(FSCONFIG_CMD_CREATE, nullptr, nullptr)) return {};
    const int why = errno;
    return Error(Errc::io, system_error("mount " + device, why).sentence() + reason_of(context), why);
}

// Pages of the device that were read before its last owner wrote are dropped.
void forget_pages(const std::string& device) {
    if (const auto fd = open_file(device, O_RDONLY | O_NONBLOCK)) (void)::ioctl(fd->get(), BLKFLSBUF, 0);
}

Result<UniqueFd> mount_nowhere(const std::string& device, const Storage& lun, bool read_only) {
    forget_pages(device);
    const UniqueFd context(::fsopen(lun.file_system.c_str(), FSOPEN_CLOEXEC));
    if (!context) return system_error("open the file system type " + printable(lun.file_system), errno);
    if (!read_only) ZF_TRY_STATUS(set_options(context.get(), lun));
    ZF_TRY_STATUS(configure(context.get(), device, read_only));
    const unsigned attributes = read_only ? MOUNT_ATTR_RDONLY : attributes_of(lun);
    UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, attributes));
    if (!mount) return system_error("mount " + device, errno);
    return mount;
}

// What held it a moment ago, a host's last processes or a mount that is being taken down, may still have it.
Result<std::string> device_of(const Storage& lun) {
    const SystemClock clock;
    const std::int64_t deadline_ms = clock.monotonic_ms() + kBusyTimeoutMs;
    while (true) {
        ZF_TRY(const std::vector<BlockDevice> devices, block_devices());
        const FoundLun found = find_lun(lun, devices);
        if (found.code.empty()) return found.device;
        if (found.code != "STORAGE_MOUNTED") return Error(Errc::not_found, found.problem);
        if (clock.monotonic_ms() > deadline_ms) return Error(Errc::busy, found.problem);
        (void)::poll(nullptr, 0, kLookAgainMs);
    }
}

constexpr unsigned long kExt4Checkpoint = _IOW('f', 43, __u32);  // linux/fs.h of Linux 5.14; not in Debian 12's

Result<bool> is_mounted_there(const Storage& lun) {
    if (!path_exists(lun.mount_point)) return false;
    ZF_TRY(const MountedAt at, mounted_at(lun.mount_point));
    if (at.storage.mount_point != lun.mount_point) return false;
    if (is_lun_on(lun, at.storage)) return true;
    return Error(Errc::conflict, "another file system is mounted at " + lun.mount_point)
        .remedy("umount " + lun.mount_point);
}

Status mount_device(const std::string& device, const Storage& lun) {
    ZF_TRY(const UniqueFd mount, mount_nowhere(device, lun, false));
    if (::move_mount(mount.get(), "", AT_FDCWD, lun.mount_point.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0) return {};
    return system_error("mount " + device + " at " + lun.mount_point, errno);
}

// Killed between the unmount and this, or unmounted by hand: the device is looked for. Not there: nothing is held.
Status give_up_reservation(const Storage& lun, ReservationKey of_this_host) {
    if (of_this_host == 0) return {};
    ZF_TRY(const std::vector<BlockDevice> devices, block_devices());
    const FoundLun found = find_lun(lun, devices);
    return found.code.empty() ? ScsiReservation(found.device).give(of_this_host) : Status();
}

}  // namespace

Status mount_lun(const Storage& lun, ReservationKey key) {
    ZF_TRY(const bool is_there, is_mounted_there(lun));
    if (is_there) return {};
    ZF_TRY(const std::string device, device_of(lun));
    ZF_TRY_STATUS(make_directories(lun.mount_point, 0700));
    const ScsiReservation reservation(device);
    if (key != 0) {
        ZF_TRY([[maybe_unused]] const bool has_reservations, reservation.take(key));
    }
    Status mounted = mount_device(device, lun);
    if (!mounted && key != 0) (void)reservation.give(key);
    return mounted;
}

Status check_lun_given_up(const Storage& lun, ReservationKey of_this_host) {
    ZF_TRY(const std::string device, device_of(lun));
    ZF_TRY(const ReservationState state, ScsiReservation(device).read());
    if (other_host_on(state, of_this_host) == 0) return {};
    return Error(Errc::conflict, "another host is still registered to write to " + device)
        .remedy("see which: sg_persist -k " + device);
}

void freeze_and_thaw(int file, void (*while_frozen)()) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (::ioctl(file, FIFREEZE, 0) != 0) ::_exit(0);  // frozen by another, who thaws it, or it cannot be
        if (while_frozen != nullptr) while_frozen();
        ::_exit(::ioctl(file, FITHAW, 0) == 0 ? 0 : 1);
    }
    int status = 0;
    while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (child > 0 && status != 0) (void)::ioctl(file, FITHAW, 0);
}

Result<bool> thaw_lun(const Storage& lun) {
    ZF_TRY(const bool is_there, is_mounted_there(lun));
    if (!is_there) return false;
    ZF_TRY(const UniqueFd top, open_directory(lun.mount_point));
    if (::ioctl(top.get(), FITHAW, 0) == 0) return true;
    if (errno == EINVAL || errno == EOPNOTSUPP || errno == ENOTTY) return false;  // it was not frozen, or never is
    return system_error("thaw " + lun.mount_point, errno);
}

void settle_lun(int file) {
    constexpr long kXfs = 0x58465342;
    const __u32 no_flags = 0;
    struct statfs info {};
    if (::ioctl(file, kExt4Checkpoint, &no_flags) == 0 || ::fstatfs(file, &info) != 0) return;
    if (info.f_type == kXfs) return freeze_and_thaw(file, nullptr);
    (void)::syncfs(file);
}

Result<UniqueFd> open_lun_read_only(const Storage& lun) {
    ZF_TRY(const std::string device, device_of(lun));
    return mount_nowhere(device, lun, true);
}

Status unmount_lun(const Storage& lun, ReservationKey of_this_host) {
    ZF_TRY(const bool is_there, is_mounted_there(lun));
    if (!is_there) return give_up_reservation(lun, of_this_host);
    ZF_TRY(const MountedAt at, mounted_at(lun.mount_point));
    const SystemClock clock;
    const std::int64_t deadline_ms = clock.monotonic_ms() + kBusyTimeoutMs;
    // What a halted zone's last processes held goes a moment after them, and there is no event for it.
    for (bool is_gone = false;;) {
        is_gone = is_gone || ::umount2(lun.mount_point.c_str(), UMOUNT_NOFOLLOW) == 0;
        if (!is_gone && errno != EBUSY) return system_error("unmount " + lun.mount_point, errno);
        if (is_gone && open_file(at.device, O_RDONLY | O_NONBLOCK | O_EXCL)) {
            return of_this_host == 0 ? Status() : ScsiReservation(at.device).give(of_this_host);
        }
        if (clock.monotonic_ms() > deadline_ms) break;
        (void)::poll(nullptr, 0, kLookAgainMs);
    }
    return Error(Errc::busy, at.device + ", mounted at " + lun.mount_point + ", is still in use on this host")
        .remedy("see who uses it: fuser -vm " + lun.mount_point);
}

}  // namespace zoneferry
