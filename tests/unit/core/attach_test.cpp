#include "core/attach/attach.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/attach/detach.h"
#include "core/attach/host_check.h"
#include "core/attach/zone_tree.h"
#include "core/zone/owner_record.h"
#include "tests/support/fake_packages.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ZoneName web01() { return *ZoneName::create("web01"); }

// A host below a directory: dpkg, one package in /usr, one sparse zone.
class Host {
public:
    explicit Host(const std::string& version = "1.0") {
        EXPECT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
        set_version(version);
        EXPECT_TRUE(make_directories(path("/zones"), 0755));
    }

    void set_version(const std::string& version) {
        make_dpkg_host(directory_.path(),
                       {{"tool", version, {"/usr", "/usr/tool"}}, {"own", "1", {"/etc", "/etc/own"}}});
    }

    void make_tree() {
        ASSERT_TRUE(make_directories(path("/zones/web01"), 0700));
        ASSERT_TRUE(make_directories(path("/zones/web01/root"), 0755));
    }

    static ZoneConfig config() {
        ZoneConfig config;
        config.name = "web01";
        config.zonepath = "/zones/web01";
        config.inherited_directories = {"/usr"};
        return config;
    }

    ZoneLock lock() { return *ZoneStore(root()).lock(web01()); }

    void configure(ZoneState state) {
        const ZoneLock held = lock();
        ZoneStore store(root());
        ASSERT_TRUE(store.create(held, config()));
        if (state == ZoneState::configured) return;
        ASSERT_TRUE(store.change_state(held, ZoneState::configured, state));
    }

    Status detach(ZoneState now = ZoneState::installed) { return detach_zone(root(), lock(), web01(), now); }
    Result<AttachOutcome> attach(bool force = false) {
        AttachOptions options;
        options.force = force;
        return attach_zone(root(), lock(), web01(), options);
    }
    ZoneState state() { return ZoneStore(root()).find(web01())->state; }
    bool has(const std::string& file) { return path_exists(path("/zones/web01/" + file)); }

    HostRoot root() const { return HostRoot(directory_.path()); }
    std::string path(const std::string& absolute) const { return directory_.path() + absolute; }

private:
    TempDirectory directory_;
};

class Attach : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: zonepaths belong to root";
    }
};

template <class T>
std::string text_of(const Result<T>& result) {
    return result ? "no error" : result.error().text();
}

TEST_F(Attach, AZoneGoesFromHostToHostAndItsManifestGoesWithIt) {
    Host source;
    source.make_tree();
    source.configure(ZoneState::installed);
    const Status detached = source.detach();
    ASSERT_TRUE(detached) << detached.error().text();
    EXPECT_EQ(source.state(), ZoneState::configured);
    const auto manifest = read_manifest(source.root(), "/zones/web01");
    ASSERT_TRUE(manifest) << text_of(manifest);
    EXPECT_EQ(manifest->source.package_architecture, "amd64");
    ASSERT_EQ(manifest->inventory.packages.size(), 1U);
    EXPECT_EQ(manifest->inventory.packages[0].name, "tool");

    Host target;
    target.make_tree();
    ASSERT_TRUE(write_manifest(target.root(), "/zones/web01", *manifest));
    std::vector<std::string> notes;
    const auto config = config_from_detached(target.root(), "/zones/web01", web01(), notes);
    ASSERT_TRUE(config) << text_of(config);
    EXPECT_EQ(*config, Host::config());
    target.configure(ZoneState::configured);
    const auto outcome = target.attach();
    ASSERT_TRUE(outcome) << text_of(outcome);
    EXPECT_TRUE(outcome->attached);
    EXPECT_EQ(target.state(), ZoneState::installed);
    EXPECT_FALSE(target.has(kDetachedName));
    EXPECT_FALSE(target.has(kAttachedName));
}

