#include "core/packages/svr4/inventory.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/limits.h"
#include "core/packages/svr4/contents.h"
#include "core/packages/svr4/pkginfo.h"

namespace zoneferry {
namespace {

constexpr const char* kContents = "/var/sadm/install/contents";
constexpr const char* kPackages = "/var/sadm/pkg";
constexpr const char* kGlobalOnly = "/var/sadm/install/gz-only-packages";

using Installed = std::map<std::string, Svr4Package, std::less<>>;

bool is_directory_at(int directory, const std::string& name) {
    struct stat info {};
    return ::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

Result<Installed> read_installed(int packages) {
    Installed installed;
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(packages));
    for (const std::string& name : names) {
        if (!is_svr4_package_name(name) || !is_directory_at(packages, name)) continue;
        const std::string shown = std::string(kPackages) + "/" + name + "/pkginfo";
        auto text = read_in_directory(packages, name + "/pkginfo", shown, kPkginfoBytesMax);
        if (!text) {
            return Error(Errc::corrupt, text.error().text() + ", so the version of package " + name + " is unknown")
                .remedy("repair or remove the package's directory " + std::string(kPackages) + "/" + name);
        }
        ZF_TRY(Svr4Package package, parse_pkginfo(*text, shown));
        if (installed.size() == kPackagesMax) return Error(Errc::corrupt, "too many packages");
        installed.emplace(name, std::move(package));
    }
    if (installed.empty()) return Error(Errc::corrupt, std::string(kPackages) + " holds no package");
    return installed;
}

// Packages of the global zone alone, whatever they say themselves: one name a line, '#' begins a comment line.
Result<std::set<std::string, std::less<>>> read_global_only(int root) {
    std::set<std::string, std::less<>> names;
    const auto text = read_in_root(root, kGlobalOnly, kPolicyBytesMax);
    if (!text && text.error().code() == Errc::not_found) return names;
    if (!text) return text.error();
    std::string_view rest = *text;
    std::string_view line;
    for (std::size_t number = 1; next_line(rest, line); ++number) {
        const std::string_view name = trim(line);
        if (name.empty() || name.front() == '#') continue;
        if (!is_svr4_package_name(name)) return damaged(kGlobalOnly, number, "is no package name");
        names.emplace(name);
    }
    return names;
}

// What the contents file says about each installed package.
class ContentsReader {
public:
    struct Listed {
        bool anywhere = false;
        bool in_scope = false;
        bool marked = false;
    };

    ContentsReader(const Installed& installed, const ScopeMatcher& scope) : scope_(scope) {
        for (const auto& [name, package] : installed) listed_[name];
    }

    Status read(int root) {
        ZF_TRY(const std::string text, read_in_root(root, kContents, kContentsBytesMax));
        ZF_TRY_STATUS(
            for_each_contents_entry(text, kContents, [&](const ContentsEntry& entry) { return take(entry); }));
        if (entries_ == 0) return Error(Errc::corrupt, std::string(kContents) + " lists no path");
        return {};
    }

    const Listed& of(std::string_view package) const { return listed_.find(package)->second; }

    // Installed packages without any path. Some have none (they only run scripts); many mean that the file was cut.
    std::vector<std::string> without_path() const {
        std::vector<std::string> names;
        for (const auto& [name, listed] : listed_) {
            if (entries_ > 0 && !listed.anywhere) names.emplace_back(name);
        }
        return names;
    }

private:
    Status take(ContentsEntry entry) {
        ++entries_;
        const bool in_scope = scope_.contains(entry.path);
        ContentsOwner owner;
        while (next_owner(entry, owner)) {
            Listed* listed = find(owner.package);
            if (listed == nullptr && !in_scope) continue;
            if (listed == nullptr) {
                return damaged(kContents, entry.line,
                               "names package " + printable(owner.package) + ", which has no " + kPackages + "/" +
                                   printable(owner.package) + "/pkginfo");
            }
            listed->anywhere = true;
            if (in_scope) listed->in_scope = true;
            if (in_scope && owner.mark != 0) listed->marked = true;
        }
        if (in_scope && listed_.contains(entry.group)) {
            return damaged(kContents, entry.line,
                           "has package " + printable(entry.group) + " for its group: a blank was lost");
        }
        return {};
    }

    // Neighbouring paths mostly belong to the same package.
    Listed* find(std::string_view package) {
        if (last_ != nullptr && package == last_name_) return last_;
        const auto at = listed_.find(package);
        if (at == listed_.end()) return nullptr;
        last_ = &at->second;
        last_name_ = at->first;
        return last_;
    }

