#include "core/zone/zonepath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/config.h"

namespace zoneferry {
namespace {

// Like open_beneath, but a zonepath may well lie on a mount of its own.
Result<UniqueFd> open_without_links(int directory, const std::string& name) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const long fd = ::syscall(SYS_openat2, directory, name.c_str(), &how, sizeof how);
    if (fd < 0) return system_error("open " + printable(name), errno);
    return UniqueFd(static_cast<int>(fd));
}

}  // namespace

Result<UniqueFd> open_zonepath(const HostRoot& root, const std::string& zonepath) {
    if (!is_plain_path(zonepath) || zonepath == "/") {
        return Error(Errc::invalid, "zonepath '" + printable(zonepath) + "' is not an absolute, plain path below /");
    }
    ZF_TRY(const UniqueFd top, open_directory(root.directory()));
    auto opened = open_without_links(top.get(), zonepath.substr(1));
    if (!opened) {
        const int why = opened.error().system_error();
        if (why == ENOENT) return Error(Errc::not_found, "zonepath " + zonepath + " does not exist", why);
        if (why == ELOOP) {
            return Error(Errc::invalid, "zonepath " + zonepath + " leads through a symbolic link")
                .remedy("set zonepath to the real path with zonecfg");
        }
        return std::move(opened).error();
    }
    ZF_TRY(const struct stat info, stat_fd(opened->get()));
    if (info.st_uid != 0)
        return Error(Errc::permission, "zonepath " + zonepath + " does not belong to root")
            .remedy("chown root " + zonepath);
    if ((info.st_mode & 07777U) != 0700) {
        return Error(Errc::permission, "zonepath " + zonepath + " is open to other users than root")
            .remedy("chmod 0700 " + zonepath);
    }
    return opened;
}

Result<UniqueFd> open_zone_root(const HostRoot& root, const std::string& zonepath) {
    ZF_TRY(const UniqueFd directory, open_zonepath(root, zonepath));
    auto opened = open_without_links(directory.get(), "root");
    if (!opened) return std::move(opened).error().during("opening the root of the zone in " + zonepath);
    return opened;
}

std::string incomplete_remedy(const HostRoot& root, const std::string& zone, const std::string& zonepath) {
    const auto opened = open_zonepath(root, zonepath);
    const bool is_update = opened && open_beneath(opened->get(), "lu/journal", O_PATH | O_NOFOLLOW);
    return "zoneadm -z " + zone + (is_update ? " attach --undo" : " uninstall");
}

}  // namespace zoneferry
