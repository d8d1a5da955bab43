// Installing from an image, the library: what is refused before anything is touched, what a failure leaves, both
// passes over an archive, the kinds of sources. Whole images that boot: tests/e2e/p2v_test.py and p2v_install_test.py.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <thread>

#include "core/base/process.h"
#include "core/image/archive_image.h"
#include "core/image/image_survey.h"
#include "core/p2v/image_check.h"
#include "core/p2v/image_cost.h"
#include "core/p2v/p2v_install.h"
#include "core/p2v/scan.h"
#include "tests/support/fake_packages.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class P2vInstall : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "installing a zone needs root (owners, modes)";
        ASSERT_EQ(::chmod(host("").c_str(), 0755), 0);
        make_dpkg_system(host(""), {{"dpkg", "1.21"}, {"tool", "1.0"}, {"linux-image-6.1", "6.1.1"}});
        make_dpkg_system(host("/image"), {{"dpkg", "1.21"}, {"tool", "1.0"}});
        ZoneConfig config;
        config.name = "web01";
        config.zonepath = "/zones/web01";
        lock_.emplace(*store_.lock(name_));
        ASSERT_TRUE(store_.create(*lock_, config));
    }
    void TearDown() override {
        if (is_mounted_) ::umount2(host("/zones").c_str(), MNT_DETACH);
    }

    std::string host(const std::string& path) const { return directory_.path() + path; }
    std::string in_zone(const std::string& path) const { return host("/zones/web01/root/" + path); }
    std::string run(const std::string& script) {
        auto done = run_process({"sh", "-ec", script, "sh", host("/image"), host("/archive")});
        EXPECT_TRUE(done && done->exit_status == 0) << script << "\n" << (done ? done->output : done.error().text());
        return done ? done->output : "";
    }
    void make_archive() { run("tar -C \"$1\" -cf \"$2\" ."); }
    P2vOutcome install(const InstallSource& source) {
        P2vOptions options;
        options.at_step = [this](const std::string& step) {
            steps_.push_back(step);
            if (step != fail_after_) return;
            EXPECT_EQ(::unlink(in_zone("var/lib/dpkg/status").c_str()), 0);
        };
        return install_image(HostRoot(host("")), *lock_, source, options);
    }
    void expect_empty() {
        EXPECT_EQ(store_.find(name_)->state, ZoneState::configured);
        const auto names = list_directory(host("/zones/web01"));
        EXPECT_TRUE(!names || names->empty());
        EXPECT_THAT(*list_directory(host("/var/lib/zoneferry/installs")), IsEmpty());
    }
    void expect_refused(const P2vOutcome& outcome, const std::string& code, const std::string& words) {
        EXPECT_EQ(outcome.end, P2vEnd::refused);
        ASSERT_TRUE(outcome.error);
        EXPECT_THAT(outcome.error->text(), HasSubstr(words));
        EXPECT_FALSE(outcome.error->remedy_text().empty());
        if (!code.empty()) {
            ASSERT_FALSE(outcome.findings.empty());
            EXPECT_EQ(outcome.findings.front().code, code);
        }
        EXPECT_THAT(steps_, IsEmpty()) << "it had begun";
        EXPECT_EQ(store_.find(name_)->state, ZoneState::configured);
    }

    TempDirectory directory_;
    ZoneStore store_{HostRoot(directory_.path())};
    ZoneName name_ = *ZoneName::create("web01");
    std::optional<ZoneLock> lock_;
    std::vector<std::string> steps_;
    std::string fail_after_;
    bool is_mounted_ = false;
};

TEST_F(P2vInstall, FromEverySource) {
    make_archive();
    const UniqueFd stream = *open_file(host("/archive"), O_RDONLY);
    for (const InstallSource& source :
         {InstallSource(ImageArchive{"/archive"}), InstallSource(ImageStream{stream.get()}),
          InstallSource(ImageDirectory{"/image"})}) {
        const P2vOutcome outcome = install(source);
        ASSERT_EQ(outcome.end, P2vEnd::installed) << outcome.error->text();
        EXPECT_EQ(store_.find(name_)->state, ZoneState::installed);
        EXPECT_EQ(steps_, (std::vector<std::string>{"checked", "unpacked", "updated", "adjusted"}));
        EXPECT_EQ(*read_file(in_zone("usr/lib/systemd/systemd"), 100), "an init");
        const std::string log = *read_file(in_zone("var/log/zoneferry-install.log"), 1 << 20);
        EXPECT_THAT(log, HasSubstr("sanity check: passed, Debian 12, 2 packages"));
        EXPECT_THAT(*read_file(host("/var/log/zoneferry/zones/web01.install.log"), 1 << 20),
                    HasSubstr("Result: installed"));
        steps_.clear();
        ASSERT_TRUE(remove_tree(host("/zones/web01/root")));
        ASSERT_TRUE(store_.change_state(*lock_, ZoneState::installed, ZoneState::configured));
    }
}

