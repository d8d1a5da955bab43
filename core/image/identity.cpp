#include "core/image/identity.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/image/limits.h"

namespace zoneferry {
namespace {

// nullopt: it is not there, or a link stands in its way: then nothing of ours belongs there.
std::optional<UniqueFd> directory_in(int zone_root, const std::string& path) {
    auto opened = open_beneath(zone_root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!opened) return std::nullopt;
    return *std::move(opened);
}

bool is_file_in(int directory, const char* name) {
    struct stat info {};
    return ::fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode);
}

Status remove_file_in(int zone_root, const std::string& path, const char* name) {
    const auto directory = directory_in(zone_root, path);
    if (!directory || !is_file_in(directory->get(), name)) return {};
    if (::unlinkat(directory->get(), name, 0) != 0) return system_error("remove " + path + "/" + name, errno);
    return {};
}

}  // namespace

std::string hosts_with_name(const std::string& hosts, const std::string& zone_name) {
    std::vector<std::string> lines;
    for (const std::string_view line : split(hosts, '\n')) {
        const auto words = split_words(line);
        const bool is_own = !words.empty() && words.front() == "127.0.1.1";
        lines.push_back(is_own ? "127.0.1.1\t" + zone_name : std::string(line));
    }
    return join(lines, "\n");
}

Status give_new_identity(int zone_root, const std::string& zone_name, std::vector<std::string>& warnings) {
    ZF_TRY_STATUS(remove_file_in(zone_root, "var/lib/dbus", "machine-id"));
    ZF_TRY_STATUS(remove_file_in(zone_root, "var/lib/systemd", "random-seed"));
    const auto etc = directory_in(zone_root, "etc");
    if (!etc) return {};
    ZF_TRY_STATUS(replace_file_at(etc->get(), "machine-id", "", 0444));
    ZF_TRY_STATUS(replace_file_at(etc->get(), "hostname", zone_name + "\n", 0644));
    if (is_file_in(etc->get(), "hosts")) {
        ZF_TRY(const UniqueFd file, open_beneath(etc->get(), "hosts", O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
        ZF_TRY(const std::string hosts, read_to_end(file.get(), kHostFileBytesMax));
        const std::string changed = hosts_with_name(hosts, zone_name);
        if (changed != hosts) ZF_TRY_STATUS(replace_file_at(etc->get(), "hosts", changed, 0644));
    }
    const auto ssh = directory_in(etc->get(), "ssh");
    if (!ssh) return {};
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(ssh->get()));
    for (const std::string& name : names) {
        if (!name.starts_with("ssh_host_") || name.ends_with(".pub")) continue;
        warnings.push_back(
            "the new zone has the ssh host keys of its source: renew them if both will be reached by ssh");
        break;
    }
    return {};
}

}  // namespace zoneferry
