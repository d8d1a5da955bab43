// Random byte flips (one byte of a file becomes any other value) and truncations of every file that is read at detach
// and attach. None may crash or hang a reader, and none may make a package, a zone or a path vanish without an error.
//
// What is detectable. Found always: whatever breaks the form of a file, so that a line, a field or an element would be
// read as another one or not at all. Not detectable by a reader, because the result is another sound file:
//   - a byte inside a value that leaves a value (the name "SUNWcsr" becomes "SUNWcsq", a version or a path another
//   one).
//     The number of packages stays; a path that leaves the scope costs its package only this one path.
//   - in the index, a line whose first byte became '#': an administrator comments out a zone that way.
//   - in pkginfo, the name or value of SUNW_PKG_ALLZONES or SUNW_PKG_THISZONE: "TRUE" does not count, as on Solaris.
//   - a cut exactly at the end of a line of pkginfo, of the index, or of a .list of which some path is left. The
//     contents file cut there gives a warning that names the packages left without any path. dpkg's status cut there is
//     an error, because the .list files of the lost packages are still there.
//
// ZONEFERRY_FLIPS sets how many (default 100,000: 5 seconds). Under ASan and UBSan, and more of them:
//     cmake --preset asan && cmake --build --preset asan --target unit_core
//     ZONEFERRY_FLIPS=1000000 ctest --preset asan -R ByteFlips
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <random>

#include "core/attach/manifest.h"
#include "core/base/text.h"
#include "core/packages/dpkg/database.h"
#include "core/packages/inventory.h"
#include "core/packages/svr4/contents.h"
#include "core/packages/svr4/pkginfo.h"
#include "core/zone/config_xml.h"
#include "core/zone/index.h"
#include "core/zone/owner_record.h"
#include "tests/support/fake_packages.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

constexpr int kFiles = 10;  // the flips are split evenly over the tests below

int flips_for_one_file() {
    const char* wanted = std::getenv("ZONEFERRY_FLIPS");
    return (wanted != nullptr ? parse_number<int>(wanted).value_or(100000) : 100000) / kFiles;
}

struct Damage {
    std::string text;
    std::size_t at = 0;
    bool is_cut = false;
    char before = 0;

    std::string what() const {
        return is_cut ? "cut at " + std::to_string(at)
                      : "byte " + std::to_string(at) + " '" + printable(std::string(1, before)) + "' became '" +
                            printable(text.substr(at, 1)) + "'\n" + text;
    }
    // The cut took whole lines only.
    bool is_cut_between_lines() const { return is_cut && (at == 0 || text[at - 1] == '\n'); }
};

Damage damage(const std::string& good, std::mt19937& random) {
    Damage result{good, random() % good.size(), random() % 8 == 0, 0};
    if (result.is_cut) {
        result.text.resize(result.at);
        return result;
    }
    result.before = good[result.at];
    do {
        // Half of them a byte that is likely to mean something.
        static constexpr std::string_view kTelling = "\n \t#:=/<>\"'&\\-!.,\0";
        result.text[result.at] = random() % 2 == 0 ? static_cast<char>(random()) : kTelling[random() % kTelling.size()];
    } while (result.text[result.at] == result.before);
    return result;
}

// check gets every damaged text and says whether it was refused.
void flip(const std::string& good, unsigned seed, const std::function<bool(const Damage&)>& check) {
    std::mt19937 random(seed);
    const int count = flips_for_one_file();
    int refused = 0;
    for (int i = 0; i < count; ++i) {
        const Damage damaged_text = damage(good, random);
        SCOPED_TRACE(damaged_text.what());
        if (check(damaged_text)) ++refused;
        if (testing::Test::HasFailure()) return;
    }
    EXPECT_GT(refused, count / 20);  // the readers look at all
}

Manifest sample_manifest() {
    Manifest manifest;
    manifest.config.name = "web01";
    manifest.config.zonepath = "/zones/web01";
    manifest.config.inherited_directories = {"/usr", "/opt"};
    manifest.config.filesystems = {{"/data", "", "/srv/data", "lofs", {"ro"}}};
    manifest.config.nets = {{"192.0.2.17/24", "bge0", "192.0.2.1"}};
    manifest.config.attrs = {{"comment", "string", "front end"}};
    manifest.config.rctls = {{"zone.max-lwps", {{"privileged", "800", "deny"}}}};
    manifest.source.host = "host1";
    manifest.source.machine = "x86_64";
    manifest.source.package_system = "svr4";
    manifest.inventory.system = PackageSystem::svr4;
    manifest.inventory.packages = {
        {"SUNWcar", "11.10.0,REV=2005.01.21.15.53", DependencyReason::inherited, {{{"118833", "36"}, {"118822"}}}},
        {"SUNWcsr", "11.10.0,REV=2005.01.21.15.53", DependencyReason::all_zones, {}},
        {"SUNWcsu", "11.10.0,REV=2005.01.21.15.53", DependencyReason::required, {{{"9", "01"}, {}}}}};
    manifest.devices = {{"null", 0, 3, 0666, ""}};
    return manifest;
}

