#include "core/p2v/image_check.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "core/base/text.h"
#include "core/packages/compare.h"
#include "core/packages/database_file.h"
#include "core/packages/inventory.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kReleaseBytesMax = 64 << 10;
constexpr std::uint64_t kPkginfoBytesMax = 1 << 20;
constexpr std::size_t kListedMax = 40;  // packages in a refusal; --format json has all

bool exists(int root, const std::string& path) {
    return open_in_root(root, "/" + path, O_PATH | O_NOFOLLOW).has_value();
}

std::vector<std::string> missing_of(int root, PackageSystem system) {
    std::vector<std::string> missing;
    const auto want = [&](const std::string& path) {
        if (!exists(root, path)) missing.push_back("/" + path);
    };
    const auto want_one = [&](std::initializer_list<const char*> paths, const char* shown) {
        if (std::none_of(paths.begin(), paths.end(), [&](const char* path) { return exists(root, path); }))
            missing.push_back(shown);
    };
    for (const char* path : {"etc", "usr", "var", "lib"}) want(path);
    if (system == PackageSystem::svr4) {
        for (const char* path : {"etc/svc", "sbin", "var/svc", "var/sadm/system/admin/INST_RELEASE"}) want(path);
        want("var/sadm/install/contents");
    } else {
        want("bin");
        want_one({"etc/os-release", "usr/lib/os-release"}, "/etc/os-release");
        want_one({"sbin/init", "usr/sbin/init", "init", "lib/systemd/systemd", "usr/lib/systemd/systemd"},
                 "/sbin/init (a system to boot, not a container's tree)");
        want("var/lib/dpkg/status");
    }
    return missing;
}

// NAME=value lines, the value with or without quotes; the first wins.
std::string value_of(std::string_view text, std::string_view name) {
    for (std::string_view line : split(text, '\n')) {
        if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != '=') continue;
        line = trim(line.substr(name.size() + 1));
        const bool quoted =
            line.size() >= 2 && (line.front() == '"' || line.front() == '\'') && line.back() == line.front();
        return std::string(quoted ? line.substr(1, line.size() - 2) : line);
    }
    return {};
}

Result<OsRelease> linux_release(int root) {
    auto text = read_in_root(root, "/etc/os-release", kReleaseBytesMax);
    if (!text) text = read_in_root(root, "/usr/lib/os-release", kReleaseBytesMax);
    if (!text) return std::move(text).error().during("reading the image's release");
    OsRelease release{value_of(*text, "ID"), value_of(*text, "VERSION_ID"), value_of(*text, "PRETTY_NAME")};
    if (release.shown.empty()) release.shown = release.id + " " + release.version;
    release.shown = printable(release.shown.substr(0, 200));
    return release;
}

Result<OsRelease> solaris_release(int root) {
    const auto text = read_in_root(root, "/var/sadm/system/admin/INST_RELEASE", kReleaseBytesMax);
    if (!text) return OsRelease{"solaris", "", "Solaris of an unknown release"};
    OsRelease release{"solaris", value_of(*text, "VERSION"), ""};
    release.shown = printable("Solaris " + release.version.substr(0, 200));
    return release;
}

Result<std::string> architecture(int root, PackageSystem system) {
    if (system == PackageSystem::dpkg) return find_package_architecture(root);
    const auto text = read_in_root(root, "/var/sadm/pkg/SUNWcsr/pkginfo", kPkginfoBytesMax);
    return text ? value_of(*text, "ARCH") : std::string();
}

Finding block(const char* code, const std::string& subject, const std::string& image, const std::string& host,
              std::string message, std::string remedy) {
    Finding finding;
    finding.code = code;
    finding.subject = printable(subject);
    finding.source = printable(image);
    finding.target = printable(host);
    finding.message = std::move(message);
    finding.remedy = std::move(remedy);
    return finding;
}

void add_release(const OsRelease& image, const OsRelease& host, PackageSystem system, std::vector<Finding>& findings) {
    if (host.id.empty()) return;
    if (image.id != host.id) {
        findings.push_back(block("IMAGE_OS_DIFFERS", "release", image.shown, host.shown,
                                 "the image is " + image.shown + ", this host is " + host.shown +
                                     ": another distribution, whose packages cannot be brought to this host's level",
                                 "install it on a host of its own distribution"));
        return;
    }
    if (image.version.empty() || host.version.empty()) return;
    if (compare_versions(system, image.version, host.version) <= 0) return;
    findings.push_back(block("IMAGE_OS_NEWER", "release", image.shown, host.shown,
                             "the image's release, " + image.shown + ", is newer than this host's, " + host.shown,
                             "bring this host to that release first"));
}

