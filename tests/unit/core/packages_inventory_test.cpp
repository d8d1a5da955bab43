#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <random>

#include "core/packages/inventory.h"
#include "core/packages/policy.h"
#include "core/packages/svr4/contents.h"
#include "core/packages/svr4/inventory.h"
#include "core/packages/svr4/pkginfo.h"
#include "core/packages/svr4/version.h"
#include "tests/support/fake_packages.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Packages : public testing::Test {
protected:
    Result<Inventory> take(const DependencyScope& scope) { return take_inventory(HostRoot(directory_.path()), scope); }
    // "name reason", or the error.
    std::vector<std::string> names(const DependencyScope& scope) {
        const auto inventory = take(scope);
        if (!inventory) return {inventory.error().text()};
        std::vector<std::string> found;
        for (const Package& package : inventory->packages) {
            found.push_back(package.name + " " + std::string(dependency_reason_name(package.reason)));
        }
        return found;
    }
    std::string error(const DependencyScope& scope) {
        const auto inventory = take(scope);
        return inventory ? "no error" : inventory.error().text();
    }
    std::string at(const std::string& path) const { return directory_.path() + path; }

    TempDirectory directory_;
};

const DependencyScope kUsr{{"/usr"}, {}};

TEST_F(Packages, WithoutADatabaseOrWithTwoIsAnError) {
    EXPECT_THAT(error(kUsr), HasSubstr("no package database"));
    make_dpkg_host(directory_.path(), {{"a", "1", {}}});
    make_svr4_host(directory_.path(), {{"SUNWa"}}, "/usr d none 0755 root sys SUNWa\n");
    EXPECT_THAT(error(kUsr), HasSubstr("two package databases"));
}

TEST_F(Packages, DpkgTakesWhatLiesInInheritedDirectories) {
    make_dpkg_host(directory_.path(), {{"inside", "1", {"/usr", "/usr/bin", "/usr/bin/x"}},
                                       {"outside", "1", {"/etc", "/etc/x", "/usrlocal"}},
                                       {"own-fs", "1", {"/usr", "/usr/local", "/usr/local/x"}},
                                       {"gone", "1", {}, "amd64", "", "deinstall ok config-files"},
                                       {"held", "1", {"/usr", "/usr/y"}, "amd64", "", "hold ok installed"},
                                       {"foreign", "1", {"/usr", "/usr/z"}, "i386", "same"},
                                       {"dpkg", "1", {"/usr", "/usr/bin", "/usr/bin/dpkg"}}});
    EXPECT_THAT(names({{"/usr"}, {"/usr/local"}}),
                ElementsAre("dpkg inherited", "foreign:i386 inherited", "held inherited", "inside inherited"));
    EXPECT_THAT(names({{"/usr/"}, {}}), testing::Contains("own-fs inherited"));
    EXPECT_THAT(names({}), IsEmpty());  // whole root
    EXPECT_THAT(error({{"usr"}, {}}), HasSubstr("not absolute"));
    EXPECT_THAT(error({{"/usr/../etc"}, {}}), HasSubstr("\"..\""));
}

TEST_F(Packages, DpkgKnowsMergedUsrBothWays) {
    make_dpkg_host(directory_.path(),
                   {{"shell", "1", {"/bin", "/bin/sh"}}, {"driver", "1", {"/lib", "/lib/m", "/lib/m/a"}}});
    EXPECT_THAT(names(kUsr), IsEmpty());  // not merged: /bin is no part of /usr
    for (const char* name : {"bin", "lib"}) {
        ASSERT_EQ(::symlink((std::string("usr/") + name).c_str(), at(std::string("/") + name).c_str()), 0);
    }
    EXPECT_THAT(names(kUsr), ElementsAre("driver inherited", "shell inherited"));
    EXPECT_THAT(names({{"/lib"}, {}}), ElementsAre("driver inherited"));
    EXPECT_THAT(names({{"/usr/lib/m"}, {}}), ElementsAre("driver inherited"));
    EXPECT_THAT(names({{"/usr"}, {"/usr/lib/m"}}), ElementsAre("shell inherited"));
}