std::size_t patches(const Manifest& manifest) {
    std::size_t count = 0;
    for (const Package& package : manifest.inventory.packages) count += package.patches.size();
    return count;
}

TEST(ByteFlips, Manifest) {
    const Manifest good = sample_manifest();
    ASSERT_TRUE(parse_manifest(manifest_text(good)));
    flip(manifest_text(good), 1, [&](const Damage& damaged_text) {
        const auto manifest = parse_manifest(damaged_text.text);
        if (!manifest) return true;
        EXPECT_FALSE(damaged_text.is_cut && damaged_text.text.find("</zone>") == std::string::npos);
        EXPECT_EQ(manifest->inventory.packages.size(), good.inventory.packages.size());
        EXPECT_EQ(patches(*manifest), patches(good));
        EXPECT_EQ(manifest->devices.size(), 1U);
        EXPECT_EQ(manifest->config.inherited_directories.size(), 2U);
        return false;
    });
}

TEST(ByteFlips, ZoneConfiguration) {
    const ZoneConfig good = sample_manifest().config;
    flip(zone_document(good), 2, [&](const Damage& damaged_text) {
        const auto config = parse_zone_document(damaged_text.text);
        if (!config) return true;
        EXPECT_EQ(config->inherited_directories.size(), 2U);
        EXPECT_EQ(config->nets.size(), 1U);
        EXPECT_EQ(config->rctls.size(), 1U);
        EXPECT_EQ(config->filesystems.size(), 1U);
        return false;
    });
}

TEST(ByteFlips, Index) {
    const std::string good =
        "# zones of this host\nglobal:installed:/:\nweb01:installed:/zones/web01:01234567-89ab-4def-8123-456789abcdef\n"
        "db:configured:/zones/db:\nmail:incomplete:\"/zones/m:l\":11234567-89ab-4def-8123-456789abcdef\n";
    ASSERT_EQ(ZoneIndex::parse(good).entries().size(), 3U);
    flip(good, 3, [&](const Damage& damaged_text) {
        const ZoneIndex index = ZoneIndex::parse(damaged_text.text);
        if (!index.damage().empty()) return true;
        const bool is_comment = !damaged_text.is_cut && damaged_text.text[damaged_text.at] == '#';
        EXPECT_TRUE(is_comment || damaged_text.is_cut_between_lines() || index.entries().size() >= 3U);
        return false;
    });
}

TEST(ByteFlips, OwnerRecord) {
    const std::string good = owner_record_text(
        {"web01", "01234567-89ab-4def-8123-456789abcdef", 3, Ownership::released, "host2", "7d0c", 1763760000000});
    ASSERT_TRUE(parse_owner_record(good));
    flip(good, 4, [&](const Damage& damaged_text) {
        const auto record = parse_owner_record(damaged_text.text);
        if (!record) return true;
        EXPECT_FALSE(damaged_text.is_cut);
        EXPECT_EQ(record->state, Ownership::released);  // no flip makes the zone bootable
        return false;
    });
}

TEST(ByteFlips, DpkgStatusText) {
    const std::string good = fake_dpkg_status({{"libc6", "2.36-9+deb12u4", {}, "amd64", "same"},
                                               {"bash", "5.2.15-2+b2"},
                                               {"old", "1", {}, "amd64", "", "deinstall ok config-files"}});
    flip(good, 5, [&](const Damage& damaged_text) {
        const auto packages = parse_dpkg_status(damaged_text.text, "status");
        if (!packages) return true;
        EXPECT_TRUE(damaged_text.is_cut || packages->size() == 3U);
        return false;
    });
}

