// zoneadm install: fills a configured zone; from the host's packages (core/image/install.h) or from a physical
// system's image (core/p2v/p2v_install.h), see zoneadm_install_words.h.
//
// Exit status of an install from an image, as the brand's installer had them: 0 done; 253 wrong usage or refused,
// nothing was touched; 254 failed, the zone is configured as before and may be installed again; 255 failed and the zone
// is incomplete: uninstall it first.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "agent/finding_json.h"
#include "agent/programs/zoneadm_install_words.h"
#include "agent/programs/zoneadm_progress.h"
#include "agent/programs/zoneadm_verbs.h"
#include "core/base/text.h"
#include "core/image/install.h"
#include "core/p2v/p2v_install.h"
#include "core/update/crash_step.h"
#include "core/zone/claim.h"

namespace zoneferry {
namespace {

void print(const Json& json) { std::puts(json_line(json).c_str()); }

void warn(const std::string& text) { std::fprintf(stderr, "zoneadm: warning: %s\n", text.c_str()); }

Json report_json(const std::string& zone, const InstallReport& report) {
    return Json{{"v", 1},
                {"type", "install"},
                {"zone", zone},
                {"files", report.files},
                {"bytes", report.bytes},
                {"packages", report.packages},
                {"warnings", report.warnings}};
}

int fail(const Error& error, bool as_json, int exit_status) {
    if (as_json)
        print(end_json(exit_status, error.text(), error.remedy_text()));
    else
        (void)report_error(error);
    return exit_status;
}

std::string summary(const std::string& zone, const InstallReport& report) {
    const std::string packages = report.packages == 0 ? "" : std::to_string(report.packages) + " packages, ";
    const std::string files = std::to_string(report.files) + " files, " + format_bytes(report.bytes);
    return "zone " + zone + " is installed: " + packages + (report.files == 0 ? "a fresh system" : files);
}

int install_ordinarily(VerbContext& context, const HeldZone& held, const InstallArguments& arguments) {
    const bool as_json = arguments.as_json;
    const InstallSource source =
        arguments.fresh ? InstallSource(FreshSystem{arguments.include}) : InstallSource(HostPackages{});
    ProgressLine line(as_json);
    InstallSteps steps;
    steps.progress = [&](const InstallProgress& progress) { line.show(progress); };
    const auto report = install_zone(context.store, held.lock, source, steps);
    line.end();
    if (!report) return fail(report.error(), as_json, report.error().code() == Errc::usage ? 2 : 1);
    const std::string name = held.entry.name.str();
    if (as_json) {
        print(report_json(name, *report));
        print(end_json(0, summary(name, *report)));
        return 0;
    }
    for (const std::string& warning : report->warnings) warn(warning);
    std::printf("%s\n", summary(name, *report).c_str());
    return 0;
}

Result<std::optional<Sysid>> read_sysid(const std::string& path) {
    if (path.empty()) return std::optional<Sysid>();
    ZF_TRY(const UniqueFd file, open_file(path, O_RDONLY | O_NOCTTY));
    auto text = read_to_end(file.get(), kSysidBytesMax);
    if (!text) return std::move(text).error().during("reading " + printable(path));
    ZF_TRY(Sysid sysid, parse_sysid(*text, printable(path)));
    return std::optional<Sysid>(std::move(sysid));
}

InstallSource source_of(const InstallArguments& arguments) {
    if (arguments.archive)
        return *arguments.archive == "-" ? InstallSource(ImageStream{STDIN_FILENO}) : ImageArchive{*arguments.archive};
    return *arguments.directory == "-" ? InstallSource(ImageInPlace{}) : ImageDirectory{*arguments.directory};
}

Json change_json(const Change& change) {
    return Json{{"v", 1},
                {"type", "change"},
                {"kind", std::string(adjustment_kind_name(change.kind))},
                {"path", change.path},
                {"done", change.done},
                {"backup", change.backup}};
}

int exit_status_of(P2vEnd end) {
    switch (end) {
        case P2vEnd::installed: return 0;
        case P2vEnd::refused: return 253;
        case P2vEnd::undone: return 254;
        case P2vEnd::stuck: return 255;
    }
    return 255;
}

int tell_json(const std::string& zone, const P2vOutcome& outcome) {
    for (const Finding& finding : outcome.findings) print(finding_json(finding));
    const int exit_status = exit_status_of(outcome.end);
    if (outcome.error) {
        print(end_json(exit_status, outcome.error->text(), outcome.error->remedy_text()));
        return exit_status;
    }
    for (const Change& change : outcome.changes) print(change_json(change));
    Json report = report_json(zone, outcome.report);
    report["packages_updated"] = outcome.packages_updated;
    report["log"] = outcome.log;
    print(report);
    print(end_json(0, summary(zone, outcome.report)));
    return 0;
}

int tell(const std::string& zone, const P2vOutcome& outcome, const InstallArguments& arguments) {
    if (arguments.as_json) return tell_json(zone, outcome);
    if (!arguments.silent) {
        for (const std::string& warning : outcome.report.warnings) warn(warning);
        if (!outcome.log.empty()) std::fprintf(stderr, "zoneadm: log: %s\n", outcome.log.c_str());
    }
    if (outcome.error) return fail(*outcome.error, false, exit_status_of(outcome.end));
    if (arguments.silent) return 0;
    std::printf("%s; %zu packages updated, %zu adjustments\n", summary(zone, outcome.report).c_str(),
                outcome.packages_updated, outcome.changes.size());
    return 0;
}

int install_from_image(VerbContext& context, const HeldZone& held, const InstallArguments& arguments) {
    P2vOptions options;
    options.choices.unconfigure = arguments.unconfigure;
    options.choices.delete_containers = arguments.delete_containers;
    auto sysid = read_sysid(arguments.sysid);
    if (!sysid) return fail(sysid.error(), arguments.as_json, 253);
    options.choices.sysid = *std::move(sysid);
    ProgressLine line(arguments.as_json);
    if (!arguments.silent && !arguments.verbose)
        options.progress = [&](const InstallProgress& progress) { line.show(progress); };
    if (arguments.verbose) {
        options.detail = [](std::string_view text) {
            std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
        };
    }
    options.at_step = [](const std::string& step) { crash_at_step("install", step); };
    const P2vOutcome outcome = install_image(context.root, held.lock, source_of(arguments), options);
    line.end();
    return tell(held.entry.name.str(), outcome, arguments);
}

Status hold_lun(VerbContext& context, const HeldZone& held) {
    if (!held.config.storage) return {};
    ZF_TRY(const std::string host, context.host());
    ZF_TRY(const ZoneEntry entry, context.store.find(held.entry.name));
    return hold_by_hand(context.root, entry, held.config, host);
}

}  // namespace

int run_install(VerbContext& context) {
    const bool is_image = is_about_image(context.arguments);
    const auto arguments = parse_install(context.arguments);
    if (!arguments) {
        std::fprintf(stderr, "zoneadm: %s\n", printable(arguments.error().sentence()).c_str());
        (void)report_usage(kInstallUsage);
        return is_image ? 253 : 2;
    }
    const auto held = hold_zone(context);
    if (!held) return fail(held.error(), arguments->as_json, is_image ? 253 : 1);
    const auto lun = bring_lun(context.root, held->entry.name, LunUse::attach);
    if (!lun) return fail(lun.error(), arguments->as_json, is_image ? 253 : 1);
    const int done =
        is_image ? install_from_image(context, *held, *arguments) : install_ordinarily(context, *held, *arguments);
    if (done != 0) return done;
    const Status is_held = hold_lun(context, *held);
    return is_held ? 0 : fail(is_held.error(), arguments->as_json, 1);
}

}  // namespace zoneferry
