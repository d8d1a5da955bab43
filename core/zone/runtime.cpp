#include "core/zone/runtime.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/claim.h"
#include "core/zone/config_xml.h"
#include "core/zone/control.h"
#include "core/zone/network.h"
#include "core/zone/nspawn.h"
#include "core/zone/owner_record.h"
#include "core/zone/zonepath.h"

namespace zoneferry {
namespace {

constexpr int kAnswerTimeoutMs = 5'000;
constexpr int kSettleMs = 120'000;  // more than a start or an orderly halt takes
constexpr int kLookAgainMs = 20;
constexpr std::uint64_t kRecordBytesMax = 4096;

// nspawn looks for it before it binds the inherited directories: a link into an inherited /usr dangles then.
Status check_os_release(const UniqueFd& zone_root) {
    const auto opened = open_in_root(zone_root.get(), "etc/os-release", O_RDONLY | O_NONBLOCK);
    const auto fallback = open_in_root(zone_root.get(), "usr/lib/os-release", O_RDONLY | O_NONBLOCK);
    if (opened || fallback) return {};
    return Error(Errc::invalid, "the zone's root has no /etc/os-release, so nothing that could boot is in it")
        .remedy("install the zone; in a sparse zone /etc/os-release must be a file of its own");
}

std::string default_zoneadmd() {
    std::array<char, 4096> path{};
    const ssize_t n = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
    if (n > 0) {
        std::string self(path.data(), static_cast<std::size_t>(n));
        self = self.substr(0, self.rfind('/')) + "/zoneadmd";
        if (path_exists(self)) return self;
    }
    return "/usr/lib/zoneferry/zoneadmd";
}

}  // namespace

Result<SupervisorRecord> read_supervisor_record(const std::string& run_directory) {
    ZF_TRY(const std::string text, read_file(run_directory + "/record", kRecordBytesMax));
    const auto lines = split(text, '\n');
    const auto fields = split_words(lines[0]);
    if (lines.size() < 2 || fields.size() != 3) return Error(Errc::corrupt, "the record of zoneadmd is damaged");
    const auto pid = parse_number<pid_t>(fields[0]);
    const auto start = parse_number<std::uint64_t>(fields[1]);
    if (!pid || !start) return Error(Errc::corrupt, "the record of zoneadmd is damaged");
    return SupervisorRecord{{*pid, *start, std::string(fields[2])}, std::string(lines[1])};
}

Status write_supervisor_record(const std::string& run_directory, const SupervisorRecord& record) {
    const ProcessIdentity& id = record.process;
    return replace_file(
        run_directory + "/record",
        std::to_string(id.pid) + " " + std::to_string(id.start_time) + " " + id.boot_id + "\n" + record.cgroup + "\n",
        0600);
}

Runtime::Runtime(HostRoot root, std::string zoneadmd)
    : root_(std::move(root)), zoneadmd_(zoneadmd.empty() ? default_zoneadmd() : std::move(zoneadmd)) {}

Result<ZoneCgroup> Runtime::cgroup_of(const ZoneName& name) const {
    const auto record = read_supervisor_record(run_directory(name));
    if (record && !record->cgroup.empty()) return ZoneCgroup(record->cgroup);
    return ZoneCgroup::of_zone(root_, name.str());
}

Result<RuntimeStatus> Runtime::status(const ZoneName& name) const {
    if (const auto control = connect_at(run_directory(name), "control"); control) {
        if (send_message(control->get(), "status")) {
            const auto answer = receive_message(control->get(), kAnswerTimeoutMs);
            if (!answer && answer.error().code() != Errc::peer_lost) return answer.error();
            const auto words = answer ? split_words(*answer) : std::vector<std::string_view>();
            if (words.size() == 3) {
                RuntimeStatus status{ZoneState::ready, parse_number<pid_t>(words[1]).value_or(0), words[2] == "1",
                                     true};
                if (words[0] == "running") status.state = ZoneState::running;
                if (words[0] == "shutting_down") status.state = ZoneState::shutting_down;
                return status;
            }
        }
    }
    const auto cgroup = cgroup_of(name);
    if (cgroup && cgroup->is_populated()) return RuntimeStatus{ZoneState::running, 0, false, false};
    return RuntimeStatus{};
}

Status Runtime::check_bootable(const ZoneEntry& entry, const ZoneConfig& config) const {
    if (entry.state == ZoneState::installed) {
        ZF_TRY([[maybe_unused]] const bool is_new, bring_lun(root_, entry.name, LunUse::boot));
        ZF_TRY(const std::string host,
               host_name());  // of a zone that was declared to lie on a LUN since it was installed
        ZF_TRY_STATUS(hold_by_hand(root_, entry, config, host));
    }
    ZF_TRY_STATUS(may_boot(root_, entry.name, config.zonepath));
    if (entry.state != ZoneState::installed) {
        return Error(Errc::conflict,
                     "zone " + entry.name.str() + " is " + std::string(state_name(entry.state)) + ", not installed")
            .remedy(entry.state == ZoneState::configured ? "install or attach it first"
                                                         : incomplete_remedy(root_, entry.name.str(), config.zonepath));
    }
    ZF_TRY_STATUS(verify_config(config));
    ZF_TRY(const UniqueFd zone_root, open_zone_root(root_, config.zonepath));
    ZF_TRY_STATUS(check_os_release(zone_root));
    ZF_TRY_STATUS(check_network(config));
    ZF_TRY(const std::vector<std::string> command, nspawn_command(root_, config));
    (void)command;
    return {};
}

Result<BootReport> Runtime::boot(const ZoneLock& lock, const ZoneEntry& entry, const ZoneConfig& config,
                                 const BootOptions& options) {
    ZF_CHECK(lock.name() == entry.name && config.name == entry.name.str());
    const SystemClock clock;
    const std::int64_t begin_ms = clock.monotonic_ms();
    ZF_TRY_STATUS(check_bootable(entry, config));
    ZF_TRY(const RuntimeStatus now, status(entry.name));
    if (now.supervised || now.state != ZoneState::installed) {
        return Error(Errc::conflict, "zone " + entry.name.str() + " runs already")
            .remedy("zoneadm -z " + entry.name.str() + " reboot");
    }
    ZF_TRY_STATUS(clean_up(entry.name, 0));
    const std::string directory = run_directory(entry.name);
    ZF_TRY_STATUS(make_directories(directory, 0700));
    ZF_TRY_STATUS(make_directories(root_.at("/var/log/zoneferry/zones"), 0700));
    ZF_TRY_STATUS(replace_file(directory + "/config.xml", zone_document(config), 0600));
    ZF_TRY(const UniqueFd listener, listen_at(directory, "boot"));
    ZF_TRY_STATUS(start_zoneadmd(entry.name));
    auto report = follow_boot(listener, options);
    if (!report) {
        (void)halt(lock, entry.name, 0);
        return std::move(report).error().during("booting zone " + entry.name.str());
    }
    report->total_ms = clock.monotonic_ms() - begin_ms;
    (void)remove_file(directory + "/boot");
    return report;
}

// Once its zoneadmd has brought it up or down.
Result<RuntimeStatus> Runtime::settled_status(const ZoneName& name) const {
    const SystemClock clock;
    const std::int64_t deadline_ms = clock.monotonic_ms() + kSettleMs;
    while (true) {
        ZF_TRY(const RuntimeStatus now, status(name));
        if (!now.supervised || now.state == ZoneState::running) return now;
        if (clock.monotonic_ms() > deadline_ms) {
            return Error(Errc::timed_out, "zone " + name.str() + " has been " + std::string(state_name(now.state)) +
                                              " for " + format_duration_ms(kSettleMs))
                .remedy("zoneadm -z " + name.str() + " halt");
        }
        (void)::poll(nullptr, 0, kLookAgainMs);
    }
}

Status Runtime::ensure_runs(const ZoneLock& lock, const ZoneEntry& entry, const ZoneConfig& config,
                            const BootOptions& options) {
    ZF_TRY(const RuntimeStatus now, settled_status(entry.name));
    if (now.state == ZoneState::running) return {};
    ZF_TRY([[maybe_unused]] const BootReport report, boot(lock, entry, config, options));
    return {};
}

Result<BootReport> Runtime::follow_boot(const UniqueFd& listener, const BootOptions& options) const {
    const SystemClock clock;
    BootReport report;
    auto connection = accept_root(listener.get(), options.start_timeout_ms);
    if (!connection)
        return std::move(connection).error().during("starting zoneadmd (its log is in /var/log/zoneferry/zones)");
    std::int64_t deadline_ms = clock.monotonic_ms() + options.start_timeout_ms;
    while (true) {
        const std::int64_t left_ms = std::max<std::int64_t>(0, deadline_ms - clock.monotonic_ms());
        const auto message = receive_message(connection->get(), static_cast<int>(left_ms));
        if (!message) {
            if (message.error().code() == Errc::timed_out && report.leader != 0) return report;
            return message.error();
        }
        const auto words = split_words(*message);
        if (words.size() == 3 && words[0] == "step") {
            report.steps.emplace_back(std::string(words[1]), parse_number<std::int64_t>(words[2]).value_or(0));
        } else if (words.size() == 2 && words[0] == "running") {
            report.leader = parse_number<pid_t>(words[1]).value_or(0);
            if (options.wait_ready_ms == 0) return report;
            deadline_ms = clock.monotonic_ms() + options.wait_ready_ms;
        } else if (words.size() == 1 && words[0] == "ready") {
            report.ready = true;
            return report;
        } else {
            return error_from_message(*message);
        }
    }
}

Status Runtime::halt(const ZoneLock& lock, const ZoneName& name, int grace_ms) {
    ZF_CHECK(lock.name() == name);
    const std::string directory = run_directory(name);
    if (const auto control = connect_at(directory, "control"); control) {
        ZF_TRY_STATUS(send_message(control->get(), "halt " + std::to_string(grace_ms)));
        const auto answer = receive_message(control->get(), grace_ms + 60'000);
        if (answer && *answer != "ok") return error_from_message(*answer);
        if (!answer && answer.error().code() != Errc::peer_lost) return answer.error();
        // Its end closes the connection: only then its record is nobody's.
        (void)receive_message(control->get(), kAnswerTimeoutMs);
    }
    return clean_up(name, grace_ms);
}

Status Runtime::clean_up(const ZoneName& name, int grace_ms) const {
    const std::string directory = run_directory(name);
    ZF_TRY(const ZoneCgroup cgroup, cgroup_of(name));
    if (const auto record = read_supervisor_record(directory); record && is_alive(record->process)) {
        // It does not answer: it may not come back while we take its zone away.
        ::kill(record->process.pid, SIGKILL);
    }
    if (cgroup.is_populated()) {
        for (const pid_t pid : cgroup.supervisors()) ::kill(pid, SIGTERM);
        if (!cgroup.wait_empty(grace_ms)) ZF_TRY_STATUS(cgroup.kill_run());
    }
    if (const auto text = read_file(directory + "/config.xml", kXmlBytesMax); text) {
        if (const auto config = parse_zone_document(*text); config) unplumb_network(*config);
    }
    cgroup.remove();
    return remove_tree(directory);
}

Result<BootReport> Runtime::reboot(const ZoneLock& lock, const ZoneEntry& entry, const ZoneConfig& config,
                                   const BootOptions& options) {
    ZF_TRY_STATUS(check_bootable(entry, config));
    ZF_TRY_STATUS(halt(lock, entry.name));
    return boot(lock, entry, config, options);
}

}  // namespace zoneferry