// The same on disk, through the whole inventory: every package must be there, or there is an error.
class ByteFlipsOnDisk : public testing::Test {
protected:
    // damages file and takes the inventory of a zone that inherits /usr; may_differ: known not to be detectable.
    void flip_file(const std::string& file, unsigned seed, const std::function<bool(const Damage&)>& may_differ) {
        const std::string path = directory_.path() + file;
        const auto good_text = read_file(path, 1 << 20);
        ASSERT_TRUE(good_text);
        const auto good = take_inventory(HostRoot(directory_.path()), {{"/usr"}, {}});
        ASSERT_TRUE(good) << good.error().text();
        ASSERT_EQ(good->packages.size(), 4U);
        ASSERT_TRUE(good->warnings.empty());
        flip(*good_text, seed, [&](const Damage& damaged_text) {
            ::unlink(path.c_str());  // to truncate a file would make ext4 flush it
            write_file(path, damaged_text.text);
            const auto inventory = take_inventory(HostRoot(directory_.path()), {{"/usr"}, {}});
            if (!inventory) return true;
            if (may_differ(damaged_text) || !inventory->warnings.empty()) return false;
            EXPECT_EQ(inventory->packages.size(), good->packages.size());
            return false;
        });
        write_file(path, *good_text);
    }
    void make_svr4() {
        const std::vector<std::string> patch = {"PATCH_INFO_118833-36=Installed: x From: y Obsoletes: 1-1 Requires: "};
        make_svr4_host(directory_.path(),
                       {{"SUNWall", "1.0,REV=1", {"SUNW_PKG_ALLZONES=true", "NAME=all"}},
                        {"SUNWa", "1", patch},
                        {"SUNWb"},
                        {"SUNWc"}},
                       "# made for a test\n"
                       "/etc/all f none 0644 root sys 5 6 7 SUNWall\n"
                       "/usr d none 0755 root sys SUNWa SUNWb SUNWc\n"
                       "/usr/bin/a f none 0555 root bin 9000 4711 1106350423 SUNWa\n"
                       "/usr/bin/b=../lib/b s none SUNWb\n"
                       "/usr/bin/c f none 0555 root bin 9000 4711 1106350423 *SUNWc\\:cls\n"
                       "/usr/dev c none 13 2 0666 root sys SUNWa SUNWb SUNWc\n"
                       "/usr/vol v none 0644 root sys 1 2 3 SUNWc\n");
    }
    void make_dpkg() {
        make_dpkg_host(directory_.path(), {{"libc6", "2.36-9", {"/usr", "/usr/lib", "/usr/lib/c"}, "amd64", "same"},
                                           {"bash", "5.2", {"/usr", "/usr/bin", "/usr/bin/bash"}},
                                           {"doc", "1", {"/usr", "/usr/share", "/usr/share/doc"}, "all"},
                                           {"hold", "1:2~3-1", {"/usr", "/usr/h"}, "amd64", "", "hold ok installed"}});
        write_file(directory_.path() + "/var/lib/dpkg/info/bash.md5sums", "00 usr/bin/bash\n");
    }
    static bool nothing(const Damage&) { return false; }

    TempDirectory directory_;
};

TEST_F(ByteFlipsOnDisk, Contents) {
    make_svr4();
    // SUNWc's mark makes a warning in the whole file too: without it, or a warning would excuse everything.
    const std::string path = directory_.path() + "/var/sadm/install/contents";
    std::string text = *read_file(path, 1 << 20);
    text.erase(text.find('*'), 1);
    write_file(path, text);
    flip_file("/var/sadm/install/contents", 6, nothing);
}

TEST_F(ByteFlipsOnDisk, PkginfoOfAnAllZonesPackage) {
    make_svr4();
    write_file(directory_.path() + "/var/sadm/install/contents",
               "/etc/all f none 0644 root sys 5 6 7 SUNWall\n/usr d none 0755 root sys SUNWa SUNWb SUNWc\n");
    const std::string path = "/var/sadm/pkg/SUNWall/pkginfo";
    const std::string good = *read_file(directory_.path() + path, 1 << 20);
    const std::size_t flag = good.find("SUNW_PKG_ALLZONES");
    flip_file(path, 7, [&](const Damage& damaged_text) {
        const bool is_in_flag = damaged_text.at >= flag && damaged_text.at < flag + 22;  // not the newlines around it
        const bool is_commented = damaged_text.at == flag;
        return is_in_flag || is_commented || damaged_text.is_cut_between_lines();
    });
}

TEST_F(ByteFlipsOnDisk, PkginfoWithPatches) {
    make_svr4();
    write_file(directory_.path() + "/var/sadm/install/contents",
               "/etc/all f none 0644 root sys 5 6 7 SUNWall\n/usr d none 0755 root sys SUNWa SUNWb SUNWc\n");
    flip_file("/var/sadm/pkg/SUNWa/pkginfo", 8, [](const Damage& damaged_text) {
        return damaged_text.text.find("SUNW_PKG_THISZONE=true") != std::string::npos;
    });
}

TEST_F(ByteFlipsOnDisk, DpkgStatus) {
    make_dpkg();
    flip_file("/var/lib/dpkg/status", 9, nothing);
}

TEST_F(ByteFlipsOnDisk, DpkgFileList) {
    make_dpkg();
    flip_file("/var/lib/dpkg/info/bash.list", 10, nothing);
}

}  // namespace
}  // namespace zoneferry
