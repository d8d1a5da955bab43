// zoneadm install [-d DIR | -a ARCHIVE]: fills a configured zone, see core/image/install.h.
#include <unistd.h>

#include <cstdio>

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

// On a terminal one line that is written over; in a pipe one line a step.
class ProgressLine {
public:
    void show(const InstallProgress& progress) {
        const bool is_new_step = progress.step != step_;
        step_ = progress.step;
        if (is_terminal_) {
            std::fprintf(stderr, "\r\033[K%s: %llu files, %s", step_.c_str(),
                         static_cast<unsigned long long>(progress.files), format_bytes(progress.bytes).c_str());
            is_open_ = true;
        } else if (is_new_step) {
            std::fprintf(stderr, "%s\n", step_.c_str());
        }
    }
    void end() {
        if (is_open_) std::fputs("\r\033[K", stderr);
        is_open_ = false;
    }

private:
    bool is_terminal_ = ::isatty(STDERR_FILENO) == 1;
    bool is_open_ = false;
    std::string step_;
};

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