TEST_F(P2vInstall, AnImageInPlaceIsKeptWhateverHappens) {
    ASSERT_TRUE(make_directories(host("/zones/web01"), 0755));
    ASSERT_EQ(::chmod(host("/zones/web01").c_str(), 0700), 0);
    ASSERT_EQ(::rename(host("/image").c_str(), host("/zones/web01/root").c_str()), 0);
    fail_after_ = "unpacked";
    const P2vOutcome failed = install(ImageInPlace{});
    EXPECT_EQ(failed.end, P2vEnd::undone);
    EXPECT_EQ(store_.find(name_)->state, ZoneState::configured);
    EXPECT_TRUE(path_exists(in_zone("usr/lib/systemd/systemd")));
    write_file(in_zone("var/lib/dpkg/status"), fake_dpkg_status({{"dpkg", "1.21"}, {"tool", "1.0"}}));
    fail_after_.clear();
    write_file(host("/zones/web01/notes"), "mine");
    steps_.clear();
    expect_refused(install(ImageInPlace{}), "", "holds \"notes\" beside root");
    ASSERT_TRUE(remove_file(host("/zones/web01/notes")));
    const P2vOutcome outcome = install(ImageInPlace{});
    ASSERT_EQ(outcome.end, P2vEnd::installed) << outcome.error->text();
}

TEST_F(P2vInstall, WhatIsNoSystemIsRefused) {
    run("rm -r \"$1/usr/lib/systemd\"");
    make_archive();
    expect_refused(install(ImageArchive{"/archive"}), "IMAGE_NO_SYSTEM", "it has no /sbin/init");
    expect_refused(install(ImageDirectory{"/image"}), "IMAGE_NO_SYSTEM", "it has no /sbin/init");
    run("ln -s ../lib/init \"$1/bin/init\"; mkdir \"$1/sbin\"; ln -s /lib/systemd/systemd \"$1/sbin/init\"");
    EXPECT_EQ(install(ImageDirectory{"/image"}).end, P2vEnd::installed);
}

TEST_F(P2vInstall, ANewerImageIsRefusedWithTheList) {
    make_dpkg_system(host("/image"), {{"dpkg", "1.22"}, {"tool", "1:0.1"}, {"other", "9"}, {"linux-image-6.1", "6.9"}});
    make_archive();
    const P2vOutcome outcome = install(ImageArchive{"/archive"});
    expect_refused(outcome, "IMAGE_PACKAGE_NEWER", "package tool (1:0.1) is newer than this host's (1.0)");
    EXPECT_EQ(outcome.findings.size(), 2U) << "dpkg and tool; not other, which is not here, and not a kernel";
    expect_empty();
    EXPECT_THAT(*read_file(host("/var/log/zoneferry/zones/web01.install.log"), 1 << 20),
                HasSubstr("IMAGE_PACKAGE_NEWER: the image's package dpkg (1.22) is newer"));
    make_dpkg_system(host("/image"), {{"dpkg", "1.21"}}, "13");
    make_archive();
    expect_refused(install(ImageArchive{"/archive"}), "IMAGE_OS_NEWER",
                   "Debian 13, is newer than this host's, Debian 12");
    make_dpkg_system(host("/image"), {{"dpkg", "1.21"}}, "9");
    EXPECT_EQ(install(ImageDirectory{"/image"}).end, P2vEnd::installed) << "9 is older than 12";
}

TEST_F(P2vInstall, AStreamIsJudgedOnceItIsUnpacked) {
    make_dpkg_system(host("/image"), {{"dpkg", "1.22"}});
    make_archive();
    const std::string archive = *read_file(host("/archive"), 16 << 20);
    int ends[2] = {-1, -1};
    ASSERT_EQ(::pipe(ends), 0);
    const UniqueFd in(ends[0]);
    UniqueFd out(ends[1]);
    ASSERT_GT(::fcntl(out.get(), F_SETPIPE_SZ, 1 << 20), static_cast<int>(archive.size()));
    ASSERT_TRUE(write_all(out.get(), as_bytes(archive)));
    out.reset();
    const P2vOutcome outcome = install(ImageStream{in.get()});
    EXPECT_EQ(outcome.end, P2vEnd::undone);
    ASSERT_FALSE(outcome.findings.empty()) << outcome.error->text();
    EXPECT_EQ(outcome.findings.front().code, "IMAGE_PACKAGE_NEWER");
    EXPECT_EQ(store_.find(name_)->state, ZoneState::configured);
    EXPECT_THAT(*list_directory(host("/zones/web01")), IsEmpty());
}

