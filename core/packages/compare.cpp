#include "core/packages/compare.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "core/base/text.h"
#include "core/packages/dpkg/version.h"
#include "core/packages/svr4/pkginfo.h"
#include "core/packages/svr4/version.h"

namespace zoneferry {
namespace {

struct PatchOrder {
    bool operator()(std::string_view a, std::string_view b) const { return patch_base_less(a, b); }
};
using PatchPool = std::map<std::string, std::string, PatchOrder>;  // base -> highest revision

PatchPool pool_patches(const Inventory& inventory) {
    PatchPool pool;
    for (const Package& package : inventory.packages) {
        for (const Patch& patch : package.patches) {
            const auto [at, is_new] = pool.try_emplace(patch.id.base, patch.id.revision);
            if (!is_new && compare_patch_revisions(patch.id.revision, at->second) > 0) at->second = patch.id.revision;
        }
    }
    return pool;
}

bool obsoletes(const Package& package, const std::string& base) {
    return std::any_of(package.patches.begin(), package.patches.end(), [&](const Patch& patch) {
        return patch.id.base != base &&
               std::find(patch.obsoletes.begin(), patch.obsoletes.end(), base) != patch.obsoletes.end();
    });
}

// Bases of source patches that are needed here: on at least one package whose local namesake does not
// obsolete them.
std::set<std::string> needed_bases(const Inventory& source, const Inventory& local) {
    std::set<std::string> needed;
    for (const Package& package : source.packages) {
        const Package* here = local.find(package.name);
        for (const Patch& patch : package.patches) {
            if (here == nullptr || !obsoletes(*here, patch.id.base)) needed.insert(patch.id.base);
        }
    }
    return needed;
}

void compare_packages(const Inventory& source, const Inventory& local, Differences& out) {
    for (const Package& package : source.packages) {
        const Package* here = local.find(package.name);
        if (here == nullptr) {
            out.source_packages.push_back({package.name, package.version, "", true});
        } else if (compare_versions(source.system, package.version, here->version) != 0) {
            out.source_packages.push_back({package.name, package.version, here->version, false});
        }
    }
    for (const Package& package : local.packages) {
        if (source.find(package.name) == nullptr)
            out.local_packages.push_back({package.name, "", package.version, true});
    }
}

void compare_patches(const Inventory& source, const Inventory& local, Differences& out) {
    const PatchPool source_pool = pool_patches(source);
    const PatchPool local_pool = pool_patches(local);
    const std::set<std::string> needed = needed_bases(source, local);
    for (const auto& [base, revision] : source_pool) {
        if (!needed.contains(base)) continue;
        const auto here = local_pool.find(base);
        if (here == local_pool.end())
            out.source_patches.push_back({base, revision, "", true});
        else if (compare_patch_revisions(revision, here->second) != 0) {
            out.source_patches.push_back({base, revision, here->second, false});
        }
    }
    for (const auto& [base, revision] : local_pool) {
        if (!source_pool.contains(base)) out.local_patches.push_back({base, "", revision, true});
    }
}

std::string shown_package(const std::string& name, const std::string& version) {
    return printable(name) + " (" + printable(version) + ")";
}

std::string shown_patch(const std::string& base, const std::string& revision) {
    return printable(PatchId{base, revision}.text());
}

using Shown = std::string (*)(const std::string&, const std::string&);

void add_source_section(std::string& text, std::string_view what, const std::vector<Difference>& entries, Shown shown) {
    if (entries.empty()) return;
    text.append("source host ").append(what).append(" inconsistent with local host\n");
    for (const Difference& entry : entries) {
        text += "\t";
        if (entry.missing)
            text += shown(entry.name, entry.source_version) + " is not installed\n";
        else
            text += shown_package(entry.name, entry.source_version) + " version mismatch (" +
                    printable(entry.local_version) + ")\n";
    }
}

void add_local_section(std::string& text, std::string_view what, const std::vector<Difference>& entries, Shown shown) {
    if (entries.empty()) return;
    text.append("local host ").append(what).append(" inconsistent with source host\n");
    for (const Difference& entry : entries)
        text += "\t" + shown(entry.name, entry.local_version) + " was not installed\n";
}

// What to do about a package; about a patch only the words differ.
std::string remedy_for(const Difference& entry, PackageSystem system, bool is_patch) {
    const std::string wanted = is_patch ? PatchId{entry.name, entry.source_version}.text() : entry.name;
    if (entry.source_version.empty() && entry.missing) {
        return is_patch || system == PackageSystem::svr4
                   ? "install it on the source host or remove it from the target host; or force the attach (-F)"
                   : "on the source host: apt-get install " + printable(wanted) + "=" + printable(entry.local_version) +
                         ", or remove it on the target host; or force the attach (-F)";
    }
    if (is_patch || system == PackageSystem::svr4) {
        return "install " + printable(wanted) + " as the source has it on the target host; or force the attach (-F)";
    }
    return "on the target host: apt-get install " + printable(wanted) + "=" + printable(entry.source_version) +
           "; or force the attach (-F)";
}

void add_findings(std::vector<Finding>& findings, const std::vector<Difference>& entries, bool of_source, bool is_patch,
                  PackageSystem system) {
    const std::string what = is_patch ? "PATCH" : "PKG";
    const std::string noun = is_patch ? "patch " : "package ";
    const Shown shown = is_patch ? shown_patch : shown_package;
    for (const Difference& entry : entries) {
        Finding finding;
        finding.subject = printable(entry.name);
        finding.source = printable(entry.source_version);
        finding.target = printable(entry.local_version);
        if (!entry.missing) {
            finding.code = what + "_VERSION_MISMATCH";
            finding.message = noun + shown_package(entry.name, entry.source_version) + " version mismatch (" +
                              printable(entry.local_version) + ")";
        } else if (of_source) {
            finding.code = what + "_NOT_INSTALLED";
            finding.message = noun + shown(entry.name, entry.source_version) + " is not installed";
        } else {
            finding.code = what + "_WAS_NOT_INSTALLED";
            finding.message = noun + shown(entry.name, entry.local_version) + " was not installed";
        }
        finding.remedy = remedy_for(entry, system, is_patch);
        findings.push_back(std::move(finding));
    }
}

}  // namespace

std::weak_ordering compare_versions(PackageSystem system, std::string_view a, std::string_view b) {
    return system == PackageSystem::dpkg ? compare_dpkg_versions(a, b) : compare_svr4_versions(a, b);
}

Differences compare(const Inventory& source, const Inventory& local) {
    Differences differences;
    compare_packages(source, local, differences);
    compare_patches(source, local, differences);
    return differences;
}

std::string differences_text(const Differences& differences) {
    std::string text;
    add_source_section(text, "packages", differences.source_packages, shown_package);
    add_local_section(text, "packages", differences.local_packages, shown_package);
    add_source_section(text, "patches", differences.source_patches, shown_patch);
    add_local_section(text, "patches", differences.local_patches, shown_patch);
    return text;
}

std::vector<Finding> differences_findings(const Differences& differences, PackageSystem system) {
    std::vector<Finding> findings;
    add_findings(findings, differences.source_packages, true, false, system);
    add_findings(findings, differences.local_packages, false, false, system);
    add_findings(findings, differences.source_patches, true, true, system);
    add_findings(findings, differences.local_patches, false, true, system);
    return findings;
}

}  // namespace zoneferry
