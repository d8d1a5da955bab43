// zoneadm detach and attach, zonecfg create -a: the programs as a person types them, on two hosts that are
// directories.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/attach/manifest.h"
#include "core/base/process.h"
#include "core/zone/store.h"
#include "tests/support/fake_packages.h"
#include "tests/support/paths.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

using testing::HasSubstr;

class AttachPrograms : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: zonepaths belong to root";
        ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
        for (const char* host : {"h1", "h2"}) {
            ASSERT_TRUE(make_directories(root(host) + "/zones", 0755));
            ASSERT_TRUE(make_directories(root(host) + "/usr", 0755));
        }
        make_dpkg_host(root("h1"), {{"tool", "1.0", {"/usr", "/usr/tool"}}});
        make_dpkg_host(root("h2"), {{"tool", "1.1", {"/usr", "/usr/tool"}}});
    }

    std::string root(const std::string& host) const { return directory_.path() + "/" + host; }
    static std::string zone_text() { return "create; set zonepath=/zones/web01"; }

    ProcessResult run(const std::string& program, const std::string& host, std::vector<std::string> words,
                      const std::string& input = "") {
        std::vector<std::string> argv = {programs_directory() + "/" + program, "--root", root(host)};
        argv.insert(argv.end(), words.begin(), words.end());
        ProcessOptions options;
        options.input = input;
        auto result = run_process(argv, options);
        EXPECT_TRUE(result) << result.error().text();
        return result ? *std::move(result) : ProcessResult{255, ""};
    }

    // An installed zone with an empty tree on h1.
    void install() {
        const ProcessResult configured = run("zonecfg", "h1", {"-z", "web01", zone_text()});
        ASSERT_EQ(configured.exit_status, 0) << configured.output;
        ASSERT_TRUE(make_directories(root("h1") + "/zones/web01", 0700));
        ASSERT_TRUE(make_directories(root("h1") + "/zones/web01/root", 0755));
        ZoneStore store{HostRoot(root("h1"))};
        const auto lock = store.lock(*ZoneName::create("web01"));
        ASSERT_TRUE(lock);
        ASSERT_TRUE(store.change_state(*lock, ZoneState::configured, ZoneState::installed));
    }

    void carry_over() {
        const auto copied = run_process({"cp", "-a", root("h1") + "/zones/web01", root("h2") + "/zones/"});
        ASSERT_TRUE(copied && copied->exit_status == 0);
    }

    std::string listed(const std::string& host) { return run("zoneadm", host, {"list", "-cp"}).output; }

    TempDirectory directory_;
};

TEST_F(AttachPrograms, TheWayOfTheSeed) {
    install();
    const ProcessResult detached = run("zoneadm", "h1", {"-z", "web01", "detach"});
    ASSERT_EQ(detached.exit_status, 0) << detached.output;
    EXPECT_THAT(listed("h1"), HasSubstr("web01:configured:"));
    carry_over();
    const ProcessResult created = run("zonecfg", "h2", {"-z", "web01", "create -a /zones/web01"});
    ASSERT_EQ(created.exit_status, 0) << created.output;

    const ProcessResult refused = run("zoneadm", "h2", {"-z", "web01", "attach"});
    EXPECT_EQ(refused.exit_status, 1);
    EXPECT_TRUE(
        refused.output.starts_with("source host packages inconsistent with local host\n"
                                   "\ttool (1.0) version mismatch (1.1)\n"))
        << refused.output;
    EXPECT_THAT(listed("h2"), HasSubstr("web01:configured:"));

    make_dpkg_host(root("h2"), {{"tool", "1.0", {"/usr", "/usr/tool"}}});
    const ProcessResult attached = run("zoneadm", "h2", {"-z", "web01", "attach"});
    EXPECT_EQ(attached.exit_status, 0) << attached.output;
    EXPECT_THAT(listed("h2"), HasSubstr("web01:installed:"));
    EXPECT_FALSE(path_exists(root("h2") + "/zones/web01/" + kDetachedName));
}

