#include "core/packages/dpkg/database.h"

#include <fcntl.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/digits.h"
#include "core/packages/limits.h"

namespace zoneferry {
namespace {

constexpr const char* kStatus = "/var/lib/dpkg/status";
constexpr const char* kInfo = "/var/lib/dpkg/info";
constexpr const char* kUpdates = "/var/lib/dpkg/updates";
constexpr const char* kDiversions = "/var/lib/dpkg/diversions";
constexpr std::string_view kListSuffix = ".list";

}  // namespace

Result<DpkgDatabase> DpkgDatabase::open(int root) {
    DpkgDatabase database;
    ZF_TRY(database.root_, open_in_root(root, "/", O_RDONLY | O_DIRECTORY));
    ZF_TRY_STATUS(database.check_journal(root));
    ZF_TRY(const std::string status, read_in_root(root, kStatus, kStatusBytesMax));
    ZF_TRY(database.packages_, parse_dpkg_status(status, kStatus));
    std::sort(database.packages_.begin(), database.packages_.end(), [](const DpkgPackage& a, const DpkgPackage& b) {
        return std::tie(a.name, a.architecture) < std::tie(b.name, b.architecture);
    });
    ZF_TRY(database.info_, open_in_root(root, kInfo, O_RDONLY | O_DIRECTORY));
    ZF_TRY(database.info_names_, list_directory_fd(database.info_.get()));
    ZF_TRY_STATUS(database.check_lists());
    database.find_native_architecture();
    return database;
}

Status DpkgDatabase::check_journal(int root) const {
    auto updates = open_in_root(root, kUpdates, O_RDONLY | O_DIRECTORY);
    if (!updates) {
        if (updates.error().code() == Errc::not_found) return {};
        return std::move(updates).error();
    }
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(updates->get()));
    for (const std::string& name : names) {
        if (!all_digits(name)) continue;
        return Error(Errc::busy,
                     std::string(kUpdates) + " holds unfinished changes: dpkg is running or was interrupted")
            .remedy("wait for it, or run: dpkg --configure -a");
    }
    return {};
}

// A status file cut between two stanzas looks whole; the lists of the packages it lost give it away.
Status DpkgDatabase::check_lists() const {
    std::set<std::string, std::less<>> known;
    for (const DpkgPackage& package : packages_) known.insert(package.info_name());
    for (const std::string& name : info_names_) {
        if (!name.ends_with(kListSuffix)) continue;
        const std::string_view package = std::string_view(name).substr(0, name.size() - kListSuffix.size());
        if (known.contains(package)) continue;
        // A package that became Multi-Arch: same, or ceased to be, under an old dpkg.
        const std::string_view plain = package.substr(0, package.find(':'));
        if (find(plain) != nullptr) continue;
        return Error(Errc::corrupt, std::string(kStatus) + " knows no package " + printable(package) + ", but " +
                                        kInfo + "/" + printable(name) +
                                        " lists its files: the status file was cut or edited")
            .remedy("restore the status file from /var/backups/dpkg.status*, or remove the list if it is a leftover");
    }
    return {};
}

void DpkgDatabase::find_native_architecture() {
    if (const DpkgPackage* dpkg = find("dpkg"); dpkg != nullptr && dpkg->architecture != "all") {
        native_architecture_ = dpkg->architecture;
        return;
    }
    std::map<std::string, std::size_t> counts;  // a root without dpkg itself: what most packages are
    for (const DpkgPackage& package : packages_) {
        if (!package.architecture.empty() && package.architecture != "all") ++counts[package.architecture];
    }
    std::size_t most = 0;
    for (const auto& [architecture, count] : counts) {
        if (count <= most) continue;
        most = count;
        native_architecture_ = architecture;
    }
}

const DpkgPackage* DpkgDatabase::find(std::string_view name, std::string_view architecture) const {
    auto at = std::lower_bound(packages_.begin(), packages_.end(), name,
                               [](const DpkgPackage& package, std::string_view n) { return package.name < n; });
    const DpkgPackage* first = nullptr;
    for (; at != packages_.end() && at->name == name; ++at) {
        if (architecture.empty() ? at->architecture == native_architecture_ || at->architecture == "all"
                                 : at->architecture == architecture) {
            return &*at;
        }
        if (first == nullptr) first = &*at;
    }
    return architecture.empty() ? first : nullptr;
}

std::string DpkgDatabase::shown_name(const DpkgPackage& package) const {
    if (package.architecture.empty() || package.architecture == "all" || package.architecture == native_architecture_) {
        return package.name;
    }
    return package.name + ":" + package.architecture;
}