TEST_F(Packages, DpkgFollowsDiversionsAcrossTheBorder) {
    make_dpkg_host(directory_.path(), {{"owner", "1", {"/usr", "/usr/x"}},
                                       {"diverter", "1", {"/usr", "/usr/x"}},
                                       {"other", "1", {"/opt", "/opt/y"}}});
    write_file(at("/var/lib/dpkg/diversions"), "/usr/x\n/opt/x.old\ndiverter\n/opt/y\n/usr/y\n:\n");
    EXPECT_THAT(names(kUsr), ElementsAre("diverter inherited", "other inherited"));
}

TEST_F(Packages, PolicyMarksAndExcludes) {
    make_dpkg_host(directory_.path(), {{"libnvidia-a", "1", {"/opt", "/opt/a"}, "amd64", "same"},
                                       {"libnvidia-b", "1", {"/usr", "/usr/b"}},
                                       {"editor", "1", {"/usr", "/usr/e"}}});
    write_file(at("/etc/zoneferry/all-zones.d/10.list"), "# drivers\n\nlibnvidia-*   # tied to the kernel\n");
    write_file(at("/etc/zoneferry/all-zones.d/old.list~"), "editor\n");
    EXPECT_THAT(names({}), ElementsAre("libnvidia-a all-zones", "libnvidia-b all-zones"));
    write_file(at("/etc/zoneferry/this-zone.d/x.list"), "*-b\n");
    EXPECT_THAT(names({}), ElementsAre("libnvidia-a all-zones"));
    EXPECT_THAT(names(kUsr), ElementsAre("editor inherited", "libnvidia-a all-zones"));
    write_file(at("/etc/zoneferry/this-zone.d/y.list"), "one two\n");
    EXPECT_THAT(error({}), HasSubstr("y.list line 1"));
}

TEST_F(Packages, DamagedDpkgDatabasesAreErrorsThatNameThePlace) {
    const std::vector<FakeDpkgPackage> two = {{"a", "1", {"/usr", "/usr/a"}}, {"b", "1", {"/usr", "/usr/b"}}};
    make_dpkg_host(directory_.path(), two);
    const std::string status = at("/var/lib/dpkg/status");
    ASSERT_TRUE(remove_file(at("/var/lib/dpkg/info/b.list")));
    EXPECT_THAT(error(kUsr), HasSubstr("/var/lib/dpkg/info/b.list is missing"));
    EXPECT_THAT(names({}), IsEmpty());  // not needed for a whole-root zone

    make_dpkg_host(directory_.path(), two);
    write_file(at("/var/lib/dpkg/info/b.list"), "/.\n/usr\n/us");
    EXPECT_THAT(error(kUsr), HasSubstr("b.list line 3: ends in the middle"));
    write_file(at("/var/lib/dpkg/info/b.list"), "/.\nrubbish\n");
    EXPECT_THAT(error(kUsr), HasSubstr("b.list line 2"));

    make_dpkg_host(directory_.path(), two);
    write_file(status, fake_dpkg_status({two[0]}));  // cut exactly between two stanzas
    EXPECT_THAT(error(kUsr), HasSubstr("knows no package b"));
    const std::string whole = fake_dpkg_status(two);
    write_file(status, whole.substr(0, whole.size() / 2 + 20));
    EXPECT_THAT(error(kUsr), HasSubstr("/var/lib/dpkg/status"));
    write_file(status, "");
    EXPECT_THAT(error(kUsr), HasSubstr("is empty"));

    make_dpkg_host(directory_.path(), two);
    write_file(at("/var/lib/dpkg/updates/0001"), "x\n");
    EXPECT_THAT(error(kUsr), HasSubstr("dpkg is running or was interrupted"));
}