TEST_F(Attach, DifferencesAreListedAndNothingChanges) {
    Host host;
    host.make_tree();
    host.configure(ZoneState::installed);
    ASSERT_TRUE(host.detach());
    host.set_version("2.0");
    const auto outcome = host.attach();
    ASSERT_TRUE(outcome) << text_of(outcome);
    EXPECT_FALSE(outcome->attached);
    EXPECT_EQ(differences_text(outcome->differences),
              "source host packages inconsistent with local host\n\ttool (1.0) version mismatch (2.0)\n");
    EXPECT_EQ(host.state(), ZoneState::configured);
    EXPECT_TRUE(host.has(kDetachedName));

    const auto forced = host.attach(true);
    ASSERT_TRUE(forced) << text_of(forced);
    EXPECT_TRUE(forced->attached);
    EXPECT_EQ(host.state(), ZoneState::installed);
    EXPECT_FALSE(host.has(kDetachedName));
    EXPECT_TRUE(host.has(kAttachedName));
}

TEST_F(Attach, WithoutAManifestOnlyByForce) {
    Host host;
    host.make_tree();
    host.configure(ZoneState::configured);
    EXPECT_THAT(text_of(host.attach()), HasSubstr("there is no /zones/web01/SUNWdetached.xml"));
    write_file(host.path("/zones/web01/SUNWdetached.xml"), "<zone");
    EXPECT_THAT(text_of(host.attach()), HasSubstr("/zones/web01/SUNWdetached.xml:1:1: not well-formed XML"));
    EXPECT_EQ(host.state(), ZoneState::configured);
    const auto forced = host.attach(true);
    ASSERT_TRUE(forced) << text_of(forced);
    EXPECT_EQ(forced->notes.size(), 1U);
}

TEST_F(Attach, OnlyFromTheRightState) {
    Host host;
    host.make_tree();
    host.configure(ZoneState::incomplete);
    EXPECT_THAT(text_of(host.attach()), HasSubstr("incomplete and cannot be attached"));
    EXPECT_THAT(text_of(host.detach()), HasSubstr("incomplete and cannot be detached"));
    Host second;
    second.make_tree();
    second.configure(ZoneState::installed);
    EXPECT_THAT(text_of(second.attach()), HasSubstr("already installed"));
    EXPECT_THAT(text_of(second.detach(ZoneState::running)), HasSubstr("is running; it must be halted"));
    EXPECT_EQ(second.state(), ZoneState::installed);
    EXPECT_FALSE(second.has(kDetachedName));
}

TEST_F(Attach, AZoneThatWasGivenAwayStaysAway) {
    Host host;
    host.make_tree();
    host.configure(ZoneState::installed);
    ASSERT_TRUE(host.detach());
    for (const Ownership state : {Ownership::released, Ownership::incoming}) {
        OwnerRecord record;
        record.zone = "web01";
        record.epoch = 2;
        record.state = state;
        record.host = "host2";
        record.move_id = "m1";
        ASSERT_TRUE(OwnerStore(host.root()).save(record, "/zones/web01"));
        for (const bool force : {false, true}) {
            const auto outcome = host.attach(force);
            ASSERT_FALSE(outcome);
            EXPECT_EQ(outcome.error().code(), Errc::not_owner) << text_of(outcome);
        }
    }
    // Asked before anything of the tree is read.
    ASSERT_EQ(::unlink(host.root().at("/zones/web01/SUNWdetached.xml").c_str()), 0);
    const auto outcome = host.attach(false);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code(), Errc::not_owner) << text_of(outcome);
    EXPECT_EQ(host.state(), ZoneState::configured);
}

TEST_F(Attach, AnotherMachineIsRefusedUnlessForcedAndAClusterIsNative) {
    Host host;
    host.make_tree();
    host.configure(ZoneState::installed);
    ASSERT_TRUE(host.detach());
    const auto good = read_manifest(host.root(), "/zones/web01");
    ASSERT_TRUE(good);
    Manifest other = *good;
    other.config.brand = "cluster";
    ASSERT_TRUE(write_manifest(host.root(), "/zones/web01", other));
    auto attached = host.attach();
    ASSERT_TRUE(attached && attached->attached) << text_of(attached);
    ASSERT_TRUE(host.detach());
    other = *good;
    other.source.machine = "pdp11";
    ASSERT_TRUE(write_manifest(host.root(), "/zones/web01", other));
    const auto refused = host.attach();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::blocked);
    EXPECT_THAT(text_of(refused), HasSubstr("the machine type of the source is pdp11"));
    EXPECT_EQ(host.state(), ZoneState::configured);
    EXPECT_TRUE(host.has(kDetachedName));
    attached = host.attach(true);
    ASSERT_TRUE(attached && attached->attached) << text_of(attached);
    EXPECT_THAT(attached->notes, Contains(HasSubstr("the machine type of the source is pdp11")));
    EXPECT_TRUE(host.has(kAttachedName));
}

