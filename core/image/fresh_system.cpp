#include "core/image/fresh_system.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/packages/dpkg/database.h"

namespace zoneferry {
namespace {

constexpr int kBootstrapTimeoutMs = 3'600'000;
constexpr const char* kProgram = "/usr/bin/mmdebstrap";
constexpr const char* kHooks = "/usr/share/mmdebstrap/hooks/";
constexpr const char* kLists = "/var/lib/apt/lists";
constexpr const char* kCache = "/var/cache/apt/archives";

std::vector<std::string> files_in(const std::string& directory, std::initializer_list<std::string_view> endings) {
    std::vector<std::string> files;
    const auto names = list_directory(directory);
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        const bool is_wanted = std::any_of(endings.begin(), endings.end(),
                                           [&](std::string_view ending) { return name.ends_with(ending); });
        if (is_wanted) files.push_back(directory + "/" + name);
    }
    return files;
}

std::vector<std::string> sources_of(const HostRoot& root) {
    std::vector<std::string> sources = files_in(root.at("/etc/apt/sources.list.d"), {".list", ".sources"});
    if (path_exists(root.at("/etc/apt/sources.list")))
        sources.insert(sources.begin(), root.at("/etc/apt/sources.list"));
    return sources;
}

// The host's lists as copies, its packages under a second name.
Status lend_cache(const HostRoot& root, const std::string& zone_root) {
    ZF_TRY_STATUS(make_directories(zone_root + kLists, 0755));
    ZF_TRY_STATUS(make_directories(zone_root + kCache, 0755));
    ProcessOptions options;
    std::vector<std::string> copy{"cp", "--reflink=auto", "-p", "-t", zone_root + kLists};
    for (std::string& list : files_in(root.at(kLists), {"Release", "Packages", ".lz4", ".gz", ".xz"}))
        copy.push_back(std::move(list));
    ZF_TRY_STATUS(run_checked(copy, options));
    for (const std::string& package : files_in(root.at(kCache), {".deb"})) {
        const std::string name = zone_root + kCache + package.substr(package.rfind('/'));
        if (::link(package.c_str(), name.c_str()) != 0 && errno == EXDEV) return {};
    }
    return {};
}

Status empty(const std::string& zone_root) {
    ZF_TRY(const UniqueFd directory, open_directory(zone_root));
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(directory.get()));
    for (const std::string& name : names) ZF_TRY_STATUS(remove_tree_at(directory.get(), name));
    return {};
}

Status bootstrap(const std::vector<std::string>& command) {
    ProcessOptions options;
    options.timeout_ms = kBootstrapTimeoutMs;
    options.output_bytes_max = 8U << 20U;
    ZF_TRY(const ProcessResult done, run_process(command, options));
    if (done.exit_status == 0) return {};
    // Its own last sentence, or apt's: "E: Failed to fetch ..."
    std::string why = "exit status " + std::to_string(done.exit_status);
    for (const std::string_view line : split(done.output, '\n')) {
        if (line.starts_with("E: ") && line != "E: mmdebstrap failed to run") why = line.substr(3, 300);
    }
    return Error(Errc::unknown, "mmdebstrap failed: " + printable(why));
}

Status name_it(const std::string& zone_root, const std::string& zone_name) {
    for (const char* ours : {"/etc/apt/apt.conf.d/99mmdebstrap", "/etc/dpkg/dpkg.cfg.d/99mmdebstrap"})
        ZF_TRY_STATUS(remove_file(zone_root + ours));
    ZF_TRY_STATUS(replace_file(zone_root + "/etc/hostname", zone_name + "\n", 0644));
    ZF_TRY_STATUS(replace_file(zone_root + "/etc/machine-id", "", 0444));
    return replace_file(
        zone_root + "/etc/hosts",
        "127.0.0.1\tlocalhost\n127.0.1.1\t" + zone_name + "\n::1\tlocalhost ip6-localhost ip6-loopback\n", 0644);
}

}  // namespace

bool is_package_word(std::string_view word) {
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789+.-:";
    return word.size() >= 2 && word.size() <= 100 && word.find_first_not_of(kLetters) == std::string_view::npos &&
           word.front() >= '0';
}

std::vector<std::string> bootstrap_command(const std::vector<std::string>& sources, const std::string& zone_root,
                                           const std::vector<std::string>& packages, bool fetches_lists) {
    std::string include = "systemd-sysv,dbus";
    for (const std::string& package : packages) include += "," + package;
    std::vector<std::string> command{"setpriv",
                                     "--pdeathsig",
                                     "KILL",
                                     "--",
                                     "unshare",
                                     "--mount",
                                     "--pid",
                                     "--propagation=private",
                                     "--fork",
                                     "--kill-child=KILL",
                                     "--mount-proc",
                                     "--",
                                     kProgram,
                                     "--mode=root",
                                     "--format=directory",
                                     "--variant=minbase",
                                     "--include=" + include,
                                     "--aptopt=Acquire::http::Timeout \"20\"",
                                     "--aptopt=Acquire::https::Timeout \"20\"",
                                     "--aptopt=Acquire::Retries \"0\""};
    for (const char* hook : {"merged-usr", "file-mirror-automount"})
        command.push_back("--hook-dir=" + std::string(kHooks) + hook);
    command.emplace_back(fetches_lists ? "--skip=check/empty" : "--skip=check/empty,update");
    command.insert(command.end(), {"--", "", zone_root});
    command.insert(command.end(), sources.begin(), sources.end());
    return command;
}

Result<std::size_t> make_fresh_system(const HostRoot& root, const std::string& zone_root, const std::string& zone_name,
                                      const std::vector<std::string>& packages,
                                      const InstallProgressCallback& progress) {
    if (!path_exists(kProgram)) {
        return Error(Errc::not_found, "this host has no mmdebstrap, which makes fresh systems")
            .remedy("apt-get install mmdebstrap; or install without --fresh, from this host's packages");
    }
    const std::vector<std::string> sources = sources_of(root);
    if (sources.empty()) {
        return Error(Errc::not_found, "this host has no package sources in /etc/apt")
            .remedy("install without --fresh, from this host's packages");
    }
    Status done = Error(Errc::not_found, "no lists");
    if (!files_in(root.at(kLists), {"Packages", ".lz4", ".gz", ".xz"}).empty()) {
        if (progress) progress({"fetching what is not in the cache", 0, 0});
        done = lend_cache(root, zone_root);
        if (done) done = bootstrap(bootstrap_command(sources, zone_root, packages, false));
        if (!done) ZF_TRY_STATUS(empty(zone_root));
    }
    if (!done) {
        if (progress) progress({"fetching from the package sources", 0, 0});
        done = bootstrap(bootstrap_command(sources, zone_root, packages, true));
    }
    if (done) done = name_it(zone_root, zone_name);
    if (!done) {
        ZF_TRY_STATUS(empty(zone_root));
        return std::move(done).error();
    }
    ZF_TRY(const UniqueFd made, open_directory(zone_root));
    ZF_TRY(const DpkgDatabase database, DpkgDatabase::open(made.get()));
    return database.packages().size();
}

}  // namespace zoneferry
