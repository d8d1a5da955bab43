#include "transfer/received_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "core/base/files.h"
#include "core/base/text.h"
#include "transfer/attributes.h"

namespace zoneferry {
namespace {

class Checker {
public:
    Checker(const ReceivedTreeLimits& limits, const std::function<Status()>& go_on) : limits_(limits), go_on_(go_on) {}

    Status directory(int fd, const std::string& path, std::size_t depth) {
        ZF_TRY_STATUS(remove_foreign_xattrs(fd));
        ZF_TRY_STATUS(go_on_());
        auto names = list_directory_fd(fd);
        if (!names) return naming(std::move(names).error(), path);
        for (const std::string& name : *names) {
            const std::string below = path.empty() ? name : path + "/" + name;
            if (Status done = entry(fd, name, below, depth); !done) return done;
        }
        return {};
    }

private:
    static Error naming(Error error, const std::string& path) {
        return Error(std::move(error).during("looking at the received " + printable(path.empty() ? "." : path)));
    }
    static Error refused(const std::string& path, const char* why) { return naming(Error(Errc::protocol, why), path); }

    Status entry(int directory_fd, const std::string& name, const std::string& path, std::size_t depth) {
        auto stat = stat_entry(directory_fd, name);
        if (!stat) return naming(std::move(stat).error(), path);
        if (++entries_ > limits_.entries_max) return refused(path, "there are many more entries than were announced");
        bytes_ += S_ISREG(stat->mode) ? stat->allocated_bytes : 0;
        if (bytes_ > limits_.bytes_max) return refused(path, "there is much more data than was announced");
        if (stat->is_mount_point) return refused(path, "something is mounted here");
        if (S_ISDIR(stat->mode)) return enter(directory_fd, name, path, depth);
        if (S_ISREG(stat->mode) && stat->size > kFileBytesMax) return refused(path, "the file is too large");
        const bool is_device = S_ISCHR(stat->mode) || S_ISBLK(stat->mode);
        if (is_device && !may_travel(limits_.devices, stat->mode, stat->device_major, stat->device_minor)) {
            if (::unlinkat(directory_fd, name.c_str(), 0) == 0) return {};
            return naming(system_error("remove a device", errno), path);
        }
        if (Status done = remove_foreign_xattrs_at(directory_fd, name); !done) return naming(done.error(), path);
        return {};
    }

    Status enter(int directory_fd, const std::string& name, const std::string& path, std::size_t depth) {
        if (depth >= kDepthMax) return refused(path, "the directory lies too deep");
        auto fd = open_beneath(directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!fd) return naming(std::move(fd).error(), path);
        ZF_TRY(const struct stat here, stat_fd(directory_fd));
        ZF_TRY(const struct stat there, stat_fd(fd->get()));
        if (here.st_dev != there.st_dev) return refused(path, "it is another subvolume");
        return directory(fd->get(), path, depth + 1);
    }

    const ReceivedTreeLimits limits_;
    const std::function<Status()>& go_on_;
    std::uint64_t entries_ = 0;
    std::uint64_t bytes_ = 0;
};

}  // namespace

Status check_received_tree(UniqueFd tree, const ReceivedTreeLimits& limits, const std::function<Status()>& go_on) {
    return Checker(limits, go_on).directory(tree.get(), "", 1);
}

}  // namespace zoneferry