TEST_F(Attach, AForeignBrandIsRefusedAlsoWithForce) {
    Host host;
    host.make_tree();
    host.configure(ZoneState::installed);
    ASSERT_TRUE(host.detach());
    const std::string path = host.path("/zones/web01/" + std::string(kDetachedName));
    std::string text = *read_file(path, 1 << 20);
    const std::string native = "brand=\"native\"";
    ASSERT_NE(text.find(native), std::string::npos);
    write_file(path, text.replace(text.find(native), native.size(), "brand=\"lx\""));
    const auto refused = host.attach(true);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::unsupported);
    EXPECT_THAT(text_of(refused), HasSubstr("the zone is of brand lx"));
    EXPECT_EQ(host.state(), ZoneState::configured);
    EXPECT_TRUE(host.has(kDetachedName));
}

TEST_F(Attach, ForceDoesWithoutAPackageDatabase) {
    Host host;
    host.make_tree();
    host.configure(ZoneState::installed);
    ASSERT_TRUE(host.detach());
    write_file(host.path("/var/lib/dpkg/status"), "Package: tool\nSta");
    EXPECT_FALSE(host.attach());
    EXPECT_EQ(host.state(), ZoneState::configured);
    EXPECT_TRUE(host.has(kDetachedName));
    const auto forced = host.attach(true);
    EXPECT_TRUE(forced && forced->attached) << text_of(forced);
}

TEST_F(Attach, CreateFromADetachedZoneTellsWhatReachesIntoThisHost) {
    Host host;
    host.make_tree();
    ZoneConfig config = Host::config();
    config.name = "old";
    config.zonepath = "/export/old";
    config.limitpriv = "default,sys_time";
    config.devices = {"/dev/sda"};
    config.datasets = {"tank/web01"};
    config.nets = {{"192.0.2.17/24", "eth0", ""}};
    config.filesystems = {{"/export/data", "", "/data", "lofs", {}}};
    config.autoboot = true;
    const auto manifest = make_manifest(host.root(), config);
    ASSERT_TRUE(manifest) << text_of(manifest);
    const Status written = write_manifest(host.root(), "/zones/web01", *manifest);
    ASSERT_TRUE(written) << written.error().text();
    std::vector<std::string> notes;
    const auto made = config_from_detached(host.root(), "/zones/web01", web01(), notes);
    ASSERT_TRUE(made) << text_of(made);
    for (const char* wanted : {"zone was named old", "zonepath was /export/old", "default,sys_time", "/dev/sda",
                               "tank/web01", "192.0.2.17/24 on eth0", "/export/data of this host as /data", "autoboot"})
        EXPECT_THAT(notes, Contains(HasSubstr(wanted)));
    config.name = "web01";
    config.zonepath = "/zones/web01";
    EXPECT_EQ(*made, config);
}