TEST_F(Packages, BrokenDpkgStatesAreNotPassedOver) {
    make_dpkg_host(directory_.path(), {{"a", "1", {"/usr", "/usr/a"}, "amd64", "", "install ok half-configured"}});
    const auto inventory = take(kUsr);
    ASSERT_TRUE(inventory);
    ASSERT_EQ(inventory->packages.size(), 1U);
    EXPECT_THAT(inventory->warnings, ElementsAre(HasSubstr("half-configured")));
    for (const char* state : {"install ok half-installed", "install reinstreq installed"}) {
        make_dpkg_host(directory_.path(), {{"a", "1", {"/usr", "/usr/a"}, "amd64", "", state}});
        EXPECT_THAT(error(kUsr), HasSubstr("package a is broken"));
        EXPECT_THAT(names({}), IsEmpty());
    }
}

constexpr const char* kContentsText =
    "# a comment\n"
    "/bin=./usr/bin s none SUNWlink\n"
    "/etc/hosts e class1 0644 root sys 100 12345 1106350423 SUNWetc\n"
    "/usr d none 0755 root sys SUNWdir SUNWshare:none\n"
    "/usr/bin/x f none 0555 root bin 9000 4711 1106350423 SUNWfile *SUNWshare\n"
    "/usr/bin/y=../lib/y l none SUNWhard\n"
    "/usr/dev c none 13 2 0666 root sys SUNWnode\n"
    "/usr/local/z f none 0555 root bin 1 2 3 SUNWlocal\n"
    "/usr/pipe p none 0600 root root SUNWpipe\n"
    "/usr/vol v none 0644 root sys 1 2 3 ~SUNWvol\\:cls\n";

std::vector<FakeSvr4Package> svr4_packages() {
    std::vector<FakeSvr4Package> packages;
    for (const char* name : {"SUNWlink", "SUNWetc", "SUNWdir", "SUNWshare", "SUNWfile", "SUNWhard", "SUNWnode",
                             "SUNWlocal", "SUNWpipe", "SUNWvol"}) {
        packages.push_back({name});
    }
    return packages;
}

TEST_F(Packages, Svr4TakesEveryTypeOfEntryInScope) {
    make_svr4_host(directory_.path(), svr4_packages(), kContentsText);
    const auto inventory = take({{"/usr"}, {"/usr/local"}});
    ASSERT_TRUE(inventory) << inventory.error().text();
    EXPECT_EQ(inventory->system, PackageSystem::svr4);
    std::vector<std::string> found;
    for (const Package& package : inventory->packages) found.push_back(package.name);
    EXPECT_THAT(found, ElementsAre("SUNWdir", "SUNWfile", "SUNWhard", "SUNWnode", "SUNWpipe", "SUNWshare", "SUNWvol"));
    EXPECT_EQ(inventory->warnings.size(), 2U);  // the marks of SUNWshare and SUNWvol
    EXPECT_THAT(names({}), IsEmpty());
}

TEST_F(Packages, Svr4FlagsCountOnlyWhenWrittenExactly) {
    make_svr4_host(directory_.path(),
                   {{"SUNWall", "1", {"SUNW_PKG_ALLZONES=true"}},
                    {"SUNWupper", "1", {"SUNW_PKG_ALLZONES=TRUE"}},
                    {"SUNWblank", "1", {"SUNW_PKG_ALLZONES=true "}},
                    {"SUNWthis", "1", {"SUNW_PKG_THISZONE=true"}},
                    {"SUNWhollow", "1", {"SUNW_PKG_HOLLOW=true"}},
                    {"SUNWplain"}},
                   "/usr/x f none 0555 root bin 1 2 3 SUNWthis SUNWplain\n");
    EXPECT_THAT(names(kUsr), ElementsAre("SUNWall all-zones", "SUNWplain inherited"));
    EXPECT_THAT(names({}), ElementsAre("SUNWall all-zones"));
}

TEST_F(Packages, Svr4BringsInWhatDependentPackagesNeed) {
    make_svr4_host(directory_.path(),
                   {{"SUNWtop", "1", {"SUNW_PKG_ALLZONES=true"}, "P SUNWmid\tthe middle\nI SUNWother x\n"},
                    {"SUNWmid", "1", {}, "P SUNWlow x\nP SUNWtop round\nP SUNWmissing x\n"},
                    {"SUNWlow", "1", {"SUNW_PKG_THISZONE=true"}},
                    {"SUNWother"}},
                   "/etc d none 0755 root sys SUNWother\n");
    EXPECT_THAT(names({}), ElementsAre("SUNWlow required", "SUNWmid required", "SUNWtop all-zones"));
}

