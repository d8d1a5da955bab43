// The dpkg engine: the host's installed versions as package files in a spool, and dpkg itself, in the scratch zone with
// the zone's own root, as it would work there.
//
//   1 pack        host -> spool, one file a package, numbered in the plan's order (dpkg_repack.h)
//   2 forget      from the zone's lists of packages that go: what lies in inherited directories. dpkg would try to
//   delete
//                 it there, on the host's read-only /usr, and fail. (Of packages that are replaced it only warns, and
//                 without their lists it would take them for replaced by others and forget them altogether: seen)
//   3 remove      dpkg --remove, all at once; dependencies were judged by the plan
//   4 install     dpkg --install, all at once, so that dpkg finds its own order of configuring
//                   --force-confold --force-confdef   edited configuration files stay, others follow the package
//                   --path-exclude                    inherited directories are the host's: nothing is written there
//                   --refuse-downgrade                a second guard, beside the plan's
//   5 look        every package of the plan must be there in its version and in order, and all others as they were;
//   else all
//                 of it failed
//
// What would reach for a running system (systemctl, invoke-rc.d, ...) is a script that does nothing: first in PATH, in
// the scratch zone's own memory.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <map>
#include <set>

#include "core/attach/dpkg_repack.h"
#include "core/attach/scratch_zone.h"
#include "core/attach/update.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/packages/dpkg/database.h"
#include "core/zone/nspawn.h"

namespace zoneferry {
namespace {

constexpr const char* kSpoolInside = "/run/spool";
constexpr const char* kStubsInside = "/run/stubs";
constexpr std::array kStubs = {"invoke-rc.d",       "deb-systemd-invoke",
                               "systemctl",         "service",
                               "start-stop-daemon", "initctl",
                               "telinit",           "reboot",
                               "udevadm",           "runlevel"};
// Nothing runs, and nothing has to be done about it.
constexpr const char* kStub =
    "#!/bin/sh\ncase \" $* \" in *' status '*|*' is-active '*|*' is-system-running '*) exit 3;; esac\nexit 0\n";
constexpr const char* kInfo = "/var/lib/dpkg/info";

const DpkgPackage* find_package(const DpkgDatabase& database, const std::string& name) {
    const std::size_t colon = name.find(':');
    if (colon == std::string::npos) return database.find(name);
    return database.find(name.substr(0, colon), name.substr(colon + 1));
}

// dpkg's own word about its progress, from --status-fd: "status: sed:amd64: installed", "processing: configure: sed".
class ProgressReader {
public:
    ProgressReader(const UpdateJob& job, UpdateProgress& progress) : job_(job), progress_(progress) {}

    void take(std::string_view line) {
        if (line.starts_with("processing: ")) {
            const auto parts = split(line, ':');
            if (parts.size() < 3) return;
            const std::string_view what = trim(parts[1]);
            progress_.doing = what == "configure" ? "configuring" : what == "remove" ? "removing" : "installing";
            progress_.package = printable(trim(parts[2]));
            job_.progress(progress_);
            return;
        }
        if (line.starts_with("status: ")) {
            const auto parts = split(line, ':');
            const std::string_view state = trim(parts.back());
            const std::string package(trim(parts[1]));
            const bool is_done = state == "installed" || state == "config-files" || state == "not-installed";
            if (is_done && state != "installed" && !is_removal_) return;
            if (is_done && done_.insert(package).second) {
                progress_.packages_done = std::min(progress_.packages_done + 1, progress_.packages);
                job_.progress(progress_);
            }
            job_.at_step("dpkg:" + std::string(state) + ":" + package);
            return;
        }
        // The inherited directories are the host's, who has removed there what had to go.
        if (line.starts_with("dpkg: warning: unable to") && line.ends_with("Read-only file system")) return;
        // "dpkg: error processing package sed (--install):", and on the next line why.
        if (error_.ends_with(':')) error_ += " " + std::string(trim(line));
        if (line.starts_with("dpkg: error") && error_.empty()) error_ = line;
        job_.log(line);
    }

    void set_removal(bool is_removal) { is_removal_ = is_removal; }
    const std::string& error() const { return error_; }

private:
    const UpdateJob& job_;
    UpdateProgress& progress_;
    std::set<std::string> done_;
    bool is_removal_ = false;
    std::string error_;
};

class DpkgEngine {
public:
    explicit DpkgEngine(const UpdateJob& job) : job_(job) { progress_.packages = job.plan.steps.size(); }

