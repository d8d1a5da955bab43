#include "core/image/host_packages.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <set>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/image/conffiles.h"
#include "core/image/file_copy.h"
#include "core/image/limits.h"
#include "core/image/path_rules.h"

namespace zoneferry {
namespace {

// Files that no package owns, made by maintainer scripts, without which a system does not work. All public.
constexpr std::array kGeneratedFiles = {
    "etc/pam.d/common-account",
    "etc/pam.d/common-auth",
    "etc/pam.d/common-password",
    "etc/pam.d/common-session",
    "etc/pam.d/common-session-noninteractive",
    "etc/nsswitch.conf",
    "etc/profile",
    "etc/shells",
    "etc/default/locale",
    "etc/timezone",
    "etc/environment",
    "etc/ssl/certs/ca-certificates.crt",
};

constexpr std::array kTopLevelAliases = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32"};

void warn(InstallReport& report, std::string sentence) {
    if (report.warnings.size() < kWarningsMax) report.warnings.push_back(std::move(sentence));
}

// Copies listed paths of the host's root to the zone, parents before children.
class PackageCopy {
public:
    PackageCopy(int host_root, ImageWriter& writer, InstallReport& report)
        : host_root_(host_root), copier_(writer), report_(report) {}

    Status copy(const std::string& path, const Conffile* conffile) {
        const auto parent = host_directory(std::string(parent_path(path)));
        if (!parent) return {};  // of a package, but no longer there: as on the host
        const std::string name(last_part(path));
        struct stat info {};
        if (::fstatat(*parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) return {};
            return system_error("look at the host's \"" + printable(path) + "\"", errno);
        }
        if (conffile != nullptr && S_ISREG(info.st_mode)) {
            ZF_TRY(const bool wanted, check_conffile(*parent, name, info, *conffile));
            if (!wanted) return {};
        }
        ZF_TRY(const CopyOutcome outcome, copier_.copy(*parent, name, info, path));
        if (outcome == CopyOutcome::left_out) warn(report_, "\"" + printable(path) + "\" is a device: left out");
        return {};
    }

private:
    // The host is trusted and may have moved a directory elsewhere by a link.
    std::optional<int> host_directory(const std::string& path) {
        if (!directory_ || path != directory_path_) {
            auto opened = open_in_root(host_root_, path.empty() ? "/" : "/" + path, O_RDONLY | O_DIRECTORY);
            if (!opened) return std::nullopt;
            directory_ = *std::move(opened);
            directory_path_ = path;
        }
        return directory_.get();
    }

    Result<bool> check_conffile(int parent, const std::string& name, const struct stat& info, const Conffile& wanted) {
        UniqueFd file(::openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!file) return system_error("open the host's " + printable(wanted.path), errno);
        ZF_TRY(const std::string md5, md5_of_file(file.get()));
        if (md5 == wanted.md5) return true;
        const bool is_public = (info.st_mode & S_IROTH) != 0;
        warn(report_, printable(wanted.path) + " was changed on this host: " +
                          (is_public ? "the zone has a copy of the changed file"
                                     : "left out, because not everyone may read it"));
        return is_public;
    }

