#include "agent/programs/zoneadm_update.h"

#include <unistd.h>

#include <cstdio>

#include "agent/finding_json.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/update/crash_step.h"

namespace zoneferry {
namespace {

void print(const Json& json) { std::puts(json_line(json).c_str()); }

// On a terminal one line that is written over: what is done, n of N packages, files, how long it will still take. In a
// pipe, and as JSON, one line a package.
class UpdateLine {
public:
    explicit UpdateLine(bool as_json) : as_json_(as_json) {}

    void show(const UpdateProgress& progress) {
        if (progress.packages_done == 0) began_ms_ = clock_.monotonic_ms();
        const bool is_new = progress.doing != doing_ || progress.packages_done != done_;
        doing_ = progress.doing;
        done_ = progress.packages_done;
        if (as_json_) {
            if (is_new) print(progress_json(progress));
            return;
        }
        if (is_terminal_) {
            std::fprintf(stderr, "\r\033[K%s", text(progress).c_str());
            is_open_ = true;
        } else if (is_new) {
            std::fprintf(stderr, "%s\n", text(progress).c_str());
        }
    }

    void end() {
        if (is_open_) std::fputs("\r\033[K", stderr);
        is_open_ = false;
    }

private:
    std::int64_t eta_ms(const UpdateProgress& progress) const {
        if (progress.packages_done == 0) return -1;
        const std::int64_t elapsed_ms = clock_.monotonic_ms() - began_ms_;
        const auto done = static_cast<std::int64_t>(progress.packages_done);
        return elapsed_ms * (static_cast<std::int64_t>(progress.packages) - done) / done;
    }

    std::string text(const UpdateProgress& progress) const {
        std::string line = progress.doing + (progress.package.empty() ? "" : " " + progress.package);
        if (progress.packages > 0) {
            line += ": " + std::to_string(progress.packages_done) + " of " + std::to_string(progress.packages) +
                    " packages";
        }
        if (progress.files > 0) line += ", " + std::to_string(progress.files) + " files";
        if (const std::int64_t left_ms = eta_ms(progress); left_ms >= 0) line += ", ETA " + format_duration_ms(left_ms);
        return line;
    }

    Json progress_json(const UpdateProgress& progress) const {
        return Json{{"v", 1},
                    {"type", "update-progress"},
                    {"doing", progress.doing},
                    {"package", progress.package},
                    {"packages_done", progress.packages_done},
                    {"packages", progress.packages},
                    {"files", progress.files},
                    {"eta_ms", eta_ms(progress)}};
    }

    SystemClock clock_;
    bool as_json_;
    bool is_terminal_ = ::isatty(STDERR_FILENO) == 1;
    bool is_open_ = false;
    std::string doing_;
    std::size_t done_ = 0;
    std::int64_t began_ms_ = clock_.monotonic_ms();
};

void print_plan(const UpdatePlan& plan, bool as_json) {
    if (!as_json) {
        std::fputs(update_plan_text(plan).c_str(), plan.is_refused() ? stderr : stdout);
        return;
    }
    for (const UpdateStep& step : plan.steps) print(update_step_json(step));
    for (const Finding& finding : update_plan_findings(plan)) {
        if (finding.code != "PKG_WILL_CHANGE") print(finding_json(finding));
    }
}

int end(const Error& error, bool as_json) {
    if (!as_json) return report_error(error);
    print(end_json(1, error.text(), error.remedy_text()));
    return 1;
}

Error refusal(const std::string& zone, const UpdatePlan& plan) {
    return Error(Errc::blocked,
                 "zone " + zone + " was not attached: " +
                     (plan.downgrades.empty() ? std::string("its packages cannot be made to fit this host")
                                              : "packages of it are newer than this host's") +
                     "; nothing was changed")
        .remedy("bring this host to the level of the zone first");
}

void tell_notes(const std::vector<std::string>& notes, bool as_json) {
    for (const std::string& note : notes) {
        if (as_json)
            print(Json{{"v", 1}, {"type", "note"}, {"message", note}});
        else
            std::fprintf(stderr, "zoneadm: note: %s\n", note.c_str());
    }
}

}  // namespace

int show_update(VerbContext& context, const UpdateArguments& arguments) {
    std::vector<std::string> notes;
    const auto plan = preview_update(context.root, *context.zone, arguments.scope, notes);
    if (!plan) return end(plan.error(), arguments.as_json);
    tell_notes(notes, arguments.as_json);
    print_plan(*plan, arguments.as_json);
    const std::string message =
        plan->is_refused() ? "the zone cannot be updated to this host"
        : plan->steps.empty()
            ? "nothing has to be updated"
            : std::to_string(plan->steps.size()) + " packages would be updated, " + format_bytes(plan->bytes());
    if (arguments.as_json)
        print(end_json(plan->is_refused() ? 1 : 0, message));
    else
        std::fprintf(plan->is_refused() ? stderr : stdout, "%s\n", message.c_str());
    return plan->is_refused() ? 1 : 0;
}

int update_held(VerbContext& context, const HeldZone& held, const UpdateArguments& arguments) {
    const std::string name = held.entry.name.str();
    UpdateLine line(arguments.as_json);
    AttachUpdateOptions options;
    options.scope = arguments.scope;
    options.undo = arguments.undo;
    const auto host = context.host();
    if (!host) return end(host.error(), arguments.as_json);
    options.attach.host = *host;
    options.hooks.progress = [&](const UpdateProgress& progress) { line.show(progress); };
    options.hooks.at_step = crash_at_update_step;
    const auto outcome = attach_with_update(context.root, held.lock, options);
    line.end();
    if (!outcome) return end(outcome.error(), arguments.as_json);
    tell_notes(outcome->notes, arguments.as_json);
    print_plan(outcome->plan, arguments.as_json);
    if (!outcome->attached) return end(refusal(name, outcome->plan), arguments.as_json);
    std::string message = "zone " + name + " is attached";
    if (!outcome->host_log.empty()) {
        message +=
            "; " + std::to_string(outcome->plan.steps.size()) + " packages were updated, see " + outcome->host_log;
    }
    if (arguments.as_json)
        print(end_json(0, message));
    else
        std::puts(message.c_str());
    return 0;
}

int mend_held(VerbContext& context, const HeldZone& held, bool as_json) {
    const std::string name = held.entry.name.str();
    const auto mended = mend_update(context.root, held.lock);
    if (!mended) return end(mended.error(), as_json);
    if (*mended == MendedTo::nothing) {
        return end(Error(Errc::conflict, "no update of zone " + name + " has broken off: there is nothing to undo")
                       .remedy("zoneadm -z " + name + " list -cv"),
                   as_json);
    }
    const std::string message =
        *mended == MendedTo::before
            ? "zone " + name + " is as it was before the update, and can be attached: zoneadm -z " + name + " attach -u"
            : "the update of zone " + name + " had been complete: it is at this host's level, and attached";
    if (as_json)
        print(end_json(0, message));
    else
        std::puts(message.c_str());
    return 0;
}

}  // namespace zoneferry
