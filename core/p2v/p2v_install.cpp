#include "core/p2v/p2v_install.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <utility>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/image/archive_image.h"
#include "core/p2v/image_check.h"
#include "core/p2v/image_cost.h"
#include "core/update/zone_update.h"

namespace zoneferry {
namespace {

// Where a survey keeps what it keeps: one place for each zone, under the zone's lock.
class SurveyDirectory {
public:
    static Result<SurveyDirectory> make(const HostRoot& root, const std::string& zone) {
        SurveyDirectory made;
        made.path_ = root.state_directory() + "/installs/" + zone;
        ZF_TRY_STATUS(remove_tree(made.path_));
        ZF_TRY_STATUS(make_directories(made.path_, 0700));
        return made;
    }
    SurveyDirectory(SurveyDirectory&& other) noexcept : path_(std::exchange(other.path_, "")) {}
    SurveyDirectory& operator=(SurveyDirectory&&) = delete;
    SurveyDirectory(const SurveyDirectory&) = delete;
    SurveyDirectory& operator=(const SurveyDirectory&) = delete;
    ~SurveyDirectory() {
        if (!path_.empty()) (void)remove_tree(path_);
    }
    Result<UniqueFd> open() const { return open_directory(path_); }

private:
    SurveyDirectory() = default;
    std::string path_;
};

std::string today() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    char text[32] = {};
    if (::gmtime_r(&now, &parts) == nullptr) return {};
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d", &parts)};
}

std::string source_text(const InstallSource& source) {
    if (const auto* directory = std::get_if<ImageDirectory>(&source)) return "directory " + printable(directory->path);
    if (const auto* archive = std::get_if<ImageArchive>(&source)) return "archive " + printable(archive->path);
    return std::holds_alternative<ImageStream>(source) ? "archive from a stream" : "the image in the zonepath";
}

class ImageInstall {
public:
    ImageInstall(const HostRoot& root, const ZoneLock& lock, const P2vOptions& options)
        : root_(root), lock_(lock), options_(options), store_(root) {}

    P2vOutcome run(const InstallSource& source) {
        Status done = begin(source);
        if (done) done = install(source);
        outcome_.end = end_of(static_cast<bool>(done));
        if (log_) log_->add_always(done ? "Result: installed" : "Result: FAILED: " + done.error().text());
        if (!done) outcome_.error = std::move(done).error();
        return std::move(outcome_);
    }

private:
    Status begin(const InstallSource& source) {
        ZF_CHECK(is_image(source));
        ZF_TRY(config_, store_.config(lock_.name()));
        ZF_TRY(const PackageSystem system, host_package_system(root_));
        system_ = system;
        ZF_TRY(UpdateLog log, UpdateLog::open(root_, config_.name, UpdateLog::Kind::install, options_.detail));
        log_.emplace(std::move(log));
        outcome_.log = log_->host_path();
        log_->add("install of zone " + config_.name + " from " + source_text(source));
        return {};
    }

    Status install(const InstallSource& given) {
        InstallSource source = given;
        UniqueFd archive;
        if (const auto* named = std::get_if<ImageArchive>(&given)) {
            ZF_TRY(archive, open_archive(named->path));
            source = ImageStream{archive.get()};
        }
        if (const auto* stream = std::get_if<ImageStream>(&source)) ZF_TRY_STATUS(measure(stream->fd));
        InstallSteps steps;
        steps.system = system_;
        steps.progress = [this](const InstallProgress& progress) { tell(progress); };
        steps.before = [&](int zonepath) { return before(source, zonepath); };
        steps.after = [this](int root) { return after(root); };
        auto report = install_zone(store_, lock_, source, steps);
        if (!report) return std::move(report).error();
        for (std::string& warning : report->warnings) warn(std::move(warning));
        report->warnings = std::move(outcome_.report.warnings);
        outcome_.report = *std::move(report);
        return {};
    }

