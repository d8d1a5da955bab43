// What must hold for all values, tried on values made by rapidcheck (RC_PARAMS="seed=... max_success=1000" for more).
#include <gtest/gtest.h>
// after gtest.h
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <random>

#include "core/attach/manifest.h"
#include "core/base/files.h"
#include "core/packages/compare.h"
#include "core/packages/inventory.h"
#include "core/packages/svr4/inventory.h"
#include "core/packages/svr4/pkginfo.h"
#include "core/zone/config_xml.h"
#include "core/zone/index.h"
#include "tests/support/fake_packages.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

using rc::Gen;
namespace gen = rc::gen;

bool coin() { return *gen::arbitrary<bool>(); }

std::string text_of(std::string_view alphabet, int least, int most) {
    const int size = *gen::inRange(least, most + 1);
    std::string text;
    for (int i = 0; i < size; ++i) text += alphabet[*gen::inRange<std::size_t>(0, alphabet.size())];
    return text;
}
std::string word() { return "w" + text_of("abcXYZ019-_.", 0, 12); }
std::string value() { return text_of("ab <>&\"'=/:%#-]![0", 0, 20) + (coin() ? "\xc3\xa9" : ""); }
std::string path() { return "/" + word() + "/" + text_of("ab:'&<> ", 1, 4) + word(); }
std::string number() { return std::to_string(*gen::arbitrary<std::uint64_t>()); }

template <class Make>
auto some(int most, Make make) {
    std::vector<decltype(make())> items;
    for (int i = *gen::inRange(0, most + 1); i > 0; --i) items.push_back(make());
    return items;
}

ZoneConfig any_config() {
    ZoneConfig config;
    config.name = "z" + text_of("abc019._-", 0, 20);
    config.zonepath = path();
    config.autoboot = coin();
    config.brand = coin() ? "native" : "cluster";
    config.ip_type = coin() ? IpType::exclusive : IpType::shared;
    config.limitpriv = value();
    config.bootargs = value();
    config.pool = value();
    config.scheduling_class = value();
    config.nets = some(2, [] { return NetResource{"", word().substr(0, 15), ""}; });
    config.filesystems = some(2, [] { return FsResource{path(), "", "/mnt" + path(), "lofs", some(2, word)}; });
    config.attrs = some(3, [] { return AttrResource{word(), "string", value()}; });
    config.rctls = some(2, [] { return RctlResource{word(), {{"privileged", number(), "deny"}}}; });
    config.devices = some(2, [] { return "/dev" + path(); });
    config.deleted_devices = some(2, value);
    config.datasets = some(2, word);
    if (coin()) config.inherited_directories = {"/usr", "/opt" + path()};
    if (coin()) config.capped_memory = std::to_string(*gen::inRange(1, 1 << 30));
    if (coin()) config.temporary_importance = value();
    if (coin()) config.dedicated_cpu = ProcessorSet{"1", value()};
    RC_PRE(config_problems(config).empty());
    return config;
}

Patch any_patch() {
    Patch patch{{std::to_string(*gen::inRange(1, 12)), text_of("0123", 0, 2)}, {}};
    for (int base = 1; base < 12; ++base) {
        if (*gen::inRange(0, 8) == 0) patch.obsoletes.push_back(std::to_string(base));
    }
    return patch;
}

std::vector<Package> any_packages(bool with_obsoletes) {
    std::vector<Package> packages;
    for (const char* name : {"SUNWa", "SUNWb", "SUNWc", "libc6:i386"}) {
        if (!coin()) continue;
        Package package{
            name, text_of("019.ab+~", 1, 4), coin() ? DependencyReason::inherited : DependencyReason::unknown, {}};
        for (Patch& patch : some(3, any_patch)) {
            if (!with_obsoletes) patch.obsoletes.clear();
            package.patches.push_back(std::move(patch));
        }
        std::sort(package.patches.begin(), package.patches.end(),
                  [](const Patch& a, const Patch& b) { return patch_base_less(a.id.base, b.id.base); });
        const auto same = [](const Patch& a, const Patch& b) { return a.id.base == b.id.base; };
        package.patches.erase(std::unique(package.patches.begin(), package.patches.end(), same), package.patches.end());
        packages.push_back(std::move(package));
    }
    return packages;
}

Inventory any_inventory(bool with_obsoletes) {
    Inventory inventory;
    inventory.system = coin() ? PackageSystem::svr4 : PackageSystem::dpkg;
    inventory.packages = any_packages(with_obsoletes);
    return inventory;
}

RC_GTEST_PROP(Properties, AZoneConfigurationComesBackAsItWasWritten, ()) {
    const ZoneConfig config = any_config();
    const auto again = parse_zone_document(zone_document(config));
    if (!again) RC_LOG(again.error().text());
    RC_ASSERT(bool(again));
    RC_ASSERT(*again == config);
}

