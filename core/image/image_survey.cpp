#include "core/image/image_survey.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/text.h"
#include "core/image/limits.h"
#include "core/image/path_rules.h"

namespace zoneferry {
namespace {

constexpr std::array<std::string_view, 7> kSurveyed = {
    "etc/os-release",
    "usr/lib/os-release",
    "var/lib/dpkg/status",
    "var/lib/dpkg/arch",
    "var/sadm/install/contents",
    "var/sadm/system/admin/INST_RELEASE",
    "var/sadm/install/gz-only-packages",
};
constexpr std::array<std::string_view, 17> kMarkers = {
    "bin",
    "etc",
    "lib",
    "sbin",
    "usr",
    "var",
    "etc/svc",
    "var/svc",
    "init",
    "sbin/init",
    "usr/bin",
    "usr/lib",
    "usr/sbin",
    "usr/sbin/init",
    "usr/lib/systemd/systemd",
    "lib/systemd/systemd",
    "var/lib/dpkg/info",
};

std::uint64_t blocks(std::uint64_t bytes) { return (bytes + kSurveyBlockBytes - 1) / kSurveyBlockBytes; }

}  // namespace

bool is_surveyed_file(std::string_view path) {
    if (std::find(kSurveyed.begin(), kSurveyed.end(), path) != kSurveyed.end()) return true;
    constexpr std::string_view kPackages = "var/sadm/pkg/";
    if (!path.starts_with(kPackages)) return false;
    const auto parts = split(path.substr(kPackages.size()), '/');
    return (parts.size() == 2 && parts[1] == "pkginfo") ||
           (parts.size() == 3 && parts[1] == "install" && parts[2] == "depend");
}

bool is_survey_marker(std::string_view path) {
    return std::find(kMarkers.begin(), kMarkers.end(), path) != kMarkers.end();
}

Status ImageSurvey::count_entry(const std::string& path) {
    if (++files_ > kImageFilesMax) return Error(Errc::invalid, "too many entries, at \"" + printable(path) + "\"");
    ++cost_.inodes;
    return {};
}

Status ImageSurvey::directory(const std::string& path, EntryMetadata) {
    ZF_TRY_STATUS(count_entry(path));
    cost_.bytes += kSurveyBlockBytes;
    if (!is_survey_marker(path) || kept_.contains(path)) return {};
    return kept_.directory(path, {});
}

Status ImageSurvey::begin_file(const std::string& path) {
    ZF_TRY_STATUS(count_entry(path));
    path_ = path;
    blocks_end_ = 0;
    file_.reset();
    const bool is_kept = is_surveyed_file(path);
    if (is_kept || is_survey_marker(path)) {
        ZF_TRY(UniqueFd file, kept_.begin_file(path));
        if (is_kept) file_ = std::move(file);
    }
    if (empty_.size() < kSurveyEmptyFilesMax) empty_.insert(path);
    return {};
}

Result<bool> ImageSurvey::reopen_empty_file(const std::string& path) {
    if (empty_.erase(linked_to_) == 0) return false;
    path_ = path;
    blocks_end_ = 0;
    file_.reset();
    if (is_surveyed_file(linked_to_)) {
        ZF_TRY(file_, kept_.reopen_empty_file(linked_to_));
    }
    return true;
}

Status ImageSurvey::write(std::uint64_t offset, ConstBytes bytes) {
    if (bytes.empty()) return {};
    bytes_ += bytes.size();
    const std::uint64_t begin = std::max(blocks_end_, offset / kSurveyBlockBytes);
    const std::uint64_t end = blocks(offset + bytes.size());
    if (end > begin) cost_.bytes += (end - begin) * kSurveyBlockBytes;
    blocks_end_ = std::max(blocks_end_, end);
    empty_.erase(path_);
    if (!file_) return {};
    kept_bytes_ += bytes.size();
    if (kept_bytes_ > kSurveyKeptBytesMax || offset + bytes.size() > kSurveyKeptBytesMax) {
        return Error(Errc::invalid,
                     "the image's package database is larger than 512 MiB, at \"" + printable(path_) + "\": refused");
    }
    if (::lseek(file_.get(), static_cast<off_t>(offset), SEEK_SET) < 0)
        return system_error("seek in \"" + printable(path_) + "\"", errno);
    return write_all(file_.get(), bytes);
}

Status ImageSurvey::finish_file(std::uint64_t, const EntryMetadata&) {
    file_.reset();
    return {};
}

Status ImageSurvey::symlink(const std::string& path, const std::string& target, const EntryMetadata&) {
    constexpr std::size_t kInodeTextBytes = 60;  // ext4 keeps shorter ones in the inode
    ZF_TRY_STATUS(count_entry(path));
    if (target.size() >= kInodeTextBytes) cost_.bytes += kSurveyBlockBytes;
    if (!is_surveyed_file(path) && !is_survey_marker(path)) return {};
    return kept_.symlink(path, target, {});
}

Status ImageSurvey::hard_link(const std::string& path, const std::string& existing) {
    if (++files_ > kImageFilesMax) return Error(Errc::invalid, "too many entries, at \"" + printable(path) + "\"");
    linked_to_ = existing;
    if (is_surveyed_file(path) && is_surveyed_file(existing)) return kept_.hard_link(path, existing);
    if (!is_surveyed_file(path) && !is_survey_marker(path)) return {};
    ZF_TRY(const UniqueFd mark, kept_.begin_file(path));
    return {};
}

Status ImageSurvey::fifo(const std::string& path, const EntryMetadata&) { return count_entry(path); }

}  // namespace zoneferry
