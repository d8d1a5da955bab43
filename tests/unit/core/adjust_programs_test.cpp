// Edited network configuration, read by the programs whose it is: netplan generate, NetworkManager's own parser (nmcli
// --offline). And what is not moved to the zone's interface: it is said, with the address.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/base/process.h"
#include "core/p2v/scan.h"
#include "tests/support/adjust_tree.h"

namespace zoneferry {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kNetplan = R"(network:
  version: 2
  renderer: networkd
  ethernets:
    enp3s0:
      match:
        macaddress: "52:54:00:12:34:56"
      set-name: lan0
      addresses: [192.0.2.17/24, "2001:db8::17/64"]
      nameservers: {addresses: [192.0.2.53]}
      routes:
        - to: default
          via: 192.0.2.1
    enp4s0:
      dhcp4: false
)";
constexpr const char* kBond = R"(network:
  version: 2
  ethernets:
    enp3s0:
      dhcp4: false
    enp4s0:
      dhcp4: false
  bonds:
    bond0:
      interfaces: [enp3s0, enp4s0]
      addresses: [192.0.2.17/24]
  vlans:
    bond0.7:
      id: 7
      link: bond0
      dhcp4: true
)";
constexpr const char* kConnection =
    "[connection]\nid=lan\nuuid=11111111-2222-3333-4444-555555555555\ntype=ethernet\ninterface-name=enp3s0\n\n"
    "[ethernet]\nmac-address=52:54:00:12:34:56\n\n[ipv4]\nmethod=manual\naddress1=192.0.2.17/24,192.0.2.1\n";
constexpr const char* kBridge =
    "[connection]\nid=br\nuuid=11111111-2222-3333-4444-666666666666\ntype=bridge\ninterface-name=br0\n\n"
    "[ipv4]\nmethod=manual\naddress1=192.0.2.18/24\n";

class AdjustPrograms : public testing::Test {
protected:
    void SetUp() override {
        for (const char* directory : {"usr", "etc", "var"}) tree_.directory(directory);
        tree_.write("var/lib/dpkg/status", "");
        zone_.name = "web01";
        zone_.ip_type = IpType::exclusive;
        zone_.nets = {{"", "br0", ""}};
        choices_.date = "2026-11-22";
    }
    Adjustments adjust() {
        auto done = tree_.adjust(zone_, choices_);
        EXPECT_TRUE(done) << done.error().text();
        return done ? *std::move(done) : Adjustments();
    }
    static bool is_there(const char* program) { return ::access(program, X_OK) == 0; }

    AdjustTree tree_;
    ZoneConfig zone_;
    AdjustChoices choices_;
};

TEST_F(AdjustPrograms, NetplanUnderstandsWhatWasMadeOfItsFile) {
    ASSERT_TRUE(is_there("/usr/sbin/netplan")) << "tools/install-packages brings it";
    for (const bool host_sets : {false, true}) {
        tree_.write("etc/netplan/01.yaml", kNetplan, 0600);
        zone_.nets = {{host_sets ? "192.0.2.17/24" : "", "br0", ""}};
        adjust();
        ASSERT_TRUE(remove_tree(tree_.at("run")));
        const auto done = run_process({"/usr/sbin/netplan", "generate", "--root-dir", tree_.path()});
        ASSERT_TRUE(done) << done.error().text();
        EXPECT_EQ(done->exit_status, 0) << done->output;
        const std::string made = tree_.read("run/systemd/network/10-netplan-net0.network");
        if (host_sets) {
            EXPECT_EQ(made, "<none>");
            continue;
        }
        EXPECT_THAT(made, AllOf(HasSubstr("Name=net0\n"), HasSubstr("Address=192.0.2.17/24\n"),
                                HasSubstr("Address=2001:db8::17/64\n"), HasSubstr("Gateway=192.0.2.1\n"),
                                HasSubstr("DNS=192.0.2.53\n"), Not(HasSubstr("MACAddress"))));
    }
}

TEST_F(AdjustPrograms, NetworkManagerUnderstandsWhatWasMadeOfItsConnection) {
    if (!is_there("/usr/bin/nmcli") && is_there("/run/systemd/system"))
        GTEST_SKIP() << "NetworkManager is not installed where systemd would start it";
    ASSERT_TRUE(is_there("/usr/bin/nmcli")) << "tools/install-packages brings it";
    const std::string path = "etc/NetworkManager/system-connections/lan.nmconnection";
    tree_.write(path, kConnection, 0600);
    adjust();
    ProcessOptions options;
    options.input = tree_.read(path);
    const auto done =
        run_process({"/usr/bin/nmcli", "--offline", "connection", "modify", "connection.id", "lan"}, options);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(done->exit_status, 0) << done->output;
    EXPECT_THAT(done->output, AllOf(HasSubstr("interface-name=net0\n"), HasSubstr("address1=192.0.2.17/24,192.0.2.1\n"),
                                    Not(HasSubstr("mac-address")), Not(HasSubstr("enp3s0"))));
}

