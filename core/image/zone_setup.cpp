#include "core/image/zone_setup.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/image/dpkg_setup.h"
#include "core/image/limits.h"
#include "core/image/path_rules.h"

namespace zoneferry {
namespace {

struct EmptyDirectory {
    const char* path;
    mode_t permissions;
};
constexpr std::array<EmptyDirectory, 5> kMountPoints{
    {{"dev", 0755}, {"proc", 0555}, {"run", 0755}, {"sys", 0555}, {"tmp", 01777}}};
constexpr std::array<EmptyDirectory, 6> kUsualDirectories{
    {{"home", 0755}, {"mnt", 0755}, {"opt", 0755}, {"root", 0700}, {"srv", 0755}, {"var/tmp", 01777}}};

constexpr std::string_view kUnitRecords = "var/lib/systemd/deb-systemd-helper-enabled";

Result<std::string> read_host_file(int host_root, const std::string& path) {
    auto file = open_in_root(host_root, "/" + path, O_RDONLY);
    if (!file) return std::move(file).error().during("the host's /" + path);
    return read_to_end(file->get(), kHostFileBytesMax);
}

Status add_directories(ImageWriter& writer, const EmptyDirectory* begin, const EmptyDirectory* end) {
    for (const EmptyDirectory* wanted = begin; wanted != end; ++wanted) {
        if (writer.contains(wanted->path)) continue;
        EntryMetadata metadata;
        metadata.permissions = wanted->permissions;
        ZF_TRY_STATUS(writer.directory(wanted->path, std::move(metadata)));
    }
    return {};
}

Status write_accounts(int host_root, ImageWriter& writer) {
    for (const bool is_group : {false, true}) {
        const std::string name = is_group ? "group" : "passwd";
        ZF_TRY(const std::string master, read_host_file(host_root, "usr/share/base-passwd/" + name + ".master"));
        ZF_TRY(const std::string host, read_host_file(host_root, "etc/" + name));
        const std::string accounts = merge_accounts(master, host, is_group);
        ZF_TRY_STATUS(writer.text_file("etc/" + name, accounts, 0644));
        ZF_TRY_STATUS(
            writer.text_file(is_group ? "etc/gshadow" : "etc/shadow", locked_shadow(accounts, is_group), 0600));
    }
    return {};
}

Status write_identity(int host_root, const std::string& zone_name, ImageWriter& writer) {
    if (!writer.contains("etc/machine-id")) ZF_TRY_STATUS(writer.text_file("etc/machine-id", "", 0444));
    ZF_TRY_STATUS(writer.text_file("etc/hostname", zone_name + "\n", 0644));
    ZF_TRY_STATUS(writer.text_file(
        "etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\t" + zone_name + "\n::1\tlocalhost ip6-localhost ip6-loopback\n",
        0644));
    if (writer.contains("etc/os-release")) return {};
    ZF_TRY(const std::string release, read_host_file(host_root, "usr/lib/os-release"));
    return writer.text_file("etc/os-release", release, 0644);
}

// The unit file that a record names, if one of the zone's packages brings it: "/lib/systemd/system/NAME".
bool has_unit(int host_root, const std::string& name) {
    return open_in_root(host_root, "/lib/systemd/system/" + name, O_RDONLY).has_value();
}

// One record file holds the links of a unit, one absolute path a line.
Status enable_unit(int host_root, const std::string& unit, std::string_view links, ImageWriter& writer) {
    constexpr std::string_view kUnitDirectory = "/etc/systemd/system/";
    // An instance ("getty@tty1.service") is a link to its template, which the record is named after.
    if (!has_unit(host_root, unit)) return {};
    for (const std::string_view link : split(links, '\n')) {
        if (!link.starts_with(kUnitDirectory)) continue;
        ZF_TRY(const std::string path, image_path(link.substr(1)));
        if (writer.contains(path)) continue;
        ZF_TRY_STATUS(writer.symlink(path, "/lib/systemd/system/" + unit, {}));
    }
    return {};
}

Status enable_units(int host_root, ImageWriter& writer) {
    constexpr std::string_view kSuffix = ".dsh-also";
    auto records = open_in_root(host_root, "/" + std::string(kUnitRecords), O_RDONLY | O_DIRECTORY);
    if (!records) return {};  // a host whose packages never enabled anything
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(records->get()));
    for (const std::string& name : names) {
        if (!name.ends_with(kSuffix)) continue;
        ZF_TRY(const std::string links, read_host_file(host_root, std::string(kUnitRecords) + "/" + name));
        ZF_TRY_STATUS(enable_unit(host_root, name.substr(0, name.size() - kSuffix.size()), links, writer));
    }
    return {};
}

}  // namespace