TEST_F(P2vInstall, AnotherArchitectureOrDistributionIsRefused) {
    make_dpkg_system(host("/image"), {{"dpkg", "1.21", {}, "arm64"}});
    expect_refused(install(ImageDirectory{"/image"}), "IMAGE_ARCHITECTURE", "are for arm64, this host's for amd64");
    write_file(host("/image/etc/os-release"), "ID=ubuntu\nVERSION_ID=\"9\"\nPRETTY_NAME='Ubuntu 9'\n");
    expect_refused(install(ImageDirectory{"/image"}), "IMAGE_OS_DIFFERS", "the image is Ubuntu 9");
}

// Every 1/50 of an archive, and every file of it is small: found by the first pass, nothing is touched.
TEST_F(P2vInstall, ACutArchiveIsRefusedBeforeAnythingIsTouched) {
    run("cd \"$1\"; find . | cpio -o --quiet -H newc | gzip > \"$2\"");
    const std::string whole = *read_file(host("/archive"), 16 << 20);
    for (std::size_t part = 0; part < 50; ++part) {
        write_file(host("/archive"), whole.substr(0, whole.size() * part / 50));
        expect_refused(install(ImageArchive{"/archive"}), "", "cannot be read");
    }
    expect_empty();
}

TEST_F(P2vInstall, SparseZonesAndOddPathsAreRefused) {
    make_archive();
    ASSERT_EQ(::mkfifo(host("/pipe").c_str(), 0600), 0);
    expect_refused(install(ImageArchive{"archive"}), "", "must be an absolute path");
    expect_refused(install(ImageArchive{"/pipe"}), "", "is not a regular file");
    EXPECT_EQ(install(ImageArchive{"/nothing"}).end, P2vEnd::refused);
    EXPECT_EQ(install(ImageDirectory{"/archive"}).end, P2vEnd::refused);
    ZoneConfig config = *store_.config(name_);
    config.inherited_directories = {"/usr"};
    ASSERT_TRUE(store_.save_config(*lock_, config));
    expect_refused(install(ImageArchive{"/archive"}), "", "can only fill a whole-root zone");
}

// 24 MiB for the zone: an image with a hole of 1 GiB fits, one with 40 MiB of data is refused before it is unpacked,
// and from a stream, which cannot be measured first, it fails and leaves nothing.
TEST_F(P2vInstall, RoomIsMeasuredFirst) {
    ASSERT_TRUE(make_directories(host("/zones"), 0755));
    const std::string script = "truncate -s 96M " + host("/disk") + "; mkfs.ext4 -q -N 200 -F " + host("/disk") +
                               "; mount -o loop " + host("/disk") + " " + host("/zones");
    if (const auto made = run_process({"sh", "-ec", script}); !made || made->exit_status != 0)
        GTEST_SKIP() << "no loop devices here";
    is_mounted_ = true;
    run("truncate -s 1G \"$1/var/sparse\"; tar -S -C \"$1\" -cf \"$2\" .");
    for (const InstallSource& source :
         {InstallSource(ImageArchive{"/archive"}), InstallSource(ImageDirectory{"/image"})}) {
        const P2vOutcome outcome = install(source);
        ASSERT_EQ(outcome.end, P2vEnd::installed) << outcome.error->text();
        ASSERT_TRUE(remove_tree(host("/zones/web01/root")));
        ASSERT_TRUE(store_.change_state(*lock_, ZoneState::installed, ZoneState::configured));
        steps_.clear();
    }
    run("dd if=/dev/zero of=\"$1/var/big\" bs=1M count=40 status=none; tar -S -C \"$1\" -cf \"$2\" .");
    expect_refused(install(ImageArchive{"/archive"}), "", "but the image wants 40");
    expect_refused(install(ImageDirectory{"/image"}), "", "but the image wants 40");
    steps_.clear();
    int ends[2] = {-1, -1};
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    UniqueFd in(ends[0]);
    std::jthread feeder([this, out = std::make_shared<UniqueFd>(ends[1])] {
        const std::string archive = *read_file(host("/archive"), 256 << 20);
        (void)write_all(out->get(), as_bytes(archive));  // ends early: the reader gives up
    });
    std::signal(SIGPIPE, SIG_IGN);
    const P2vOutcome full = install(ImageStream{in.get()});
    in.reset();
    EXPECT_EQ(full.end, P2vEnd::undone);
    EXPECT_EQ(full.error->code(), Errc::no_space) << full.error->text();
    EXPECT_EQ(steps_, std::vector<std::string>{"checked"});
    EXPECT_EQ(store_.find(name_)->state, ZoneState::configured);
    EXPECT_THAT(*list_directory(host("/zones/web01")), IsEmpty());
    steps_.clear();
    run("rm \"$1/var/big\"; cd \"$1/var\"; seq -f f%g 300 | xargs touch; tar -S -C \"$1\" -cf \"$2.many\" .");
    expect_refused(install(ImageArchive{"/archive.many"}), "", "free inodes, but the image wants");
    expect_refused(install(ImageDirectory{"/image"}), "", "free inodes, but the image wants");
    expect_empty();
}

