#include <gtest/gtest.h>

#include "core/image/dpkg_setup.h"
#include "core/image/host_packages.h"
#include "core/image/path_rules.h"
#include "core/image/zone_setup.h"

namespace zoneferry {
namespace {

TEST(ImagePath, TakesRelativeNames) {
    EXPECT_EQ(*image_path("./"), "");
    EXPECT_EQ(*image_path("."), "");
    EXPECT_EQ(*image_path("./etc/passwd"), "etc/passwd");
    EXPECT_EQ(*image_path("usr/"), "usr");
    EXPECT_EQ(*image_path("odd \n..name"), "odd \n..name");
}

TEST(ImagePath, RefusesWhatLeadsElsewhere) {
    for (const std::string& name : {std::string(), std::string("/etc"), std::string("../x"), std::string("a/../b"),
                                    std::string("a/.."), std::string("a//b"), std::string("a/./b"),
                                    std::string("a\0b", 3), std::string(5000, 'x'), "a/" + std::string(256, 'x')}) {
        EXPECT_FALSE(image_path(name)) << name;
    }
    std::string deep = "a";
    for (int i = 0; i < 300; ++i) deep += "/a";
    EXPECT_FALSE(image_path(deep));
}

TEST(ImagePath, KnowsWhatARunningSystemMakes) {
    EXPECT_TRUE(is_volatile_path("dev/sda"));
    EXPECT_TRUE(is_volatile_path("run/a/b"));
    EXPECT_FALSE(is_volatile_path("dev"));
    EXPECT_FALSE(is_volatile_path("devices/x"));
    EXPECT_FALSE(is_volatile_path("var/tmp/x"));
}

TEST(ImageXattr, KeepsOnlyWhatAZoneMayHold) {
    EXPECT_TRUE(is_kept_xattr("user.comment"));
    EXPECT_TRUE(is_kept_xattr("security.capability"));
    EXPECT_TRUE(is_kept_xattr("system.posix_acl_default"));
    EXPECT_FALSE(is_kept_xattr("trusted.overlay.opaque"));
    EXPECT_FALSE(is_kept_xattr("security.selinux"));
}

TEST(HostPackagesPaths, ResolveMergedUsrAndInheritance) {
    HostPackagesPlan plan;
    plan.aliases = {{"lib", "usr/lib"}, {"bin", "usr/bin"}};
    plan.inherited_directories = {"usr"};
    EXPECT_EQ(zone_path(plan, "/lib/systemd/system"), "usr/lib/systemd/system");
    EXPECT_EQ(zone_path(plan, "/lib"), "usr/lib");
    EXPECT_EQ(zone_path(plan, "/library"), "library");
    EXPECT_EQ(zone_path(plan, "/."), ".");
    EXPECT_TRUE(is_inherited(plan, "usr/lib"));
    EXPECT_FALSE(is_inherited(plan, "usr"));
    EXPECT_FALSE(is_inherited(plan, "usrlocal/x"));
}

TEST(HostPackagesPolicy, LeavesOutKernelsAndBootLoaders) {
    EXPECT_TRUE(is_global_zone_only("linux-image-6.1.0-40-amd64"));
    EXPECT_TRUE(is_global_zone_only("grub-pc"));
    EXPECT_TRUE(is_global_zone_only("intel-microcode"));
    EXPECT_FALSE(is_global_zone_only("linux-libc-dev"));
    EXPECT_FALSE(is_global_zone_only("libc6"));
}

TEST(ZoneAccounts, TakeSystemAccountsButNoSecretsAndNoPeople) {
    const std::string master =
        "root:*:0:0:root:/root:/bin/bash\nwww-data:*:33:33:www-data:/var/www:/usr/sbin/nologin\n";
    const std::string host =
        "root:$6$secret:0:0:root:/root:/bin/zsh\nmessagebus:x:101:102::/nonexistent:/usr/sbin/nologin\n"
        "alice:x:1000:1000:Alice:/home/alice:/bin/bash\nbroken:x:102\n";
    EXPECT_EQ(merge_accounts(master, host, false),
              "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
              "messagebus:x:101:102::/nonexistent:/usr/sbin/nologin\n");
    EXPECT_EQ(merge_accounts("adm:*:4:\n", "adm:x:4:alice\nssl-cert:x:103:alice\n", true),
              "adm:x:4:\nssl-cert:x:103:\n");
    EXPECT_EQ(locked_shadow("root:x:0:0::/:/bin/sh\n", false), "root:*:19000:0:99999:7:::\n");
}

TEST(Alternatives, AreReadWithTheirSlaves) {
    const Alternative awk =
        parse_alternative("awk", "auto\n/usr/bin/awk\nawk.1.gz\n/usr/share/man/man1/awk.1.gz\n\n/usr/bin/mawk\n5\n\n");
    const std::vector<std::pair<std::string, std::string>> wanted = {{"awk", "/usr/bin/awk"},
                                                                     {"awk.1.gz", "/usr/share/man/man1/awk.1.gz"}};
    EXPECT_EQ(awk.links, wanted);
    EXPECT_TRUE(parse_alternative("cut", "auto").links.empty());
}

TEST(Triggers, OfOtherPackagesAreDropped) {
    DpkgPackage kept;
    kept.name = "libc-bin";
    HostPackagesPlan plan;
    plan.packages = {&kept};
    EXPECT_EQ(filter_triggers("/usr/lib libc-bin/noawait\n/boot grub-pc\n", plan), "/usr/lib libc-bin/noawait\n");
    EXPECT_EQ(filter_triggers("libc-bin\ninitramfs-tools\n", plan), "libc-bin\n");
}

}  // namespace
}  // namespace zoneferry
