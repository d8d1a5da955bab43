#include "core/update/update_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::size_t kLogBytesMax = 32ULL << 20;  // of one update; a distribution upgrade of 2,000 packages wrote 3 MB

std::string now_as(const char* format) {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    std::array<char, 64> text{};
    if (::gmtime_r(&now, &parts) == nullptr) return {};
    return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

// The directory below the zone's root, made where it is missing; never through a link.
Result<UniqueFd> zone_directory(int zone_root, const std::string& path) {
    ZF_TRY(UniqueFd directory, open_beneath(zone_root, ".", O_RDONLY | O_DIRECTORY));
    for (const std::string_view part : split(path, '/')) {
        const std::string name(part);
        if (::mkdirat(directory.get(), name.c_str(), 0755) != 0 && errno != EEXIST)
            return system_error("make " + name, errno);
        ZF_TRY(directory, open_beneath(directory.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    }
    return directory;
}

}  // namespace

Result<UpdateLog> UpdateLog::open(const HostRoot& root, const std::string& zone, Kind kind,
                                  std::function<void(std::string_view)> echo) {
    UpdateLog log;
    log.kind_ = kind;
    log.echo_ = std::move(echo);
    log.host_path_ = "/var/log/zoneferry/zones/" + zone + (kind == Kind::install ? ".install.log" : ".update.log");
    ZF_TRY_STATUS(make_directories(root.at("/var/log/zoneferry/zones"), 0755));
    ZF_TRY(log.file_, open_file(root.at(log.host_path_), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600));
    return log;
}

void UpdateLog::add(std::string_view text) {
    if (is_full_) return;
    is_full_ = text_.size() + text.size() > kLogBytesMax;
    add_always(is_full_ ? "(the log is full: what follows is left out, but for the end)" : text);
}

void UpdateLog::add_always(std::string_view text) {
    if (echo_) echo_(text);
    const std::string line = now_as("%Y-%m-%dT%H:%M:%SZ ") + std::string(text) + (text.ends_with('\n') ? "" : "\n");
    (void)write_all(file_.get(), as_bytes(line));
    text_ += line;
}

Status UpdateLog::write_into_zone(int zone_root, PackageSystem system) const {
    if (system == PackageSystem::dpkg || kind_ == Kind::install) {
        ZF_TRY(const UniqueFd directory, zone_directory(zone_root, "var/log"));
        const bool installs = kind_ == Kind::install;
        return replace_file_at(directory.get(), installs ? "zoneferry-install.log" : "zoneferry-update.log", text_,
                               0644);
    }
    ZF_TRY(const UniqueFd directory, zone_directory(zone_root, "var/sadm/system/logs"));
    const std::string older = "update_log." + now_as("%y%m%d-%H:%M:%S");
    if (::renameat2(directory.get(), "update_log", directory.get(), older.c_str(), RENAME_NOREPLACE) != 0 &&
        errno != ENOENT && errno != EEXIST) {
        return system_error("keep the older update_log", errno);
    }
    return replace_file_at(directory.get(), "update_log", text_, 0644);
}

}  // namespace zoneferry