void add_packages(const PackageSet& image, const PackageSet& host, std::vector<Finding>& findings) {
    for (const KnownPackage& known : image.packages) {
        const KnownPackage* here = host.find(known.package.name);
        if (here == nullptr || known.global_only || here->global_only) continue;
        const std::string& version = known.package.version;
        if (compare_versions(image.system, version, here->package.version) <= 0) continue;
        findings.push_back(block("IMAGE_PACKAGE_NEWER", known.package.name, version, here->package.version,
                                 "the image's package " + printable(known.package.name) + " (" + printable(version) +
                                     ") is newer than this host's (" + printable(here->package.version) + ")",
                                 "bring this host to the level of the image first"));
    }
}

}  // namespace

Result<PackageSystem> host_package_system(const HostRoot& root) {
    ZF_TRY(const UniqueFd host, open_directory(root.directory()));
    return find_package_system(host.get());
}

Result<ImageFacts> read_image_facts(int root, PackageSystem system) {
    ImageFacts facts;
    facts.system = system;
    facts.missing = missing_of(root, system);
    if (!facts.missing.empty()) return facts;
    ZF_TRY(facts.release, system == PackageSystem::dpkg ? linux_release(root) : solaris_release(root));
    ZF_TRY(facts.architecture, architecture(root, system));
    auto packages = take_package_set(root, {}, HostPolicy());
    if (!packages) return std::move(packages).error().during("reading the image's packages");
    facts.packages = *std::move(packages);
    return facts;
}

Result<ImageFacts> read_host_facts(const HostRoot& root, PackageSystem system) {
    ImageFacts facts;
    facts.system = system;
    ZF_TRY(const UniqueFd host, open_directory(root.directory()));
    auto release = system == PackageSystem::dpkg ? linux_release(host.get()) : solaris_release(host.get());
    if (release) facts.release = *std::move(release);
    ZF_TRY(facts.architecture, architecture(host.get(), system));
    ZF_TRY(const HostPolicy policy, HostPolicy::load(host.get()));
    auto packages = take_package_set(host.get(), {}, policy);
    if (!packages) return std::move(packages).error().during("reading this host's packages");
    facts.packages = *std::move(packages);
    return facts;
}

std::vector<Finding> image_findings(const ImageFacts& image, const ImageFacts& host) {
    std::vector<Finding> findings;
    for (const std::string& missing : image.missing) {
        findings.push_back(block("IMAGE_NO_SYSTEM", missing, "", "",
                                 "the image is no whole system: it has no " + missing,
                                 "give the root of a whole system of this host's kind, or an archive made in it"));
    }
    if (!findings.empty()) return findings;
    add_release(image.release, host.release, host.system, findings);
    if (!image.architecture.empty() && !host.architecture.empty() && image.architecture != host.architecture) {
        findings.push_back(block("IMAGE_ARCHITECTURE", "architecture", image.architecture, host.architecture,
                                 "the image's packages are for " + printable(image.architecture) +
                                     ", this host's for " + printable(host.architecture),
                                 "install it on a host of that architecture"));
    }
    if (findings.empty() || findings.front().code != "IMAGE_OS_DIFFERS")
        add_packages(image.packages, host.packages, findings);
    return findings;
}

Error image_refusal(const std::vector<Finding>& findings) {
    ZF_CHECK(!findings.empty());
    if (findings.size() == 1)
        return Error(Errc::blocked, findings.front().message).remedy(std::string(findings.front().remedy));
    std::string text = "the image does not fit this host:";
    for (std::size_t i = 0; i < findings.size() && i < kListedMax; ++i) text += "\n    " + findings[i].message;
    if (findings.size() > kListedMax) text += "\n    and " + std::to_string(findings.size() - kListedMax) + " more";
    return Error(Errc::blocked, text).remedy(std::string(findings.front().remedy));
}

}  // namespace zoneferry
