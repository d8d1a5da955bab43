// A Debian system's tree adjusted as a whole: what is changed, that it is backed up, done once, and never through a
// link.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>

#include "core/adjust/image_editor.h"
#include "tests/support/adjust_tree.h"

namespace zoneferry {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kBackups = "var/lib/zoneferry-p2v/";
constexpr const char* kFstab =
    "UUID=1234-5678 / ext4 errors=remount-ro 0 1\n/dev/sda5 none swap sw 0 0\nfs1:/home /home nfs rw\n";

class AdjustImage : public testing::Test {
protected:
    void SetUp() override {
        tree_.write("var/lib/dpkg/status", "");
        tree_.write("etc/fstab", kFstab, 0640);
        tree_.write("etc/exports", "/srv 192.0.2.0/24(rw) \\\n  *(ro)\n");
        tree_.write("etc/exports.d/more.exports", "/more *(ro)\n");
        tree_.write("etc/network/interfaces", "auto eth0\niface eth0 inet static\n  address 192.0.2.17/24\n");
        tree_.write("etc/systemd/network/10-nic.link", "[Match]\n");
        tree_.write("etc/systemd/network/20-nic.network", "[Match]\nName=eth1\n[Network]\nDHCP=yes\n");
        tree_.write("etc/udev/rules.d/70-persistent-net.rules", "x");
        for (const char* unit :
             {"systemd-udevd.service", "getty@.service", "nfs-server.service", "networking.service",
              "systemd-timesyncd.service", "nginx.service", "docker.service", "console-getty.service"}) {
            tree_.write(std::string("usr/lib/systemd/system/") + unit, "[Service]\nExecStart=-/sbin/x -\n");
        }
        tree_.write("etc/systemd/system/systemd-timesyncd.service", "[Service]\nExecStart=/own\n");
        tree_.link("lib", "usr/lib");
        tree_.write("etc/init.d/udev", "");
        tree_.link("etc/rcS.d/S02udev", "../init.d/udev");
        tree_.link("etc/runlevels/boot/hwclock", "/etc/init.d/hwclock");
        tree_.write("etc/zones/index", "# zones\ninner:installed:/export/zones/inner:\nbad:installed:/etc:\n");
        tree_.write("etc/zones/inner.xml", "<zone/>");
        tree_.write("export/zones/inner/root/etc/passwd", "inner");
        tree_.write("var/lib/machines/box/etc/os-release", "ID=box\n");
        tree_.write("etc/hostname", "old\n");
        tree_.write("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 old\n");
        tree_.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0444);
        tree_.write("etc/ssh/ssh_host_rsa_key", "SECRET", 0600);
        tree_.write("etc/shadow", "root:$y$SECRET:1:0:99999:7:::\n", 0640);
        tree_.write("usr/sbin/sshd", "");
        tree_.write("usr/bin/passwd", "");
        tree_.write("etc/resolv.conf", "nameserver 192.0.2.1\n");
        zone_.name = "web01";
        zone_.ip_type = IpType::exclusive;
        zone_.nets = {{"", "br0", ""}};
        keep_.date = "2026-11-22";
        unconfigure_ = keep_;
        unconfigure_.unconfigure = true;
    }

    Adjustments adjust(const AdjustChoices& choices) {
        auto done = tree_.adjust(zone_, choices);
        EXPECT_TRUE(done) << done.error().text();
        return done ? *done : Adjustments();
    }
    std::string refusal(const AdjustChoices& choices) {
        auto done = tree_.adjust(zone_, choices);
        return done ? "done" : done.error().text();
    }

    AdjustTree tree_;
    ZoneConfig zone_;
    AdjustChoices keep_;
    AdjustChoices unconfigure_;
};

