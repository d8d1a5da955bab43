#include "core/p2v/image_cost.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <set>
#include <utility>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/image/limits.h"
#include "core/image/path_rules.h"

namespace zoneferry {
namespace {

class CostWalk {
public:
    CostWalk(dev_t device, PackageSystem system) : device_(device), system_(system) {}

    Status children(int directory, const std::string& path) {
        ZF_TRY(const std::vector<std::string> names, list_directory_fd(directory));
        for (const std::string& name : names) {
            ZF_TRY(const std::string child, image_path(path.empty() ? name : path + "/" + name));
            if (!is_volatile_path(child, system_)) ZF_TRY_STATUS(entry(directory, name, child));
        }
        return {};
    }
    const ImageCost& cost() const { return cost_; }

private:
    Status entry(int directory, const std::string& name, const std::string& path) {
        struct stat info {};
        if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) return {};
            return system_error("look at \"" + printable(path) + "\"", errno);
        }
        const bool is_linked = !S_ISDIR(info.st_mode) && info.st_nlink > 1;
        if (is_linked && !seen_.emplace(info.st_dev, info.st_ino).second) return {};
        ++cost_.inodes;
        cost_.bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
        if (!S_ISDIR(info.st_mode) || info.st_dev != device_) return {};
        const UniqueFd inner(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!inner) return system_error("open \"" + printable(path) + "\"", errno);
        return children(inner.get(), path);
    }

    dev_t device_;
    PackageSystem system_;
    ImageCost cost_;
    std::set<std::pair<dev_t, ino_t>> seen_;
};

}  // namespace

Result<ImageCost> directory_cost(int directory, PackageSystem system) {
    ZF_TRY(const struct stat info, stat_fd(directory));
    CostWalk walk(info.st_dev, system);
    ZF_TRY_STATUS(walk.children(directory, ""));
    return walk.cost();
}

Status check_room(int zonepath, const ImageCost& cost) {
    struct statvfs space {};
    if (::fstatvfs(zonepath, &space) != 0) return system_error("measure the free space of the zonepath", errno);
    const std::uint64_t free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize;
    const std::uint64_t wanted_bytes = cost.bytes + kImageReserveBytes;
    if (wanted_bytes > free_bytes) {
        return Error(Errc::no_space, "the zonepath's file system has " + format_bytes(free_bytes) +
                                         " free, but the image wants " + format_bytes(cost.bytes) + " and " +
                                         format_bytes(kImageReserveBytes) + " are kept free; nothing was changed")
            .remedy("free " + format_bytes(wanted_bytes - free_bytes) + ", or use a zonepath on a larger file system");
    }
    // A file system that makes inodes as it needs them has none to tell.
    if (space.f_files == 0 || cost.inodes <= space.f_favail) return {};
    return Error(Errc::no_space, "the zonepath's file system has " + std::to_string(space.f_favail) +
                                     " free inodes, but the image wants " + std::to_string(cost.inodes) +
                                     "; nothing was changed")
        .remedy("use a zonepath on a file system with more inodes");
}

}  // namespace zoneferry