TEST_F(Packages, Svr4SkipsWhatBelongsToTheGlobalZoneOnly) {
    make_svr4_host(directory_.path(),
                   {{"SUNWall", "1", {"SUNW_PKG_ALLZONES=true"}},
                    {"SUNWgz", "1", {"SUNW_PKG_ALLZONES=true"}},
                    {"SUNWneeded", "1", {"SUNW_PKG_ALLZONES=true"}},
                    {"SUNWtop", "1", {}, "P SUNWneeded x\n"}},
                   "/usr d none 0755 root sys SUNWgz SUNWtop\n/zz d none 0755 root sys SUNWall SUNWneeded\n");
    write_file(at("/var/sadm/install/gz-only-packages"), "# the host's own\n\nSUNWgz\n SUNWneeded \n");
    EXPECT_THAT(names(kUsr), ElementsAre("SUNWall all-zones", "SUNWneeded required", "SUNWtop inherited"));
    EXPECT_THAT(names({}), ElementsAre("SUNWall all-zones"));
    write_file(at("/var/sadm/install/gz-only-packages"), "SUNWgz\nSUNW*\n");
    EXPECT_THAT(error({}), HasSubstr("gz-only-packages line 2: is no package name"));
}

TEST_F(Packages, DamagedSvr4DatabasesAreErrorsThatNameThePlace) {
    make_svr4_host(directory_.path(), svr4_packages(), kContentsText);
    write_file(at("/var/sadm/pkg/SUNWvol/pkginfo"), "NAME=x\n");
    EXPECT_THAT(error(kUsr), HasSubstr("SUNWvol/pkginfo has no VERSION"));
    write_file(at("/var/sadm/pkg/SUNWvol/pkginfo"), "VERSION=1\nNAME");
    EXPECT_THAT(error(kUsr), HasSubstr("cut off"));
    write_file(at("/var/sadm/pkg/SUNWvol/pkginfo"), "VERSION=1\nrubbish\n");
    EXPECT_THAT(error(kUsr), HasSubstr("SUNWvol/pkginfo line 2"));
    ASSERT_TRUE(remove_file(at("/var/sadm/pkg/SUNWvol/pkginfo")));
    EXPECT_THAT(error(kUsr), HasSubstr("version of package SUNWvol is unknown"));
    ASSERT_TRUE(remove_tree(at("/var/sadm/pkg/SUNWvol")));
    EXPECT_THAT(error(kUsr), HasSubstr("contents line 10: names package SUNWvol"));
    const std::string contents = kContentsText;
    write_file(at("/var/sadm/install/contents"), contents.substr(0, 200));
    EXPECT_THAT(error(kUsr), HasSubstr("cut off"));
    write_file(at("/var/sadm/install/contents"), "/usr d none 0755\n");
    EXPECT_THAT(error(kUsr), HasSubstr("contents line 1"));
    write_file(at("/var/sadm/install/contents"), "# nothing\n");
    EXPECT_THAT(error(kUsr), HasSubstr("lists no path"));
}

