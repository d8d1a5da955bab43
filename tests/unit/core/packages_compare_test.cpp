#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/base/text.h"
#include "core/packages/compare.h"

namespace zoneferry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Inventory inventory(std::vector<Package> packages, PackageSystem system = PackageSystem::svr4) {
    Inventory result;
    result.system = system;
    result.packages = std::move(packages);
    std::sort(result.packages.begin(), result.packages.end(),
              [](const Package& a, const Package& b) { return a.name < b.name; });
    return result;
}

Package package(std::string name, std::string version, std::vector<std::string> patches = {}) {
    Package result{std::move(name), std::move(version), DependencyReason::all_zones, {}};
    for (const std::string& id : patches) result.patches.push_back({PatchId::parse(id), {}});
    return result;
}

// The example of the 2006 proposal, in its words; only its entries are sorted by name.
TEST(Compare, GivesTheSeedsOwnExample) {
    const Inventory source = inventory({package("SUNWgnome-libs", "2.6.0,REV=101.0.3.2005.12.06.20.27"),
                                        package("SUNWudaplr", "11.11,REV=2005.12.13.01.06", {"120081", "118844"}),
                                        package("SUNWradpu320", "11.10.0,REV=2005.01.21.16.34", {"118344"}),
                                        package("SUNWaudf", "11.11,REV=2005.12.13.01.06"),
                                        package("NCRos86r", "11.10.0,REV=2005.01.17.23.31"),
                                        package("SUNWsame", "1.0,REV=2005.1.2", {"111111-01"})});
    const Inventory local = inventory({package("SUNWgnome-libs", "2.6.0,REV=101.0.3.2005.12.19.21.22"),
                                       package("SUNWudaplr", "11.11,REV=2006.01.03.00.45", {"118669", "118668"}),
                                       package("SUNWaudf", "11.11,REV=2006.01.03.00.45", {"116299"}),
                                       package("SUNWukspfw", "11.11,REV=2006.01.03.00.45"),
                                       package("SUNWsmcmd", "1.0,REV=2005.12.14.01.53"),
                                       package("SUNWsame", "1.0,REV=2005.01.02", {"111111-01"})});
    EXPECT_EQ(differences_text(compare(source, local)),
              "source host packages inconsistent with local host\n"
              "\tNCRos86r (11.10.0,REV=2005.01.17.23.31) is not installed\n"
              "\tSUNWaudf (11.11,REV=2005.12.13.01.06) version mismatch (11.11,REV=2006.01.03.00.45)\n"
              "\tSUNWgnome-libs (2.6.0,REV=101.0.3.2005.12.06.20.27) version mismatch "
              "(2.6.0,REV=101.0.3.2005.12.19.21.22)\n"
              "\tSUNWradpu320 (11.10.0,REV=2005.01.21.16.34) is not installed\n"
              "\tSUNWudaplr (11.11,REV=2005.12.13.01.06) version mismatch (11.11,REV=2006.01.03.00.45)\n"
              "local host packages inconsistent with source host\n"
              "\tSUNWsmcmd (1.0,REV=2005.12.14.01.53) was not installed\n"
              "\tSUNWukspfw (11.11,REV=2006.01.03.00.45) was not installed\n"
              "source host patches inconsistent with local host\n"
              "\t118344 is not installed\n"
              "\t118844 is not installed\n"
              "\t120081 is not installed\n"
              "local host patches inconsistent with source host\n"
              "\t116299 was not installed\n"
              "\t118668 was not installed\n"
              "\t118669 was not installed\n");
}

TEST(Compare, PatchRevisionsAndObsoletes) {
    Package here = package("P", "1", {"118833-33"});
    here.patches.push_back({{"120011", "14"}, {"118844"}});
    const Inventory source =
        inventory({package("P", "1", {"118833-36", "118844-20"}), package("Q", "1", {"118833-04"})});
    const Inventory local = inventory({here, package("Q", "1")});
    EXPECT_EQ(differences_text(compare(source, local)),
              "source host patches inconsistent with local host\n"
              "\t118833 (36) version mismatch (33)\n"
              "local host patches inconsistent with source host\n"
              "\t120011-14 was not installed\n");
    // On another package the same obsoletes do not help.
    const Inventory elsewhere = inventory({package("P", "1", {"118833-36"}), [&] {
                                               Package q = package("Q", "1");
                                               q.patches.push_back({{"120011", "14"}, {"118844"}});
                                               return q;
                                           }()});
    const Differences differences = compare(source, elsewhere);
    ASSERT_EQ(differences.source_patches.size(), 1U);
    EXPECT_EQ(differences.source_patches[0].name, "118844");
}

