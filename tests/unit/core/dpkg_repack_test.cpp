// An installed package as a package file again, opened by dpkg-deb itself.
#include "core/attach/dpkg_repack.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/process.h"
#include "core/base/text.h"
#include "tests/support/fake_packages.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kMd5OfShipped = "fd3d1512c1f4af5f65da9313a20a3bbb";  // of "shipped\n", by md5sum

class DpkgRepackTest : public ::testing::Test {
protected:
    void SetUp() override {
        make_dpkg_host(
            host(),
            {{"tool",
              "1:2.0",
              {"/lib", "/lib/tool", "/lib/tool/a", "/lib/tool/b", "/etc", "/etc/tool.conf", "/opt", "/opt/divert"}}});
        const std::string status = host() + "/var/lib/dpkg/status";
        std::string text = *read_file(status, 1U << 16U);
        text.insert(text.find("Description"), std::string("Conffiles:\n /etc/tool.conf ") + kMd5OfShipped + "\n");
        write_file(status, text);
        write_file(host() + "/usr/lib/tool/a", "content of a\n");
        ASSERT_EQ(::link((host() + "/usr/lib/tool/a").c_str(), (host() + "/usr/lib/tool/b").c_str()), 0);
        ASSERT_EQ(::symlink("usr/lib", (host() + "/lib").c_str()), 0);
        write_file(host() + "/etc/tool.conf", "shipped\n");
        write_file(host() + "/opt/divert", "the other package's\n");
        write_file(host() + "/opt/divert.tool", "the tool's\n");
        write_file(host() + "/var/lib/dpkg/diversions", "/opt/divert\n/opt/divert.tool\nother\n");
        ASSERT_TRUE(make_directories(zone() + "/etc", 0755));
    }

    std::string host() const { return place_.path() + "/host"; }
    std::string zone() const { return place_.path() + "/zone"; }
    std::string deb() const { return place_.path() + "/tool.deb"; }

    Result<PackedDeb> pack(const std::vector<std::string>& inherited = {}) {
        ZF_TRY(const UniqueFd host_root, open_directory(host()));
        ZF_TRY(const UniqueFd zone_root, open_directory(zone()));
        ZF_TRY(const DpkgDatabase database, DpkgDatabase::open(host_root.get()));
        DependencyScope scope;
        scope.inherited = inherited;
        ZF_TRY(const ScopeMatcher matcher, ScopeMatcher::make(scope, root_aliases(host_root.get())));
        (void)::unlink(deb().c_str());
        ZF_TRY(const UniqueFd to, open_file(deb(), O_RDWR | O_CREAT | O_EXCL, 0600));
        return pack_deb({host_root.get(), zone_root.get(), database, matcher, host()}, *database.find("tool"), to);
    }

    static std::string output(const std::vector<std::string>& argv) {
        const auto done = run_process(argv);
        EXPECT_TRUE(done && done->exit_status == 0) << join(argv, " ");
        return done ? done->output : "";
    }
    // Unpacked by dpkg-deb; the directory.
    std::string unpacked() {
        const std::string to = place_.path() + "/unpacked";
        EXPECT_TRUE(remove_tree(to));
        output({"dpkg-deb", "-R", deb(), to});
        return to;
    }
    static std::string text_of(const std::string& path) { return read_file(path, 1U << 16U).value_or("(missing)"); }

    TempDirectory place_;
};

TEST_F(DpkgRepackTest, IsTheInstalledPackageAgain) {
    const auto packed = pack();
    ASSERT_TRUE(packed) << packed.error().text();
    EXPECT_FALSE(packed->from_archive);
    EXPECT_THAT(packed->notes, IsEmpty());
    const std::string tree = unpacked();
    EXPECT_THAT(text_of(tree + "/DEBIAN/control"), HasSubstr("Version: 1:2.0\n"));
    EXPECT_THAT(text_of(tree + "/DEBIAN/control"), Not(HasSubstr("Status:")));
    EXPECT_THAT(text_of(tree + "/DEBIAN/control"), Not(HasSubstr("Conffiles:")));
    EXPECT_EQ(text_of(tree + "/DEBIAN/conffiles"), "/etc/tool.conf\n");
    EXPECT_EQ(text_of(tree + "/etc/tool.conf"), "shipped\n");
    struct stat a {};
    struct stat b {};
    ASSERT_EQ(::lstat((tree + "/lib").c_str(), &a), 0);
    EXPECT_TRUE(S_ISDIR(a.st_mode));  // not the link that merged /usr has: dpkg would replace the zone's directory
    ASSERT_EQ(::stat((tree + "/lib/tool/a").c_str(), &a), 0);
    ASSERT_EQ(::stat((tree + "/lib/tool/b").c_str(), &b), 0);
    EXPECT_EQ(a.st_ino, b.st_ino);
    EXPECT_EQ(text_of(tree + "/lib/tool/b"), "content of a\n");
}