// Each line as a damaged byte leaves it; without these checks a package would go missing in silence.
TEST(Svr4Contents, RefusesWhatCouldHideAPackage) {
    const auto sentence = [](const std::string& text) {
        const Status status = for_each_contents_entry(text, "contents", [](const ContentsEntry&) { return Status(); });
        return status ? std::string("taken") : status.error().text();
    };
    const std::string good = "/a d none 0755 root sys SUNWa\n";
    EXPECT_EQ(sentence(good + "# Last modified by pkgadd\n: \n ignored\n\n"), "taken");
    for (const std::string bad : {"#usr/a d none 0755 root sys SUNWa\n",  // the first byte
                                  ":usr/a f none 0755 root sys 1 2 3 SUNWa\n",
                                  "/a d none 0755 root sys SUNWa!/b d none 0755 root sys SUNWb\n",  // the newline
                                  "/a d none 0755 root sys SUNWa /b d none 0755 root sys SUNWb\n",
                                  "/a d none 0755xroot sys SUNWa SUNWb\n",    // a blank
                                  "/a d none 9755 root sys SUNWa\n",          // a mode that is none
                                  "/a f none 0644 root sys 1 2x3 4 SUNWa\n",  // a number
                                  "/a f none 0644 root sys ? ? x SUNWa\n",
                                  "/a c none 1 x 0644 root sys SUNWa\n",  // a device number
                                  "/a=b d none 0755 root sys SUNWa\n",    // only links hold '='
                                  "/a s none SUNWa\n",                    // and every link does
                                  "/a i none 0755 root sys SUNWa\n",      // a type that is never stored
                                  "/a d none 0755 root sys &SUNWa\n",     // a mark that is none
                                  "/a\x01 d none 0755 root sys SUNWa\n"}) {
        EXPECT_THAT(sentence(good + bad), HasSubstr("contents line 2: ")) << bad;
    }
    EXPECT_THAT(sentence(good + "/b d no"), HasSubstr("contents line 2: ends in the middle"));
}

TEST_F(Packages, Svr4TellsOfPackagesWithoutAnyPath) {
    make_svr4_host(directory_.path(), {{"SUNWa"}, {"SUNWb"}, {"SUNWc"}}, "/usr d none 0755 root sys SUNWa\n");
    const auto inventory = take(kUsr);
    ASSERT_TRUE(inventory) << inventory.error().text();
    EXPECT_THAT(inventory->warnings, ElementsAre(HasSubstr("2 installed package(s) own no path in "
                                                           "/var/sadm/install/contents (SUNWb, SUNWc)")));
    write_file(at("/var/sadm/install/contents"), "/usr d none 0755 rootxsys SUNWa SUNWb\n");
    EXPECT_THAT(error(kUsr), HasSubstr("contents line 1: has package SUNWa for its group"));
}

TEST_F(Packages, AnEmptyOrCutDpkgListIsAnError) {
    make_dpkg_host(directory_.path(), {{"a", "1", {"/usr", "/usr/a"}}});
    write_file(at("/var/lib/dpkg/info/a.list"), "/.\n");
    EXPECT_THAT(names(kUsr), IsEmpty());  // a package of nothing
    write_file(at("/var/lib/dpkg/info/a.md5sums"), "00  usr/a\n");
    EXPECT_THAT(error(kUsr), HasSubstr("a.list line 2: the list was cut off"));
    write_file(at("/var/lib/dpkg/info/a.list"), "");  // what a crash leaves
    EXPECT_THAT(error(kUsr), HasSubstr("a.list line 1: the list is empty"));
    write_file(at("/var/lib/dpkg/info/a.list"), std::string("/usr/\0a\n", 8));
    EXPECT_THAT(error(kUsr), HasSubstr("a.list line 1: is no absolute path"));
}

TEST(Svr4Pkginfo, RefusesWhatCouldHideAFlag) {
    const auto sentence = [](const std::string& text) {
        const auto package = parse_pkginfo(text, "pkginfo");
        return package ? "version " + package->version : package.error().text();
    };
    EXPECT_EQ(sentence("VERSION= 1.0 beta \nSUNW_PKG_ALLZONES=true\n"), "version 1.0 beta");
    EXPECT_THAT(sentence("VERSION=1!SUNW_PKG_ALLZONES=true\n"), HasSubstr("line 1: holds SUNW_PKG_ALLZONES=true"));
    EXPECT_THAT(sentence("VERSION=1\\\nSUNW_PKG_THISZONE=true\n"), HasSubstr("line 1: holds SUNW_PKG_THISZONE=true"));
    EXPECT_THAT(sentence("VERSION=1\nSUNW_PKG_ALLZONES=true!NAME=x\n"), HasSubstr("line 2: holds SUNW_PKG_ALLZONES"));
    EXPECT_THAT(sentence("VERSION=1\nSUNW PKG_ALLZONES=true\n"), HasSubstr("line 2: is no NAME=value"));
    EXPECT_THAT(sentence("VERSION=1\nNAME=a\x01\n"), HasSubstr("line 2: is no NAME=value"));
    EXPECT_THAT(sentence("VERSION=1\nNAME=a"), HasSubstr("line 2: ends in the middle"));
}