    const ScopeMatcher& scope_;
    std::size_t entries_ = 0;
    std::map<std::string_view, Listed> listed_;  // the names are Installed's
    Listed* last_ = nullptr;
    std::string_view last_name_;
};

// One sentence for all of them: a host has a handful.
std::string without_path_warning(std::vector<std::string> names) {
    constexpr std::size_t kShown = 5;
    const std::size_t count = names.size();
    names.resize(std::min(count, kShown));
    return std::to_string(count) + " installed package(s) own no path in " + kContents + " (" + join(names, ", ") +
           (count > kShown ? ", ..." : "") + "): normal if they only bring scripts; if not, the file was cut off";
}

Result<std::vector<std::string>> read_needs(int packages, const std::string& name) {
    const std::string shown = std::string(kPackages) + "/" + name + "/install/depend";
    auto text = read_in_directory(packages, name + "/install/depend", shown, kDependBytesMax);
    if (text) return parse_depend(*text);
    if (text.error().code() == Errc::not_found) return std::vector<std::string>();
    return std::move(text).error();
}

// Adds what a dependent package needs, to any depth; one that is not installed is left out, as on Solaris.
class Chooser {
public:
    Chooser(int packages, const Installed& installed) : packages_(packages), installed_(installed) {}

    Status choose(const std::string& name, DependencyReason reason) {
        if (!add(name, reason)) return {};
        while (!open_.empty()) {
            const std::string next = std::move(open_.back());
            open_.pop_back();
            ZF_TRY_STATUS(choose_what_it_needs(next));
        }
        return {};
    }

    std::map<std::string, DependencyReason> chosen;

private:
    bool add(const std::string& name, DependencyReason reason) {
        if (!installed_.contains(name)) return false;
        const auto [at, is_new] = chosen.try_emplace(name, reason);
        if (!is_new && at->second == DependencyReason::required) at->second = reason;  // the better reason stays
        if (is_new) open_.push_back(name);
        return is_new;
    }

    Status choose_what_it_needs(const std::string& name) {
        ZF_TRY(const std::vector<std::string> needs, read_needs(packages_, name));
        for (const std::string& needed : needs) add(needed, DependencyReason::required);
        return {};
    }

    int packages_;
    const Installed& installed_;
    std::vector<std::string> open_;
};

}  // namespace

Result<std::vector<Svr4Installed>> read_svr4_packages(int root) {
    ZF_TRY(const UniqueFd packages, open_in_root(root, kPackages, O_RDONLY | O_DIRECTORY));
    ZF_TRY(Installed installed, read_installed(packages.get()));
    ZF_TRY(const auto global_only, read_global_only(root));
    std::vector<Svr4Installed> all;
    for (auto& [name, package] : installed) {
        ZF_TRY(std::vector<std::string> needs, read_needs(packages.get(), name));
        all.push_back({name, std::move(package), std::move(needs), global_only.contains(name)});
    }
    return all;
}

void drop_obsoleted_patches(std::vector<Package>& packages) {
    std::set<std::string, std::less<>> obsoleted;
    for (const Package& package : packages) {
        for (const Patch& patch : package.patches) {
            for (const std::string& base : patch.obsoletes) {
                if (base != patch.id.base) obsoleted.insert(base);
            }
        }
    }
    for (Package& package : packages) {
        std::erase_if(package.patches, [&](const Patch& patch) { return obsoleted.contains(patch.id.base); });
    }
}

Result<Inventory> take_svr4_inventory(int root, const ScopeMatcher& scope, const HostPolicy& policy) {
    ZF_TRY(const UniqueFd packages, open_in_root(root, kPackages, O_RDONLY | O_DIRECTORY));
    ZF_TRY(const Installed installed, read_installed(packages.get()));
    ZF_TRY(const auto global_only, read_global_only(root));
    ContentsReader contents(installed, scope);
    if (scope.has_inherited()) ZF_TRY_STATUS(contents.read(root));
    Chooser chooser(packages.get(), installed);
    for (const auto& [name, package] : installed) {
        if (package.this_zone || policy.is_this_zone(name) || global_only.contains(name)) continue;
        if (package.all_zones || policy.is_all_zones(name)) {
            ZF_TRY_STATUS(chooser.choose(name, DependencyReason::all_zones));
        } else if (contents.of(name).in_scope) {
            ZF_TRY_STATUS(chooser.choose(name, DependencyReason::inherited));
        }
    }
    Inventory inventory;
    inventory.system = PackageSystem::svr4;
    for (const auto& [name, reason] : chooser.chosen) {
        if (policy.is_this_zone(name)) continue;  // the host's word also stands against a P line
        const Svr4Package& package = installed.find(name)->second;
        inventory.packages.push_back({name, package.version, reason, package.patches});
        if (contents.of(name).marked) {
            inventory.warnings.push_back("package " + name + " is only partly installed according to " + kContents);
        }
    }
    if (auto names = contents.without_path(); !names.empty()) {
        inventory.warnings.push_back(without_path_warning(std::move(names)));
    }
    drop_obsoleted_patches(inventory.packages);
    return inventory;
}

}  // namespace zoneferry