Result<std::string> DpkgDatabase::file_list_text(const DpkgPackage& package) const {
    std::string name = package.info_name() + std::string(kListSuffix);
    const std::string other =
        (package.multi_arch == "same" ? package.name : package.name + ":" + package.architecture) +
        std::string(kListSuffix);
    const auto exists = [&](const std::string& wanted) {
        return std::binary_search(info_names_.begin(), info_names_.end(), wanted);
    };
    if (!exists(name) && exists(other)) name = other;
    const std::string shown = std::string(kInfo) + "/" + name;
    auto text = read_in_directory(info_.get(), name, shown, kFileListBytesMax);
    if (!text && text.error().code() == Errc::not_found) {
        return Error(Errc::corrupt, shown + " is missing, though package " + package.name + " is " +
                                        std::string(dpkg_state_name(package.state)))
            .remedy("reinstall the package: apt-get install --reinstall " + package.name);
    }
    if (!text) return std::move(text).error();
    if (Status sound = check_list(package, *text, shown); !sound) {
        return std::move(sound).error().remedy("reinstall the package: apt-get install --reinstall " + package.name);
    }
    return text;
}

// Every package has at least "/."; one that has only that has no md5sums either. What a crash leaves has.
Status DpkgDatabase::check_list(const DpkgPackage& package, std::string_view text, const std::string& shown) const {
    ZF_TRY_STATUS(check_not_cut(text, shown));
    if (text.empty()) return damaged(shown, 1, "the list is empty, though package " + package.name + " has files");
    if (text != "/.\n") return {};
    const std::string sums = shown.substr(std::string(kInfo).size() + 1, shown.size() - std::string(kInfo).size() - 6);
    const auto lines = read_in_directory(info_.get(), sums + ".md5sums", sums, kFileListBytesMax);
    if (!lines || lines->empty()) return {};
    return damaged(shown, 2, "the list was cut off: " + sums + ".md5sums knows files of package " + package.name);
}

Result<std::vector<std::string>> DpkgDatabase::file_list(const DpkgPackage& package) const {
    ZF_TRY(const std::string text, file_list_text(package));
    std::vector<std::string> paths;
    ZF_TRY_STATUS(for_each_dpkg_path(text, list_path(package), [&](std::string_view path, bool) {
        if (path != "/.") paths.emplace_back(path);
        return true;
    }));
    return paths;
}

std::string DpkgDatabase::list_path(const DpkgPackage& package) {
    return std::string(kInfo) + "/" + package.info_name() + std::string(kListSuffix);
}

Status for_each_dpkg_path(std::string_view text, std::string_view file,
                          const std::function<bool(std::string_view path, bool is_parent)>& visit) {
    std::string_view line;
    for (std::size_t number = 1; next_line(text, line); ++number) {
        if (!line.starts_with('/') || line.find('\0') != std::string_view::npos) {
            return damaged(file, number, "is no absolute path");
        }
        const bool is_parent = text.size() > line.size() && text[line.size()] == '/' && text.starts_with(line);
        if (!visit(line, is_parent)) return {};
    }
    return {};
}

Result<std::vector<DpkgDiversion>> DpkgDatabase::diversions() const {
    auto text = read_in_root(root_.get(), kDiversions, kDiversionsBytesMax);
    if (!text && text.error().code() == Errc::not_found) return std::vector<DpkgDiversion>{};
    if (!text) return std::move(text).error();
    return parse_dpkg_diversions(*text, kDiversions);
}

// Three lines each: the path, where it was moved, and for whom.
Result<std::vector<DpkgDiversion>> parse_dpkg_diversions(std::string_view text, std::string_view file) {
    std::vector<DpkgDiversion> diversions;
    ZF_TRY_STATUS(check_not_cut(text, file));
    std::size_t number = 1;
    for (std::string_view original; next_line(text, original); number += 3) {
        std::string_view to;
        std::string_view package;
        if (!next_line(text, to) || !next_line(text, package)) {
            return damaged(file, number, "a diversion takes three lines, the last one has fewer");
        }
        if (!original.starts_with('/') || !to.starts_with('/') || package.empty() || package.starts_with('/')) {
            return damaged(file, number, "is no diversion: two absolute paths and a package are expected");
        }
        diversions.push_back({std::string(original), std::string(to), std::string(package)});
    }
    return diversions;
}

}  // namespace zoneferry