TEST_F(P2vInstall, AFailureAfterUnpackingLeavesNothing) {
    make_archive();
    for (const char* step : {"unpacked", "updated"}) {
        steps_.clear();
        fail_after_ = step;
        const P2vOutcome outcome = install(ImageArchive{"/archive"});
        if (std::string(step) == "updated" && outcome.end == P2vEnd::installed) {
            continue;  // nothing looks at the database any more
        }
        EXPECT_EQ(outcome.end, P2vEnd::undone) << step;
        EXPECT_FALSE(outcome.error->text().empty());
        expect_empty();
    }
}

// The survey counts what the tree will take: against what it then takes.
TEST_F(P2vInstall, TheSurveyCountsWhatTheTreeTakes) {
    run("cd \"$1\"; mkdir many; for i in 1 2 3; do echo $i > many/$i; ln many/$i many/l$i; ln -s $i many/s$i; done; "
        "truncate -s 9M many/hole; dd if=/dev/zero of=many/hole bs=1 count=5000 seek=5000000 conv=notrunc status=none");
    for (const char* how :
         {"tar -S -C \"$1\" -cf \"$2\" .", "cd \"$1\"; rm -f many/hole; find . | cpio -o --quiet -H newc > \"$2\"",
          "cd \"$1\"; find . | cpio -o --quiet -H odc > \"$2\""}) {
        run(how);
        const UniqueFd image = *open_directory(host("/image"));
        const ImageCost wanted = *directory_cost(image.get(), PackageSystem::dpkg);
        ASSERT_TRUE(remove_tree(host("/kept")));
        ASSERT_TRUE(make_directories(host("/kept"), 0700));
        ImageWriter kept = *ImageWriter::create(*open_directory(host("/kept")));
        ImageSurvey survey(kept, PackageSystem::dpkg);
        InstallReport report;
        const UniqueFd archive = *open_file(host("/archive"), O_RDONLY);
        const Status done = unpack_image(archive.get(), survey, report, {});
        ASSERT_TRUE(done) << done.error().text();
        EXPECT_EQ(survey.cost().inodes, wanted.inodes + 1) << how;  // and the root itself
        EXPECT_NEAR(static_cast<double>(survey.cost().bytes), static_cast<double>(wanted.bytes), 32768.0) << how;
        EXPECT_EQ(*read_file(host("/kept/var/lib/dpkg/status"), 1 << 20),
                  *read_file(host("/image/var/lib/dpkg/status"), 1 << 20));
        EXPECT_FALSE(path_exists(host("/kept/many")));
    }
}