RC_GTEST_PROP(Properties, AManifestComesBackAsItWasWritten, ()) {
    Manifest manifest;
    manifest.config = any_config();
    manifest.inventory = any_inventory(true);
    manifest.source.host = word();
    manifest.source.os_name = value();
    manifest.source.package_system = package_system_name(manifest.inventory.system);
    manifest.devices = some(3, [] {
        return DevicePermission{path().substr(1), *gen::arbitrary<std::uint32_t>(), *gen::arbitrary<std::uint32_t>(),
                                *gen::inRange<std::uint32_t>(0, 010000), value()};
    });
    const auto again = parse_manifest(manifest_text(manifest));
    if (!again) RC_LOG(again.error().text());
    RC_ASSERT(bool(again));
    RC_ASSERT(*again == manifest);
}

RC_GTEST_PROP(Properties, AnIndexComesBackAsItWasWritten, ()) {
    ZoneIndex index = ZoneIndex::parse(coin() ? "# a comment\nglobal:installed:/:\n" : "");
    for (const std::string& name : some(5, [] { return "z" + text_of("ab01._-", 0, 3); })) {
        const auto state = static_cast<ZoneState>(*gen::inRange(0, static_cast<int>(ZoneState::installed) + 1));
        (void)index.add({*ZoneName::create(name), state, coin() ? path() : "", coin() ? new_uuid() : ""});
    }
    const ZoneIndex again = ZoneIndex::parse(index.text());
    RC_ASSERT(again.damage().empty());
    RC_ASSERT(again.entries() == index.entries());
    RC_ASSERT(again.text() == index.text());
}

RC_GTEST_PROP(Properties, AHostDoesNotDifferFromItself, ()) {
    const Inventory host = any_inventory(true);
    RC_ASSERT(compare(host, host).empty());
    RC_ASSERT(differences_text(compare(host, host)).empty());
}

// The other way round: what is missing there was not there here, and a mismatch has its sides changed.
std::pair<std::vector<Difference>, std::vector<Difference>> turned(const std::vector<Difference>& source,
                                                                   const std::vector<Difference>& local) {
    std::pair<std::vector<Difference>, std::vector<Difference>> result;
    for (const Difference& d : local) result.first.push_back({d.name, d.local_version, "", true});
    for (const Difference& d : source) {
        if (d.missing)
            result.second.push_back({d.name, "", d.source_version, true});
        else
            result.first.push_back({d.name, d.local_version, d.source_version, false});
    }
    const auto by_name = [](const Difference& a, const Difference& b) { return a.name < b.name; };
    std::sort(result.first.begin(), result.first.end(), by_name);
    std::sort(result.second.begin(), result.second.end(), by_name);
    return result;
}

std::vector<Difference> sorted(std::vector<Difference> differences) {
    std::sort(differences.begin(), differences.end(),
              [](const Difference& a, const Difference& b) { return a.name < b.name; });
    return differences;
}

RC_GTEST_PROP(Properties, TheSectionsOfTwoHostsMirrorEachOther, ()) {
    Inventory a = any_inventory(false);
    Inventory b = any_inventory(false);
    b.system = a.system;
    const Differences ab = compare(a, b);
    const Differences ba = compare(b, a);
    const auto packages = turned(ab.source_packages, ab.local_packages);
    RC_ASSERT(sorted(ba.source_packages) == packages.first);
    RC_ASSERT(sorted(ba.local_packages) == packages.second);
    const auto patches = turned(ab.source_patches, ab.local_patches);
    RC_ASSERT(sorted(ba.source_patches) == patches.first);
    RC_ASSERT(sorted(ba.local_patches) == patches.second);
}

// Obsoletes only take entries out of the third section, and never touch the packages.
RC_GTEST_PROP(Properties, ObsoletesOnlyExcuseMissingSourcePatches, ()) {
    const Inventory a = any_inventory(true);
    Inventory b = any_inventory(true);
    b.system = a.system;
    const auto without = [](Inventory inventory) {
        for (Package& package : inventory.packages) {
            for (Patch& patch : package.patches) patch.obsoletes.clear();
        }
        return inventory;
    };
    const Differences with_them = compare(a, b);
    const Differences plain = compare(without(a), without(b));
    RC_ASSERT(with_them.source_packages == plain.source_packages);
    RC_ASSERT(with_them.local_packages == plain.local_packages);
    RC_ASSERT(with_them.local_patches == plain.local_patches);
    for (const Difference& entry : with_them.source_patches) {
        RC_ASSERT(std::find(plain.source_patches.begin(), plain.source_patches.end(), entry) !=
                  plain.source_patches.end());
    }
}

