#include "agent/programs/zoneferry_p2v.h"

#include <cstdio>

#include "agent/exit_codes.h"
#include "agent/finding_json.h"
#include "core/base/fd.h"
#include "core/p2v/scan.h"

namespace zoneferry {
namespace {

void print_json(const P2vScan& scan, int exit_status) {
    const auto print = [](const Json& json) { std::puts(json_line(json).c_str()); };
    for (const Finding& finding : scan.findings) print(finding_json(finding));
    Json json{{"v", 1}, {"type", "p2v-scan"}, {"system", scan.system}, {"zone", scan.host}};
    json["mounts"] = Json::array();
    for (const ScannedMount& mount : scan.mounts)
        json["mounts"].push_back({{"special", mount.special}, {"directory", mount.directory}, {"type", mount.type}});
    json["networks"] = Json::array();
    for (const ScannedAddress& each : scan.networks) {
        json["networks"].push_back(
            {{"interface", each.interface}, {"address", each.address}, {"gateway", each.gateway}});
    }
    json["zonecfg"] = exit_status == kExitOk ? zonecfg_template(scan) : std::string();
    print(json);
    print(end_json(exit_status,
                   exit_status == kExitOk ? "this machine can become a zone" : "this machine cannot become a zone"));
}

void print_text(const P2vScan& scan, int exit_status) {
    constexpr const char* kSeverity[] = {"info ", "warn ", "block"};
    for (const Finding& finding : scan.findings) {
        std::fprintf(stderr, "%s  %s  %s\n    -> %s\n", kSeverity[static_cast<int>(finding.severity)],
                     finding.code.c_str(), finding.message.c_str(), finding.remedy.c_str());
    }
    if (exit_status == kExitOk) std::fputs(zonecfg_template(scan).c_str(), stdout);
}

}  // namespace

Result<int> run_p2v_scan(const std::string& root, bool as_json) {
    ZF_TRY(const UniqueFd directory, open_directory(root));
    ZF_TRY(const P2vScan scan, scan_system(directory.get(), root == "/"));
    const int exit_status = is_blocked(scan.findings) ? kExitBlocked : kExitOk;
    if (as_json) {
        print_json(scan, exit_status);
    } else {
        print_text(scan, exit_status);
    }
    return exit_status;
}

}  // namespace zoneferry
