// The tree of a Solaris system adjusted: every edit, compared with tests/golden/solaris_p2v_*.txt. After a change that
// is meant, run with ZONEFERRY_UPDATE_GOLDEN=1 and look at the difference.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/adjust/solaris_services.h"
#include "core/adjust/solaris_system.h"
#include "tests/support/adjust_tree.h"
#include "tests/support/paths.h"

namespace zoneferry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kManifest = R"(<?xml version="1.0"?>
<!DOCTYPE service_bundle SYSTEM "/usr/share/lib/xml/dtd/service_bundle.dtd.1">
<service_bundle type='manifest' name='SUNWhollow:nic'>
<service name='system/nic-setup' type='service' version='1'>
  <create_default_instance enabled='true' />
  <instance name='second' enabled='true' />
</service>
</service_bundle>
)";

class AdjustSolaris : public testing::Test {
protected:
    void SetUp() override {
        for (const char* directory : {"usr/bin", "sbin", "lib", "etc/svc", "var/svc"}) tree_.directory(directory);
        tree_.write("var/sadm/install/contents",
                    "/var/svc/manifest/nic.xml f none 0444 root sys 1 1 1 SUNWhollow\n"
                    "/var/svc/manifest/web.xml f none 0444 root sys 1 1 1 SUNWhollow SUNWweb\n");
        tree_.write("var/sadm/pkg/SUNWhollow/pkginfo", "PKG=SUNWhollow\nVERSION=11.10\nSUNW_PKG_HOLLOW=true\n");
        tree_.write("var/sadm/pkg/SUNWweb/pkginfo", "PKG=SUNWweb\nVERSION=11.10\n");
        tree_.write("var/svc/manifest/nic.xml", kManifest, 0444);
        tree_.write("var/svc/manifest/web.xml", kManifest, 0444);
        tree_.write("devices/pci@0/disk", "");
        tree_.write("system/contract/all", "");
        tree_.write("var/run/daemon.pid", "1");
        tree_.write("etc/mnttab", "/dev/dsk/c0t0d0s0 / ufs rw 1\n");
        tree_.write("etc/vfstab",
                    "#device\tmount\nfd\t-\t/dev/fd\tfd\t-\tno\t-\n"
                    "/dev/dsk/c0t0d0s0\t/dev/rdsk/c0t0d0s0\t/\tufs\t1\tno\t-\n"
                    "fs1:/home\t-\t/home\tnfs\t-\tyes\trw\n");
        tree_.write("etc/dfs/dfstab", "# share -F nfs /export\n\nshare -F nfs /export/home\n");
        tree_.write("etc/hostname.e1000g0", "sol10\n");
        tree_.write("etc/hostname.e1000g1", "");
        tree_.write("etc/dhcp.e1000g1", "");
        tree_.write("etc/inet/hosts", "127.0.0.1\tlocalhost\n192.0.2.17\tsol10\tloghost\n");
        tree_.link("etc/hosts", "./inet/hosts");
        tree_.write("etc/nodename", "sol10\n");
        tree_.write("etc/defaultrouter", "192.0.2.1\n");
        tree_.write("etc/defaultdomain", "old.example.org\n");
        tree_.write("etc/resolv.conf", "nameserver 192.0.2.53\n");
        tree_.write("etc/nsswitch.files", "hosts: files\n");
        tree_.write("etc/nsswitch.conf", "hosts: nis\n");
        tree_.write("etc/TIMEZONE", "# time\nTZ=MET\nCMASK=022\n");
        tree_.write("etc/shadow", "root:SECRET:1::::::\ndaemon:NP:6445::::::\n");
        tree_.write("etc/ssh/ssh_host_rsa_key", "SECRET", 0600);
        tree_.write("etc/.sysIDtool.state", "1\n");
        tree_.write("etc/zones/index",
                    "global:installed:/\nz1:installed:/export/zones/z1:\nz2:configured:/export/zones/z2:\n");
        tree_.write("etc/zones/z1.xml", "<zone/>");
        tree_.write("etc/zones/SUNWdefault.xml", "<zone/>");
        tree_.write("export/zones/z1/root/etc/passwd", "z1");
        tree_.write("export/zones/z1/SUNWdetached.xml", "");
        zone_.name = "sol10z";
        choices_.date = "2026-11-22";
    }