    Result<UniqueFd> open_archive(const std::string& path) {
        if (!path.starts_with('/'))
            return Error(Errc::usage,
                         "the archive \"" + printable(path) + "\" must be an absolute path; nothing was changed")
                .remedy("begin it with /; - reads the standard input");
        ZF_TRY(UniqueFd archive, open_file(root_.at(path), O_RDONLY | O_NOCTTY | O_NONBLOCK));
        ZF_TRY(const struct stat info, stat_fd(archive.get()));
        if (S_ISREG(info.st_mode)) return archive;
        return Error(Errc::invalid, "the archive " + printable(path) + " is not a regular file; nothing was changed")
            .remedy("give a file, or read it from a pipe: zoneadm -z " + config_.name + " install -a - ...");
    }

    Status measure(int archive) {
        ZF_TRY(const struct stat info, stat_fd(archive));
        if (S_ISREG(info.st_mode) && ::lseek(archive, 0, SEEK_CUR) == 0) {
            archive_ = archive;
            archive_bytes_ = static_cast<std::uint64_t>(info.st_size);
        }
        return {};
    }

    // How far an archive is read tells how long it will still take.
    void tell(InstallProgress progress) {
        if (progress.step != step_) log_->add(progress.step);
        step_ = progress.step;
        if (!options_.progress) return;
        if (progress.total == 0 && archive_ >= 0 && (step_ == "checking" || step_ == "unpacking")) {
            progress.done = static_cast<std::uint64_t>(::lseek(archive_, 0, SEEK_CUR));
            progress.total = archive_bytes_;
        } else if (progress.total == 0 && step_ == "copying") {
            progress.done = progress.bytes;
            progress.total = cost_.bytes;
        }
        options_.progress(progress);
    }

    void at_step(const std::string& step) const {
        if (options_.at_step) options_.at_step(step);
    }

    void warn(std::string sentence) {
        log_->add("warning: " + sentence);
        if (outcome_.report.warnings.size() < kWarningsMax) outcome_.report.warnings.push_back(std::move(sentence));
    }

