// clone and move: what they make, what they refuse, and that the source of a move stays until its copy is proven.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/attach/manifest.h"
#include "core/base/file_flags.h"
#include "core/base/process.h"
#include "core/image/clone.h"
#include "core/image/identity.h"
#include "core/image/relocate.h"
#include "core/image/tree_compare.h"
#include "core/zone/owner_record.h"
#include "tests/support/fake_packages.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

template <class T>
std::string text_of(const Result<T>& result) {
    return result ? "no error" : result.error().text();
}

class Place : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: zonepaths belong to root";
        ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
        ASSERT_TRUE(make_directories(at("/zones"), 0755));
        configure("web01");
        const std::string root = at("/zones/web01/root");
        ASSERT_TRUE(make_directories(at("/zones/web01"), 0700));
        for (const char* name : {"/etc/ssh", "/var/lib/dbus", "/var/lib/systemd", "/tmp", "/dev", "/usr"})
            ASSERT_TRUE(make_directories(root + name, 0755));
        write_file(root + "/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        write_file(root + "/etc/hostname", "web01\n");
        write_file(root + "/etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tweb01\n");
        write_file(root + "/etc/ssh/ssh_host_rsa_key", "secret");
        write_file(root + "/var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n");
        write_file(root + "/var/lib/systemd/random-seed", "seed");
        write_file(root + "/tmp/left", "over");
        write_file(root + "/usr/tool", "tool");
        ASSERT_EQ(::chmod((root + "/usr/tool").c_str(), 04755), 0);
        ASSERT_EQ(::link((root + "/usr/tool").c_str(), (root + "/usr/tool2").c_str()), 0);
        ASSERT_EQ(::symlink("tool", (root + "/usr/way").c_str()), 0);
        ASSERT_EQ(::setxattr((root + "/usr/tool").c_str(), "user.note", "x", 1, 0), 0);
        ASSERT_EQ(::mkfifo((root + "/usr/pipe").c_str(), 0640), 0);
        ASSERT_EQ(::chown((root + "/usr/pipe").c_str(), 33, 34), 0);
        set_state("web01", ZoneState::configured, ZoneState::installed);
    }
    void TearDown() override {
        for (const std::string& mount : mounts_) (void)::umount2(mount.c_str(), MNT_DETACH);
    }

    std::string at(const std::string& path) const { return directory_.path() + path; }
    ZoneStore store() const { return ZoneStore(HostRoot(directory_.path())); }
    static ZoneName name(const std::string& zone) { return *ZoneName::create(zone); }
    void configure(const std::string& zone, const std::vector<std::string>& inherited = {}) {
        ZoneConfig config;
        config.name = zone;
        config.zonepath = "/zones/" + zone;
        config.inherited_directories = inherited;
        ASSERT_TRUE(store().create(*store().lock(name(zone)), config));
    }
    void set_state(const std::string& zone, ZoneState from, ZoneState to) {
        ASSERT_TRUE(store().change_state(*store().lock(name(zone)), from, to));
    }
    ZoneState state(const std::string& zone) const { return store().find(name(zone))->state; }
    Result<InstallReport> clone(const std::string& zone) {
        return clone_zone(store(), *store().lock(name(zone)), *store().lock(name("web01")));
    }
    Result<Relocation> relocate(const std::string& path) {
        return relocate_zone(store(), *store().lock(name("web01")), path);
    }
    // Another mount of the same files: renames into it fail as between file systems.
    bool bind_over(const std::string& path) {
        if (::mount(at(path).c_str(), at(path).c_str(), nullptr, MS_BIND, nullptr) != 0) return false;
        mounts_.push_back(at(path));
        return true;
    }
    // All entries below it: the zonepath's own time says only when something was last put there.
    std::string described(const std::string& path) {
        const auto listed =
            run_process({"find", at(path), "-mindepth", "1", "-printf", "%P %y %m %U %G %n %s %T@ %l\n"});
        return listed ? listed->output : "";
    }

    TempDirectory directory_;
    std::vector<std::string> mounts_;
};

