// The pure halves of p2v's adjustments: each text before and after.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/adjust/ifupdown.h"
#include "core/adjust/linux_identity.h"
#include "core/adjust/linux_services.h"
#include "core/adjust/mounts.h"
#include "core/adjust/nested.h"
#include "core/adjust/netplan.h"
#include "core/adjust/network_manager.h"
#include "core/adjust/networkd.h"

namespace zoneferry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kDate = "2026-11-22";
constexpr const char* kTrailer = "# Modified by p2v 2026-11-22\n";

ZoneConfig zone_with(std::vector<NetResource> nets) {
    ZoneConfig zone;
    zone.name = "web01";
    zone.ip_type = IpType::exclusive;
    zone.nets = std::move(nets);
    return zone;
}

// One card, eth0, that becomes net0; address: what the global zone sets.
NicMap eth0_to_net0(const std::string& address = "", bool host_sets_route = false) {
    const ZoneNic nic{"net0", address, host_sets_route};
    return {{"eth0", nic}, {"net0", nic}};
}

TEST(AdjustTexts, CommentsOutAndLeavesTheRestByteForByte) {
    const auto is_bad = [](std::string_view line) { return line.starts_with("bad"); };
    EXPECT_EQ(comment_out("good\r\n\n # bad\n\tbad 1\nbad\r\ngood", kDate, is_bad).text,
              "good\r\n\n # bad\n# \tbad 1\n# bad\r\ngood\n" + std::string(kTrailer));
    EXPECT_EQ(comment_out("good\n\nno end", kDate, is_bad).text, "good\n\nno end");
    EXPECT_EQ(comment_out("", kDate, is_bad).text, "");
}

TEST(AdjustTexts, FstabKeepsWhatComesOverTheNetwork) {
    for (const char* kept : {"fs:/home /home nfs rw 0 0", "//fs/x /x cifs credentials=/etc/c", "pool@.fs=/ /c ceph x",
                             "a:/x /x nfs4 _netdev", "/srv/a /srv/b none bind 0 0", "/srv/a /srv/b none rw,rbind",
                             "tmpfs /tmp tmpfs size=1G", "me@h: /m fuse.sshfs x", "gw:/v /v fuse.glusterfs",
                             "gw:/v /v fuse.own _netdev,ro"}) {
        EXPECT_TRUE(is_kept_in_fstab(kept)) << kept;
    }
    for (const char* off :
         {"UUID=1234 / ext4 errors=remount-ro 0 1", "/dev/sda2 none swap sw", "LABEL=x /x xfs",
          "/dev/sdb1 /srv ext4 _netdev", "UUID=77 /srv ext4 _netdev", "proc /proc proc defaults",
          "tmpfs /dev/shm tmpfs", "tmpfs /run tmpfs x", "none /sys/kernel/debug debugfs", "/dev/sda3",
          "/dev/sdb /x none bind", "/swapfile none swap sw", "tank/home /home zfs", "overlay /x overlay o"}) {
        EXPECT_FALSE(is_kept_in_fstab(off)) << off;
    }
}

TEST(AdjustTexts, VfstabKeepsWhatSolarisKept) {
    for (const char* kept : {"fd - /dev/fd fd - no -", "/proc - /proc proc - no -", "swap - /tmp tmpfs - yes -",
                             "ctfs - /system/contract ctfs - no -", "objfs - /system/object objfs - no -",
                             "sharefs - /etc/dfs/sharetab sharefs - no -", "fs:/home - /home nfs - yes rw",
                             "/export/a - /a lofs - yes -"}) {
        EXPECT_TRUE(is_kept_in_vfstab(kept)) << kept;
    }
    for (const char* off : {"/dev/dsk/c0t0d0s0 /dev/rdsk/c0t0d0s0 / ufs 1 no -", "/dev/dsk/c0t0d0s1 - - swap - no -",
                            "/devices - /devices devfs - no -", "tank/x - /x zfs - yes -", "swap"}) {
        EXPECT_FALSE(is_kept_in_vfstab(off)) << off;
    }
}

