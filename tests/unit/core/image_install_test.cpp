// zoneadm install's library: from archives (also hostile ones) and directories, and what is left when it fails.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/image/archive_acl.h"
#include "core/image/image_writer.h"
#include "core/image/install.h"
#include "core/image/limits.h"
#include "tests/support/image_tree.h"
#include "tests/support/tar_builder.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

class InstallTest : public ::testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "installing a zone needs root (owners, modes)";
        for (const char* directory : {"/etc/zones", "/run", "/image"}) {
            ASSERT_TRUE(make_directories(directory_.path() + directory, 0755));
        }
        ZoneConfig config;
        config.name = "web01";
        config.zonepath = "/zones/web01";
        auto lock = store_.lock(name_);
        ASSERT_TRUE(lock) << lock.error().text();
        lock_.emplace(*std::move(lock));
        const Status created = store_.create(*lock_, config);
        ASSERT_TRUE(created) << created.error().text();
    }

    std::string host(const std::string& path) const { return directory_.path() + path; }
    std::string in_zone(const std::string& path) const { return host("/zones/web01/root/" + path); }
    Result<InstallReport> install(const InstallSource& source) { return install_zone(store_, *lock_, source); }
    Result<InstallReport> install_archive(const std::string& bytes) {
        EXPECT_TRUE(replace_file(host("/image.tar"), bytes, 0600));
        return install(ImageArchive{"/image.tar"});
    }
    void expect_untouched() {
        EXPECT_EQ(store_.find(name_)->state, ZoneState::configured);
        const auto names = list_directory(host("/zones/web01"));
        EXPECT_TRUE(!names || names->empty());
    }
    std::string run(const std::vector<std::string>& argv) {
        auto result = run_process(argv);
        EXPECT_TRUE(result && result->exit_status == 0) << argv[0];
        return result ? result->output : "";
    }

    TempDirectory directory_;
    ZoneStore store_{HostRoot(directory_.path())};
    ZoneName name_ = *ZoneName::create("web01");
    std::optional<ZoneLock> lock_;
};