TEST_F(Place, ACloneHasTheSystemButNotTheIdentity) {
    configure("web02");
    const auto report = clone("web02");
    ASSERT_TRUE(report) << text_of(report);
    EXPECT_EQ(state("web02"), ZoneState::installed);
    EXPECT_EQ(state("web01"), ZoneState::installed);
    const std::string root = at("/zones/web02/root");
    EXPECT_EQ(*read_file(root + "/etc/machine-id", 100), "");
    EXPECT_EQ(*read_file(root + "/etc/hostname", 100), "web02\n");
    EXPECT_EQ(*read_file(root + "/etc/hosts", 100), "127.0.0.1\tlocalhost\n127.0.1.1\tweb02\n");
    EXPECT_FALSE(path_exists(root + "/var/lib/dbus/machine-id"));
    EXPECT_FALSE(path_exists(root + "/var/lib/systemd/random-seed"));
    EXPECT_FALSE(path_exists(root + "/tmp/left"));
    EXPECT_THAT(report->warnings, ElementsAre(HasSubstr("ssh host keys")));
    EXPECT_EQ(described("/zones/web02/root/usr"), described("/zones/web01/root/usr"));
    EXPECT_EQ(*read_file(at("/zones/web01/root/etc/hostname"), 100), "web01\n");
    struct stat info {};
    ASSERT_EQ(::stat(at("/zones/web02").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0700U);
    EXPECT_NE(store().find(name("web02"))->uuid, store().find(name("web01"))->uuid);
}

TEST_F(Place, IdentityFollowsNoLinkOfTheZone) {
    const std::string root = at("/zones/web01/root");
    write_file(at("/precious"), "mine");
    ASSERT_EQ(::unlink((root + "/etc/machine-id").c_str()), 0);
    ASSERT_EQ(::symlink("../../../../precious", (root + "/etc/machine-id").c_str()), 0);
    ASSERT_EQ(::unlink((root + "/etc/hosts").c_str()), 0);
    ASSERT_EQ(::symlink("../../../../precious", (root + "/etc/hosts").c_str()), 0);
    configure("web02");
    ASSERT_TRUE(clone("web02"));
    EXPECT_EQ(*read_file(at("/precious"), 100), "mine");
    ASSERT_TRUE(remove_tree(root + "/etc"));
    ASSERT_EQ(::symlink("../../../", (root + "/etc").c_str()), 0);
    configure("web03");
    ASSERT_TRUE(clone("web03"));
    EXPECT_FALSE(path_exists(at("/hostname")));
    EXPECT_FALSE(path_exists(at("/zones/hostname")));
}

TEST_F(Place, ACloneIsRefusedWhereSomethingIs) {
    configure("web02");
    ASSERT_TRUE(make_directories(at("/zones/web02"), 0700));
    write_file(at("/zones/web02/SUNWdetached.xml"), "<zone/>");
    EXPECT_THAT(text_of(clone("web02")), HasSubstr("a detached zone, of which only the manifest is left"));
    ASSERT_TRUE(make_directories(at("/zones/web02/root"), 0755));
    EXPECT_THAT(text_of(clone("web02")), HasSubstr("holds a detached zone"));
    ASSERT_EQ(::unlink(at("/zones/web02/SUNWdetached.xml").c_str()), 0);
    EXPECT_THAT(text_of(clone("web02")), HasSubstr("is not empty: it holds \"root\""));
    EXPECT_EQ(state("web02"), ZoneState::configured);
    ASSERT_TRUE(remove_tree(at("/zones/web02")));
    ASSERT_EQ(::symlink("/", at("/zones/web02").c_str()), 0);
    EXPECT_THAT(text_of(clone("web02")), HasSubstr("symbolic link"));
    ASSERT_EQ(::unlink(at("/zones/web02").c_str()), 0);
    EXPECT_EQ(state("web02"), ZoneState::configured);
    ASSERT_TRUE(make_directories(at("/open"), 0777));
    ASSERT_EQ(::chmod(at("/open").c_str(), 0777), 0);
    ZoneConfig config;
    config.name = "web02";
    config.zonepath = "/open/web02";
    ASSERT_TRUE(store().save_config(*store().lock(name("web02")), config));
    EXPECT_THAT(text_of(clone("web02")), HasSubstr("/open, which holds the zonepath, is not writable for root only"));
    EXPECT_EQ(state("web02"), ZoneState::configured);
}

TEST_F(Place, ACloneNeedsAnInstalledSourceThatIsAlikeAndOurs) {
    configure("sparse", {"/usr"});
    EXPECT_THAT(text_of(clone("sparse")), HasSubstr("zone web01 inherits nothing, but zone sparse /usr"));
    configure("web02");
    OwnerRecord record;
    record.zone = "web01";
    record.epoch = 2;
    record.state = Ownership::released;
    record.host = "host2";
    record.move_id = "m1";
    ASSERT_TRUE(OwnerStore(HostRoot(directory_.path())).save(record, "/zones/web01"));
    EXPECT_EQ(clone("web02").error().code(), Errc::not_owner);
    ASSERT_TRUE(OwnerStore(HostRoot(directory_.path())).remove(name("web01"), "/zones/web01"));
    if (bind_over("/zones/web01/root/usr")) {
        EXPECT_THAT(text_of(clone("web02")), HasSubstr("a file system is mounted in zone web01"));
    }
    for (const std::string& mount : mounts_) ASSERT_EQ(::umount2(mount.c_str(), 0), 0);
    mounts_.clear();
    set_state("web01", ZoneState::installed, ZoneState::incomplete);
    EXPECT_THAT(text_of(clone("web02")), HasSubstr("only an installed zone can be cloned"));
    EXPECT_FALSE(path_exists(at("/zones/web02")));
}

TEST_F(Place, AMoveOnOneFileSystemIsARename) {
    write_file(at("/zones/web01/other"), "somebody's");
    OwnerRecord record;
    record.zone = "web01";
    record.epoch = 2;
    record.host = "host1";
    ASSERT_TRUE(OwnerStore(HostRoot(directory_.path())).save(record, "/zones/web01"));
    const std::string before = described("/zones/web01/root");
    const std::string uuid = store().find(name("web01"))->uuid;
    const auto moved = relocate("/zones/new/place");
    ASSERT_TRUE(moved) << text_of(moved);
    EXPECT_FALSE(moved->copied);
    EXPECT_FALSE(path_exists(at("/zones/web01")));
    EXPECT_EQ(described("/zones/new/place/root"), before);
    EXPECT_EQ(store().find(name("web01"))->zonepath, "/zones/new/place");
    EXPECT_EQ(store().find(name("web01"))->uuid, uuid);
    EXPECT_EQ(store().config(name("web01"))->zonepath, "/zones/new/place");
    EXPECT_EQ(state("web01"), ZoneState::installed);
    EXPECT_THAT(*list_directory(at("/zones/new/place")), ElementsAre(".zoneferry-owner", "other", "root"));
    EXPECT_TRUE(may_boot(HostRoot(directory_.path()), name("web01"), "/zones/new/place"));
}

TEST_F(Place, AMoveBetweenFileSystemsCopiesEverythingComparesAndRemoves) {
    ASSERT_TRUE(make_directories(at("/other"), 0755));
    if (!bind_over("/other")) GTEST_SKIP() << "needs the right to mount";
    const std::string root = at("/zones/web01/root");
    if (::mknod((root + "/dev/null").c_str(), S_IFCHR | 0666, makedev(1, 3)) != 0) GTEST_SKIP() << "needs mknod";
    ASSERT_EQ(::mknod((root + "/tmp/socket").c_str(), S_IFSOCK | 0600, 0), 0);
    ASSERT_EQ(::setxattr((root + "/usr/tool").c_str(), "trusted.note", "y", 1, 0), 0);
    const std::string before = described("/zones/web01");
    const auto moved = relocate("/other/web01");
    ASSERT_TRUE(moved) << text_of(moved);
    EXPECT_TRUE(moved->copied);
    EXPECT_THAT(moved->notes, ElementsAre());
    EXPECT_FALSE(path_exists(at("/zones/web01")));
    EXPECT_EQ(described("/other/web01"), before);
    struct stat info {};
    ASSERT_EQ(::stat(at("/other/web01/root/dev/null").c_str(), &info), 0);
    EXPECT_EQ(info.st_rdev, makedev(1, 3));
    char value = 0;
    EXPECT_EQ(::getxattr(at("/other/web01/root/usr/tool").c_str(), "trusted.note", &value, 1), 1);
    EXPECT_EQ(value, 'y');
    EXPECT_EQ(store().config(name("web01"))->zonepath, "/other/web01");
}

TEST_F(Place, AMoveBetweenFileSystemsKeepsFileAttributes) {
    ASSERT_TRUE(make_directories(at("/other"), 0755));
    if (!bind_over("/other")) GTEST_SKIP() << "needs the right to mount";
    const std::string frozen = "/root/usr/frozen";
    write_file(at("/zones/web01" + frozen), "frozen\n");
    ASSERT_EQ(::link(at("/zones/web01" + frozen).c_str(), at("/zones/web01/root/usr/second").c_str()), 0);
    const auto attributes = [&](const std::string& path) {
        return read_file_attributes(open_file(at(path), O_RDONLY)->get()).value_or(FileAttributes());
    };
    const FileAttributes wanted{
        static_cast<std::uint32_t>(FileFlag::immutable) | static_cast<std::uint32_t>(FileFlag::no_dump), 0};
    for (const std::string& path : {frozen, std::string("/root/usr")}) {
        const auto left_out = apply_file_attributes(open_file(at("/zones/web01" + path), O_RDONLY)->get(), wanted);
        ASSERT_TRUE(left_out) << left_out.error().text();
        if (left_out->flags != 0) GTEST_SKIP() << "the file system has no immutable files";
    }
    const auto moved = relocate("/other/web01");
    EXPECT_TRUE(moved) << text_of(moved);
    for (const std::string& path : {frozen, std::string("/root/usr"), std::string("/root/usr/second")}) {
        EXPECT_EQ(attributes("/other/web01" + path), wanted) << path;
    }
}

TEST_F(Place, ACopyThatDiffersIsThrownAway) {
    ASSERT_TRUE(make_directories(at("/other"), 0755));
    if (!bind_over("/other")) GTEST_SKIP() << "needs the right to mount";
    const auto spoil = [&](const InstallProgress& progress) {
        if (progress.step == "comparing") write_file(at("/other/web01/root/usr/tool"), "fool");
    };
    const auto moved = relocate_zone(store(), *store().lock(name("web01")), "/other/web01", spoil);
    ASSERT_FALSE(moved);
    EXPECT_EQ(moved.error().code(), Errc::verify_failed);
    EXPECT_EQ(*read_file(at("/zones/web01/root/usr/tool"), 10), "tool");
    EXPECT_FALSE(path_exists(at("/other/web01")));
    EXPECT_EQ(store().config(name("web01"))->zonepath, "/zones/web01");
    EXPECT_TRUE(relocate("/other/web01"));
}

TEST_F(Place, ACopyThatCannotBeMadeLeavesTheZoneWhereItWas) {
    ASSERT_TRUE(make_directories(at("/other"), 0755));
    if (::mount("none", at("/other").c_str(), "tmpfs", 0, "size=256k,mode=0755") != 0)
        GTEST_SKIP() << "needs the right to mount";
    mounts_.push_back(at("/other"));
    write_file(at("/zones/web01/root/usr/big"), std::string(1 << 20, 'b'));
    const std::string before = described("/zones/web01");
    const auto moved = relocate("/other/web01");
    ASSERT_FALSE(moved);
    EXPECT_THAT(text_of(moved), HasSubstr("it stays where it was"));
    EXPECT_EQ(described("/zones/web01"), before);
    EXPECT_FALSE(path_exists(at("/other/web01")));
    EXPECT_EQ(store().config(name("web01"))->zonepath, "/zones/web01");
}

TEST_F(Place, AMoveIsRefusedWhereItWouldHarm) {
    configure("web02");
    EXPECT_THAT(text_of(relocate("/zones/web01/root/x")), HasSubstr("overlap"));
    EXPECT_THAT(text_of(relocate("/zones/web01")), HasSubstr("overlap"));
    EXPECT_THAT(text_of(relocate("/zones/web02/in")), HasSubstr("overlaps that of zone web02"));
    EXPECT_THAT(text_of(relocate("relative")), HasSubstr("plain path"));
    write_file(at("/zones/full/file"), "x");
    EXPECT_THAT(text_of(relocate("/zones/full")), HasSubstr("is not empty"));
    ASSERT_EQ(::symlink("zones", at("/link").c_str()), 0);
    EXPECT_THAT(text_of(relocate("/link/new")), HasSubstr("symbolic link"));
    if (bind_over("/zones/web01/root/usr")) {
        EXPECT_THAT(text_of(relocate("/zones/new")), HasSubstr("still mounted"));
    }
    OwnerRecord record;
    record.zone = "web01";
    record.epoch = 2;
    record.state = Ownership::frozen;
    record.host = "host2";
    ASSERT_TRUE(OwnerStore(HostRoot(directory_.path())).save(record, "/zones/web01"));
    EXPECT_EQ(relocate("/zones/new").error().code(), Errc::not_owner);
    EXPECT_EQ(store().config(name("web01"))->zonepath, "/zones/web01");
    EXPECT_FALSE(path_exists(at("/zones/new")));
    set_state("web01", ZoneState::installed, ZoneState::configured);
    EXPECT_THAT(text_of(relocate("/zones/new")), HasSubstr("only configured"));
}

TEST_F(Place, AMoveThatBrokeOffAfterTheRenameIsFinishedByTheSameCommand) {
    write_file(at("/zones/web01/.zoneferry-moving"), "zone=web01\nfrom=/zones/web01\nto=/zones/new\n");
    ASSERT_EQ(::rename(at("/zones/web01").c_str(), at("/zones/new").c_str()), 0);
    EXPECT_FALSE(relocate("/zones/elsewhere"));
    const auto moved = relocate("/zones/new");
    ASSERT_TRUE(moved) << text_of(moved);
    EXPECT_THAT(moved->notes, Contains(HasSubstr("had broken off")));
    EXPECT_EQ(store().config(name("web01"))->zonepath, "/zones/new");
    EXPECT_FALSE(path_exists(at("/zones/new/.zoneferry-moving")));
}

TEST_F(Place, ACopyThatBrokeOffIsClearedAwayAndMadeAnew) {
    ASSERT_TRUE(make_directories(at("/other/web01/root"), 0700));
    if (!bind_over("/other")) GTEST_SKIP() << "needs the right to mount";
    ASSERT_EQ(::chmod(at("/other/web01").c_str(), 0700), 0);
    write_file(at("/other/web01/root/part"), "par");
    const std::string marker = at("/other/web01/.zoneferry-copying");
    write_file(marker, "zone=web02\nfrom=/zones/web01\nto=/other/web01\n");
    EXPECT_THAT(text_of(relocate("/other/web01")), HasSubstr("is not empty"));  // another zone's
    write_file(marker, "zone=web01\nfrom=/zones/web01\nto=/other/web01\n");
    const std::string before = described("/zones/web01");
    const auto moved = relocate("/other/web01");
    ASSERT_TRUE(moved) << text_of(moved);
    EXPECT_THAT(moved->notes, Contains(HasSubstr("an earlier move had left")));
    EXPECT_EQ(described("/other/web01"), before);
    EXPECT_FALSE(path_exists(at("/zones/web01")));
}

TEST_F(Place, ComparisonSeesEveryDifference) {
    const std::string a = at("/zones/web01/root/usr");
    const std::string b = at("/b");
    const auto differs_after = [&](const std::vector<std::string>& command) {
        EXPECT_TRUE(remove_tree(b));
        EXPECT_TRUE(run_checked({"cp", "-a", a, b}));
        if (!command.empty()) {
            EXPECT_TRUE(run_checked(command));
        }
        const auto left = open_directory(a);
        const auto right = open_directory(b);
        const Status same = require_equal_trees(left->get(), right->get());
        return same ? std::string("equal") : same.error().text();
    };
    EXPECT_EQ(differs_after({}), "equal");
    EXPECT_THAT(differs_after({"rm", b + "/pipe"}), HasSubstr("the names in it"));
    EXPECT_THAT(differs_after({"chmod", "0755", b + "/tool"}), HasSubstr("\"tool\" differs: type or mode"));
    EXPECT_THAT(differs_after({"chown", "33:35", b + "/pipe"}), HasSubstr("owner"));
    EXPECT_THAT(differs_after({"touch", b + "/tool"}), HasSubstr("time"));
    EXPECT_THAT(differs_after({"ln", b + "/tool", at("/third")}), HasSubstr("number of names"));
    EXPECT_TRUE(remove_tree(at("/third")));
    EXPECT_THAT(differs_after({"setfattr", "-n", "user.note", "-v", "z", b + "/tool"}), HasSubstr("attributes"));
    EXPECT_THAT(differs_after({"ln", "-sfn", "tool2", b + "/way"}), HasSubstr("\"way\" differs"));
    EXPECT_THAT(differs_after({"truncate", "-s", "9", b + "/tool"}), HasSubstr("\"tool\" differs"));
    EXPECT_THAT(differs_after({"python3", "-c",
                               "import os,sys;p=sys.argv[1];s=os.stat(p);open(p,'r+').write('look');"
                               "os.utime(p,ns=(s.st_atime_ns,s.st_mtime_ns));os.chmod(p,0o4755)",
                               b + "/tool"}),
                HasSubstr("contents"));
}

TEST(Identity, OnlyTheZonesOwnLineOfHostsChanges) {
    EXPECT_EQ(hosts_with_name("127.0.0.1 localhost\n127.0.1.1 a.b a\n::1 x\n", "z"),
              "127.0.0.1 localhost\n127.0.1.1\tz\n::1 x\n");
    EXPECT_EQ(hosts_with_name("", "z"), "");
}

}  // namespace
}  // namespace zoneferry