    // What was done, and what all files are afterwards.
    std::string adjusted() {
        auto done = tree_.adjust(zone_, choices_);
        if (!done) return done.error().text();
        EXPECT_EQ(done->family, OsFamily::solaris_svr4);
        std::string out = shown(*done) + "\n";
        for (const auto& [path, content] : tree_.all()) {
            if (path.starts_with("var/sadm/")) continue;
            out += "== " + path + "\n" + content + (content.empty() || content.ends_with('\n') ? "" : "\n");
        }
        return out;
    }

    void expect_golden(const std::string& name) {
        const std::string path = source_directory() + "/tests/golden/solaris_p2v_" + name + ".txt";
        const std::string text = adjusted();
        if (std::getenv("ZONEFERRY_UPDATE_GOLDEN") != nullptr) {
            ASSERT_TRUE(replace_file(path, text, 0644));
            FAIL() << "updated; a run that updates does not count";
        }
        const auto wanted = read_file(path, 1U << 20U);
        ASSERT_TRUE(wanted) << wanted.error().text();
        EXPECT_EQ(text, *wanted);
        auto again = tree_.adjust(zone_, choices_);
        ASSERT_TRUE(again) << again.error().text();
        EXPECT_EQ(shown({OsFamily::solaris_svr4, again->changes, {}}), "") << "the second time";
    }

    AdjustTree tree_;
    ZoneConfig zone_;
    AdjustChoices choices_;
};

TEST_F(AdjustSolaris, ASharedStackThatKeepsItsIdentity) { expect_golden("shared_preserve"); }

TEST_F(AdjustSolaris, AStackOfItsOwnThatKeepsItsIdentity) {
    zone_.ip_type = IpType::exclusive;
    zone_.nets = {{"", "br0", ""}, {"192.0.2.17/24", "br1", ""}};
    expect_golden("exclusive_preserve");
}

TEST_F(AdjustSolaris, Unconfigured) {
    choices_.unconfigure = true;
    expect_golden("shared_unconfigure");
    for (const auto& [path, content] : tree_.all()) EXPECT_THAT(content, Not(HasSubstr("SECRET"))) << path;
}

TEST_F(AdjustSolaris, ASysidFileBecomesSysidcfg) {
    choices_.unconfigure = true;
    choices_.sysid = Sysid{"", "*", "Europe/Zurich", "", {"192.0.2.53", "192.0.2.54"}, "example.org"};
    (void)adjusted();
    EXPECT_EQ(tree_.read("etc/sysidcfg"),
              "system_locale=C\nterminal=vt100\nnetwork_interface=PRIMARY {hostname=sol10z}\n"
              "security_policy=NONE\nnfs4_domain=dynamic\n"
              "name_service=DNS {domain_name=example.org name_server=192.0.2.53,192.0.2.54}\n"
              "timezone=Europe/Zurich\nroot_password=*LK*\n");
}

TEST_F(AdjustSolaris, AProfileThatIsThereIsAddedTo) {
    constexpr const char* kProfile =
        "<?xml version='1.0'?>\n<service_bundle type='profile' name='site'>\n"
        "  <!-- mine -->\n</service_bundle>\n<!-- end -->\n";
    const std::string once = profile_with(kProfile, {{"a/b:c", false}}).value();
    EXPECT_EQ(
        once,
        "<?xml version='1.0'?>\n<service_bundle type='profile' name='site'>\n  <!-- mine -->\n"
        "<!-- p2v begin -->\n  <service name='a/b' version='1' type='service'>\n"
        "    <instance name='c' enabled='false'/>\n  </service>\n<!-- p2v end -->\n</service_bundle>\n<!-- end -->\n");
    EXPECT_EQ(profile_with(once, {{"a/b:c", false}}).value(), once);
    EXPECT_FALSE(profile_with("<x/>", {}).has_value());
}

TEST_F(AdjustSolaris, HostileManifestsNameNothing) {
    EXPECT_THAT(instances_of_manifest(kManifest, "m").value_or({}),
                ElementsAre("system/nic-setup:default", "system/nic-setup:second"));
    for (const char* bad : {"<service_bundle><service name='a&quot;/&gt;'/></service_bundle>", "<x/>",
                            "<service_bundle>", "<!DOCTYPE x [<!ENTITY e 'f'>]><service_bundle/>",
                            "<service_bundle><service name='a'><instance name=\"'\"/></service></service_bundle>"}) {
        EXPECT_FALSE(instances_of_manifest(bad, "m")) << bad;
    }
    tree_.write("var/svc/manifest/nic.xml", "<broken", 0444);
    EXPECT_THAT(adjusted(), HasSubstr("its services were not turned off"));
}

}  // namespace
}  // namespace zoneferry
