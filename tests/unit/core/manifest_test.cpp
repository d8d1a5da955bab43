#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/attach/manifest.h"
#include "core/base/files.h"
#include "core/base/process.h"
#include "tests/support/paths.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

using testing::HasSubstr;

// As Solaris wrote them; values of zones.md.
constexpr const char* kSolaris = R"(<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE zone PUBLIC "-//Sun Microsystems Inc//DTD Zones//EN" "file:///usr/share/lib/xml/dtd/zonecfg.dtd.1">
<!-- do not edit -->
<zone name="web01" zonepath="/export/zones/web01" autoboot="true" brand="native" ip-type="shared" limitpriv="default,sys_time">
  <inherited-pkg-dir directory="/usr"/>
  <filesystem special="/export/data/web01" directory="/data" type="lofs"><fsoption name="nodevices"/></filesystem>
  <network address="192.0.2.17/24" defrouter="192.0.2.1" physical="bge0"/>
  <rctl name="zone.max-lwps"><rctl-value priv="privileged" limit="800" action="deny"/></rctl>
  <dataset name="tank/web01"/>
  <attr name="comment" type="string" value="front end"/>
  <mcap physcap="1073741824"/>
  <package name="SUNWcsr" version="11.10.0,REV=2005.01.21.15.53"/>
  <patch id="118833-36"><obsoletes id="118844"/><obsoletes id="118822"/></patch>
  <patch id="9999-14"/>
  <package name="SUNWcar" version="11.10.0,REV=2005.01.21.15.53"/>
  <patch id="118833-36"><incompatible id="7"/></patch>
  <dev-perm name="null" uid="0" gid="3" mode="666" acl=""/>
</zone>
)";

Manifest full_manifest() {
    Manifest manifest;
    manifest.config.name = "web01";
    manifest.config.zonepath = "/zones/web01";
    manifest.config.inherited_directories = {"/usr"};
    manifest.config.filesystems = {{"/data", "", "/srv/data", "lofs", {"ro"}}};
    manifest.config.attrs = {{"comment", "string", "<&\"'> \xc3\xa9"}};
    manifest.source = {"host1",
                       "0123456789abcdef0123456789abcdef",
                       "x86_64",
                       "dpkg",
                       "amd64",
                       "6.1.0-18-amd64",
                       "Debian GNU/Linux 12 (bookworm)",
                       "systemd-nspawn 252"};
    manifest.inventory.packages = {{"libc6", "2.36-9+deb12u4", DependencyReason::inherited, {}},
                                   {"libc6:i386", "2.36-9+deb12u4", DependencyReason::all_zones, {}},
                                   {"x", "1:2~3", DependencyReason::unknown, {{{"7", "01"}, {"3", "5"}}}}};
    manifest.devices = {{"null", 0, 3, 0666, ""}, {"dsk/c0", 1, 2, 04755, "user:a:rw-"}};
    manifest.update = ZoneUpdate{UpdateScope::everything, {PackageSystem::dpkg, manifest.inventory.packages, {}}};
    return manifest;
}

TEST(Manifest, ReadsWhatSolarisWrote) {
    const auto manifest = parse_manifest(kSolaris);
    ASSERT_TRUE(manifest) << manifest.error().text();
    EXPECT_EQ(manifest->inventory.system, PackageSystem::svr4);
    ASSERT_EQ(manifest->inventory.packages.size(), 2U);
    const Package& car = manifest->inventory.packages[0];
    EXPECT_EQ(car.name, "SUNWcar");
    ASSERT_EQ(car.patches.size(), 1U);
    EXPECT_EQ(car.patches[0].id.text(), "118833-36");
    const Package& csr = manifest->inventory.packages[1];
    EXPECT_EQ(csr.version, "11.10.0,REV=2005.01.21.15.53");
    ASSERT_EQ(csr.patches.size(), 2U);
    EXPECT_EQ(csr.patches[0].id.text(), "9999-14");
    EXPECT_EQ(csr.patches[1].obsoletes, (std::vector<std::string>{"118822", "118844"}));
    ASSERT_EQ(manifest->devices.size(), 1U);
    EXPECT_EQ(manifest->devices[0].mode, 0666U);
    EXPECT_EQ(manifest->config.limitpriv, "default,sys_time");
}

TEST(Manifest, ComesBackAsItWasWritten) {
    const Manifest full = full_manifest();
    const auto again = parse_manifest(manifest_text(full));
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(*again, full);
    const auto solaris = parse_manifest(kSolaris);
    ASSERT_TRUE(solaris);
    const auto solaris_again = parse_manifest(manifest_text(*solaris));
    ASSERT_TRUE(solaris_again) << solaris_again.error().text();
    EXPECT_EQ(*solaris_again, *solaris);
}

