// An SVR4 update of a zone, from the package data that is spooled in the global zone and its own files:
//
//   1. read the zone's contents file and the packages of the plan; ask their checkinstall; make the lists
//   2. removals for good, with their scripts; then all of rmlist
//   3. the database forgets pkg_rm
//   4. gz_cp_list is copied from the global zone
//   5. pkg_add one by one (svr4_install.h)
//   6. the contents file; all to the disk
//
// What is logged has the original's order and headings; where it goes is the caller's (core/update/update_log.h).
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "core/attach/svr4_install.h"
#include "core/attach/svr4_lists.h"
#include "core/attach/svr4_package.h"
#include "core/attach/svr4_scripts.h"
#include "core/attach/update.h"
#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/limits.h"

namespace zoneferry {
namespace {

constexpr const char* kContents = "/var/sadm/install/contents";

std::string formatted(std::int64_t unix_ms, const char* format) {
    const auto seconds = static_cast<time_t>(unix_ms / 1000);
    struct tm parts {};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 64> text{};
    return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

class Svr4Update {
public:
    explicit Svr4Update(const UpdateJob& job) : job_(job), zone_(job.zone_root) {}

    Status run() {
        ZF_TRY(host_, open_directory(job_.host_root));
        ZF_TRY(const Svr4Scripts scripts, Svr4Scripts::make(job_));
        ZF_TRY(const std::string text, zone_.read(kContents, kContentsBytesMax));
        ZF_TRY(contents_, ContentsTable::parse(text, "the zone's " + std::string(kContents)));
        Svr4Installer installer(job_, scripts, contents_, host_.get());
        ZF_TRY_STATUS(prepare(installer));
        ZF_TRY_STATUS(remove(installer));
        job_.at_step("removed");
        heading("cpio");
        for (const SpooledPackage& package : packages_) ZF_TRY_STATUS(copy_files(installer, package));
        for (const SpooledPackage& package : packages_) ZF_TRY_STATUS(make_hard_links(package));
        job_.at_step("copied");
        heading("add_pkg");
        for (const SpooledPackage& package : packages_) {
            tell("installing", package.name);
            auto done = installer.install(package, is_update(package.name));
            if (!done) return std::move(done).error().during("installing package " + package.name);
            ++done_;
            job_.at_step("package:" + package.name);
        }
        return finish();
    }

private:
    void heading(const std::string& name) { job_.log("***** " + name + " *****"); }

    void tell(const std::string& doing, const std::string& package) {
        job_.log(doing + " " + package);
        job_.progress({doing, package, done_, job_.plan.steps.size(), files_});
    }

    bool is_update(const std::string& package) const {
        return std::any_of(job_.plan.steps.begin(), job_.plan.steps.end(), [&](const UpdateStep& step) {
            return step.package == package && step.action == UpdateAction::replace;
        });
    }

    Status prepare(const Svr4Installer& installer) {
        for (const UpdateStep& step : job_.plan.steps) {
            if (step.action == UpdateAction::remove) continue;
            ZF_TRY(SpooledPackage package, load_spooled_package(host_.get(), step.package, step.to));
            ZF_TRY_STATUS(installer.check(package, step.action == UpdateAction::replace));
            packages_.push_back(std::move(package));
        }
        lists_ = make_svr4_lists(job_.plan, packages_, contents_, job_.inherited,
                                 [&](const std::string& package, const std::string& klass) {
                                     return installer.has_removal_script(package, klass);
                                 });
        const std::string lists = svr4_lists_text(lists_);
        for (const std::string_view line : split(std::string_view(lists).substr(0, lists.size() - 1), '\n'))
            job_.log(line);
        return {};
    }

    Status remove(Svr4Installer& installer) {
        heading("remove_pkg");
        for (const UpdateStep& step : job_.plan.steps) {
            if (step.action != UpdateAction::remove) continue;
            tell("removing", step.package);
            auto done = installer.run_removal(step.package);
            if (!done) return std::move(done).error().during("removing package " + step.package);
            ++done_;
            job_.at_step("package:" + step.package);
        }
        for (const std::string& path : lists_.rmlist) ZF_TRY_STATUS(zone_.remove(path));
        for (const std::string& package : lists_.pkg_rm) ZF_TRY_STATUS(installer.forget(package));
        return {};
    }

    Status copy_files(const Svr4Installer& installer, const SpooledPackage& package) {
        if (package.is_hollow) return {};
        tell("copying", package.name);
        std::vector<const PkgmapEntry*> entries;
        for (const PkgmapEntry& entry : package.entries) {
            if (!is_inherited(job_.inherited, entry.path)) entries.push_back(&entry);
        }
        // Directories before what is in them.
        std::stable_sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) {
            return std::pair(!a->is_directory(), a->path) < std::pair(!b->is_directory(), b->path);
        });
        for (const PkgmapEntry* entry : entries) {
            auto done = copy_entry(installer, package, *entry);
            if (!done) return std::move(done).error().during("package " + package.name);
            ++files_;
        }
        return {};
    }