TEST_F(DpkgRepackTest, ADivertedFileIsTheOneThatThePackageBrought) {
    ASSERT_TRUE(pack());
    EXPECT_EQ(text_of(unpacked() + "/opt/divert"), "the tool's\n");
}

TEST_F(DpkgRepackTest, AnEditedConfigurationFileOfTheHostDoesNotComeAlong) {
    write_file(host() + "/etc/tool.conf", "secret of the host\n");
    const auto nowhere = pack();
    ASSERT_TRUE(nowhere);
    EXPECT_THAT(nowhere->notes, ElementsAre(HasSubstr("/etc/tool.conf of package tool was changed on this host")));
    EXPECT_EQ(text_of(unpacked() + "/etc/tool.conf"), "(missing)");
    for (const std::string& place : {host() + "/etc/tool.conf.dpkg-dist", zone() + "/etc/tool.conf"}) {
        write_file(place, "shipped\n");
        const auto found = pack();
        ASSERT_TRUE(found);
        EXPECT_THAT(found->notes, IsEmpty());
        EXPECT_EQ(text_of(unpacked() + "/etc/tool.conf"), "shipped\n");
        ASSERT_EQ(::unlink(place.c_str()), 0);
    }
}

TEST_F(DpkgRepackTest, TheZonesCopyIsNotFollowedThroughALink) {
    write_file(host() + "/etc/tool.conf", "edited\n");
    write_file(place_.path() + "/elsewhere", "shipped\n");
    ASSERT_EQ(::symlink((place_.path() + "/elsewhere").c_str(), (zone() + "/etc/tool.conf").c_str()), 0);
    const auto packed = pack();
    ASSERT_TRUE(packed);
    EXPECT_EQ(text_of(unpacked() + "/etc/tool.conf"), "(missing)");
}

TEST_F(DpkgRepackTest, AFileThatDiffersFromItsRecordIsPackedAndTold) {
    write_file(host() + "/var/lib/dpkg/info/tool.md5sums", std::string(kMd5OfShipped) + "  lib/tool/a\n");
    const auto packed = pack();
    ASSERT_TRUE(packed);
    EXPECT_THAT(packed->notes,
                ElementsAre(HasSubstr("/lib/tool/a of package tool is not on this host what the package")));
    EXPECT_EQ(text_of(unpacked() + "/lib/tool/a"), "content of a\n");
}

TEST_F(DpkgRepackTest, WhatIsInheritedKeepsOnlyItsName) {
    ASSERT_TRUE(pack({"/usr"}));
    const std::string tree = unpacked();
    EXPECT_EQ(text_of(tree + "/lib/tool/a"), "");
    EXPECT_EQ(text_of(tree + "/opt/divert"), "the tool's\n");
}

TEST_F(DpkgRepackTest, TheArchiveIsUsedOnlyIfItIsThatVersion) {
    const std::string cached = host() + "/var/cache/apt/archives/tool_1%3a2.0_amd64.deb";
    ASSERT_TRUE(make_directories(host() + "/var/cache/apt/archives", 0755));
    ASSERT_TRUE(pack());
    output({"cp", deb(), cached});
    EXPECT_TRUE(pack()->from_archive);
    const std::string tree = unpacked();
    std::string control = text_of(tree + "/DEBIAN/control");
    control.replace(control.find("1:2.0"), 5, "1:1.9");
    write_file(tree + "/DEBIAN/control", control);
    output({"dpkg-deb", "--root-owner-group", "-b", tree, cached});
    EXPECT_FALSE(pack()->from_archive);
}

}  // namespace
}  // namespace zoneferry