    Status run() {
        ZF_TRY(host_, open_directory(job_.host_root));
        ZF_TRY(const DpkgDatabase database, DpkgDatabase::open(host_.get()));
        DependencyScope scope;
        scope.inherited = job_.inherited;
        const std::vector<RootAlias> aliases = root_aliases(host_.get());
        ZF_TRY(const ScopeMatcher inherited, ScopeMatcher::make(scope, aliases));
        ZF_TRY(expected_, zone_versions());
        for (const UpdateStep& step : job_.plan.steps) {
            if (step.action == UpdateAction::remove)
                expected_.erase(step.package);
            else
                expected_[step.package] = step.to;
        }
        ZF_TRY_STATUS(pack(database, inherited));
        if (inherited.has_inherited()) ZF_TRY_STATUS(forget_inherited(inherited));
        job_.at_step("packed");
        ZF_TRY_STATUS(remove_packages());
        ZF_TRY_STATUS(install_packages(aliases, inherited));
        return look();
    }

private:
    std::string spool() const { return job_.work_directory + "/spool"; }

    Status pack(const DpkgDatabase& database, const ScopeMatcher& inherited) {
        ZF_TRY_STATUS(make_directories(spool(), 0700));
        const RepackSource source{host_.get(), job_.zone_root, database, inherited, job_.host_root};
        for (const UpdateStep& step : job_.plan.steps) {
            if (step.action == UpdateAction::remove) continue;
            const DpkgPackage* package = find_package(database, step.package);
            if (package == nullptr || package->version != step.to || !package->has_files()) {
                return Error(Errc::conflict, "package " + printable(step.package) +
                                                 " has changed on this host since the update was planned")
                    .remedy("do it again");
            }
            progress_.doing = "packing";
            progress_.package = step.package;
            job_.progress(progress_);
            ZF_TRY_STATUS(pack_one(source, *package));
        }
        return {};
    }

    Status pack_one(const RepackSource& source, const DpkgPackage& package) {
        std::array<char, 16> number{};
        (void)std::snprintf(number.data(), number.size(), "%05zu-", spooled_.size());
        const std::string name = number.data() + deb_file_name(package);
        ZF_TRY(const UniqueFd file, open_file(spool() + "/" + name, O_RDWR | O_CREAT | O_EXCL, 0600));
        ZF_TRY(const PackedDeb packed, pack_deb(source, package, file));
        progress_.files += packed.files;
        job_.log("packed " + package.name + " " + package.version +
                 (packed.from_archive ? " from the archive cache" : " from the installed files"));
        for (const std::string& note : packed.notes) {
            job_.log(note);
            job_.notes->push_back(note);
        }
        spooled_.push_back(std::string(kSpoolInside) + "/" + name);
        return {};
    }

    // The zone's lists are rewritten below an open directory of its tree, never through a link.
    Status forget_inherited(const ScopeMatcher& inherited) {
        ZF_TRY(const DpkgDatabase zone, DpkgDatabase::open(job_.zone_root));
        ZF_TRY(const UniqueFd info, open_in_root(job_.zone_root, kInfo, O_RDONLY | O_DIRECTORY));
        for (const UpdateStep& step : job_.plan.steps) {
            if (step.action != UpdateAction::remove) continue;
            const DpkgPackage* package = find_package(zone, step.package);
            if (package == nullptr) continue;
            ZF_TRY(const std::string text, zone.file_list_text(*package));
            std::string kept;
            for (const std::string_view line : split(text, '\n')) {
                if (!line.empty() && !is_below(inherited, line)) kept.append(line).append("\n");
            }
            ZF_TRY_STATUS(replace_file_at(info.get(), package->info_name() + ".list", kept, 0644));
        }
        return {};
    }

    // The inherited directory itself stays listed.
    static bool is_below(const ScopeMatcher& inherited, std::string_view path) {
        const std::size_t slash = path.rfind('/');
        return slash != std::string_view::npos && slash > 0 && inherited.contains(path.substr(0, slash));
    }

    Result<ScratchSpec> scratch(ProgressReader& reader) const {
        ScratchSpec spec;
        spec.zone_root_fd = job_.zone_root;
        spec.root_is_zone = true;
        spec.id_base = uid_base(job_.zone);
        ZF_TRY(spec.limit, time_left(job_));
        spec.warn = [this](const std::string& note) { note_once(*job_.notes, note); };
        spec.log = [&reader](std::string_view line) { reader.take(line); };
        spec.binds.push_back({spool(), kSpoolInside});
        for (const std::string& directory : job_.inherited) {
            const std::string base = job_.host_root == "/" ? "" : job_.host_root;
            spec.binds.push_back({base + directory, directory});
        }
        for (const char* stub : kStubs) {
            spec.files.push_back({std::string(kStubsInside) + "/" + stub, kStub, 0755});
        }
        return spec;
    }

