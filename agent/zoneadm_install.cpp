// zoneadm install [-d DIR | -a ARCHIVE]: fills a configured zone, see core/image/install.h.
#include <cstdio>

#include "agent/zoneadm_progress.h"
#include "agent/zoneadm_verbs.h"
#include "core/base/text.h"
#include "core/image/install.h"

namespace zoneferry {
namespace {

constexpr const char* kUsage = "install [-d DIR | -a ARCHIVE]";

Result<InstallSource> parse_source(const std::vector<std::string>& arguments) {
    if (arguments.empty()) return InstallSource(HostPackages{});
    if (arguments.size() == 2 && arguments[0] == "-d") return InstallSource(ImageDirectory{arguments[1]});
    if (arguments.size() == 2 && arguments[0] == "-a") return InstallSource(ImageArchive{arguments[1]});
    return Error(Errc::usage, "install takes nothing, or one of -d DIR and -a ARCHIVE");
}

}  // namespace

int run_install(VerbContext& context) {
    const auto source = parse_source(context.arguments);
    if (!source) return report_usage(kUsage);
    const auto held = hold_zone(context);
    if (!held) return report_error(held.error());
    ProgressLine line;
    const auto report =
        install_zone(context.store, held->lock, *source, [&](const InstallProgress& progress) { line.show(progress); });
    line.end();
    if (!report) return report_error(report.error());
    for (const std::string& warning : report->warnings) {
        std::fprintf(stderr, "zoneadm: warning: %s\n", warning.c_str());
    }
    const std::string packages = report->packages == 0 ? "" : std::to_string(report->packages) + " packages, ";
    std::printf("zone %s is installed: %s%llu files, %s\n", held->entry.name.str().c_str(), packages.c_str(),
                static_cast<unsigned long long>(report->files), format_bytes(report->bytes).c_str());
    return 0;
}

}  // namespace zoneferry