    // The zonepath is there, and nothing else was touched.
    Status before(const InstallSource& source, int zonepath) {
        tell({"checking", 0, 0});
        if (const auto* directory = std::get_if<ImageDirectory>(&source)) {
            ZF_TRY(const UniqueFd image, open_directory(root_.at(directory->path)));
            ZF_TRY_STATUS(judge(image.get()));
            ZF_TRY(cost_, directory_cost(image.get(), system_));
            ZF_TRY_STATUS(check_room(zonepath, cost_));
        } else if (std::holds_alternative<ImageInPlace>(source)) {
            ZF_TRY(const UniqueFd image, open_beneath(zonepath, "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
            ZF_TRY_STATUS(judge(image.get()));
        } else if (archive_ >= 0) {
            ZF_TRY_STATUS(survey(zonepath));
        }
        was_begun_ = true;
        at_step("checked");
        return {};
    }

    Status survey(int zonepath) {
        ZF_TRY(const SurveyDirectory place, SurveyDirectory::make(root_, config_.name));
        ZF_TRY(UniqueFd kept, place.open());
        ZF_TRY(ImageWriter writer, ImageWriter::create(std::move(kept)));
        ImageSurvey survey(writer, system_);
        InstallReport ignored;
        const InstallProgressCallback told = [this](const InstallProgress& progress) {
            tell({"checking", progress.files, progress.bytes});
        };
        ZF_TRY_STATUS(unpack_image(archive_, survey, ignored, told));
        ZF_TRY_STATUS(judge(writer.root()));
        ZF_TRY_STATUS(check_room(zonepath, survey.cost()));
        cost_ = survey.cost();
        if (::lseek(archive_, 0, SEEK_SET) != 0) return system_error("go back to the archive's begin", errno);
        log_->add("the archive has " + std::to_string(cost_.inodes) + " files and wants " + format_bytes(cost_.bytes));
        return {};
    }

    // Is it a system for this host?
    Status judge(int image_root) {
        ZF_TRY(const ImageFacts image, read_image_facts(image_root, system_));
        ZF_TRY(const ImageFacts host, read_host_facts(root_, system_));
        outcome_.findings = image_findings(image, host);
        for (const Finding& finding : outcome_.findings) log_->add(finding.code + ": " + finding.message);
        if (!outcome_.findings.empty()) return image_refusal(outcome_.findings);
        log_->add("sanity check: passed, " + image.release.shown + ", " +
                  std::to_string(image.packages.packages.size()) + " packages");
        return {};
    }

    // All of the image is in the zone's root.
    Status after(int zone_root) {
        at_step("unpacked");
        ZF_TRY_STATUS(judge(zone_root));
        ZF_TRY_STATUS(bring_up_to_date(zone_root));
        at_step("updated");
        tell({"adjusting", 0, 0});
        AdjustChoices choices = options_.choices;
        if (choices.date.empty()) choices.date = today();
        auto adjusted = adjust_image(zone_root, config_, choices);
        if (!adjusted) return std::move(adjusted).error().during("adjusting the image");
        for (std::string& warning : adjusted->warnings) warn(std::move(warning));
        outcome_.changes = std::move(adjusted->changes);
        for (const Change& change : outcome_.changes) {
            log_->add(std::string(adjustment_kind_name(change.kind)) + ": " + printable(change.path) + ": " +
                      change.done);
        }
        at_step("adjusted");
        if (Status logged = log_->write_into_zone(zone_root, system_); !logged)
            warn("the zone has no log of its install: " + logged.error().text());
        return {};
    }

    // As `attach -U`: all that the host has newer; if that cannot be made to fit, what a zone must have (-u).
    Status bring_up_to_date(int zone_root) {
        tell({"updating", 0, 0});
        ZF_TRY(UpdatePlan plan, plan_zone_update(root_, config_, zone_root, UpdateScope::everything, std::nullopt));
        if (plan.is_refused() && plan.downgrades.empty()) {
            warn("not all packages of the image can be brought to this host's level (" +
                 printable(plan.conflicts.front()) + "); only those that a zone must have are");
            ZF_TRY(plan, plan_zone_update(root_, config_, zone_root, UpdateScope::dependent, std::nullopt));
        }
        if (plan.is_refused()) {
            outcome_.findings = update_plan_findings(plan);
            return Error(Errc::blocked,
                         "the image's packages cannot be brought to this host's level:\n" + update_plan_text(plan))
                .remedy("bring this host to the level of the image first");
        }
        if (plan.steps.empty()) return {};
        UpdateHooks hooks;
        hooks.progress = [this](const UpdateProgress& progress) {
            tell({"updating", progress.files, 0, progress.packages_done, progress.packages});
        };
        hooks.at_step = [this](const std::string& step) { at_step(step); };
        std::vector<std::string> notes;
        Status done = update_tree(root_, config_, plan, zone_root, *log_, hooks, notes);
        for (std::string& note : notes) warn(std::move(note));
        if (!done) return std::move(done).error().during("bringing the image to this host's level");
        outcome_.packages_updated = plan.steps.size();
        return {};
    }

    P2vEnd end_of(bool is_done) const {
        if (is_done) return P2vEnd::installed;
        if (!was_begun_) return P2vEnd::refused;
        const auto entry = store_.find(lock_.name());
        return entry && entry->state == ZoneState::configured ? P2vEnd::undone : P2vEnd::stuck;
    }

    const HostRoot& root_;
    const ZoneLock& lock_;
    const P2vOptions& options_;
    ZoneStore store_;
    ZoneConfig config_;
    PackageSystem system_ = PackageSystem::dpkg;
    std::optional<UpdateLog> log_;
    P2vOutcome outcome_;
    std::string step_;
    int archive_ = -1;  // one that can be read twice; not ours
    std::uint64_t archive_bytes_ = 0;
    ImageCost cost_;
    bool was_begun_ = false;
};

}  // namespace

P2vOutcome install_image(const HostRoot& root, const ZoneLock& lock, const InstallSource& source,
                         const P2vOptions& options) {
    return ImageInstall(root, lock, options).run(source);
}

}  // namespace zoneferry