TEST_F(Attach, TheHostMustHaveWhatTheZoneNeeds) {
    Host host;
    host.make_tree();
    ZoneConfig config = Host::config();
    config.nets = {{"192.0.2.17/24", "zfnone0", ""}, {"192.0.2.18/24", "zfnone1", ""}, {"192.0.2.19/24", "lo", ""}};
    config.filesystems = {{"/export/data", "", "/data", "lofs", {}}, {"swap", "", "/scratch", "tmpfs", {}}};
    EXPECT_THAT(check_host(host.root(), config).problems,
                ElementsAre("net: this host has no interface zfnone0", "net: this host has no interface zfnone1",
                            "fs: this host has no /export/data to mount as /data",
                            "inherit-pkg-dir: this host has no directory /usr"));
    EXPECT_THAT(text_of(require_host(host.root(), config)), HasSubstr("zfnone1"));
    config.nets.resize(0);
    ASSERT_TRUE(make_directories(host.path("/usr"), 0755));
    ASSERT_TRUE(make_directories(host.path("/export/data"), 0755));
    EXPECT_THAT(check_host(host.root(), config).problems, IsEmpty());
    ASSERT_EQ(::chmod(host.path("/zones").c_str(), 0777), 0);
    EXPECT_THAT(check_host(host.root(), config).problems, ElementsAre(HasSubstr("not writable for root only")));
    ASSERT_EQ(::chmod(host.path("/zones").c_str(), 0755), 0);
    ASSERT_EQ(::chmod(host.path("/zones/web01").c_str(), 0701), 0);
    EXPECT_THAT(check_host(host.root(), config).problems, ElementsAre(HasSubstr("open to other users")));
    ASSERT_EQ(::chmod(host.path("/zones/web01").c_str(), 0700), 0);
    if (::mount("none", host.path("/zones").c_str(), "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755") != 0)
        GTEST_SKIP() << "needs the right to mount";
    host.make_tree();
    const HostCheck check = check_host(host.root(), config);
    EXPECT_EQ(::umount2(host.path("/zones").c_str(), MNT_DETACH), 0);
    EXPECT_THAT(check.problems, ElementsAre(HasSubstr("nosuid"), HasSubstr("noexec")));
    EXPECT_THAT(check.notes, ElementsAre(HasSubstr("lies in memory")));
}

TEST_F(Attach, TheZonepathMustBeSafe) {
    Host host;
    host.make_tree();
    host.configure(ZoneState::installed);
    ASSERT_TRUE(host.detach());
    const std::string zonepath = host.path("/zones/web01");
    ASSERT_EQ(::chmod(zonepath.c_str(), 0755), 0);
    EXPECT_THAT(text_of(host.attach()), HasSubstr("is open to other users"));
    ASSERT_EQ(::chmod(zonepath.c_str(), 0700), 0);
    ASSERT_EQ(::chown(zonepath.c_str(), 1, 0), 0);
    EXPECT_THAT(text_of(host.attach(true)), HasSubstr("does not belong to root"));
    ASSERT_EQ(::chown(zonepath.c_str(), 0, 0), 0);
    ASSERT_EQ(::chmod(host.path("/zones").c_str(), 0775), 0);
    EXPECT_THAT(text_of(host.attach()), HasSubstr("not writable for root only"));
    ASSERT_EQ(::chmod(host.path("/zones").c_str(), 0755), 0);
    ASSERT_TRUE(remove_tree(host.path("/zones/web01/root")));
    EXPECT_THAT(text_of(host.attach()), HasSubstr("no directory root"));
    ASSERT_EQ(::symlink("/", host.path("/zones/web01/root").c_str()), 0);
    EXPECT_THAT(text_of(host.attach()), HasSubstr("no directory root"));
    ASSERT_EQ(::rename(host.path("/zones").c_str(), host.path("/elsewhere").c_str()), 0);
    ASSERT_EQ(::symlink("elsewhere", host.path("/zones").c_str()), 0);
    EXPECT_THAT(text_of(host.attach()), HasSubstr("symbolic link"));
    EXPECT_EQ(host.state(), ZoneState::configured);
}

TEST_F(Attach, AManifestThatIsALinkIsNotFollowed) {
    Host host;
    host.make_tree();
    host.configure(ZoneState::configured);
    ASSERT_EQ(::symlink("/etc/passwd", host.path("/zones/web01/SUNWdetached.xml").c_str()), 0);
    EXPECT_FALSE(host.attach());
    EXPECT_EQ(host.state(), ZoneState::configured);
}

TEST_F(Attach, DetachListsWhatIsStillMounted) {
    Host host;
    host.make_tree();
    host.configure(ZoneState::installed);
    const std::string point = host.path("/zones/web01/root/with blank");
    ASSERT_TRUE(make_directories(point, 0755));
    if (::mount("none", point.c_str(), "tmpfs", 0, "size=64k") != 0) GTEST_SKIP() << "needs the right to mount";
    const Status detached = host.detach();
    EXPECT_EQ(::umount2(point.c_str(), MNT_DETACH), 0);
    ASSERT_FALSE(detached);
    EXPECT_THAT(text_of(detached), HasSubstr("still mounted below the zonepath: " + point));
    EXPECT_EQ(host.state(), ZoneState::installed);
    EXPECT_FALSE(host.has(kDetachedName));
    EXPECT_TRUE(host.detach());
}