TEST(Svr4Pkginfo, TakesTheHighestRevisionAndItsObsoletes) {
    const auto package = parse_pkginfo(
        "VERSION=11.10.0,REV=2005.01.21.15.53\n"
        "PATCH_INFO_118833-09=Installed: Mon From: mail Obsoletes: 999999-01 Requires: 1-1 Incompatibles: 2-2\n"
        "PATCH_INFO_118833-36=Installed: Mon From: mail Obsoletes: 118844-30 \\\n"
        "118822-20 118822-21 Requires: 119042-09 Incompatibles: 77-1\n"
        "PATCH_INFO_9-1=Installed: x Obsoletes: Requires: Incompatibles:\n"
        "PATCH_INFO_5555-01=backed out\n",
        "pkginfo");
    ASSERT_TRUE(package) << package.error().text();
    ASSERT_EQ(package->patches.size(), 2U);
    EXPECT_EQ(package->patches[0].id.text(), "9-1");
    EXPECT_EQ(package->patches[1].id.text(), "118833-36");
    EXPECT_THAT(package->patches[1].obsoletes, ElementsAre("118822", "118844"));
}

TEST(Svr4Pkginfo, AFlippedByteIsAnErrorOrStillThisPackage) {
    const std::string good = "PKG=SUNWa\nVERSION=1\nPATCH_INFO_118833-36=Installed: x Obsoletes: 1-1\n";
    std::mt19937 random(3);
    for (int i = 0; i < 4000; ++i) {
        std::string text = good;
        text[random() % text.size()] = static_cast<char>(random());
        const auto package = parse_pkginfo(text, "pkginfo");
        EXPECT_TRUE(!package || !package->version.empty());
    }
}

TEST(Svr4Contents, AFlippedByteNeverLosesALineSilently) {
    const std::string good = kContentsText;
    const auto count_owners = [](const std::string& text) -> int {
        int owners = 0;
        const Status status = for_each_contents_entry(text, "contents", [&](ContentsEntry entry) -> Status {
            ContentsOwner owner;
            while (next_owner(entry, owner)) ++owners;
            return {};
        });
        return status ? owners : -1;
    };
    ASSERT_EQ(count_owners(good), 11);
    std::mt19937 random(5);
    int refused = 0;
    for (int i = 0; i < 4000; ++i) {
        std::string text = good;
        text[random() % text.size()] = static_cast<char>(random());
        if (count_owners(text) < 0) ++refused;
    }
    EXPECT_GT(refused, 100);
}

TEST_F(Packages, ObsoletedPatchesGoWhateverTheOrder) {
    const std::vector<Package> forward = {{"a", "1", {}, {{{"118844", "20"}, {}}}},
                                          {"b", "1", {}, {{{"118833", "36"}, {"118844", "118833"}}}}};
    std::vector<Package> packages = forward;
    drop_obsoleted_patches(packages);
    EXPECT_TRUE(packages[0].patches.empty());
    EXPECT_EQ(packages[1].patches.size(), 1U);  // a patch does not obsolete itself
    packages = {forward[1], forward[0]};
    drop_obsoleted_patches(packages);
    EXPECT_EQ(packages[0].patches.size(), 1U);
    EXPECT_TRUE(packages[1].patches.empty());
}

std::string sign(std::weak_ordering order) { return order < 0 ? "<" : order > 0 ? ">" : "="; }

