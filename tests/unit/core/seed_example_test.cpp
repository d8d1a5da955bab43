// The example of the 2006 proposal, from databases on disk to its text: two hosts whose package databases hold its
// listing, the manifest carried from one to the other, and exactly its differences in its sections
// (tests/golden/seed_differences.txt; within a section we sort by name, the proposal promised no order).
#include <gtest/gtest.h>

#include "core/attach/manifest.h"
#include "core/base/files.h"
#include "core/packages/compare.h"
#include "core/packages/inventory.h"
#include "tests/support/fake_packages.h"
#include "tests/support/paths.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

std::string patch(const std::string& id) {
    return "PATCH_INFO_" + id + "=Installed: Tue Jan 3 2006 From: mail Obsoletes: Requires: Incompatibles: ";
}

// Half of them dependent by their flag, half by what they deliver into /usr.
void make_host(const std::string& root, std::vector<FakeSvr4Package> packages) {
    std::string contents = "# made for a test\n";
    for (std::size_t i = 0; i < packages.size(); ++i) {
        if (i % 2 == 0) packages[i].lines.emplace_back("SUNW_PKG_ALLZONES=true");
        const std::string directory = i % 2 == 0 ? "/etc/" : "/usr/lib/";
        contents += directory + packages[i].name + " f none 0644 root sys 1 2 1106350423 " + packages[i].name + "\n";
    }
    // Not dependent, and not the same on both: must not be told.
    packages.push_back({"SUNWown", "1.0,REV=" + std::to_string(packages.size()), {patch("999999-01")}});
    packages.push_back({"SUNWthis", "1.0,REV=" + std::to_string(packages.size()), {"SUNW_PKG_THISZONE=true"}});
    contents += "/var/own f none 0644 root sys 1 2 3 SUNWown\n/zz f none 0644 root sys 1 2 3 SUNWthis\n";
    make_svr4_host(root, packages, contents);
}

TEST(SeedExample, GivesExactlyItsDifferences) {
    TempDirectory directory;
    const std::string source = directory.path() + "/source";
    const std::string local = directory.path() + "/local";
    make_host(source, {{"SUNWgnome-libs", "2.6.0,REV=101.0.3.2005.12.06.20.27"},
                       {"SUNWudaplr", "11.11,REV=2005.12.13.01.06", {patch("120081"), patch("118844")}},
                       {"SUNWradpu320", "11.10.0,REV=2005.01.21.16.34", {patch("118344")}},
                       {"SUNWaudf", "11.11,REV=2005.12.13.01.06"},
                       {"NCRos86r", "11.10.0,REV=2005.01.17.23.31"},
                       {"SUNWsame", "1.0,REV=2005.1.2", {patch("111111-01")}}});
    make_host(local, {{"SUNWgnome-libs", "2.6.0,REV=101.0.3.2005.12.19.21.22"},
                      {"SUNWudaplr", "11.11,REV=2006.01.03.00.45", {patch("118669"), patch("118668")}},
                      {"SUNWaudf", "11.11,REV=2006.01.03.00.45", {patch("116299")}},
                      {"SUNWukspfw", "11.11,REV=2006.01.03.00.45"},
                      {"SUNWsmcmd", "1.0,REV=2005.12.14.01.53"},
                      {"SUNWsame", "1.0,REV=2005.01.02", {patch("111111-01")}}});
    const DependencyScope scope{{"/usr"}, {}};
    Manifest manifest;
    manifest.config.name = "my-zone";
    manifest.config.zonepath = "/export/zones/my-zone";
    manifest.config.inherited_directories = scope.inherited;
    auto taken = take_inventory(HostRoot(source), scope);
    ASSERT_TRUE(taken) << taken.error().text();
    manifest.inventory = *taken;
    const auto carried = parse_manifest(manifest_text(manifest));
    ASSERT_TRUE(carried) << carried.error().text();
    const auto here = take_inventory(HostRoot(local), scope);
    ASSERT_TRUE(here) << here.error().text();
    const auto expected = read_file(source_directory() + "/tests/golden/seed_differences.txt", 1 << 16);
    ASSERT_TRUE(expected);
    EXPECT_EQ(differences_text(compare(carried->inventory, *here)), *expected);
}

}  // namespace
}  // namespace zoneferry