RC_GTEST_PROP(Properties, TheObsoletesFilterDoesNotAskForTheOrder, ()) {
    std::vector<Package> packages = any_packages(true);
    std::vector<Package> shuffled = packages;
    std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(*gen::arbitrary<unsigned>()));
    drop_obsoleted_patches(packages);
    drop_obsoleted_patches(shuffled);
    std::sort(shuffled.begin(), shuffled.end(), [](const Package& a, const Package& b) { return a.name < b.name; });
    std::sort(packages.begin(), packages.end(), [](const Package& a, const Package& b) { return a.name < b.name; });
    RC_ASSERT(packages == shuffled);
    std::vector<Package> twice = packages;
    drop_obsoleted_patches(twice);
    for (std::size_t i = 0; i < twice.size(); ++i) RC_ASSERT(twice[i].patches.size() <= packages[i].patches.size());
}

void check_total_order(PackageSystem system, const std::string& a, const std::string& b, const std::string& c) {
    const auto order = [&](const std::string& x, const std::string& y) {
        const std::weak_ordering result = compare_versions(system, x, y);
        return result < 0 ? -1 : result > 0 ? 1 : 0;
    };
    RC_ASSERT(order(a, a) == 0);
    RC_ASSERT(order(a, b) == -order(b, a));
    if (order(a, b) <= 0 && order(b, c) <= 0) RC_ASSERT(order(a, c) <= 0);
    if (order(a, b) == 0) RC_ASSERT(order(a, c) == order(b, c));
}

std::string dpkg_version() {
    return (coin() ? text_of("012", 1, 2) + ":" : "") + text_of("01", 1, 1) + text_of("012ab.+~-", 0, 5) +
           (coin() ? "-" + text_of("012ab.+~", 1, 3) : "");
}

std::string svr4_version() {
    return text_of("0129.ab", 1, 5) + (coin() ? ",REV=" + text_of("0129.", 1, 5) : coin() ? "," + word() : "");
}

RC_GTEST_PROP(Properties, DpkgVersionsHaveATotalOrder, ()) {
    check_total_order(PackageSystem::dpkg, dpkg_version(), dpkg_version(), dpkg_version());
}

RC_GTEST_PROP(Properties, Svr4VersionsHaveATotalOrder, ()) {
    check_total_order(PackageSystem::svr4, svr4_version(), svr4_version(), svr4_version());
}

// The order of lines, stanzas and directory entries is the file system's and the package tools' business.
TEST(Properties, TheOrderOnDiskChangesNothing) {
    std::vector<FakeSvr4Package> svr4 = {
        {"SUNWa", "1", {"PATCH_INFO_118833-36=Installed: x Obsoletes: 118844-01"}},
        {"SUNWb", "2", {"PATCH_INFO_118844-02=Installed: x", "SUNW_PKG_ALLZONES=true"}, "P SUNWd x\nP SUNWa x\n"},
        {"SUNWc", "3", {"PATCH_INFO_9-01=Installed: x Obsoletes: 118833-01"}},
        {"SUNWd", "4"}};
    std::vector<std::string> lines = {"/usr d none 0755 root sys SUNWc SUNWa\n",
                                      "/usr/a f none 0555 root bin 1 2 3 SUNWa\n", "/usr/b=./a s none SUNWc\n",
                                      "/etc/x f none 0555 root bin 1 2 3 SUNWd\n"};
    std::vector<FakeDpkgPackage> dpkg = {{"a", "1", {"/usr", "/usr/a"}, "amd64", "same"},
                                         {"a", "1", {"/usr", "/usr/a32"}, "i386", "same"},
                                         {"b", "2", {"/usr", "/usr/b"}},
                                         {"dpkg", "1", {"/usr", "/usr/d"}}};
    std::mt19937 random(11);
    Inventory first_svr4;
    Inventory first_dpkg;
    for (int i = 0; i < 20; ++i) {
        TempDirectory directory;
        std::shuffle(svr4.begin(), svr4.end(), random);
        std::shuffle(lines.begin(), lines.end(), random);
        std::shuffle(dpkg.begin(), dpkg.end(), random);
        std::string contents;
        for (const std::string& line : lines) contents += line;
        make_svr4_host(directory.path() + "/s", svr4, contents);
        make_dpkg_host(directory.path() + "/d", dpkg);
        const auto of_svr4 = take_inventory(HostRoot(directory.path() + "/s"), {{"/usr"}, {}});
        const auto of_dpkg = take_inventory(HostRoot(directory.path() + "/d"), {{"/usr"}, {}});
        ASSERT_TRUE(of_svr4) << of_svr4.error().text();
        ASSERT_TRUE(of_dpkg) << of_dpkg.error().text();
        if (i == 0) {
            first_svr4 = *of_svr4;
            first_dpkg = *of_dpkg;
            ASSERT_EQ(first_svr4.packages.size(), 4U);
            ASSERT_EQ(first_dpkg.packages.size(), 4U);
        }
        EXPECT_EQ(*of_svr4, first_svr4);
        EXPECT_EQ(*of_dpkg, first_dpkg);
    }
}

}  // namespace
}  // namespace zoneferry