constexpr const char* kInterfaces = R"(# The loopback
source /etc/network/interfaces.d/*
auto lo
iface lo inet loopback

auto lo eth0
allow-hotplug eth1
iface eth0 inet static
    address 192.0.2.17/24
    gateway 192.0.2.1
    hwaddress 52:54:00:12:34:56
    dns-nameservers 192.0.2.53
    post-up ip route add 10.0.0.0/8 \
        via 192.0.2.2 dev eth0
iface eth1 inet dhcp
)";

TEST(AdjustTexts, InterfacesMoveToTheNewName) {
    EXPECT_THAT(nics_of_interfaces(kInterfaces),
                ElementsAre(ImageNic{"eth0", {"192.0.2.17/24"}}, ImageNic{"eth1", {}}));
    EXPECT_EQ(interfaces_for_zone(kInterfaces, eth0_to_net0(), kDate).text, R"(# The loopback
source /etc/network/interfaces.d/*
auto lo
iface lo inet loopback

# auto lo eth0
auto lo net0
# allow-hotplug eth1
# iface eth0 inet static
iface net0 inet static
    address 192.0.2.17/24
    gateway 192.0.2.1
#     hwaddress 52:54:00:12:34:56
    dns-nameservers 192.0.2.53
#     post-up ip route add 10.0.0.0/8 \
#         via 192.0.2.2 dev eth0
    post-up ip route add 10.0.0.0/8  via 192.0.2.2 dev net0
# iface eth1 inet dhcp
)" + std::string(kTrailer));
}

TEST(AdjustTexts, InterfacesLeaveTheAddressToTheGlobalZone) {
    const std::string text = interfaces_for_zone(kInterfaces, eth0_to_net0("192.0.2.17"), kDate).text;
    EXPECT_THAT(text, HasSubstr("# iface eth0 inet static\niface net0 inet manual\n#     address 192.0.2.17/24\n"
                                "#     gateway 192.0.2.1\n"));
    EXPECT_THAT(text, HasSubstr("    up ip route replace default via 192.0.2.1 dev net0 onlink\n# iface eth1"));
    EXPECT_THAT(interfaces_for_zone(kInterfaces, eth0_to_net0("192.0.2.17", true), kDate).text,
                testing::Not(HasSubstr("replace default")));
    // Another family, and further addresses, are the image's own.
    constexpr const char* kMore =
        "iface eth0 inet static\n address 1.1.1.1\niface eth0 inet6 static\n address 2001:db8::1\n"
        "iface eth0:1 inet static\n address 2.2.2.2\n";
    const std::string more = interfaces_for_zone(kMore, eth0_to_net0("1.1.1.1"), kDate).text;
    EXPECT_THAT(more, HasSubstr("iface net0 inet6 static\n address 2001:db8::1\n"));
    EXPECT_THAT(more, HasSubstr("iface net0:1 inet static\n address 2.2.2.2\n"));
    // A gateway that is none does not become a command.
    constexpr const char* kHostile = "iface eth0 inet static\n address 1.1.1.1\n gateway $(reboot)\n";
    EXPECT_THAT(interfaces_for_zone(kHostile, eth0_to_net0("1.1.1.1"), kDate).text, testing::Not(HasSubstr("up ip")));
}

TEST(AdjustTexts, InterfacesAreOffWithoutAnInterfaceOfTheZone) {
    EXPECT_EQ(interfaces_for_zone(
                  "auto br0\niface br0 inet dhcp\n  bridge_ports eth0\nauto lo\niface lo inet loopback\n", {}, kDate)
                  .text,
              "# auto br0\n# iface br0 inet dhcp\n#   bridge_ports eth0\nauto lo\niface lo inet loopback\n" +
                  std::string(kTrailer));
    EXPECT_EQ(interfaces_for_zone("mapping eth0\n  script x\n", {}, kDate).text,
              "# mapping eth0\n#   script x\n" + std::string(kTrailer));
}

TEST(AdjustTexts, InterfacesAreTheSameTheSecondTime) {
    for (const NicMap& map : {eth0_to_net0(), eth0_to_net0("192.0.2.17"), eth0_to_net0("192.0.2.17", true), NicMap()}) {
        const std::string once = interfaces_for_zone(kInterfaces, map, kDate).text;
        EXPECT_EQ(interfaces_for_zone(once, map, kDate).text, once);
    }
}

TEST(AdjustTexts, NetworkFilesMoveToTheNewName) {
    constexpr const char* kText =
        "[Match]\nMACAddress=52:54:00:12:34:56\n\n[Link]\nMACAddress=1\nMTUBytes=9000\n"
        "[Network]\nDHCP=no\nAddress=192.0.2.17/24\nGateway=192.0.2.1\nDNS=192.0.2.53\n";
    EXPECT_THAT(nics_of_network_file(kText), ElementsAre(ImageNic{"52:54:00:12:34:56", {"192.0.2.17/24"}}));
    EXPECT_EQ(network_file_for_zone(kText, {"net0", "", false}),
              "[Match]\nName=net0\n# MACAddress=52:54:00:12:34:56\n\n[Link]\n# MACAddress=1\nMTUBytes=9000\n"
              "[Network]\nDHCP=no\nAddress=192.0.2.17/24\nGateway=192.0.2.1\nDNS=192.0.2.53\n");
    EXPECT_EQ(
        network_file_for_zone(kText, {"net0", "192.0.2.17", true}),
        "[Match]\nName=net0\n# MACAddress=52:54:00:12:34:56\n\n[Link]\n# MACAddress=1\nMTUBytes=9000\n"
        "[Network]\nKeepConfiguration=yes\nDHCP=no\n# Address=192.0.2.17/24\n# Gateway=192.0.2.1\nDNS=192.0.2.53\n");
    EXPECT_EQ(network_file_for_zone("[Match]\nName=eth0\n[Address]\nAddress=1.2.3.4/8\n[Route]\nGateway=1.1.1.1\n"
                                    "[Route]\nDestination=5.0.0.0/8\nGateway=1.1.1.2",
                                    {"net0", "1.2.3.4", true}),
              "[Match]\nName=net0\n# Name=eth0\n# [Address]\n# Address=1.2.3.4/8\n# [Route]\n# Gateway=1.1.1.1\n"
              "[Route]\nDestination=5.0.0.0/8\nGateway=1.1.1.2\n[Network]\nKeepConfiguration=yes\n");
    for (const ZoneNic& nic : {ZoneNic{"net0", "", false}, ZoneNic{"net0", "192.0.2.17", true}}) {
        const std::string once = network_file_for_zone(kText, nic);
        EXPECT_EQ(network_file_for_zone(once, nic), once);
    }
    EXPECT_THAT(nics_of_network_file("[Match]\nName=eth0\n[Network]\nBridge=br0\n"), IsEmpty());
    EXPECT_TRUE(is_loopback_network_file("[Match]\nName=lo\n"));
}

TEST(AdjustTexts, ConnectionsMoveToTheNewName) {
    constexpr const char* kText =
        "[connection]\nid=Wired\ntype=ethernet\ninterface-name=enp3s0\n[ethernet]\n"
        "mac-address=52:54:00:12:34:56\n[ipv4]\nmethod=manual\naddress1=192.0.2.17/24,192.0.2.1\n";
    EXPECT_THAT(nics_of_connection(kText), ElementsAre(ImageNic{"enp3s0", {"192.0.2.17/24"}}));
    const std::string once = connection_for_zone(kText, {"net0", "", false});
    EXPECT_EQ(once,
              "[connection]\ninterface-name=net0\nid=Wired\ntype=ethernet\n# interface-name=enp3s0\n[ethernet]\n"
              "# mac-address=52:54:00:12:34:56\n[ipv4]\nmethod=manual\naddress1=192.0.2.17/24,192.0.2.1\n");
    EXPECT_EQ(connection_for_zone(once, {"net0", "", false}), once);
    EXPECT_THAT(nics_of_connection("[connection]\nid=home\ntype=wifi\n"), IsEmpty());
    EXPECT_TRUE(is_cardless_connection("[connection]\ntype=wireguard\n"));
}

constexpr const char* kNetplan = R"(network:
  version: 2
  ethernets:
    eth0:   # the only one
      match:
        macaddress: "52:54:00:12:34:56"
      set-name: eth0
      addresses:
      - 192.0.2.17/24
      nameservers:
        addresses: [192.0.2.53]
    eth1: {}
  bridges:
    br0:
      interfaces: [eth1]
)";

TEST(AdjustTexts, NetplanMovesToTheNewName) {
    std::string text(kNetplan);
    EXPECT_FALSE(nics_of_netplan(text).has_value()) << "flow style is not understood";
    text.replace(text.find(" {}"), 3, "\n      dhcp4: true");
    EXPECT_THAT(nics_of_netplan(text).value(), ElementsAre(ImageNic{"eth0", {"192.0.2.17/24"}}, ImageNic{"eth1", {}}));
    const std::string once = netplan_for_zone(text, eth0_to_net0(), kDate).value().text;
    EXPECT_EQ(once, R"(network:
  version: 2
  ethernets:
#     eth0:   # the only one
    net0:
#       match:
#         macaddress: "52:54:00:12:34:56"
#       set-name: eth0
      addresses:
      - 192.0.2.17/24
      nameservers:
        addresses: [192.0.2.53]
#     eth1:
#       dhcp4: true
#   bridges:
#     br0:
#       interfaces: [eth1]
)" + std::string(kTrailer));
    EXPECT_EQ(netplan_for_zone(once, eth0_to_net0(), kDate).value().text, once);
    const std::string off = netplan_for_zone(text, eth0_to_net0("192.0.2.17"), kDate).value().text;
    EXPECT_THAT(off, HasSubstr("  version: 2\n#   ethernets:\n#     eth0:"));
    EXPECT_EQ(netplan_for_zone(off, eth0_to_net0("192.0.2.17"), kDate).value().text, off);
    for (const char* odd : {"network: {version: 2}\n", "network:\n  ethernets: {eth0: {dhcp4: true}}\n",
                            "network:\n\tversion: 2\n", "network:\n  ethernets:\n    *x\n", "other:\n  x: 1\n"}) {
        EXPECT_FALSE(netplan_for_zone(odd, {}, kDate).has_value()) << odd;
    }
}

TEST(AdjustTexts, CardsFindTheirNets) {
    const ZoneConfig zone =
        zone_with({{"10.0.0.1/8", "br0", "10.0.0.254"}, {"", "br1", ""}, {"192.0.2.17/24", "br2", ""}});
    const NicPlan plan = assign_nics(
        {{"lo", {}}, {"eth0", {"192.0.2.17/25"}}, {"eth1", {}}, {"docker0", {}}, {"eth2", {"3.3.3.3"}}, {"eth3", {}}},
        zone);
    EXPECT_EQ(plan.map.at("eth0"), (ZoneNic{"net2", "192.0.2.17", false})) << "by its address";
    EXPECT_EQ(plan.map.at("eth1"), (ZoneNic{"net0", "10.0.0.1", true}));
    EXPECT_EQ(plan.map.at("eth2"), (ZoneNic{"net1", "", false}));
    EXPECT_FALSE(plan.map.contains("eth3"));
    EXPECT_FALSE(plan.map.contains("docker0"));
    EXPECT_EQ(plan.map.at("net1").name, "net1");
    EXPECT_THAT(plan.warnings, ElementsAre(HasSubstr("no net for eth3")));
    // Done again with what was made of it, each stays where it is.
    EXPECT_EQ(assign_nics({{"net1", {}}}, zone).map.at("net1").name, "net1");
    EXPECT_THAT(assign_nics({{"eth0", {"9.9.9.9"}}}, zone).warnings, ElementsAre(HasSubstr("had the address 9.9.9.9")));
}

TEST(AdjustTexts, HostsAndShadowAreEditedByLine) {
    EXPECT_EQ(
        hosts_for_zone("127.0.0.1 localhost\n127.0.1.1\told.example.org old\n192.0.2.17 old # me\n192.0.2.9 older\n",
                       "old", "web01"),
        "127.0.0.1 localhost\n192.0.2.9 older\n127.0.1.1\tweb01\n");
    EXPECT_EQ(hosts_for_zone("127.0.1.1\tweb01\n", "web01", "web01"), "127.0.1.1\tweb01\n");
    EXPECT_EQ(hosts_for_zone("127.0.0.1 localhost", "localhost", "web01"), "127.0.0.1 localhost\n127.0.1.1\tweb01\n");
    EXPECT_EQ(shadow_with_root_password("root:$y$old:19000:0:99999:7:::\nwww:*:1::::::\n", "*"),
              "root:*::0:99999:7:::\nwww:*:1::::::\n");
    EXPECT_EQ(shadow_with_root_password("rooty:x:1\nroot:x\n", "*"), "rooty:x:1\nroot:*\n");
    EXPECT_EQ(asking_getty("[Unit]\nX=y\n[Service]\nExecStart=-/sbin/agetty - $TERM\n"),
              "[Service]\nExecStart=\nExecStart=-/etc/zoneferry/first-boot /sbin/agetty - $TERM\nKillMode=mixed\n");
    EXPECT_EQ(asking_getty("[Service]\nType=idle\n"), "");
}

TEST(AdjustTexts, InittabHasAGettyOnTheConsoleOnly) {
    EXPECT_EQ(
        inittab_for_zone(
            "id:2:initdefault:\n1:2345:respawn:/sbin/getty 38400 tty1\nT0:23:respawn:/sbin/getty -L ttyS0\n", kDate),
        "id:2:initdefault:\n# 1:2345:respawn:/sbin/getty 38400 tty1\n# T0:23:respawn:/sbin/getty -L ttyS0\n" +
            std::string(kTrailer) + "co:2345:respawn:/sbin/getty --noclear 38400 console\n");
    const std::string once = inittab_for_zone("1:2345:respawn:/sbin/getty 38400 tty1\n", kDate);
    EXPECT_EQ(inittab_for_zone(once, kDate), once);
}

TEST(AdjustTexts, ZonepathsAreDeletedOnlyWhereZonesLie) {
    for (const char* good : {"export/zones/web", "zones/web", "var/lib/zones/a", "srv/a", "opt/zones/x"}) {
        EXPECT_TRUE(is_deletable_zonepath(good)) << good;
    }
    for (const char* bad : {"", "zones", "etc/x", "usr/local/zone", "var/log", "var/lib/dpkg/x", "var/spool/cron",
                            "root/x", "home/me", "lib/x"}) {
        EXPECT_FALSE(is_deletable_zonepath(bad)) << bad;
    }
}

TEST(AdjustTexts, ASysidFileIsReadStrictly) {
    const auto good = parse_sysid(
        "# x\n\n hostname = db01 \nroot_password=$6$salt$0123456789./\ntimezone=Europe/Zurich\n"
        "locale=de_CH.UTF-8\nname_server=192.0.2.53\nname_server=2001:db8::53\nsearch=example.org",
        "sysid");
    ASSERT_TRUE(good) << good.error().text();
    EXPECT_EQ(*good, (Sysid{"db01",
                            "$6$salt$0123456789./",
                            "Europe/Zurich",
                            "de_CH.UTF-8",
                            {"192.0.2.53", "2001:db8::53"},
                            "example.org"}));
    struct Row {
        const char* text;
        const char* sentence;
    };
    for (const Row& row :
         {Row{"", "gives no root_password"}, Row{"root_password\n", "sysid:1: has no \"=\""},
          Row{"root_password=*\nroot_password=*\n", "sysid:2: gives root_password again"},
          Row{"root_password=secret\n", "neither \"*\" nor"}, Row{"root_password=\n", "neither \"*\" nor"},
          Row{"root_password=$6$a:b$0123456789:0:::\n", "neither \"*\" nor"},
          Row{"hostname=-x\n", "\"-x\" is no host name"}, Row{"hostname=a..b\n", "is no host name"},
          Row{"hostname=a\x1b[2J\n", "a\\x1b[2J"}, Row{"timezone=../../etc/shadow\n", "is no time zone"},
          Row{"timezone=/etc\n", "is no time zone"}, Row{"locale=a\"b\n", "is no locale"},
          Row{"name_server=here\n", "is no address"}, Row{"search=a b\n", "is no domain"},
          Row{"name_server=1.1\nname_server=1.1\nname_server=1.1\nname_server=1.1\n", "one name server too many"},
          Row{"colour=blue\n", "colour is no key"}}) {
        const auto refused = parse_sysid(row.text, "sysid");
        ASSERT_FALSE(refused) << row.text;
        EXPECT_THAT(refused.error().text(), HasSubstr(row.sentence));
        EXPECT_THAT(refused.error().text(), testing::Not(HasSubstr("secret")));
    }
    EXPECT_FALSE(parse_sysid(std::string(kSysidBytesMax + 1, '\n'), "sysid"));
}

}  // namespace
}  // namespace zoneferry