    int host_root_;
    FileCopier copier_;
    InstallReport& report_;
    UniqueFd directory_;
    std::string directory_path_;
};

// Every path of the plan's packages with the package that has it there, diversions applied; sorted.
Result<std::set<std::string>> collect_paths(const DpkgDatabase& database, const HostPackagesPlan& plan) {
    ZF_TRY(const std::vector<DpkgDiversion> diversions, database.diversions());
    std::map<std::string, const DpkgDiversion*, std::less<>> diverted;
    for (const DpkgDiversion& diversion : diversions) diverted[diversion.original] = &diversion;
    std::set<std::string> paths;
    for (const DpkgPackage* package : plan.packages) {
        ZF_TRY(const std::vector<std::string> list, database.file_list(*package));
        for (const std::string& listed : list) {
            const auto moved = diverted.find(listed);
            const bool is_moved = moved != diverted.end() && moved->second->package != package->name;
            const std::string path = zone_path(plan, is_moved ? moved->second->to : listed);
            if (path.empty() || is_inherited(plan, path) || is_volatile_path(path)) continue;
            auto checked = image_path(path);
            if (!checked) return std::move(checked).error().during("the file list of " + package->name);
            paths.insert(*std::move(checked));
        }
    }
    for (const char* generated : kGeneratedFiles) {
        if (!is_inherited(plan, generated)) paths.insert(generated);
    }
    for (const std::string& directory : plan.inherited_directories) paths.insert(directory);
    // nspawn looks for it before /usr is bound: zone_setup.h writes a real file instead of a link that would dangle.
    if (is_inherited(plan, "usr/lib/os-release")) paths.erase("etc/os-release");
    return paths;
}

// Parents that no list names, so that they get the host's owner and mode as well.
void add_parents(std::set<std::string>& paths) {
    std::set<std::string> parents;
    for (const std::string& path : paths) {
        for (std::string_view above = parent_path(path); !above.empty(); above = parent_path(above)) {
            if (!parents.emplace(above).second) break;
        }
    }
    paths.merge(parents);
}

}  // namespace

HostPackagesPlan plan_host_packages(const DpkgDatabase& database, const HostPolicy& policy,
                                    const std::vector<std::string>& inherited_directories,
                                    std::vector<std::pair<std::string, std::string>> aliases) {
    HostPackagesPlan plan;
    plan.aliases = std::move(aliases);
    for (const std::string& directory : inherited_directories) {
        plan.inherited_directories.push_back(zone_path(plan, directory));
    }
    for (const DpkgPackage& package : database.packages()) {
        if (!package.has_files()) continue;
        const std::string name = database.shown_name(package);
        if (policy.is_this_zone(name) || is_global_zone_only(package.name)) {
            plan.left_out.push_back(name);
        } else {
            plan.packages.push_back(&package);
        }
    }
    return plan;
}

std::string zone_path(const HostPackagesPlan& plan, std::string_view listed) {
    while (listed.starts_with('/')) listed.remove_prefix(1);
    while (listed.ends_with('/')) listed.remove_suffix(1);
    const std::string_view first = listed.substr(0, listed.find('/'));
    for (const auto& [alias, target] : plan.aliases) {
        if (first == alias) return target + std::string(listed.substr(first.size()));
    }
    return std::string(listed);
}

bool is_inherited(const HostPackagesPlan& plan, std::string_view path) {
    return std::any_of(
        plan.inherited_directories.begin(), plan.inherited_directories.end(), [&](const std::string& directory) {
            return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
        });
}

Result<std::vector<std::pair<std::string, std::string>>> read_aliases(int root) {
    std::vector<std::pair<std::string, std::string>> aliases;
    for (const std::string name : kTopLevelAliases) {
        std::string target(256, '\0');
        const ssize_t length = ::readlinkat(root, name.c_str(), target.data(), target.size());
        if (length < 0) continue;
        target.resize(static_cast<std::size_t>(length));
        if (target.starts_with('/')) target.erase(0, 1);
        if (target == "usr/" + name) aliases.emplace_back(name, target);
    }
    return aliases;
}

Status copy_host_packages(int host_root, const DpkgDatabase& database, const HostPackagesPlan& plan,
                          ImageWriter& writer, InstallReport& report, const InstallProgressCallback& progress) {
    ZF_TRY(std::set<std::string> paths, collect_paths(database, plan));
    add_parents(paths);
    ZF_TRY(const auto conffiles, read_conffiles(plan.packages));
    PackageCopy copy(host_root, writer, report);
    std::uint64_t done = 0;
    for (const std::string& path : paths) {
        const auto conffile = conffiles.find("/" + path);
        Status copied = copy.copy(path, conffile == conffiles.end() ? nullptr : &conffile->second);
        if (!copied) return std::move(copied).error().during("copying the host's packages");
        if (progress && ++done % kProgressEveryFiles == 0) progress({"copying", writer.files(), writer.bytes()});
    }
    for (const auto& [alias, target] : plan.aliases) {
        if (!writer.contains(alias)) ZF_TRY_STATUS(writer.symlink(alias, target, {}));
        if (!writer.contains(target) && !is_inherited(plan, target)) ZF_TRY_STATUS(writer.directory(target, {}));
    }
    report.packages = plan.packages.size();
    return {};
}

}  // namespace zoneferry