TEST_F(AdjustImage, MakesTheFiveKindsOfChange) {
    const std::string told = shown(adjust(keep_));
    EXPECT_EQ(tree_.read("etc/fstab"),
              "# UUID=1234-5678 / ext4 errors=remount-ro 0 1\n# /dev/sda5 none swap sw 0 0\n"
              "fs1:/home /home nfs rw\n# Modified by p2v 2026-11-22\n");
    EXPECT_THAT(told,
                HasSubstr("mounts etc/fstab: commented out 2 local file systems [var/lib/zoneferry-p2v/etc/fstab]\n"));
    EXPECT_EQ(tree_.read("etc/exports"), "# /srv 192.0.2.0/24(rw) \\\n#   *(ro)\n# Modified by p2v 2026-11-22\n");
    EXPECT_THAT(tree_.read("etc/exports.d/more.exports"), HasSubstr("# /more"));
    EXPECT_EQ(tree_.read("etc/network/interfaces"),
              "# auto eth0\nauto net0\n# iface eth0 inet static\n"
              "iface net0 inet static\n  address 192.0.2.17/24\n# Modified by p2v 2026-11-22\n");
    EXPECT_EQ(tree_.read("etc/systemd/network/10-nic.link"), "<none>");
    EXPECT_EQ(tree_.read("etc/systemd/network/20-nic.network"), "<none>") << "the zone has one net only";
    EXPECT_THAT(told, HasSubstr("the zone has no net for eth1"));
    for (const char* masked : {"systemd-udevd.service", "getty@.service", "nfs-server.service", "docker.service",
                               "udev.service", "systemd-timesyncd.service"}) {
        EXPECT_EQ(tree_.read(std::string("etc/systemd/system/") + masked), "-> /dev/null") << masked;
    }
    for (const char* kept : {"networking.service", "nginx.service", "console-getty.service"}) {
        EXPECT_EQ(tree_.read(std::string("etc/systemd/system/") + kept), "<none>") << kept;
    }
    EXPECT_EQ(tree_.read("etc/rcS.d/K01udev"), "-> ../init.d/udev");
    EXPECT_EQ(tree_.read("etc/runlevels/boot/hwclock"), "<none>");
    EXPECT_EQ(tree_.read("export/zones/inner"), "<none>");
    EXPECT_EQ(tree_.read("etc/zones/inner.xml"), "<none>");
    EXPECT_EQ(tree_.read("etc/zones/index"),
              "# zones\n# inner:installed:/export/zones/inner:\n# bad:installed:/etc:\n"
              "# Modified by p2v 2026-11-22\n");
    EXPECT_THAT(told, HasSubstr("zone bad of the image lies in /etc, where nothing is deleted"));
    EXPECT_EQ(tree_.read("var/lib/machines/box/etc/os-release"), "ID=box\n");
    EXPECT_THAT(told, HasSubstr("/var/lib/machines holds containers"));
    for (const char* kind : {"services ", "network ", "nfs ", "mounts ", "nested "}) EXPECT_THAT(told, HasSubstr(kind));
    EXPECT_THAT(told, Not(HasSubstr("identity ")));
}