Status add_mount_points(ImageWriter& writer) {
    return add_directories(writer, kMountPoints.data(), kMountPoints.data() + kMountPoints.size());
}

std::string merge_accounts(std::string_view master, std::string_view host, bool is_group) {
    std::string result;
    std::set<std::string_view> names;
    const auto add = [&](const std::vector<std::string_view>& fields, std::string_view members) {
        if (!names.insert(fields[0]).second) return;
        result += std::string(fields[0]) + ":x:" + std::string(fields[2]);
        if (is_group) {
            result += ":" + std::string(members);
        } else {
            for (std::size_t i = 3; i < 7; ++i) result += ":" + std::string(fields[i]);
        }
        result += "\n";
    };
    const std::size_t fields_count = is_group ? 4 : 7;
    for (const std::string_view line : split(master, '\n')) {
        const auto fields = split(line, ':');
        if (fields.size() == fields_count) add(fields, is_group ? fields[3] : "");
    }
    for (const std::string_view line : split(host, '\n')) {
        const auto fields = split(line, ':');
        if (fields.size() != fields_count) continue;
        const auto id = parse_number<std::uint32_t>(fields[2]);
        if (id && *id >= 100 && *id < 1000) add(fields, "");
    }
    return result;
}

std::string locked_shadow(std::string_view accounts, bool is_group) {
    std::string result;
    for (const std::string_view line : split(accounts, '\n')) {
        if (line.empty()) continue;
        result += std::string(split(line, ':')[0]) + (is_group ? ":*::\n" : ":*:19000:0:99999:7:::\n");
    }
    return result;
}

Status write_zone_setup(int host_root, const DpkgDatabase& database, const HostPackagesPlan& plan,
                        const std::string& zone_name, ImageWriter& writer) {
    ZF_TRY_STATUS(write_dpkg_database(host_root, database, plan, writer));
    ZF_TRY_STATUS(write_alternatives(host_root, plan, writer));
    ZF_TRY_STATUS(write_accounts(host_root, writer));
    ZF_TRY_STATUS(write_identity(host_root, zone_name, writer));
    ZF_TRY_STATUS(enable_units(host_root, writer));
    ZF_TRY_STATUS(add_mount_points(writer));
    return add_directories(writer, kUsualDirectories.data(), kUsualDirectories.data() + kUsualDirectories.size());
}

Status run_setup_programs(int host_root, const HostPackagesPlan& plan, const std::string& zone_root) {
    // The declarations are read from the host, because a sparse zone has no /usr yet.
    std::string declarations;
    if (auto directory = open_in_root(host_root, "/usr/lib/sysusers.d", O_RDONLY | O_DIRECTORY); directory) {
        ZF_TRY(const std::vector<std::string> names, list_directory_fd(directory->get()));
        for (const std::string& name : names) {
            if (!name.ends_with(".conf")) continue;
            ZF_TRY(const std::string text, read_host_file(host_root, "usr/lib/sysusers.d/" + name));
            declarations += text + "\n";
        }
    }
    ProcessOptions options;
    options.input = declarations;
    ZF_TRY_STATUS(run_checked({"systemd-sysusers", "--root=" + zone_root, "-"}, options));
    if (!is_inherited(plan, "usr/lib/x")) return run_checked({"ldconfig", "-r", zone_root});
    // An inherited /usr has the host's libraries: its cache is right for the zone too.
    ZF_TRY(const std::string cache, read_host_file(host_root, "etc/ld.so.cache"));
    return replace_file(zone_root + "/etc/ld.so.cache", cache, 0644);
}

}  // namespace zoneferry
