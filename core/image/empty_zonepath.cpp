#include "core/image/empty_zonepath.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/attach/manifest.h"
#include "core/attach/zone_tree.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/config.h"

namespace zoneferry {
namespace {

Result<UniqueFd> open_or_make(int parent, const std::string& name, const std::string& zonepath) {
    if (::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST)
        return system_error("make the zonepath " + zonepath, errno);
    UniqueFd opened(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (opened) return opened;
    if (errno != ELOOP && errno != ENOTDIR) return system_error("open the zonepath " + zonepath, errno);
    return Error(Errc::invalid,
                 "zonepath " + zonepath + " leads through a symbolic link or a file, at '" + printable(name) + "'")
        .remedy("set zonepath to the real path with zonecfg; nothing was changed");
}

Status check_empty(int zonepath, const std::string& path, const ZoneName& name) {
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(zonepath));
    if (names.empty()) return {};
    const auto holds = [&](const char* wanted) { return std::find(names.begin(), names.end(), wanted) != names.end(); };
    if (holds(kDetachedName)) {
        const bool whole = holds("root");
        return Error(Errc::conflict, "the zonepath " + path + " holds a detached zone" +
                                         (whole ? "" : ", of which only the manifest is left"))
            .remedy((whole ? "attach it: zoneadm -z " + name.str() + " attach; or move it away"
                           : "bring its root/ back and attach it, or move " + path + "/" + kDetachedName + " away") +
                    "; nothing was changed");
    }
    return Error(Errc::conflict,
                 "the zonepath " + path + " is not empty: it holds \"" + printable(names.front()) + "\"")
        .remedy("move its contents away, or configure another zonepath; nothing was changed");
}

}  // namespace

Result<UniqueFd> make_empty_zonepath(const HostRoot& root, const std::string& zonepath, const ZoneName& name) {
    if (!is_plain_path(zonepath) || zonepath == "/") {
        return Error(Errc::invalid, "zonepath '" + printable(zonepath) + "' is not an absolute, plain path below /");
    }
    ZF_TRY(UniqueFd directory, open_directory(root.directory()));
    for (const std::string_view part : split(std::string_view(zonepath).substr(1), '/')) {
        ZF_TRY(directory, open_or_make(directory.get(), std::string(part), zonepath));
    }
    ZF_TRY_STATUS(check_zonepath_parent(directory.get(), zonepath));
    ZF_TRY_STATUS(check_empty(directory.get(), zonepath, name));
    if (::fchown(directory.get(), 0, 0) != 0 || ::fchmod(directory.get(), 0700) != 0) {
        return system_error("make " + zonepath + " root's own, mode 0700", errno);
    }
    return directory;
}

}  // namespace zoneferry