    Status run_dpkg(std::vector<std::string> words, bool is_removal) {
        ProgressReader reader(job_, progress_);
        reader.set_removal(is_removal);
        words.insert(words.begin(), {"/usr/bin/dpkg", "--status-fd", "1", "--force-unsafe-io", "--no-pager"});
        job_.log("running " + join(words, " "));
        const std::vector<std::string> environment = {
            std::string("PATH=") + kStubsInside + ":/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LC_ALL=C",
            "TERM=dumb",
            "DEBIAN_FRONTEND=noninteractive",
            "DEBCONF_NONINTERACTIVE_SEEN=true",
            "SYSTEMD_OFFLINE=1",
            "RUNLEVEL=1"};
        ZF_TRY(const ScratchSpec spec, scratch(reader));
        ZF_TRY(const int status, run_in_scratch_zone(spec, words, environment));
        if (status == 0) return {};
        return Error(Errc::io, "dpkg failed in the zone with status " + std::to_string(status) +
                                   (reader.error().empty() ? std::string() : ": " + printable(reader.error())))
            .remedy("the log of the update tells all that dpkg and the packages' scripts said");
    }

    Status remove_packages() {
        std::vector<std::string> words{"--force-depends", "--remove"};
        for (const UpdateStep& step : job_.plan.steps) {
            if (step.action == UpdateAction::remove) words.push_back(step.package);
        }
        return words.size() == 2 ? Status() : run_dpkg(std::move(words), true);
    }

    Status install_packages(const std::vector<RootAlias>& aliases, const ScopeMatcher& inherited) {
        if (spooled_.empty()) return {};
        std::vector<std::string> words{"--force-confold", "--force-confdef", "--refuse-downgrade"};
        for (const std::string& directory : job_.inherited) words.push_back("--path-exclude=" + directory + "/*");
        for (const RootAlias& alias : aliases) {
            if (inherited.contains(alias.target)) words.push_back("--path-exclude=" + alias.name + "/*");
        }
        words.push_back("--install");
        words.insert(words.end(), spooled_.begin(), spooled_.end());
        ZF_TRY_STATUS(run_dpkg(std::move(words), false));
        job_.at_step("configured");
        return {};
    }

    using Versions = std::map<std::string, std::string>;

    Result<Versions> zone_versions() const {
        ZF_TRY(const DpkgDatabase zone, DpkgDatabase::open(job_.zone_root));
        Versions versions;
        for (const DpkgPackage& package : zone.packages()) {
            if (package.has_files()) versions[zone.shown_name(package)] = package.version;
        }
        return versions;
    }

    // What dpkg did beside the plan: a package removed "in favour of" another one, for one.
    Status look_at_others() const {
        ZF_TRY(const Versions now, zone_versions());
        for (const auto& [name, version] : expected_) {
            const auto found = now.find(name);
            if (found != now.end() && found->second == version) continue;
            return Error(Errc::verify_failed,
                         "package " + printable(name) + " is not as planned after the update: " +
                             (found == now.end() ? "it is gone" : "it is " + printable(found->second) + " now"));
        }
        for (const auto& [name, version] : now) {
            if (!expected_.contains(name))
                return Error(Errc::verify_failed,
                             "package " + printable(name) + " was not planned and is there after the update");
        }
        return {};
    }

    Status look() const {
        ZF_TRY(const DpkgDatabase zone, DpkgDatabase::open(job_.zone_root));
        for (const UpdateStep& step : job_.plan.steps) {
            const DpkgPackage* package = find_package(zone, step.package);
            const bool is_there = package != nullptr && package->has_files();
            const bool is_right = step.action == UpdateAction::remove
                                      ? !is_there
                                      : is_there && package->version == step.to && package->is_installed();
            if (is_right) continue;
            return Error(
                Errc::verify_failed,
                "package " + printable(step.package) + " is not as planned after the update" +
                    (is_there ? " (" + package->version + ", " + std::string(dpkg_state_name(package->state)) + ")"
                              : std::string()));
        }
        return look_at_others();
    }

    const UpdateJob& job_;
    UniqueFd host_;
    UpdateProgress progress_;
    Versions expected_;                 // of the zone's packages, after the update
    std::vector<std::string> spooled_;  // as dpkg sees them
};

}  // namespace

Status apply_dpkg_update(const UpdateJob& job) { return DpkgEngine(job).run(); }

}  // namespace zoneferry
