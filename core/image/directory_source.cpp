#include "core/image/directory_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/image/file_copy.h"
#include "core/image/path_rules.h"

namespace zoneferry {
namespace {

// A subvolume has a device number of its own, too, but belongs to the tree.
bool is_mount_point(int directory, const std::string& name) {
    struct statx info {};
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
    if (::statx(directory, name.c_str(), flags, STATX_TYPE, &info) != 0) return true;
    return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 ||
           (info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) == 0;
}

class DirectoryCopy {
public:
    DirectoryCopy(ImageWriter& writer, InstallReport& report, const InstallProgressCallback& progress, dev_t device,
                  const DirectoryCopyRules& rules)
        : writer_(writer),
          copier_(writer, rules.scope),
          report_(report),
          progress_(progress),
          device_(device),
          rules_(rules) {}

    Status copy_children(int directory, const std::string& path) {
        ZF_TRY(const std::vector<std::string> names, list_directory_fd(directory));
        for (const std::string& name : names) {
            if (path.empty() && is_left_out(name)) continue;
            if (rules_.go_on) ZF_TRY_STATUS(rules_.go_on());
            ZF_TRY(const std::string child, image_path(path.empty() ? name : path + "/" + name));
            if (rules_.scope == CopyScope::system && is_volatile_path(child, rules_.system)) continue;
            ZF_TRY_STATUS(copy_child(directory, name, child));
            if (progress_ && ++copied_ % kProgressEveryFiles == 0) {
                progress_({"copying", writer_.files(), writer_.bytes()});
            }
        }
        return {};
    }

private:
    Status copy_child(int directory, const std::string& name, const std::string& path) {
        struct stat info {};
        if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
            return system_error("look at \"" + printable(path) + "\"", errno);
        }
        const bool is_elsewhere = info.st_dev != device_ && is_mount_point(directory, name);
        if (is_elsewhere && rules_.scope == CopyScope::everything) {
            return Error(Errc::conflict, "\"" + printable(path) + "\" lies on another file system");
        }
        if (is_elsewhere) {
            warn("\"" + printable(path) + "\" lies on another file system: its contents were left out");
            if (!S_ISDIR(info.st_mode)) return {};
            return writer_.directory(path, {});
        }
        ZF_TRY(const CopyOutcome outcome, copier_.copy(directory, name, info, path));
        if (outcome == CopyOutcome::left_out) warn("\"" + printable(path) + "\" is a device or a socket: left out");
        if (!S_ISDIR(info.st_mode)) return {};
        UniqueFd inner(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!inner) return system_error("open \"" + printable(path) + "\"", errno);
        return copy_children(inner.get(), path);
    }

    bool is_left_out(const std::string& name) const {
        return std::find(rules_.left_out.begin(), rules_.left_out.end(), name) != rules_.left_out.end();
    }

    void warn(std::string sentence) {
        if (report_.warnings.size() < kWarningsMax) report_.warnings.push_back(std::move(sentence));
    }

    ImageWriter& writer_;
    FileCopier copier_;
    InstallReport& report_;
    const InstallProgressCallback& progress_;
    dev_t device_;
    const DirectoryCopyRules& rules_;
    std::uint64_t copied_ = 0;
};

}  // namespace

Status copy_directory(int source, ImageWriter& writer, InstallReport& report, const InstallProgressCallback& progress,
                      const DirectoryCopyRules& rules) {
    ZF_TRY(const struct stat info, stat_fd(source));
    if (!S_ISDIR(info.st_mode)) return Error(Errc::invalid, "the image is not a directory");
    ZF_TRY(EntryMetadata metadata, read_metadata(source, info, rules.scope));
    ZF_TRY_STATUS(writer.directory("", std::move(metadata)));
    return DirectoryCopy(writer, report, progress, info.st_dev, rules).copy_children(source, "");
}

}  // namespace zoneferry
