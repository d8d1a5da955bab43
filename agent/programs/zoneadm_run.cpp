// The verbs that run a zone: boot, halt, shutdown, reboot, login.
#include <unistd.h>

#include <cstdio>

#include "agent/programs/zoneadm_verbs.h"
#include "core/base/text.h"
#include "core/zone/owner_record.h"

namespace zoneferry {
namespace {

constexpr int kHaltGraceMs = 10'000;
constexpr int kShutdownGraceMs = 90'000;  // as long as systemd lets a service stop

int report_boot(const ZoneName& name, const Result<BootReport>& report) {
    if (!report) return report_error(report.error());
    std::string steps;
    for (const auto& [step, ms] : report->steps)
        steps += (steps.empty() ? "" : ", ") + step + " " + std::to_string(ms) + " ms";
    std::fprintf(stderr, "zone %s runs%s after %lld ms (%s)\n", name.str().c_str(),
                 report->ready ? "" : ", but did not say that it is up,", static_cast<long long>(report->total_ms),
                 steps.c_str());
    return 0;
}

int stop(VerbContext& context, int grace_ms, const char* usage) {
    if (!context.arguments.empty()) return report_usage(usage);
    auto held = hold_zone(context);
    if (!held) return report_error(held.error());
    const auto now = context.runtime.status(held->entry.name);
    if (!now) return report_error(now.error());
    // Also when nothing runs: a zoneadmd that was killed may have left links and groups.
    const Status done = context.runtime.halt(held->lock, held->entry.name, grace_ms);
    if (!done) return report_error(done.error());
    if (now->state == ZoneState::installed) {
        return report_error(Error(Errc::conflict, "zone " + held->entry.name.str() + " is not running")
                                .remedy("zoneadm list shows the running ones"));
    }
    return 0;
}

}  // namespace

int run_boot(VerbContext& context) {
    if (!context.arguments.empty()) return report_usage("boot");
    auto held = hold_zone(context);
    if (!held) return report_error(held.error());
    return report_boot(held->entry.name, context.runtime.boot(held->lock, held->entry, held->config));
}

int run_reboot(VerbContext& context) {
    if (!context.arguments.empty()) return report_usage("reboot");
    auto held = hold_zone(context);
    if (!held) return report_error(held.error());
    // Whose zone it is matters more than whether it runs.
    if (const Status ours = may_boot(context.root, held->entry.name, held->config.zonepath); !ours)
        return report_error(ours.error());
    const auto now = context.runtime.status(held->entry.name);
    if (!now) return report_error(now.error());
    if (now->state == ZoneState::installed) {
        return report_error(Error(Errc::conflict, "zone " + held->entry.name.str() + " is not running")
                                .remedy("zoneadm -z " + held->entry.name.str() + " boot"));
    }
    return report_boot(held->entry.name, context.runtime.reboot(held->lock, held->entry, held->config));
}

int run_halt(VerbContext& context) { return stop(context, kHaltGraceMs, "halt"); }
int run_shutdown(VerbContext& context) { return stop(context, kShutdownGraceMs, "shutdown"); }

int run_login(VerbContext& context) {
    if (const auto known = context.store.find(*context.zone); !known) return report_error(known.error());
    const bool tty = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
    const auto status = context.runtime.run_in_zone(*context.zone, context.arguments, tty);
    return status ? *status : report_error(status.error());
}

}  // namespace zoneferry
