// The pure parts of the svr4 engine: pkgmap, parameters, contents table, lists.
#include <gtest/gtest.h>

#include "core/attach/svr4_lists.h"
#include "core/base/text.h"
#include "core/packages/svr4/contents_table.h"
#include "core/packages/svr4/parameters.h"
#include "core/packages/svr4/pkgmap.h"

namespace zoneferry {
namespace {

const PackageParameters kParameters{{"BASEDIR", "/base"}, {"WHERE", "/opt/there"}, {"WHO", "bin"}, {"UP", "/../x"}};

Result<std::vector<PkgmapEntry>> map_of(const std::string& text) { return parse_pkgmap(text, "pkgmap", kParameters); }

TEST(Svr4Pkgmap, KnowsEveryTypeAndWhereItLies) {
    const auto map = map_of(
        ": 1 100 50\n1 d none etc 0755 root sys\n1 e sed /etc/x 0644 root $WHO 10 20 30\n1 s none a=../b\n"
        "1 l none c=d/e\n1 c none dev 13 2 0666 root sys\n1 p none pipe ? ? ?\n1 i pkginfo 1 2 3\nv none $WHERE/v 0600 "
        "root sys 1 2 3\n");
    ASSERT_TRUE(map) << map.error().text();
    ASSERT_EQ(map->size(), 7U);
    EXPECT_EQ((*map)[0].path, "/base/etc");
    EXPECT_EQ((*map)[0].spool_name, "reloc/etc");
    EXPECT_EQ((*map)[1].path, "/etc/x");
    EXPECT_EQ((*map)[1].spool_name, "root/etc/x");
    EXPECT_EQ((*map)[1].attributes, "0644 root bin 10 20 30");
    EXPECT_EQ((*map)[2].target, "../b");
    EXPECT_EQ((*map)[3].target, "/base/d/e");
    EXPECT_EQ((*map)[4].attributes, "13 2 0666 root sys");
    EXPECT_EQ((*map)[5].mode, "?");
    EXPECT_EQ((*map)[6].path, "/opt/there/v");
    EXPECT_EQ((*map)[6].modtime, 3);
}

TEST(Svr4Pkgmap, RefusesWhatCannotBeInstalled) {
    for (const char* line : {
             "1 f none ../x 0644 root sys 1 1 1",     // out of the zone
             "1 f none $UP/y 0644 root sys 1 1 1",    // by a parameter
             "1 f none $NONE/y 0644 root sys 1 1 1",  // which is not there
             "1 l none a=../../x",                    // hard link out of it
             "1 s none a=b\x01",                      // found by fuzzing: nobody could read the list again
             "1 s none a=b\x7f",
             "1 f none a 0644 root sys 1 1",             // a field short
             "1 f none a 0644 root sys 1 1 1 1",         // one more
             "1 f none a 0888 root sys 1 1 1",           // no mode
             "1 f none a 0644 ro;ot sys 1 1 1",          // no name
             "1 f none a 0644 root sys -1 1 1",          // no number
             "1 f none a 0644 root sys 1 4294967296 1",  // too big
             "1 f no/class a 0644 root sys 1 1 1",       // i.no/class would be another file
             "1 f .. a 0644 root sys 1 1 1",             // also
             "1 q none a 0644 root sys",                 // no type
             "1 s none a",                               // a link without a target
             "1 d none a=b 0755 root sys",               // a target without a link
             "1 s none a=",                              // empty
             "1 c none dev x 2 0666 root sys",           // no device number
             "1 i pkginfo 1 2",                          // short
         }) {
        EXPECT_FALSE(map_of(std::string(line) + "\n")) << line;
    }
    EXPECT_FALSE(map_of("1 d none etc 0755 root sys"));  // cut off
    EXPECT_FALSE(map_of("1 d none " + std::string(1100, 'x') + " 0755 root sys\n"));
    EXPECT_FALSE(map_of("1 d none e\x01tc 0755 root sys\n"));
}

TEST(Svr4Parameters, ReadsBothForms) {
    const auto list = parse_parameters(
        "# comment\nPKG=\"SUNWx\"\nNAME=\"a \\\"b\\\" \\\\ c\"\nWHERE='/opt $x'\nPLAIN=a b\nLONG=\"1 \\\n2\"\nEMPTY=\n"
        "PKG=again\n",
        "f");
    ASSERT_TRUE(list) << list.error().text();
    const ParameterList expected{{"PKG", "again"}, {"NAME", "a \"b\" \\ c"}, {"WHERE", "/opt $x"},
                                 {"PLAIN", "a b"}, {"LONG", "1 2"},          {"EMPTY", ""}};
    EXPECT_EQ(*list, expected);
    for (const char* bad : {"A=\"x\n", "=x\n", "A B=x\n", "A\n", "A=x", "A='\x01'\n"})
        EXPECT_FALSE(parse_parameters(bad, "f"));
}

TEST(Svr4Parameters, AreStoredInTheOriginalsOrder) {
    const ParameterList spooled{{"PKG", "SUNWx"},     {"CLASSES", "none sed"}, {"VERSION", "2"},
                                {"PATCHLIST", "old"}, {"INST_DATADIR", "/x"},  {"SUNW_PKG_ALLZONES", "true"},
                                {"PATH", "/evil"},    {"WHERE", "/opt"},       {"PATCH_INFO_1-1", "old"}};
    const ParameterList host{{"VERSION", "2"}, {"PATCHLIST", "1-2"}, {"PATCH_INFO_1-2", "Installed: x"}};
    EXPECT_EQ(
        installed_pkginfo(spooled, host, {"SUNWx", "Nov 22 2026 01:20"}),
        "CLASSES=none sed\nBASEDIR=/\nPKG=SUNWx\nVERSION=2\nSUNW_PKG_ALLZONES=true\nWHERE=/opt\nPKGINST=SUNWx\n"
        "PKGSAV=/var/sadm/pkg/SUNWx/save\nINSTDATE=Nov 22 2026 01:20\nPATCHLIST=1-2\nPATCH_INFO_1-2=Installed: x\n");
}

TEST(Svr4ContentsTable, GivesBackWhatItRead) {
    const std::string lines =
        "/dev/c c none 1 2 0666 root sys SUNWa\n/etc d none 0755 root sys SUNWa SUNWb\n"
        "/etc/x e sed 0644 root sys 1 2 3 SUNWa\\:own *SUNWb\n/etc/y=../x s none SUNWa\n";
    const auto table = ContentsTable::parse("# old comment\n" + lines, "contents");
    ASSERT_TRUE(table) << table.error().text();
    EXPECT_EQ(table->text("attach -u for SUNWa package", "today"),
              lines + "# Last modified by attach -u for SUNWa package\n# today\n");
    EXPECT_EQ(table->find("/etc/x")->class_for("SUNWa"), "own");
    EXPECT_EQ(table->find("/etc/x")->class_for("SUNWb"), "sed");
    EXPECT_EQ(table->find("/etc/x")->class_for("SUNWc"), "");
}

TEST(Svr4ContentsTable, RefusesPathsThatLeadOutAndPathsThatComeTwice) {
    EXPECT_FALSE(ContentsTable::parse("/a/../b d none 0755 root sys SUNWa\n", "contents"));
    EXPECT_FALSE(ContentsTable::parse("/a d none 0755 root sys SUNWa\n/a d none 0755 root sys SUNWb\n", "contents"));
}

// Found by fuzzing: it was written without its '=', as a line that cannot be read.
TEST(Svr4ContentsTable, ALinkToNothingIsDamage) {
    for (const char* type : {"s", "l"}) {
        const auto table = ContentsTable::parse(std::string("/etc/y= ") + type + " none SUNWa\n", "contents");
        ASSERT_FALSE(table);
        EXPECT_EQ(table.error().code(), Errc::corrupt);
    }
}

TEST(Svr4ContentsTable, MergesOwners) {
    auto table = *ContentsTable::parse(
        "/etc d none 0755 root sys SUNWa\n/etc/x f none 0644 root sys 1 2 3 SUNWa\n/etc/y f none 0644 root sys 1 2 3 "
        "SUNWa "
        "SUNWb\n",
        "contents");
    table.drop_package("SUNWa");
    EXPECT_EQ(table.records().size(), 1U);
    ASSERT_TRUE(table.add("/etc/y", {'e', "sed", "", "0600 root sys 4 5 6", {{0, "SUNWc", false, ""}}}));
    EXPECT_TRUE(table.text("x", "y").starts_with("/etc/y e none 0600 root sys 4 5 6 SUNWb SUNWc:sed\n"));
    const Status other = table.add("/etc/y", {'d', "none", "", "0755 root sys", {{0, "SUNWd", false, ""}}});
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code(), Errc::conflict);
}

// A directory that others have keeps what they said of it.
TEST(Svr4ContentsTable, ASharedDirectoryStaysAsItWas) {
    auto table = *ContentsTable::parse("/etc d none 0755 root sys SUNWa\n", "contents");
    ASSERT_TRUE(table.add("/etc", {'d', "none", "", "0700 root sys", {{0, "SUNWb", false, ""}}}));
    EXPECT_TRUE(table.text("x", "y").starts_with("/etc d none 0755 root sys SUNWa SUNWb\n"));
}

SpooledPackage package_of(const std::string& name, const std::string& map, bool hollow = false) {
    SpooledPackage package;
    package.name = name;
    package.is_hollow = hollow;
    package.entries = *parse_pkgmap(map, "pkgmap", {});
    return package;
}

UpdatePlan plan_of(const std::vector<std::pair<UpdateAction, std::string>>& steps) {
    UpdatePlan plan;
    for (const auto& [action, name] : steps) plan.steps.push_back({action, name, "1", "2", "", 0});
    return plan;
}

class Svr4ListsTest : public ::testing::Test {
protected:
    Svr4Lists lists(const UpdatePlan& plan, const std::vector<SpooledPackage>& packages, const std::string& contents) {
        return make_svr4_lists(plan, packages, *ContentsTable::parse(contents, "contents"), {"/usr"},
                               [](const std::string&, const std::string& klass) { return klass == "own"; });
    }
};

TEST_F(Svr4ListsTest, OnlyWhatEveryOwnerGivesUpGoes) {
    const auto result = lists(plan_of({{UpdateAction::remove, "SUNWa"}}), {},
                              "/mine f none 0644 root sys 1 2 3 SUNWa\n/shared f none 0644 root sys 1 2 3 SUNWa SUNWb\n"
                              "/own f own 0644 root sys 1 2 3 SUNWa\n/other f other 0644 root sys 1 2 3 SUNWa\n"
                              "/usr/x f none 0644 root sys 1 2 3 SUNWa\n/dev/x c none 1 2 0644 root sys SUNWa\n"
                              "/conf e none 0644 root sys 1 2 3 SUNWa\n/dir d none 0755 root sys SUNWa\n");
    EXPECT_EQ(result.rmlist, (std::vector<std::string>{"/other", "/mine", "/dir", "/conf"}));
    EXPECT_EQ(result.ngz_ed_list, std::vector<std::string>{"/conf"});
}

TEST_F(Svr4ListsTest, WhatComesAgainStaysUnlessItIsOfAnotherKind) {
    const auto result = lists(plan_of({{UpdateAction::replace, "SUNWa"}}),
                              {package_of("SUNWa",
                                          "1 f none /x 0644 root sys 1 2 3\n1 d none /y 0755 root sys\n1 e none /c "
                                          "0644 root sys 1 2 3\n1 f none /usr/u 0644 root sys 1 2 3\n")},
                              "/c e none 0644 root sys 1 2 3 SUNWa\n/gone f own 0644 root sys 1 2 3 SUNWa\n"
                              "/x f none 0644 root sys 1 2 3 SUNWa\n/y f none 0644 root sys 1 2 3 SUNWa\n");
    EXPECT_EQ(result.rmlist, (std::vector<std::string>{"/y", "/gone"}));  // replaced: its own r.own does not run
    EXPECT_EQ(result.gz_cp_list, (std::vector<std::string>{"/x", "/y"}));
    EXPECT_EQ(result.gz_ed_list, std::vector<std::string>{"/c"});
}

TEST_F(Svr4ListsTest, AHollowPackageBringsNothing) {
    const auto result = lists(plan_of({{UpdateAction::replace, "SUNWa"}}),
                              {package_of("SUNWa", "1 f none /x 0644 root sys 1 2 3\n", true)},
                              "/x f none 0644 root sys 1 2 3 SUNWa\n");
    EXPECT_EQ(result.rmlist, std::vector<std::string>{"/x"});
    EXPECT_TRUE(result.gz_cp_list.empty());
    EXPECT_EQ(result.pkg_add, std::vector<std::string>{"SUNWa"});
}

TEST_F(Svr4ListsTest, InheritedIsTheDirectoryAndWhatLiesBelowAndNothingElse) {
    const std::vector<std::string> inherited{"/usr", "/opt/a"};
    for (const char* path : {"/usr", "/usr/x", "/opt/a/b/c"}) EXPECT_TRUE(is_inherited(inherited, path));
    for (const char* path : {"/", "/usr2", "/opt", "/opt/ab", "/us"}) EXPECT_FALSE(is_inherited(inherited, path));
}

}  // namespace
}  // namespace zoneferry