    Status copy_entry(const Svr4Installer& installer, const SpooledPackage& package, const PkgmapEntry& entry) {
        switch (entry.type) {
            case 'd':
            case 'x': return zone_.make_directory(entry.path, installer.attributes_of(entry, host_status(entry.path)));
            case 's': return zone_.make_symlink(entry.path, entry.target);
            case 'p': return zone_.make_fifo(entry.path, installer.attributes_of(entry, host_status(entry.path)));
            case 'f': return copy_file(installer, package, entry);
            default: return {};  // e and v with their class; l below; c and b are the global zone's to make
        }
    }

    // Of a class with a script the file is only laid ready for it.
    Status copy_file(const Svr4Installer& installer, const SpooledPackage& package, const PkgmapEntry& entry) {
        auto source = open_in_root(host_.get(), entry.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (!source) {
            return Error(Errc::not_found,
                         "this host lacks " + printable(entry.path) + " of its package " + package.name,
                         source.error().system_error());
        }
        ZF_TRY(const struct stat info, stat_fd(source->get()));
        if (!S_ISREG(info.st_mode)) {
            return Error(Errc::corrupt,
                         printable(entry.path) + " of package " + package.name + " is not a regular file on this host");
        }
        ZF_TRY(const std::uint32_t sum, sysv_sum(source->get()));
        const bool as_packed = static_cast<std::uint64_t>(info.st_size) == entry.size && sum == entry.cksum;
        if (!as_packed && job_.notes != nullptr) {
            job_.notes->push_back(printable(entry.path) + " of package " + package.name +
                                  " is not as it was packed on this host; the zone gets it as it is here");
        }
        const ZoneFileAttributes attributes = installer.attributes_of(entry, info);
        if (installer.install_script(package, entry.klass).empty())
            return zone_.put_file(entry.path, source->get(), attributes);
        ZF_TRY(const UniqueFd work, open_directory(job_.work_directory));
        return ZoneFiles(work.get()).put_file("/" + package.name + "/" + entry.spool_name, source->get(), attributes);
    }

    Status make_hard_links(const SpooledPackage& package) {
        if (package.is_hollow) return {};
        for (const PkgmapEntry& entry : package.entries) {
            if (entry.type != 'l' || is_inherited(job_.inherited, entry.path)) continue;
            auto done = zone_.make_hard_link(entry.path, entry.target);
            if (!done) return std::move(done).error().during("package " + package.name);
        }
        return {};
    }

    // For what a pkgmap leaves open; 0755 and root's where the host has nothing.
    struct stat host_status(const std::string& path) const {
        struct stat info {};
        info.st_mode = 0755;
        const auto fd = open_in_root(host_.get(), path, O_PATH);
        if (fd && ::fstat(fd->get(), &info) != 0) info.st_mode = 0755;
        return info;
    }

    Status finish() {
        heading("finalize");
        const std::string date = formatted(SystemClock().unix_ms(), "%a %b %d %H:%M:%S %Y");
        const std::string last = job_.plan.steps.empty() ? std::string("no") : job_.plan.steps.back().package;
        ZF_TRY_STATUS(
            zone_.put_text(kContents, contents_.text("attach -u for " + last + " package", date), {0644, 0, 0, -1}));
        job_.log("contents written, " + std::to_string(contents_.records().size()) + " paths");
        ZF_TRY_STATUS(zone_.sync());
        job_.at_step("recorded");
        return {};
    }

    const UpdateJob& job_;
    ZoneFiles zone_;
    UniqueFd host_;
    ContentsTable contents_;
    std::vector<SpooledPackage> packages_;
    Svr4Lists lists_;
    std::size_t done_ = 0;
    std::uint64_t files_ = 0;
};

}  // namespace

Status apply_svr4_update(const UpdateJob& job) {
    Svr4Update update(job);
    return update.run();
}

}  // namespace zoneferry