TEST_F(AdjustImage, KeepsABackupOfAllThatItEditsWithOwnerModeAndAttributes) {
    ASSERT_EQ(::setxattr(tree_.at("etc/fstab").c_str(), "user.note", "x", 1, 0), 0);
    ASSERT_EQ(::link(tree_.at("etc/fstab").c_str(), tree_.at("etc/fstab.link").c_str()), 0);
    const auto before = tree_.all();
    const Adjustments done = adjust(keep_);
    const auto after = tree_.all();
    for (const auto& [path, content] : before) {
        if (after.contains(path) && after.at(path) == content) continue;
        if (path.starts_with("export/zones/inner/") || path == "etc/rcS.d/S02udev") continue;  // deleted, renamed
        EXPECT_EQ(tree_.read(kBackups + path), content) << path;
        EXPECT_THAT(done.changes, Contains(testing::Field(&Change::backup, kBackups + path)));
    }
    struct stat info {};
    ASSERT_EQ(::stat(tree_.at("etc/fstab").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0640U);
    char note = ' ';
    EXPECT_EQ(::getxattr(tree_.at("etc/fstab").c_str(), "user.note", &note, 1), 1);
    EXPECT_EQ(tree_.read("etc/fstab.link"), kFstab) << "written through a hard link";
    ASSERT_EQ(::stat(tree_.at("var/lib/zoneferry-p2v").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0700U);
}

TEST_F(AdjustImage, ChangesNothingTheSecondTime) {
    for (const IpType type : {IpType::exclusive, IpType::shared}) {
        for (const AdjustChoices& choices : {keep_, unconfigure_}) {
            zone_.ip_type = type;
            adjust(choices);
            const auto once = tree_.all();
            EXPECT_EQ(shown({OsFamily::linux_debian, adjust(choices).changes, {}}), "");
            EXPECT_EQ(tree_.all(), once);
        }
    }
}

TEST_F(AdjustImage, ASharedStackTurnsTheImagesNetworkOff) {
    zone_.ip_type = IpType::shared;
    zone_.nets = {{"192.0.2.17/24", "eth0", ""}};
    adjust(keep_);
    EXPECT_EQ(tree_.read("etc/network/interfaces"),
              "# auto eth0\n# iface eth0 inet static\n#   address 192.0.2.17/24\n# Modified by p2v 2026-11-22\n");
    EXPECT_EQ(tree_.read("etc/systemd/network/20-nic.network"), "<none>");
    EXPECT_THAT(tree_.read(std::string(kBackups) + "etc/systemd/network/20-nic.network"), HasSubstr("eth1"));
    EXPECT_EQ(tree_.read("etc/systemd/system/networking.service"), "-> /dev/null");
}

TEST_F(AdjustImage, DeletesContainersOnRequest) {
    keep_.delete_containers = true;
    EXPECT_THAT(shown(adjust(keep_)), HasSubstr("nested var/lib/machines/box: container data deleted\n"));
    EXPECT_EQ(tree_.read("var/lib/machines/box"), "<none>");
}

TEST_F(AdjustImage, PreservesIdentityByteForByte) {
    const auto before = tree_.all();
    adjust(keep_);
    for (const char* path :
         {"etc/hostname", "etc/hosts", "etc/machine-id", "etc/ssh/ssh_host_rsa_key", "etc/shadow", "etc/resolv.conf"}) {
        EXPECT_EQ(tree_.read(path), before.at(path)) << path;
    }
}

TEST_F(AdjustImage, UnconfiguresWithoutATraceOfTheOldIdentity) {
    tree_.write("var/lib/systemd/random-seed", "SECRET");
    tree_.write("etc/shadow-", "root:$y$SECRET:1:0:99999:7:::\n");
    tree_.link("var/lib/dbus/machine-id", "/etc/machine-id");
    const std::string told = shown(adjust(unconfigure_));
    EXPECT_THAT(told, HasSubstr("identity etc/hostname: host name: web01\n"));
    for (const auto& [path, content] : tree_.all()) {
        EXPECT_THAT(content, Not(HasSubstr("SECRET"))) << path;
        EXPECT_THAT(content, Not(HasSubstr("192.0.2.17"))) << path;
        EXPECT_THAT(content, Not(HasSubstr("0123456789abcdef"))) << path;
        EXPECT_NE(content, "old\n") << path;
    }
    EXPECT_EQ(tree_.read("etc/hostname"), "web01\n");
    EXPECT_EQ(tree_.read("etc/hosts"), "127.0.0.1 localhost\n127.0.1.1\tweb01\n");
    EXPECT_EQ(tree_.read("etc/machine-id"), "");
    EXPECT_EQ(tree_.read("var/lib/dbus/machine-id"), "-> /etc/machine-id");
    EXPECT_EQ(tree_.read("etc/shadow"), "root:*::0:99999:7:::\n");
    EXPECT_EQ(tree_.read("etc/.UNCONFIGURED"), "");
    EXPECT_THAT(tree_.read("etc/zoneferry/first-boot"), HasSubstr("passwd root"));
    EXPECT_THAT(tree_.read("etc/systemd/system/console-getty.service.d/zoneferry-first-boot.conf"),
                HasSubstr("ExecStart=-/etc/zoneferry/first-boot /sbin/x -"));
    EXPECT_EQ(tree_.read("etc/systemd/system/multi-user.target.wants/zoneferry-ssh-host-keys.service"),
              "-> /etc/systemd/system/zoneferry-ssh-host-keys.service");
    EXPECT_EQ(tree_.read("etc/resolv.conf"), "<none>");
}

TEST_F(AdjustImage, TakesTheAnswersOfASysidFile) {
    unconfigure_.sysid =
        Sysid{"db01", "$6$salt$hash01234", "Europe/Zurich", "de_CH.UTF-8", {"192.0.2.53"}, "example.org"};
    adjust(unconfigure_);
    EXPECT_EQ(tree_.read("etc/hostname"), "db01\n");
    EXPECT_EQ(tree_.read("etc/shadow"), "root:$6$salt$hash01234::0:99999:7:::\n");
    EXPECT_EQ(tree_.read("etc/localtime"), "-> /usr/share/zoneinfo/Europe/Zurich");
    EXPECT_EQ(tree_.read("etc/default/locale"), "LANG=de_CH.UTF-8\n");
    EXPECT_EQ(tree_.read("etc/resolv.conf"), "search example.org\nnameserver 192.0.2.53\n");
    EXPECT_EQ(tree_.read("etc/.UNCONFIGURED"), "<none>") << "nothing is left to ask";
}

// --- hostile images

class HostileImage : public AdjustImage {
protected:
    void SetUp() override {
        AdjustImage::SetUp();
        outside_.write("etc/fstab", kFstab);
        outside_.write("root/etc/passwd", "outside");
    }
    void replace(const std::string& path, const std::string& target) {
        ASSERT_TRUE(remove_tree(tree_.at(path)));
        tree_.link(path, target);
    }
    AdjustTree outside_;
};

TEST_F(HostileImage, LinkedSystemDirectoriesAreRefused) {
    for (const char* directory : {"etc", "usr", "var"}) {
        const std::string moved = std::string(directory) + ".moved";
        ASSERT_EQ(::rename(tree_.at(directory).c_str(), tree_.at(moved).c_str()), 0);
        tree_.link(directory, moved);
        EXPECT_THAT(refusal(keep_),
                    HasSubstr("/" + std::string(directory) + " is missing, or is no directory of its own"));
        ASSERT_EQ(::unlink(tree_.at(directory).c_str()), 0);
        ASSERT_EQ(::rename(tree_.at(moved).c_str(), tree_.at(directory).c_str()), 0);
    }
}

TEST_F(HostileImage, LinkedFilesAreLeftAlone) {
    const auto before = outside_.all();
    replace("etc/fstab", outside_.at("etc/fstab"));
    replace("etc/exports", "../" + outside_.at("etc/fstab"));
    replace("etc/hosts", outside_.at("etc/fstab"));
    replace("etc/shadow", outside_.at("etc/fstab"));
    replace("etc/network", outside_.at("etc"));
    replace("etc/exports.d", outside_.at("etc"));
    replace("export/zones", outside_.path());
    const Adjustments done = adjust(unconfigure_);
    EXPECT_EQ(outside_.all(), before);
    EXPECT_THAT(done.warnings, Contains(HasSubstr("/etc/fstab is a symbolic link: it was left alone")));
    EXPECT_THAT(done.warnings, Contains(HasSubstr("/etc/network/interfaces lies behind a symbolic link")));
    EXPECT_THAT(done.warnings, Contains(HasSubstr("/etc/exports.d is no directory of its own")));
}

TEST_F(HostileImage, LinksWhereOursWouldBeWrittenAreRefusedOrReplaced) {
    const auto before = outside_.all();
    replace("etc/hostname", outside_.at("etc/fstab"));
    replace("etc/machine-id", outside_.at("etc/fstab"));
    adjust(unconfigure_);
    EXPECT_EQ(tree_.read("etc/hostname"), "web01\n");
    EXPECT_EQ(tree_.read("etc/machine-id"), "");
    EXPECT_EQ(outside_.all(), before);
    for (const char* path : {"etc/systemd/system", "var/lib/zoneferry-p2v"}) {
        tree_.write("etc/fstab", kFstab);
        replace(path, outside_.at("etc"));
        EXPECT_THAT(refusal(keep_), HasSubstr("of the image is no directory of its own")) << path;
        EXPECT_EQ(outside_.all(), before) << path;
        ASSERT_EQ(::unlink(tree_.at(path).c_str()), 0);
    }
}

TEST_F(HostileImage, SpecialAndHugeFilesAreLeftAlone) {
    ASSERT_EQ(::unlink(tree_.at("etc/exports").c_str()), 0);
    ASSERT_EQ(::mkfifo(tree_.at("etc/exports").c_str(), 0644), 0);
    ASSERT_EQ(::truncate(tree_.at("etc/fstab").c_str(), off_t{10} << 30), 0);
    ASSERT_TRUE(remove_tree(tree_.at("etc/hosts")));
    tree_.directory("etc/hosts");
    const Adjustments done = adjust(keep_);
    EXPECT_THAT(done.warnings, Contains("/etc/exports is no regular file: it was left alone"));
    EXPECT_THAT(done.warnings, Contains("/etc/fstab has 10.0 GiB: it was left alone"));
}

TEST_F(HostileImage, AZonepathThroughALinkDeletesNothing) {
    tree_.link("zones", outside_.path());
    tree_.write("etc/zones/index",
                "a:installed:/zones/a:\nb:installed:/zones/..:\nc:installed:/:\nd:installed://srv/d:\n");
    tree_.write("srv/d/root/x", "x");
    outside_.write("a/root/x", "x");
    const auto before = outside_.all();
    adjust(keep_);
    EXPECT_EQ(outside_.all(), before);
    EXPECT_EQ(tree_.read("srv/d/root/x"), "x");
}

TEST_F(HostileImage, AnotherSystemIsRefused) {
    ASSERT_EQ(::unlink(tree_.at("var/lib/dpkg/status").c_str()), 0);
    EXPECT_THAT(refusal(keep_), HasSubstr("neither /var/lib/dpkg/status (Debian family) nor"));
}

}  // namespace
}  // namespace zoneferry
