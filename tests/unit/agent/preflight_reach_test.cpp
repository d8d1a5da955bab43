// What a zone that comes from elsewhere may not reach on this host, whatever its configuration asks for.
#include <gtest/gtest.h>

#include <algorithm>

#include "agent/move/preflight.h"

namespace zoneferry {
namespace {

struct Case {
    const char* special;
    bool read_only;
    const char* code;  // "" : nothing to say
};

std::vector<std::string> codes(const std::vector<Finding>& findings) {
    std::vector<std::string> out;
    for (const Finding& finding : findings) {
        if (finding.code.starts_with("FS_SOURCE_") || finding.code.starts_with("INHERITED_"))
            out.push_back(finding.code);
    }
    return out;
}

MoveDemand demand_with(const std::string& special, bool read_only) {
    MoveDemand demand;
    demand.config.name = "web01";
    demand.config.zonepath = "/export/zones/web01";
    FsResource fs;
    fs.special = special;
    fs.directory = "/data";
    fs.type = "lofs";
    if (read_only) fs.options = {"ro"};
    demand.config.filesystems = {fs};
    return demand;
}

TEST(PreflightReach, FsResourcesOfTheHostsPrivatePlacesAreRefused) {
    for (const Case& row :
         {Case{"/", true, "FS_SOURCE_UNSAFE"}, Case{"/etc", true, "FS_SOURCE_UNSAFE"},
          Case{"/etc/ssh", true, "FS_SOURCE_UNSAFE"}, Case{"/var", true, "FS_SOURCE_UNSAFE"},
          Case{"/var/lib/zoneferry/trust", true, "FS_SOURCE_UNSAFE"}, Case{"/usr", false, "FS_SOURCE_UNSAFE"},
          Case{"/usr/share/doc", true, ""}, Case{"/export/data", false, "FS_SOURCE_WRITABLE"},
          Case{"/export/data", true, ""}, Case{"/etcetera", true, ""}, Case{"/var/www", true, ""}}) {
        const auto found = codes(judge_target(demand_with(row.special, row.read_only), TargetView()));
        const std::vector<std::string> expected =
            *row.code == '\0' ? std::vector<std::string>() : std::vector<std::string>{row.code};
        EXPECT_EQ(found, expected) << row.special << (row.read_only ? " ro" : " rw");
    }
}

TEST(PreflightReach, InheritedDirectoriesAreProgramsNotSecrets) {
    MoveDemand demand;
    demand.config.inherited_directories = {"/usr", "/opt", "/etc", "/"};
    const auto found = codes(judge_target(demand, TargetView()));
    EXPECT_EQ(found, (std::vector<std::string>{"INHERITED_DIR_UNSAFE", "INHERITED_DIR_UNSAFE"}));
}

TEST(PreflightReach, AKeptCopyInTheWayIsBroughtBackNotDeletedByHand) {
    MoveDemand demand = demand_with("/export/data", true);
    TargetView view;
    view.zone_state = "configured";
    view.kept_by_move = "ab12";
    const auto findings = judge_target(demand, view);
    const auto taken = std::find_if(findings.begin(), findings.end(),
                                    [](const Finding& finding) { return finding.code == "NAME_TAKEN"; });
    ASSERT_NE(taken, findings.end());
    EXPECT_NE(taken->remedy.find("zoneferry rollback ab12"), std::string::npos) << taken->remedy;
    EXPECT_EQ(taken->remedy.find("zonecfg"), std::string::npos) << "deleting the configuration would hide the copy";
}

}  // namespace
}  // namespace zoneferry