TEST_F(InstallTest, UnpacksAnArchive) {
    TarBuilder tar;
    tar.add_system().add("etc/motd", '0', "hello\n").add("etc/link", '2', "", "/etc/motd").add("usr/pipe", '6');
    tar.add("usr/again", '1', "", "etc/motd").add("dev/", '5').add("dev/sda", '3').add("./tmp/old", '0', "x");
    const auto report = install_archive(tar.finish());
    ASSERT_TRUE(report) << report.error().text();
    EXPECT_EQ(store_.find(name_)->state, ZoneState::installed);
    EXPECT_EQ(*read_file(in_zone("etc/motd"), 100), "hello\n");
    EXPECT_FALSE(path_exists(in_zone("dev/sda")));
    EXPECT_FALSE(path_exists(in_zone("tmp/old")));
    struct stat one {
    }, two{}, zonepath{};
    ASSERT_EQ(::stat(in_zone("usr/again").c_str(), &one), 0);
    ASSERT_EQ(::stat(in_zone("etc/motd").c_str(), &two), 0);
    EXPECT_EQ(one.st_ino, two.st_ino);
    EXPECT_EQ(one.st_mtime, 1'700'000'000);
    ASSERT_EQ(::stat(host("/zones/web01").c_str(), &zonepath), 0);
    EXPECT_EQ(zonepath.st_mode & 07777, 0700U);
    EXPECT_FALSE(install(HostPackages{}));  // no longer configured
}

struct HostileArchive {
    const char* title;
    TarBuilder tar;
    const char* entry;  // named in the refusal
};

TEST_F(InstallTest, RefusesHostileArchives) {
    const auto base = [] { return TarBuilder().add_system(); };
    const std::vector<HostileArchive> archives = {
        {"upwards", base().add("../evil", '0', "x"), "../evil"},
        {"upwards inside", base().add("etc/../../evil", '0', "x"), "etc/../../evil"},
        {"absolute", base().add("/evil", '0', "x"), "/evil"},
        {"through a link", base().add("etc/way", '2', "", "/").add("etc/way/evil", '0', "x"), "etc/way"},
        {"through a relative link", base().add("etc/way", '2', "", "..").add("etc/way/evil", '0', "x"), "etc/way"},
        {"directory over a link", base().add("etc/way", '2', "", "/").add("etc/way", '5'), "etc/way"},
        {"file over a link", base().add("etc/way", '2', "", "/evil").add("etc/way", '0', "x"), "etc/way"},
        {"hard link outside", base().add("etc/evil", '1', "", "/etc/shadow"), "/etc/shadow"},
        {"hard link upwards", base().add("etc/evil", '1', "", "../../image.tar"), "../../image.tar"},
        {"hard link to nothing", base().add("etc/evil", '1', "", "etc/later"), "etc/evil"},
        {"hard link to a directory", base().add("etc/evil", '1', "", "usr"), "etc/evil"},
        {"hard link through a link", base().add("etc/way", '2', "", "/etc").add("etc/evil", '1', "", "etc/way/shadow"),
         "etc/evil"},
        {"device", base().add("usr/sda", '3'), "usr/sda"},
        {"block device", base().add("usr/sda", '4'), "usr/sda"},
        {"file twice", base().add("etc/a", '0', "1").add("etc/a", '0', "2"), "etc/a"},
        {"directory twice", base().add("etc/", '5'), "etc"},
        {"below a file", base().add("etc/a", '0', "1").add("etc/a/b", '0', "2"), "etc/a"},
    };
    for (const HostileArchive& archive : archives) {
        const auto report = install_archive(archive.tar.finish());
        ASSERT_FALSE(report) << archive.title;
        EXPECT_NE(report.error().text().find(archive.entry), std::string::npos)
            << archive.title << ": " << report.error().text();
        EXPECT_FALSE(path_exists(host("/evil"))) << archive.title;
        EXPECT_FALSE(path_exists(host("/zones/evil"))) << archive.title;
        expect_untouched();
    }
}

TEST_F(InstallTest, RefusesAnArchiveThatIsCutAnywhere) {
    const std::string whole = TarBuilder().add_system().add("etc/big", '0', std::string(5000, 'b')).finish();
    for (const std::size_t length : {std::size_t{0}, std::size_t{100}, std::size_t{512}, std::size_t{1024},
                                     std::size_t{2560}, std::size_t{4000}, whole.size() - 1024, whole.size() - 512}) {
        const auto report = install_archive(whole.substr(0, length));
        EXPECT_FALSE(report) << length;
        expect_untouched();
    }
    EXPECT_TRUE(install_archive(whole));
}

TEST_F(InstallTest, RefusesAnArchiveThatIsNoneOrNoSystem) {
    EXPECT_FALSE(install_archive("this is not an archive, but it is long enough to be looked at"));
    expect_untouched();
    const auto report = install_archive(TarBuilder().add("./", '5').add("hello", '0', "x").finish());
    ASSERT_FALSE(report);
    EXPECT_NE(report.error().text().find("no system's root"), std::string::npos) << report.error().text();
    expect_untouched();
    EXPECT_FALSE(install(ImageArchive{"/missing.tar"}));
    EXPECT_FALSE(install(ImageDirectory{"relative"}));
    EXPECT_FALSE(install(ImageDirectory{"/missing"}));
    expect_untouched();
}

TEST_F(InstallTest, NeverTouchesAZonepathThatHoldsSomething) {
    ASSERT_TRUE(make_directories(host("/zones/web01/root/etc"), 0755));
    ASSERT_TRUE(replace_file(in_zone("etc/mine"), "mine", 0644));
    EXPECT_EQ(install_archive(TarBuilder().add_system().finish()).error().code(), Errc::conflict);
    EXPECT_EQ(*read_file(in_zone("etc/mine"), 10), "mine");
    ASSERT_TRUE(remove_tree(host("/zones/web01/root")));
    ASSERT_TRUE(replace_file(host("/zones/web01/SUNWdetached.xml"), "<zone/>", 0644));
    const auto detached = install_archive(TarBuilder().add_system().finish());
    ASSERT_FALSE(detached);
    EXPECT_NE(detached.error().text().find("detached"), std::string::npos);
    EXPECT_TRUE(path_exists(host("/zones/web01/SUNWdetached.xml")));
    EXPECT_EQ(store_.find(name_)->state, ZoneState::configured);
}

TEST_F(InstallTest, CopiesADirectoryWithFullFidelity) {
    run({"python3", "-c", kMakeImageTree, host("/image")});
    const auto report = install(ImageDirectory{"/image"});
    ASSERT_TRUE(report) << report.error().text();
    const std::string wanted = run({"python3", "-c", kDescribeImageTree, host("/image"), "all"});
    EXPECT_EQ(run({"python3", "-c", kDescribeImageTree, host("/zones/web01/root"), "all"}), wanted);
    EXPECT_GT(wanted.size(), 2000U);
    EXPECT_FALSE(path_exists(in_zone("tmp/gone")));
    EXPECT_LT(report->bytes, 1U << 20);  // holes stayed holes
}

TEST_F(InstallTest, UnpacksWhatTarPacksWithFullFidelity) {
    run({"python3", "-c", kMakeImageTree, host("/image")});
    const std::string wanted = run({"python3", "-c", kDescribeImageTree, host("/image"), "all"});
    for (const char* filter : {"--no-auto-compress", "--gzip", "--xz", "--zstd", "--bzip2"}) {
        run({"tar", "-C", host("/image"), "--format=pax", "--sparse", "--numeric-owner", "--xattrs",
             "--xattrs-include=*", "--acls", filter, "-cf", host("/image.tar"), "."});
        const auto report = install(ImageArchive{"/image.tar"});
        ASSERT_TRUE(report) << filter << ": " << report.error().text();
        EXPECT_EQ(run({"python3", "-c", kDescribeImageTree, host("/zones/web01/root"), "all"}), wanted) << filter;
        ASSERT_TRUE(remove_tree(host("/zones/web01/root")));
        ASSERT_TRUE(store_.change_state(*lock_, ZoneState::installed, ZoneState::configured));
    }
}

TEST(TreeWriterTest, RefusesMoreThanTheFileSystemHasRoomFor) {
    const TempDirectory directory;
    auto root = open_directory(directory.path());
    ASSERT_TRUE(root);
    auto writer = ImageWriter::create(*std::move(root));
    ASSERT_TRUE(writer);
    EXPECT_TRUE(writer->spend("small", 4096));
    const Status bomb = writer->spend("bomb", std::uint64_t{1} << 62U);
    ASSERT_FALSE(bomb);
    EXPECT_EQ(bomb.error().code(), Errc::no_space);
    EXPECT_NE(bomb.error().text().find("bomb"), std::string::npos);
}

TEST(TreeWriterTest, KeepsNoMoreOfDirectoriesInMemoryThanItsBound) {
    const TempDirectory directory;
    ImageWriter writer = *ImageWriter::create(*open_directory(directory.path()));
    EntryMetadata metadata;
    for (std::size_t number = 0; number < kImageXattrsMax; ++number) {
        metadata.xattrs.push_back({"user.x" + std::to_string(number), std::string(kImageXattrBytesMax, 'x')});
    }
    const std::size_t fitting = kImageDirectoryBytesMax / (kImageXattrsMax * kImageXattrBytesMax) - 1;
    for (std::size_t number = 0; number < fitting; ++number) {
        ASSERT_TRUE(writer.directory("d" + std::to_string(number), metadata)) << number;
    }
    const Status refused = writer.directory("one-more", metadata);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text().find("512.0 MiB, at entry \"one-more\""), std::string::npos)
        << refused.error().text();
}

TEST(ArchiveAcl, FindsNumbersInTheImagesOwnAccounts) {
    EXPECT_EQ(account_id("root:x:0:\nadm:x:4:syslog\n", "adm"), 4U);
    EXPECT_EQ(account_id("adm:x:four:\n", "adm"), std::nullopt);
    EXPECT_EQ(account_id("", "adm"), std::nullopt);
    const ArchiveAcl acl{"system.posix_acl_access", {{0x08, 5, 0xffffffff, "adm"}, {0x01, 7, 0xffffffff, ""}}};
    EXPECT_FALSE(encode_acl(acl, "adm:x:4:4::/:/bin/sh\n", ""));  // a user's name is no group's
    const auto value = encode_acl(acl, "", "adm:x:4:\n");
    ASSERT_TRUE(value);
    EXPECT_EQ(*value, std::string("\2\0\0\0\1\0\7\0\xff\xff\xff\xff\x08\0\5\0\4\0\0\0", 20));
}

}  // namespace
}  // namespace zoneferry