TEST_F(AdjustPrograms, ABondABridgeAndAVlanAreNamedWithTheirAddress) {
    tree_.write("etc/netplan/01.yaml", kBond, 0600);
    tree_.write("etc/NetworkManager/system-connections/br.nmconnection", kBridge, 0600);
    const std::vector<std::string> warnings = adjust().warnings;
    EXPECT_THAT(warnings, Contains(AllOf(HasSubstr("bond0 is a bond, bridge or VLAN with 192.0.2.17/24"),
                                         HasSubstr("zonecfg -z web01 add net"))));
    EXPECT_THAT(warnings, Contains(HasSubstr("bond0.7 is a bond, bridge or VLAN with its address by DHCP")));
    EXPECT_THAT(warnings, Contains(HasSubstr("br0 is a bond, bridge or VLAN with 192.0.2.18/24")));
    EXPECT_THAT(tree_.read("etc/netplan/01.yaml"), HasSubstr("#     bond0:"));
}

TEST_F(AdjustPrograms, ABondWhoseAddressTheZoneHasIsNoNews) {
    tree_.write("etc/netplan/01.yaml", kBond, 0600);
    zone_.nets = {{"192.0.2.17/24", "br0", ""}};
    for (const std::string& warning : adjust().warnings) EXPECT_THAT(warning, Not(HasSubstr("bond0 is")));
}

TEST_F(AdjustPrograms, OtherManagersAreToldTurnedOffOrForgotten) {
    const auto make = [&] {
        tree_.write("etc/dhcpcd.conf", "interface eth0\nstatic ip_address=192.0.2.17/24\n");
        tree_.write("lib/systemd/system/dhcpcd.service", "[Service]\n");
        tree_.directory("var/lib/connman");
    };
    make();
    const Adjustments told = adjust();
    EXPECT_THAT(told.warnings, Contains(HasSubstr("dhcpcd sets up this system's network: what /etc/dhcpcd.conf says")));
    EXPECT_THAT(told.warnings, Contains(HasSubstr("connman sets up")));
    EXPECT_EQ(tree_.read("etc/systemd/system/dhcpcd.service"), "<none>");
    zone_.nets = {{"192.0.2.17/24", "br0", ""}};
    EXPECT_THAT(adjust().warnings, Not(Contains(HasSubstr("dhcpcd sets up"))));
    EXPECT_EQ(tree_.read("etc/systemd/system/dhcpcd.service"), "-> /dev/null");
    choices_.unconfigure = true;
    adjust();
    EXPECT_EQ(tree_.read("etc/dhcpcd.conf"), "<none>");
    EXPECT_EQ(tree_.read("var/lib/connman"), "<none>");
}

// Report and install cannot differ: the scan asks the very units.
TEST_F(AdjustPrograms, TheScanTellsWhatTheInstallDoes) {
    tree_.write("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    tree_.write("usr/lib/systemd/systemd", "");
    tree_.directory("bin");
    tree_.directory("lib");
    tree_.write("etc/hostname", "web01\n");
    tree_.write("var/lib/dpkg/status",
                "Package: dpkg\nStatus: install ok installed\nVersion: 1.21\nArchitecture: amd64\n\n");
    tree_.write("var/lib/dpkg/info/dpkg.list", "/.\n");
    tree_.write("etc/netplan/01.yaml", kNetplan, 0600);
    tree_.write("etc/exports", "/srv *(ro)\n");
    tree_.write("etc/fstab", "/dev/sda1 / ext4 defaults 0 1\nfs:/home /home nfs rw 0 0\n");
    tree_.directory("var/lib/connman");
    const auto before = tree_.all();
    const UniqueFd root = *open_directory(tree_.path());
    const auto scan = scan_system(root.get(), false);
    ASSERT_TRUE(scan) << scan.error().text();
    EXPECT_EQ(tree_.all(), before);
    ASSERT_FALSE(scan->networks.empty());
    EXPECT_EQ(scan->networks.front(), (ScannedAddress{"enp3s0", "192.0.2.17/24", ""})) << "netplan's";
    zone_.nets.clear();
    for (const ScannedAddress& each : scan->networks) zone_.nets.push_back({each.address, "br0", each.gateway});
    const Adjustments done = adjust();
    std::vector<std::string> told;
    std::vector<std::string> warned;
    for (const Finding& finding : scan->findings) {
        if (finding.code == "P2V_CHANGE") told.push_back(finding.subject + ": " + finding.message);
        if (finding.code == "P2V_ATTENTION") warned.push_back(finding.message);
    }
    ASSERT_EQ(told.size(), done.changes.size());
    for (const Change& change : done.changes)
        EXPECT_THAT(told, Contains(AllOf(HasSubstr(change.path + ": "), HasSubstr(change.done))));
    EXPECT_EQ(warned, done.warnings);
    EXPECT_THAT(done.changes, Not(IsEmpty()));
}

}  // namespace
}  // namespace zoneferry