TEST_F(P2vInstall, ScanOfATree) {
    make_dpkg_host(host("/image"), {{"dpkg", "1.21"}, {"tool", "1.0"}, {"docker.io", "20"}, {"grub-pc", "2"}});
    write_file(host("/image/etc/hostname"), "old-server\n");
    write_file(host("/image/etc/fstab"),
               "UUID=1 / ext4 rw 0 1\n/dev/sdb1 /srv/data xfs rw 0 2\nhost:/x /mnt nfs rw 0 0\n");
    write_file(host("/image/etc/network/interfaces"),
               "auto lo\niface lo inet loopback\niface eth0 inet static\n  address 192.0.2.7\n  netmask 255.255.255.0\n"
               "  gateway 192.0.2.1\n");
    write_file(host("/image/etc/exports"), "# nothing\n/srv *(ro)\n");
    write_file(host("/image/etc/modules"), "# comment\nwireguard\n");
    write_file(host("/image/etc/sysctl.d/a.conf"), "vm.swappiness = 10\nnet.core.somaxconn=1\n");
    write_file(host("/image/var/lib/lxc/c1/config"), "x");
    write_file(host("/image/etc/zones/index"), "global:installed:/\ninner:installed:/zones/inner:\n");
    const UniqueFd root = *open_directory(host("/image"));
    const auto scan = scan_system(root.get(), false);
    ASSERT_TRUE(scan) << scan.error().text();
    std::vector<std::string> seen;
    for (const Finding& finding : scan->findings) {
        EXPECT_FALSE(finding.remedy.empty()) << finding.code;
        if (finding.code == "P2V_CHANGE" || finding.code == "P2V_ATTENTION") continue;  // adjust_programs_test
        seen.push_back(finding.code + " " + finding.subject);
    }
    EXPECT_THAT(seen, testing::UnorderedElementsAre(
                          "P2V_SOFTWARE docker.io", "P2V_SOFTWARE grub-pc", "P2V_LOCAL_FS /srv/data",
                          "P2V_NETWORK eth0", "P2V_MODULE wireguard", "P2V_NFS_SERVER exports",
                          "P2V_CONTAINERS /var/lib/lxc", "P2V_CONTAINERS inner", "P2V_SYSCTL vm.swappiness"));
    EXPECT_FALSE(is_blocked(scan->findings));
    EXPECT_THAT(zonecfg_template(*scan),
                HasSubstr("add net\nset physical=br0\nset address=192.0.2.7/24\nset defrouter=192.0.2.1\nend\n"));
    run("rm -r \"$1/usr/lib/systemd\"");
    EXPECT_TRUE(is_blocked(scan_system(root.get(), false)->findings));
}

TEST(P2vScanTexts, NetworksAndMounts) {
    using Addresses = std::vector<ScannedAddress>;
    EXPECT_EQ(ifupdown_addresses("iface eth0 inet dhcp\niface eth1 inet6 static\naddress 2001:db8::7/64\n"),
              (Addresses{{"eth0", "", ""}, {"eth1", "2001:db8::7/64", ""}}));
    EXPECT_EQ(ifupdown_addresses("iface eth0 inet static\n address 192.0.2.7/24\nauto eth1\n gateway 1.2.3.4\n"),
              (Addresses{{"eth0", "192.0.2.7/24", ""}}));
    EXPECT_EQ(networkd_addresses("[Match]\nName=en*\n[Network]\nAddress = 192.0.2.7/24\nGateway=192.0.2.1\n"),
              (Addresses{{"en*", "192.0.2.7/24", "192.0.2.1"}}));
    EXPECT_EQ(networkd_addresses("[Match]\nName=en0\n[Network]\nDHCP=yes\n"), (Addresses{{"en0", "", ""}}));
    EXPECT_EQ(networkd_addresses("[Match]\nName=en0\n[Network]\nBridge=br0\n"), Addresses{});
    EXPECT_EQ(fstab_mounts("proc /proc proc\n/dev/a none swap sw 0 0\n/dev/b /boot vfat\nx\n#/dev/c /c ext4\n"),
              (std::vector<ScannedMount>{{"/dev/b", "/boot", "vfat"}}));
}

TEST(ImageFindings, OfSolarisSystems) {
    ImageFacts host;
    host.system = PackageSystem::svr4;
    host.release = {"solaris", "10", "Solaris 10"};
    host.architecture = "sparc";
    host.packages.system = PackageSystem::svr4;
    KnownPackage core;
    core.package = {"SUNWcore", "11.10.0,REV=2005.01.21", DependencyReason::all_zones, {}};
    host.packages.packages = {core};
    ImageFacts image = host;
    EXPECT_THAT(image_findings(image, host), IsEmpty());
    image.packages.packages[0].package.version = "11.10.0,REV=2006.01.21";
    image.release = {"solaris", "11", "Solaris 11"};
    image.architecture = "i386";
    const auto findings = image_findings(image, host);
    ASSERT_EQ(findings.size(), 3U);
    EXPECT_EQ(findings[0].code, "IMAGE_OS_NEWER");
    EXPECT_EQ(findings[1].code, "IMAGE_ARCHITECTURE");
    EXPECT_EQ(findings[2].code, "IMAGE_PACKAGE_NEWER");
    EXPECT_THAT(image_refusal(findings).text(), HasSubstr("SUNWcore (11.10.0,REV=2006.01.21)"));
}

}  // namespace
}  // namespace zoneferry