TEST(Compare, DpkgVersionsThatAreEqualAreNoMismatch) {
    const Inventory source = inventory({package("a", "1.0"), package("b", "0:2")}, PackageSystem::dpkg);
    const Inventory local = inventory({package("a", "1.0-0"), package("b", "2")}, PackageSystem::dpkg);
    EXPECT_TRUE(compare(source, local).empty());
}

TEST(Compare, FindingsNameBothSidesAndWhatToType) {
    const Inventory source = inventory({package("a", "1"), package("b", "1")}, PackageSystem::dpkg);
    const Inventory local = inventory({package("b", "2"), package("c", "3")}, PackageSystem::dpkg);
    const auto findings = differences_findings(compare(source, local), PackageSystem::dpkg);
    ASSERT_EQ(findings.size(), 3U);
    EXPECT_EQ(findings[0].code, "PKG_NOT_INSTALLED");
    EXPECT_EQ(findings[0].source, "1");
    EXPECT_EQ(findings[0].target, "");
    EXPECT_EQ(findings[1].code, "PKG_VERSION_MISMATCH");
    EXPECT_EQ(findings[1].message, "package b (1) version mismatch (2)");
    EXPECT_EQ(findings[1].remedy, "on the target host: apt-get install b=1; or force the attach (-F)");
    EXPECT_EQ(findings[2].code, "PKG_WAS_NOT_INSTALLED");
    EXPECT_EQ(findings[2].target, "3");
    EXPECT_TRUE(is_blocked(findings));
}

TEST(Compare, ForeignTextCannotDriveATerminal) {
    const auto text = differences_text(compare(inventory({package("a\x1b[2J", "1\n2")}), inventory({})));
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_THAT(text, testing::HasSubstr("a\\x1b[2J (1\\x0a2) is not installed"));
}

Inventory random_inventory(std::mt19937& random, bool with_patches) {
    std::vector<Package> packages;
    for (const char* name : {"a", "b", "c", "d"}) {
        if (random() % 3 == 0) continue;
        Package next = package(name, std::to_string(random() % 3));
        for (const char* base : {"1", "2", "10"}) {
            if (with_patches && random() % 2 == 0) next.patches.push_back({{base, std::to_string(random() % 3)}, {}});
        }
        packages.push_back(std::move(next));
    }
    return inventory(std::move(packages));
}

// Seen from the other host the same differences appear, with the sides changed.
TEST(Compare, IsEmptyForItselfAndMirrored) {
    std::mt19937 random(23);
    const auto key = [](const Difference& d, bool swapped) {
        return d.name + "|" + (swapped ? d.local_version : d.source_version) + "|" +
               (swapped ? d.source_version : d.local_version);
    };
    const auto all = [&](const std::vector<Difference>& first, const std::vector<Difference>& second, bool swapped) {
        std::vector<std::string> keys;
        for (const auto* list : {&first, &second}) {
            for (const Difference& d : *list) keys.push_back(key(d, swapped));
        }
        std::sort(keys.begin(), keys.end());
        return keys;
    };
    for (int i = 0; i < 3000; ++i) {
        const Inventory a = random_inventory(random, true);
        const Inventory b = random_inventory(random, true);
        EXPECT_TRUE(compare(a, a).empty());
        const Differences ab = compare(a, b);
        const Differences ba = compare(b, a);
        EXPECT_EQ(all(ab.source_packages, ab.local_packages, false), all(ba.source_packages, ba.local_packages, true));
        EXPECT_EQ(all(ab.source_patches, ab.local_patches, false), all(ba.source_patches, ba.local_patches, true));
        EXPECT_EQ(ab.empty(), ba.empty());
    }
}

}  // namespace
}  // namespace zoneferry