TEST(Svr4Version, KeepsSolarisOrderWithoutItsFaults) {
    const std::vector<std::array<std::string, 3>> table = {
        {"2.6.0", "<", "2.20.0"},
        {"12", "<", "110"},
        {"1.0", "<", "1.0,REV=1"},
        {"1.0,REV=2005.1.2", "=", "1.0,REV=2005.01.02"},
        {"1.b.3", "<", "1.b.9"},
        {"1.2", "<", "1.2.0"},
        {"1..2", "=", "1.0.2"},
        {"010", "=", "10"},
        {"2", "<", "10"},
        {"10", "<", "10a"},
        {"2", ">", "1a"},
        {"1.0,x", "<", "1.0,y"},
        {"2.6.0,REV=101.0.3.2005.12.06.20.27", "<", "2.6.0,REV=101.0.3.2005.12.19.21.22"},
        {"99999999999999999999999", "<", "100000000000000000000000"}};
    for (const auto& [a, expected, b] : table) {
        EXPECT_EQ(sign(compare_svr4_versions(a, b)), expected) << a << " " << b;
        EXPECT_TRUE(compare_svr4_versions(b, a) == (0 <=> compare_svr4_versions(a, b)));
    }
    EXPECT_TRUE(compare_patch_revisions("9", "10") < 0);
    EXPECT_TRUE(compare_patch_revisions("09", "9") == 0);
}

TEST(Svr4Version, IsATotalOrder) {
    std::mt19937 random(17);
    const auto version = [&] {
        static constexpr std::string_view kAlphabet = "0129.ab,";
        std::string text;
        for (std::size_t i = random() % 6; i > 0; --i) text += kAlphabet[random() % kAlphabet.size()];
        return text;
    };
    for (int i = 0; i < 20000; ++i) {
        const std::string a = version();
        const std::string b = version();
        const std::string c = version();
        EXPECT_TRUE(compare_svr4_versions(a, b) == (0 <=> compare_svr4_versions(b, a)));
        if (compare_svr4_versions(a, b) <= 0 && compare_svr4_versions(b, c) <= 0) {
            EXPECT_TRUE(compare_svr4_versions(a, c) <= 0) << a << " " << b << " " << c;
        }
    }
}

// 3,000 packages with 600,000 paths, the worst case: nothing of them in scope. Prints the time, judges nothing.
TEST_F(Packages, ReadsALargeHost) {
    std::vector<FakeDpkgPackage> packages;
    std::string contents;
    for (int i = 0; i < 3000; ++i) {
        FakeDpkgPackage package;
        package.name = "package-" + std::to_string(i);
        for (int j = 0; j < 200; ++j) {
            package.paths.push_back("/usr/share/doc/" + package.name + "/file-number-" + std::to_string(j));
            contents += package.paths.back() + " f none 0644 root root 1000 1234 1106350423 SUNW" +
                        std::to_string(i % 100) + "\n";
        }
        packages.push_back(std::move(package));
    }
    write_file(at("/dpkg/var/lib/dpkg/status"), fake_dpkg_status(packages));
    for (const FakeDpkgPackage& package : packages) {
        std::string list;
        for (const std::string& path : package.paths) list += path + "\n";
        write_file(at("/dpkg/var/lib/dpkg/info/" + package.name + ".list"), list);
    }
    for (int i = 0; i < 100; ++i) {
        write_file(at("/svr4/var/sadm/pkg/SUNW" + std::to_string(i) + "/pkginfo"), "VERSION=1\n");
    }
    write_file(at("/svr4/var/sadm/install/contents"), contents);
    for (const std::string system : {"dpkg", "svr4"}) {
        for (const DependencyScope& scope : {DependencyScope{{"/opt/nowhere", "/lib"}, {}}, kUsr}) {
            const auto start = std::chrono::steady_clock::now();
            const auto inventory = take_inventory(HostRoot(at("/" + system)), scope);
            const auto took = std::chrono::steady_clock::now() - start;
            ASSERT_TRUE(inventory) << inventory.error().text();
            EXPECT_EQ(inventory->packages.size(), scope != kUsr ? 0U : system == "dpkg" ? 3000U : 100U);
            std::cout << system << " " << scope.inherited.front() << ": "
                      << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms\n";
        }
    }
}

}  // namespace
}  // namespace zoneferry