TEST_F(AttachPrograms, AZoneMayChangeItsNameAndPlaceOnTheWay) {
    install();
    ASSERT_EQ(run("zonecfg", "h1", {"-z", "web01", "set limitpriv=default,sys_time; set autoboot=true"}).exit_status,
              0);
    ASSERT_EQ(run("zoneadm", "h1", {"-z", "web01", "detach"}).exit_status, 0);
    carry_over();
    make_dpkg_host(root("h2"), {{"tool", "1.0", {"/usr", "/usr/tool"}}});
    ASSERT_EQ(::rename((root("h2") + "/zones/web01").c_str(), (root("h2") + "/zones/other").c_str()), 0);
    const ProcessResult created = run("zonecfg", "h2", {"-z", "shop", "create -a /zones/other/"});
    ASSERT_EQ(created.exit_status, 0) << created.output;
    for (const char* told :
         {"zone was named web01", "zonepath was /zones/web01", "limitpriv is set by the source", "autoboot is on"})
        EXPECT_THAT(created.output, HasSubstr(told));
    const ProcessResult attached = run("zoneadm", "h2", {"-z", "shop", "attach"});
    EXPECT_EQ(attached.exit_status, 0) << attached.output;
    EXPECT_THAT(listed("h2"), HasSubstr("shop:installed:/zones/other:"));
    EXPECT_THAT(run("zonecfg", "h2", {"-z", "shop", "info", "limitpriv"}).output, HasSubstr("default,sys_time"));
}

TEST_F(AttachPrograms, TheDryRunsMakeAPipe) {
    install();
    const ProcessResult manifest = run("zoneadm", "h1", {"-z", "web01", "detach", "-n"});
    ASSERT_EQ(manifest.exit_status, 0) << manifest.output;
    EXPECT_TRUE(manifest.output.starts_with("<?xml"));
    EXPECT_THAT(listed("h1"), HasSubstr("web01:installed:"));
    EXPECT_FALSE(path_exists(root("h1") + "/zones/web01/" + kDetachedName));

    const ProcessResult differs = run("zoneadm", "h2", {"attach", "-n", "-"}, manifest.output);
    EXPECT_EQ(differs.exit_status, 1);
    EXPECT_THAT(differs.output, HasSubstr("tool (1.0) version mismatch (1.1)"));
    EXPECT_EQ(run("zoneadm", "h1", {"attach", "-n", "-"}, manifest.output).exit_status, 0);
    const ProcessResult json = run("zoneadm", "h2", {"attach", "-n", "-", "--format", "json"}, manifest.output);
    EXPECT_EQ(json.exit_status, 1);
    EXPECT_THAT(json.output, HasSubstr("\"code\":\"PKG_VERSION_MISMATCH\""));
    EXPECT_THAT(json.output, HasSubstr("\"source\":\"1.0\",\"target\":\"1.1\""));
    EXPECT_THAT(json.output, HasSubstr("\"type\":\"end\",\"exit_code\":1"));
    write_file(directory_.path() + "/m.xml", manifest.output);
    EXPECT_EQ(run("zoneadm", "h1", {"attach", "-n", directory_.path() + "/m.xml"}).exit_status, 0);
    const ProcessResult bad = run("zoneadm", "h2", {"attach", "-n", "-"}, "rubbish");
    EXPECT_EQ(bad.exit_status, 1);
    EXPECT_THAT(bad.output, HasSubstr("holds no manifest"));
    EXPECT_FALSE(path_exists(root("h2") + "/etc/zones"));
}

TEST_F(AttachPrograms, ForceAndWrongUse) {
    install();
    ASSERT_EQ(run("zoneadm", "h1", {"-z", "web01", "detach"}).exit_status, 0);
    carry_over();
    ASSERT_EQ(run("zonecfg", "h2", {"-z", "web01", "create -a /zones/web01"}).exit_status, 0);
    EXPECT_EQ(run("zoneadm", "h2", {"-z", "web01", "attach", "-u"}).exit_status, 1);
    EXPECT_EQ(run("zoneadm", "h2", {"-z", "web01", "attach", "-x"}).exit_status, 2);
    EXPECT_EQ(run("zoneadm", "h2", {"-z", "web01", "attach", "-F", "-n", "-"}).exit_status, 2);
    EXPECT_EQ(run("zoneadm", "h2", {"attach"}).exit_status, 2);
    EXPECT_EQ(run("zoneadm", "h2", {"-z", "web02", "attach"}).exit_status, 1);
    EXPECT_EQ(run("zoneadm", "h2", {"detach"}).exit_status, 2);
    const ProcessResult forced = run("zoneadm", "h2", {"-z", "web01", "attach", "-F"});
    EXPECT_EQ(forced.exit_status, 0) << forced.output;
    EXPECT_TRUE(path_exists(root("h2") + "/zones/web01/" + kAttachedName));
}

}  // namespace
}  // namespace zoneferry
