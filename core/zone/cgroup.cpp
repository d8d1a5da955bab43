#include "core/zone/cgroup.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kFileBytesMax = 1U << 20U;
constexpr std::int64_t kKillWaitMs = 20'000;

Status write_value(const std::string& path, const std::string& value) {
    ZF_TRY(const UniqueFd fd, open_file(path, O_WRONLY));
    if (::write(fd.get(), value.data(), value.size()) < 0) return system_error("write " + path, errno);
    return {};
}

// Groups can only be removed leaf first; a group's files go with it.
void remove_groups(const std::string& group, int depth) {
    if (depth > 64) return;
    auto directory = open_directory(group);
    if (!directory) return;
    const auto names = list_directory_fd(directory->get());
    if (names) {
        for (const std::string& name : *names) {
            struct stat info {};
            const bool is_group =
                ::fstatat(directory->get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
            if (is_group) remove_groups(group + "/" + name, depth + 1);
        }
    }
    ::rmdir(group.c_str());
}

}  // namespace

Result<std::string> cgroup2_mount() {
    ZF_TRY(const std::string mounts, read_file("/proc/self/mountinfo", 16U << 20U));
    for (const std::string_view line : split(mounts, '\n')) {
        const std::size_t dash = line.find(" - ");
        if (dash == std::string_view::npos || !line.substr(dash).starts_with(" - cgroup2 ")) continue;
        const auto fields = split_words(line);
        if (fields.size() > 5) return std::string(fields[4]);
    }
    return Error(Errc::unsupported, "no cgroup2 is mounted on this host, zones cannot be tracked")
        .remedy("mount -t cgroup2 none /sys/fs/cgroup");
}

Result<ZoneCgroup> ZoneCgroup::of_zone(const HostRoot& root, const std::string& zone) {
    ZF_TRY(const std::string mount, cgroup2_mount());
    // Several roots may share one machine's tree (tests): each has a group of its own.
    const std::string mark =
        root.is_real() ? std::string() : "-" + to_hex(sha256(as_bytes(root.directory()))).substr(0, 8);
    return ZoneCgroup(mount + "/zones" + mark + "/" + zone);
}

Result<ZoneCgroup> ZoneCgroup::of_this_process() {
    ZF_TRY(const std::string mount, cgroup2_mount());
    ZF_TRY(const std::string text, read_file("/proc/self/cgroup", kFileBytesMax));
    for (const std::string_view line : split(text, '\n')) {
        if (line.starts_with("0::/")) return ZoneCgroup(mount + std::string(line.substr(3)));
    }
    return Error(Errc::unsupported, "this process is in no cgroup2 group");
}

Status ZoneCgroup::enter_as_supervisor() const {
    ZF_TRY_STATUS(make_directories(base_ + "/zoneadmd", 0755));
    return write_value(base_ + "/zoneadmd/cgroup.procs", "0");
}

Status ZoneCgroup::prepare_run() const {
    if (is_populated()) {
        return Error(Errc::busy, "processes of an earlier run of the zone are still alive")
            .remedy("zoneadm -z ZONE halt");
    }
    remove_groups(run(), 0);
    return make_directories(run(), 0755);
}

std::vector<std::string> ZoneCgroup::apply_limits(const ZoneConfig& config) const {
    std::vector<std::string> failed;
    const auto apply = [&](const std::string& file, const std::string& value, const std::string& what) {
        if (!write_value(base_ + "/" + file, value)) failed.push_back(what + " (this host has no " + file + ")");
    };
    if (config.capped_memory) apply("memory.max", *config.capped_memory, "capped-memory");
    for (const RctlResource& rctl : config.rctls) {
        if (rctl.values.empty()) continue;
        if (rctl.name == "zone.max-lwps") {
            apply("pids.max", rctl.values.front().limit, rctl.name);
        } else {
            failed.push_back(rctl.name + " (not known on Linux)");
        }
    }
    return failed;
}

bool ZoneCgroup::is_populated() const {
    const auto events = read_file(run() + "/cgroup.events", kFileBytesMax);
    return events && events->find("populated 1") != std::string::npos;
}

std::vector<pid_t> ZoneCgroup::supervisors() const {
    std::vector<pid_t> out;
    for (const char* group : {"/supervisor", ""}) {
        const auto text = read_file(run() + group + "/cgroup.procs", kFileBytesMax);
        if (!text) continue;
        for (const std::string_view line : split(*text, '\n')) {
            if (const auto pid = parse_number<pid_t>(line); pid && *pid > 0) out.push_back(*pid);
        }
    }
    return out;
}

namespace {

// False: processes are still in the group, or below it, after that time.
bool wait_until_empty(const std::string& group, std::int64_t timeout_ms) {
    const auto events = open_file(group + "/cgroup.events", O_RDONLY);
    if (!events) return true;
    const SystemClock clock;
    const std::int64_t deadline_ms = clock.monotonic_ms() + timeout_ms;
    while (true) {
        std::string text(256, '\0');
        const ssize_t n = ::pread(events->get(), text.data(), text.size(), 0);
        if (n < 0 || text.find("populated 0") != std::string::npos) return true;
        const std::int64_t left_ms = deadline_ms - clock.monotonic_ms();
        if (left_ms <= 0) return false;
        pollfd wait{events->get(), POLLPRI, 0};
        ::poll(&wait, 1, static_cast<int>(left_ms));
    }
}

}  // namespace

bool ZoneCgroup::wait_empty(std::int64_t timeout_ms) const { return wait_until_empty(run(), timeout_ms); }

Status ZoneCgroup::kill_run() const {
    if (!is_populated()) return {};
    ZF_TRY_STATUS(write_value(run() + "/cgroup.kill", "1"));
    if (wait_empty(kKillWaitMs)) return {};
    return Error(Errc::timed_out, "processes of the zone do not die (see " + run() + ")");
}

void ZoneCgroup::remove() const {
    // A process that has ended leaves its group only after its files are closed: zoneadmd may still be on its way out.
    (void)wait_until_empty(base_, kKillWaitMs);
    remove_groups(base_, 0);
    ::rmdir(base_.substr(0, base_.rfind('/')).c_str());
}

}  // namespace zoneferry
