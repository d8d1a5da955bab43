// Looking at mounts and block devices: libmount for the kernel's table, libblkid for what a device carries.
#include <blkid/blkid.h>
#include <fcntl.h>
#include <libmount/libmount.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <map>
#include <memory>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/mount_options.h"
#include "core/zone/storage.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kSysfsBytesMax = 4096;

std::string text_or_empty(const char* text) { return text == nullptr ? std::string() : std::string(text); }

std::string read_sysfs(const std::string& path) {
    const auto text = read_file(path, kSysfsBytesMax);
    std::string value(text ? trim(*text) : std::string_view());
    while (!value.empty() && (value.back() == '\n' || value.back() == '\0')) value.pop_back();
    for (char& c : value) {
        if (c <= ' ' || c > '~') c = '_';
    }
    return value;
}

std::string image_of_loop(int fd) {
    loop_info64 info{};
    if (::ioctl(fd, LOOP_GET_STATUS64, &info) != 0) return {};
    return "file:" + std::to_string(info.lo_device) + ":" + std::to_string(info.lo_inode) + ":" +
           std::to_string(info.lo_offset);
}

// What a device carries through every path to it. A partition has its disk's name and its number.
std::string device_id(int fd, dev_t number) {
    if (major(number) == LOOP_MAJOR) return image_of_loop(fd);
    std::string place = "/sys/dev/block/" + std::to_string(major(number)) + ":" + std::to_string(minor(number));
    const std::string partition = read_sysfs(place + "/partition");
    if (!partition.empty()) place += "/..";
    const std::string part = partition.empty() ? "" : "-part" + partition;
    for (const auto& [kind, name] :
         {std::pair("wwid:", "/device/wwid"), std::pair("wwid:", "/wwid"), std::pair("dm:", "/dm/uuid"),
          std::pair("serial:", "/serial"), std::pair("serial:", "/device/serial")}) {
        if (const std::string value = read_sysfs(place + name); !value.empty()) return kind + value + part;
    }
    return {};
}

std::uint64_t device_size(int fd) {
    std::uint64_t bytes = 0;
    return ::ioctl(fd, BLKGETSIZE64, &bytes) == 0 ? bytes : 0;
}

// Probes the disk itself: the cache of blkid(8) knows the file systems of yesterday.
void probe(int fd, Storage& storage) {
    const std::unique_ptr<struct blkid_struct_probe, void (*)(blkid_probe)> probe(blkid_new_probe(), blkid_free_probe);
    if (!probe || blkid_probe_set_device(probe.get(), fd, 0, 0) != 0) return;
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID);
    if (blkid_do_safeprobe(probe.get()) != 0) return;
    const auto value = [&](const char* name) {
        const char* text = nullptr;
        return blkid_probe_lookup_value(probe.get(), name, &text, nullptr) == 0 ? text_or_empty(text) : std::string();
    };
    storage.file_system = value("TYPE");
    storage.uuid = value("UUID");
}

using Table = std::unique_ptr<libmnt_table, void (*)(libmnt_table*)>;

Result<Table> mount_table() {
    Table table(mnt_new_table_from_file("/proc/self/mountinfo"), mnt_unref_table);
    if (!table) return Error(Errc::io, "the table of mounts cannot be read");
    return table;
}

// The mount that a path lies on: the last one of the table with its id.
libmnt_fs* find_mount(libmnt_table* table, int id) {
    const std::unique_ptr<libmnt_iter, void (*)(libmnt_iter*)> walk(mnt_new_iter(MNT_ITER_BACKWARD), mnt_free_iter);
    libmnt_fs* fs = nullptr;
    while (walk && mnt_table_next_fs(table, walk.get(), &fs) == 0) {
        if (mnt_fs_get_id(fs) == id) return fs;
    }
    return nullptr;
}

Result<std::map<dev_t, std::string>> mounted_devices() {
    ZF_TRY(const Table table, mount_table());
    std::map<dev_t, std::string> points;
    const std::unique_ptr<libmnt_iter, void (*)(libmnt_iter*)> walk(mnt_new_iter(MNT_ITER_FORWARD), mnt_free_iter);
    libmnt_fs* fs = nullptr;
    while (walk && mnt_table_next_fs(table.get(), walk.get(), &fs) == 0) {
        points.emplace(mnt_fs_get_devno(fs), text_or_empty(mnt_fs_get_target(fs)));
    }
    return points;
}

// btrfs and others have no device number of their own in the table: then the source is looked at.
void look_at_device(const std::string& source, MountedAt& at) {
    if (!source.starts_with("/dev/")) return;
    const auto fd = open_file(source, O_RDONLY | O_NONBLOCK);
    if (!fd) return;
    const auto info = stat_fd(fd->get());
    if (!info || !S_ISBLK(info->st_mode)) return;
    at.device = source;
    at.storage.device_id = device_id(fd->get(), info->st_rdev);
    at.storage.size_bytes = device_size(fd->get());
    Storage on_disk;
    probe(fd->get(), on_disk);
    at.storage.uuid = on_disk.uuid;
}

// Can nobody else have it? A mounted device, and one below a volume, cannot be opened exclusively.
bool is_busy(const std::string& device) {
    const auto fd = open_file(device, O_RDONLY | O_NONBLOCK | O_EXCL);
    return !fd && fd.error().system_error() == EBUSY;
}

}  // namespace

Result<MountedAt> mounted_at(const std::string& path) {
    struct statx info {};
    if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &info) != 0) {
        return system_error("look at " + printable(path), errno);
    }
    if ((info.stx_mask & STATX_MNT_ID) == 0) return Error(Errc::unsupported, "this kernel does not name mounts");
    ZF_TRY(const Table table, mount_table());
    libmnt_fs* fs = find_mount(table.get(), static_cast<int>(info.stx_mnt_id));
    if (fs == nullptr) return Error(Errc::not_found, printable(path) + " lies on a mount that is not in the table");
    MountedAt at;
    at.storage.file_system = text_or_empty(mnt_fs_get_fstype(fs));
    at.storage.mount_point = text_or_empty(mnt_fs_get_target(fs));
    at.storage.options =
        options_to_carry(text_or_empty(mnt_fs_get_vfs_options(fs)), text_or_empty(mnt_fs_get_fs_options(fs)));
    at.is_whole = text_or_empty(mnt_fs_get_root(fs)) == "/";
    look_at_device(text_or_empty(mnt_fs_get_srcpath(fs)), at);
    return at;
}

Result<std::vector<BlockDevice>> block_devices() {
    ZF_TRY(const std::vector<std::string> names, list_directory("/sys/class/block"));
    ZF_TRY(const auto mounted, mounted_devices());
    std::vector<BlockDevice> devices;
    for (const std::string& name : names) {
        BlockDevice device;
        device.path = "/dev/" + name;
        const auto fd = open_file(device.path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
        if (!fd) continue;
        const auto info = stat_fd(fd->get());
        if (!info || !S_ISBLK(info->st_mode)) continue;
        device.storage.size_bytes = device_size(fd->get());
        if (device.storage.size_bytes == 0) continue;
        device.storage.device_id = device_id(fd->get(), info->st_rdev);
        probe(fd->get(), device.storage);
        if (const auto point = mounted.find(info->st_rdev); point != mounted.end()) {
            device.storage.mount_point = point->second;
        }
        device.is_busy = is_busy(device.path);
        devices.push_back(std::move(device));
    }
    return devices;
}

}  // namespace zoneferry