TEST(AttachMounts, OnlyStrictlyBelow) {
    const std::string info =
        "1 0 8:1 / / rw - ext4 x rw\n2 1 8:2 / /z/a rw - ext4 x rw\n3 1 8:2 / /z/a/b\\040c rw - ext4 x rw\n"
        "4 1 8:2 / /z/ab rw - ext4 x rw\ngarbage\n";
    EXPECT_THAT(mount_points_below(info, "/z/a"), ElementsAre("/z/a/b c"));
    EXPECT_THAT(mount_points_below(info, "/none"), IsEmpty());
}

TEST(AttachFindings, TellsEverythingAtOnce) {
    Manifest source;
    source.config.brand = "lx";
    source.source = {"host1", "", "x86_64", "dpkg", "amd64", "6.1", "Debian 12", ""};
    source.inventory.packages = {{"a", "1", DependencyReason::inherited, {}}};
    HostFacts local = source.source;
    local.machine = "aarch64";
    local.package_architecture = "arm64";
    local.os_name = "Debian 13";
    Inventory here;
    here.warnings = {"package b is half-configured"};
    std::vector<std::string> codes;
    for (const Finding& finding : attach_findings(source, here, local)) codes.push_back(finding.code);
    EXPECT_THAT(codes, ElementsAre("BRAND_UNSUPPORTED", "MACHINE_MISMATCH", "ARCHITECTURE_MISMATCH", "OS_DIFFERS",
                                   "PACKAGE_STATE", "PKG_NOT_INSTALLED"));
    here.system = PackageSystem::svr4;
    codes.clear();
    for (const Finding& finding : attach_findings(source, here, source.source)) codes.push_back(finding.code);
    EXPECT_THAT(codes, ElementsAre("BRAND_UNSUPPORTED", "PACKAGE_SYSTEM_MISMATCH", "PACKAGE_STATE"));
    source.config.brand = "native";
    EXPECT_THAT(attach_findings(source, source.inventory, source.source), IsEmpty());
    EXPECT_TRUE(is_same_machine("sun4u", "sun4v"));
    EXPECT_FALSE(is_same_machine("sun4u", "i86pc"));
}

TEST(AttachHostFacts, MadeHostIdStaysTheSame) {
    TempDirectory directory;
    make_dpkg_host(directory.path(), {{"dpkg", "1", {}, "arm64"}});
    write_file(directory.path() + "/etc/os-release", "NAME=x\nPRETTY_NAME=\"Test \\\"OS\\\"\"\n");
    const HostRoot root(directory.path());
    const auto first = gather_host_facts(root);
    ASSERT_TRUE(first) << text_of(first);
    EXPECT_EQ(first->host_id.size(), 32U);
    EXPECT_EQ(first->os_name, "Test \"OS\"");
    EXPECT_EQ(first->package_architecture, "arm64");
    utsname kernel{};
    ASSERT_EQ(::uname(&kernel), 0);
    EXPECT_EQ(first->machine, kernel.machine);
    EXPECT_EQ(gather_host_facts(root)->host_id, first->host_id);
    write_file(directory.path() + "/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    EXPECT_EQ(gather_host_facts(root)->host_id, "0123456789abcdef0123456789abcdef");
}

TEST(AttachCheck, LooksThroughTheManifestsDirectoriesAndChangesNothing) {
    TempDirectory directory;
    make_dpkg_host(directory.path(), {{"tool", "2.0", {"/usr", "/usr/tool"}}});
    Manifest manifest;
    manifest.config = Host::config();
    manifest.inventory.packages = {{"tool", "1.0", DependencyReason::inherited, {}}};
    const auto check = check_attach(HostRoot(directory.path()), manifest);
    ASSERT_TRUE(check) << text_of(check);
    ASSERT_EQ(check->differences.source_packages.size(), 1U);
    EXPECT_TRUE(is_blocked(check->findings));
    EXPECT_FALSE(path_exists(directory.path() + "/etc/zones"));
}

}  // namespace
}  // namespace zoneferry