TEST(Manifest, PatchesFollowTheirPackage) {
    const std::string text = manifest_text(full_manifest());
    const std::size_t package = text.find("<package name=\"x\"");
    ASSERT_NE(package, std::string::npos);
    EXPECT_THAT(text.substr(package), HasSubstr("/>\n  <patch id=\"7-01\">\n    <obsoletes id=\"3\" />"));
}

TEST(Manifest, IsValidByOurDtd) {
    const auto tool = run_process({"xmllint", "--version"});
    if (!tool || tool->exit_status != 0) GTEST_SKIP() << "needs xmllint (libxml2-utils)";
    TempDirectory directory;
    const std::string path = directory.path() + "/SUNWdetached.xml";
    const std::string dtd = source_directory() + "/packaging/zoneferry-manifest.dtd";
    const auto solaris = parse_manifest(kSolaris);
    ASSERT_TRUE(solaris);
    for (const std::string& text : {manifest_text(full_manifest()), manifest_text(*solaris)}) {
        ASSERT_TRUE(replace_file(path, text, 0644));
        const auto result = run_process({"xmllint", "--nonet", "--noout", "--dtdvalid", dtd, path});
        ASSERT_TRUE(result);
        EXPECT_EQ(result->exit_status, 0) << result->output;
    }
}

std::string with(const std::string& child) {
    return "<zone name=\"z\" zonepath=\"/zones/z\" autoboot=\"false\">" + child + "</zone>";
}

TEST(Manifest, RefusesWhatItDoesNotKnowOrCannotUse) {
    const auto sentence = [](const std::string& xml) {
        const auto manifest = parse_manifest(xml);
        return manifest ? std::string("accepted") : manifest.error().text();
    };
    EXPECT_EQ(sentence(with("")), "accepted");
    EXPECT_THAT(sentence("no xml"), HasSubstr("manifest"));
    EXPECT_THAT(sentence(with("<image/>")), HasSubstr("image"));
    EXPECT_THAT(sentence(with("<package name='a' version='1' colour='x'/>")), HasSubstr("unknown attribute 'colour'"));
    EXPECT_THAT(sentence(with("<package name='a'/>")), HasSubstr("'version' of <package> is missing"));
    EXPECT_THAT(sentence(with("<package name='' version='1'/>")), HasSubstr("package name '' is not usable"));
    EXPECT_THAT(sentence(with("<package name='a b' version='1'/>")), HasSubstr("not usable"));
    EXPECT_THAT(sentence(with("<package name='a' version='1' reason='because'/>")), HasSubstr("reason of package a"));
    EXPECT_THAT(sentence(with("<package name='" + std::string(256, 'a') + "' version='1'/>")), HasSubstr("not usable"));
    EXPECT_THAT(sentence(with("<patch id='1-1'/>")), HasSubstr("stands before any <package>"));
    EXPECT_THAT(sentence(with("<package name='a' version='1'/><patch id='-1'/>")), HasSubstr("patch id '-1'"));
    EXPECT_THAT(sentence(with("<package name='a' version='1'/><patch id='1'><b/></patch>")), HasSubstr("'b'"));
    EXPECT_THAT(sentence(with("<host package-system='rpm'/>")), HasSubstr("package system 'rpm'"));
    EXPECT_THAT(sentence(with("<host package-system='dpkg'/><host package-system='dpkg'/>")), HasSubstr("twice"));
    EXPECT_THAT(sentence(with("<host package-system='dpkg' name='&#10;'/>")), HasSubstr("'name' of <host>"));
    EXPECT_THAT(sentence(with("<dev-perm name='../x' uid='0' gid='0' mode='0' acl=''/>")), HasSubstr("no path below"));
    EXPECT_THAT(sentence(with("<dev-perm name='x' uid='0' gid='0' mode='8' acl=''/>")), HasSubstr("no number"));
    EXPECT_THAT(sentence("<zone name='../../etc' zonepath='/z' autoboot='true'/>"), HasSubstr("name"));
    EXPECT_THAT(sentence("<!DOCTYPE zone [<!ENTITY x SYSTEM 'file:///etc/shadow'>]>" + with("")), HasSubstr("DOCTYPE"));
    EXPECT_THAT(sentence(with("<attr name='a' type='string' value='&x;'/>")), HasSubstr("entity"));
}

// Whatever is changed: an error, or the same number of packages (a byte in a name may make two packages one).
TEST(Manifest, AFlippedByteIsAnErrorOrStillAManifest) {
    std::mt19937 random(29);
    const std::string good = manifest_text(full_manifest());
    int refused = 0;
    for (int i = 0; i < 4000; ++i) {
        std::string text = good;
        text[random() % text.size()] = static_cast<char>(random());
        const auto manifest = parse_manifest(text);
        if (!manifest) {
            ++refused;
            continue;
        }
        EXPECT_GE(manifest->inventory.packages.size(), 2U) << text;
        const auto again = parse_manifest(manifest_text(*manifest));
        ASSERT_TRUE(again) << again.error().text();
        EXPECT_EQ(*again, *manifest);
    }
    EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace zoneferry
