// The verbs that copy a zone or bring it to another place on this host: clone, move.
#include <cstdio>

#include "agent/programs/zoneadm_progress.h"
#include "agent/programs/zoneadm_verbs.h"
#include "core/attach/host_check.h"
#include "core/base/text.h"
#include "core/image/clone.h"
#include "core/image/relocate.h"

namespace zoneferry {
namespace {

constexpr const char* kCloneUsage = "clone [-m copy] SOURCE_ZONE";

Status require_halted(const VerbContext& context, const ZoneName& name) {
    ZF_TRY(const RuntimeStatus now, context.runtime.status(name));
    if (now.state == ZoneState::installed && !now.supervised) return {};
    return Error(Errc::conflict, "zone " + name.str() + " is running; it must be halted first")
        .remedy("zoneadm -z " + name.str() + " halt");
}

std::optional<std::string> parse_clone(std::vector<std::string> words) {
    if (words.size() == 3 && words[0] == "-m" && words[1] == "copy") words.erase(words.begin(), words.begin() + 2);
    if (words.size() != 1 || words[0].starts_with('-')) return std::nullopt;
    return words[0];
}

Result<InstallReport> clone_held(VerbContext& context, const HeldZone& target, const ZoneName& name) {
    ZF_TRY(const ZoneEntry known, context.store.find(name));
    ZF_TRY(const ZoneLock source, context.store.lock(known.name));
    ZF_TRY_STATUS(require_halted(context, name));
    ZF_TRY_STATUS(verify_config(target.config));
    ZF_TRY_STATUS(require_host(context.root, target.config));
    ProgressLine line;
    auto report =
        clone_zone(context.store, target.lock, source, [&](const InstallProgress& progress) { line.show(progress); });
    line.end();
    return report;
}

}  // namespace

int run_clone(VerbContext& context) {
    const auto source = parse_clone(context.arguments);
    if (!source) return report_usage(kCloneUsage);
    const auto name = ZoneName::create(*source);
    if (!name) return report_error(name.error());
    if (*name == *context.zone) return report_error(Error(Errc::usage, "a zone cannot be cloned from itself"));
    const auto held = hold_zone(context);
    if (!held) return report_error(held.error());
    const auto report = clone_held(context, *held, *name);
    if (!report) return report_error(report.error());
    for (const std::string& warning : report->warnings) std::fprintf(stderr, "zoneadm: warning: %s\n", warning.c_str());
    std::printf("zone %s is installed, a copy of zone %s: %llu files, %s\n", held->entry.name.str().c_str(),
                name->str().c_str(), static_cast<unsigned long long>(report->files),
                format_bytes(report->bytes).c_str());
    return 0;
}

int run_move(VerbContext& context) {
    if (context.arguments.size() != 1 || context.arguments[0].starts_with('-'))
        return report_usage("move NEW_ZONEPATH");
    const auto held = hold_zone(context);
    if (!held) return report_error(held.error());
    if (const Status halted = require_halted(context, held->entry.name); !halted) return report_error(halted.error());
    ProgressLine line;
    const auto moved = relocate_zone(context.store, held->lock, context.arguments[0],
                                     [&](const InstallProgress& progress) { line.show(progress); });
    line.end();
    if (!moved) return report_error(moved.error());
    for (const std::string& note : moved->notes) std::fprintf(stderr, "zoneadm: note: %s\n", note.c_str());
    std::printf("zone %s lies in %s now%s\n", held->entry.name.str().c_str(), context.arguments[0].c_str(),
                moved->copied ? " (copied, compared, and removed from the old place)" : "");
    return 0;
}

}  // namespace zoneferry
