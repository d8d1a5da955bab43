// zoneadm's verbs as a person or a script types them: exit codes, refusals with what to type, the formats of list.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/attach/manifest.h"
#include "core/base/process.h"
#include "core/zone/store.h"
#include "tests/support/fake_packages.h"
#include "tests/support/paths.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

using testing::HasSubstr;
using testing::Not;

class ZoneadmPrograms : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: zonepaths belong to root";
        ASSERT_EQ(::chmod(root().c_str(), 0755), 0);
        for (const char* made : {"/zones", "/usr"}) ASSERT_TRUE(make_directories(root() + made, 0755));
        make_dpkg_host(root(), {{"tool", "1.0", {"/usr", "/usr/tool"}}});
        EXPECT_EQ(zonecfg("web01", "create; set zonepath=/zones/web01").exit_status, 0);
        make_tree("web01");
        set_state("web01", ZoneState::configured, ZoneState::installed);
    }

    const std::string& root() const { return directory_.path(); }
    ProcessResult run(std::vector<std::string> argv, const std::string& input = "") {
        ProcessOptions options;
        options.input = input;
        auto result = run_process(argv, options);
        EXPECT_TRUE(result) << result.error().text();
        return result ? *std::move(result) : ProcessResult{255, ""};
    }
    std::vector<std::string> command(const std::string& program, const std::vector<std::string>& words) const {
        std::vector<std::string> argv = {programs_directory() + "/" + program, "--root", root()};
        argv.insert(argv.end(), words.begin(), words.end());
        return argv;
    }
    ProcessResult zoneadm(const std::vector<std::string>& words) { return run(command("zoneadm", words)); }
    ProcessResult zonecfg(const std::string& zone, const std::string& commands) {
        return run(command("zonecfg", {"-z", zone, commands}));
    }
    ProcessResult as_nobody(const std::string& program, const std::vector<std::string>& words,
                            const std::string& input = "") {
        std::vector<std::string> argv = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
        for (const std::string& word : command(program, words)) argv.push_back(word);
        return run(argv, input);
    }
    void make_tree(const std::string& zone) {
        ASSERT_TRUE(make_directories(root() + "/zones/" + zone, 0700));
        ASSERT_TRUE(make_directories(root() + "/zones/" + zone + "/root/etc", 0755));
    }
    ZoneStore store() const { return ZoneStore(HostRoot(root())); }
    static ZoneName name(const std::string& zone) { return *ZoneName::create(zone); }
    void set_state(const std::string& zone, ZoneState from, ZoneState to) {
        ASSERT_TRUE(store().change_state(*store().lock(name(zone)), from, to));
    }
    ZoneState state(const std::string& zone) const { return store().find(name(zone))->state; }
    void expect_refused(const std::vector<std::string>& words, const std::string& why, const std::string& remedy) {
        const ProcessResult result = zoneadm(words);
        EXPECT_EQ(result.exit_status, 1) << result.output;
        EXPECT_THAT(result.output, HasSubstr(why));
        EXPECT_THAT(result.output, HasSubstr("\n  try: " + remedy));
    }

    TempDirectory directory_;
};

TEST_F(ZoneadmPrograms, WrongUseIsTwoAndHelpIsZero) {
    const std::vector<std::vector<std::string>> wrong = {
        {},
        {"frobnicate"},
        {"boot"},
        {"-z", "web01", "boot", "now"},
        {"-z", "web01", "reboot", "x"},
        {"-z", "web01", "verify", "x"},
        {"-z", "web01", "mark"},
        {"-z", "web01", "mark", "installed"},
        {"-z", "web01", "clone"},
        {"-z", "web02", "clone", "-m", "snapshot", "web01"},
        {"-z", "web01", "clone", "web01"},
        {"-z", "web01", "move"},
        {"-z", "web01", "move", "-F"},
        {"-z", "web01", "detach", "-x"},
        {"-z", "web01", "uninstall", "now"},
        {"list", "-x"},
        {"list", "-p", "--format", "json"},
        {"list", "--format", "xml"},
        {"--unknown", "list"},
    };
    for (const auto& words : wrong) EXPECT_EQ(zoneadm(words).exit_status, 2) << testing::PrintToString(words);
    for (const char* program : {"zoneadm", "zonecfg"}) {
        const ProcessResult help = run({programs_directory() + "/" + program, "--help"});
        EXPECT_EQ(help.exit_status, 0);
        EXPECT_TRUE(help.output.starts_with(std::string("usage: ") + program)) << help.output;
    }
    EXPECT_EQ(state("web01"), ZoneState::installed);
}

TEST_F(ZoneadmPrograms, RefusalsSayWhatToType) {
    expect_refused({"-z", "nope", "halt"}, "there is no zone nope", "zoneadm list -c");
    expect_refused({"-z", "web01", "reboot"}, "zone web01 is not running", "zoneadm -z web01 boot");
    expect_refused({"-z", "web01", "uninstall"}, "no terminal to ask at", "zoneadm -z web01 uninstall -F");
    expect_refused({"-z", "web01", "attach", "-u"}, "already installed", "zoneadm -z web01 boot");
    expect_refused({"-z", "web01", "move", "/zones"}, "overlap", "choose another place");
    ASSERT_EQ(zoneadm({"-z", "web01", "mark", "incomplete"}).exit_status, 0);
    expect_refused({"-z", "web01", "mark", "incomplete"}, "is incomplete, not installed", "zoneadm -z web01 list");
    expect_refused({"-z", "web01", "attach"}, "incomplete and cannot be attached", "zoneadm -z web01 uninstall");
    expect_refused({"-z", "web01", "detach"}, "incomplete and cannot be detached", "zoneadm -z web01 uninstall");
    expect_refused({"-z", "web01", "move", "/zones/new"}, "incomplete and cannot be moved",
                   "zoneadm -z web01 uninstall");
    ASSERT_EQ(zoneadm({"-z", "web01", "uninstall", "-F"}).exit_status, 0);
    EXPECT_FALSE(path_exists(root() + "/zones/web01/root"));
    expect_refused({"-z", "web01", "uninstall", "-F"}, "is not installed", "to delete its configuration: zonecfg");
    expect_refused({"-z", "web01", "boot"}, "is configured, not installed", "install or attach it first");
}

TEST_F(ZoneadmPrograms, TheLockIsTakenBeforeAnythingIsLookedAt) {
    EXPECT_EQ(zonecfg("web02", "create; set zonepath=/zones/web02").exit_status, 0);
    const auto held = store().lock(name("web01"));
    ASSERT_TRUE(held);
    // Each would be refused for its own reason if it looked first: the state is wrong or the zone's tree is not there.
    ASSERT_TRUE(remove_tree(root() + "/zones/web01"));
    const std::vector<std::vector<std::string>> verbs = {
        {"detach"}, {"attach"}, {"attach", "-F"}, {"install"},          {"uninstall", "-F"},    {"boot"},
        {"halt"},   {"reboot"}, {"shutdown"},     {"move", "/zones/n"}, {"mark", "incomplete"}, {"clone", "web02"}};
    for (auto words : verbs) {
        words.insert(words.begin(), {"-z", "web01"});
        const ProcessResult result = zoneadm(words);
        EXPECT_EQ(result.exit_status, 1);
        EXPECT_THAT(result.output, HasSubstr("another operation on zone web01 is in progress")) << words[2];
    }
    EXPECT_THAT(zoneadm({"-z", "web02", "clone", "web01"}).output, HasSubstr("another operation on zone web01"));
    EXPECT_THAT(zonecfg("web01", "set autoboot=true").output, HasSubstr("another operation on zone web01"));
}

TEST_F(ZoneadmPrograms, ListAsScriptsReadIt) {
    ZoneConfig odd;
    odd.name = "odd";
    odd.zonepath = "/zones/a:b";
    odd.ip_type = IpType::exclusive;
    odd.brand = "cluster";
    ASSERT_TRUE(store().create(*store().lock(name("odd")), odd));
    const std::string uuid = store().find(name("web01"))->uuid;
    const std::string global = "0:global:running:/::native:shared\n";
    const std::string web01 = "-:web01:installed:/zones/web01:" + uuid + ":native:shared\n";
    const std::string configured = "-:odd:configured:/zones/a\\:b::cluster:excl\n";
    EXPECT_EQ(zoneadm({"list", "-p"}).output, global);
    EXPECT_EQ(zoneadm({"list", "-ip"}).output, global + web01);
    EXPECT_EQ(zoneadm({"list", "-c", "-p"}).output, global + web01 + configured);
    EXPECT_EQ(zoneadm({"-z", "odd", "list", "-p"}).output, configured);
    EXPECT_EQ(zoneadm({"list", "-c"}).output, "global\nweb01\nodd\n");
    EXPECT_THAT(zoneadm({"list", "-cv"}).output, HasSubstr("/zones/a:b"));
    const auto rows = nlohmann::json::parse(zoneadm({"list", "-c", "--format", "json"}).output);
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[2]["zonepath"], "/zones/a:b");
    EXPECT_EQ(rows[1]["uuid"], uuid);
}

TEST_F(ZoneadmPrograms, LookingNeedsNoPrivilege) {
    const ProcessResult manifest = as_nobody("zoneadm", {"-z", "web01", "detach", "-n"});
    ASSERT_EQ(manifest.exit_status, 0) << manifest.output;
    EXPECT_TRUE(parse_manifest(manifest.output));
    EXPECT_EQ(as_nobody("zoneadm", {"attach", "-n", "-"}, manifest.output).exit_status, 0);
    EXPECT_EQ(as_nobody("zoneadm", {"list", "-cv"}).exit_status, 0);
    EXPECT_EQ(as_nobody("zonecfg", {"-z", "web01", "info"}).exit_status, 0);
    EXPECT_FALSE(path_exists(root() + "/zones/web01/" + kDetachedName));
    const ProcessResult refused = as_nobody("zoneadm", {"-z", "web01", "detach"});
    EXPECT_EQ(refused.exit_status, 1);
    EXPECT_THAT(refused.output, HasSubstr("only root may change zone web01"));
    EXPECT_THAT(refused.output, HasSubstr("try: run the same command as root"));
}

TEST_F(ZoneadmPrograms, InstallAndCloneLeaveADetachedZoneAlone) {
    ASSERT_EQ(zoneadm({"-z", "web01", "detach"}).exit_status, 0);
    EXPECT_EQ(zonecfg("web02", "create; set zonepath=/zones/web02").exit_status, 0);
    make_tree("web02");
    set_state("web02", ZoneState::configured, ZoneState::installed);
    const std::vector<std::vector<std::string>> verbs = {{"install"}, {"clone", "web02"}};
    enum class Left { everything, no_record, manifest_only };
    for (const Left left : {Left::everything, Left::no_record, Left::manifest_only}) {
        if (left == Left::no_record) {
            ASSERT_TRUE(remove_file(root() + "/zones/web01/.zoneferry-owner"));
        }
        if (left == Left::manifest_only) {
            ASSERT_TRUE(remove_tree(root() + "/zones/web01/root"));
        }
        for (auto words : verbs) {
            words.insert(words.begin(), {"-z", "web01"});
            const ProcessResult result = zoneadm(words);
            EXPECT_EQ(result.exit_status, 1);
            EXPECT_THAT(result.output,
                        HasSubstr(left == Left::everything ? "was detached on host" : "holds a detached zone"));
            EXPECT_TRUE(path_exists(root() + "/zones/web01/" + kDetachedName));
            EXPECT_EQ(state("web01"), ZoneState::configured);
        }
    }
}

TEST_F(ZoneadmPrograms, AttachAndVerifyLookAtTheHostFirst) {
    ASSERT_EQ(zoneadm({"-z", "web01", "verify"}).exit_status, 0);
    ASSERT_EQ(zoneadm({"-z", "web01", "detach"}).exit_status, 0);
    ASSERT_EQ(zonecfg("web01", "add net; set physical=zfnone0; set address=192.0.2.1/24; end").exit_status, 0);
    for (const std::vector<std::string>& words : {std::vector<std::string>{"verify"}, {"attach"}, {"attach", "-F"}}) {
        std::vector<std::string> all{"-z", "web01"};
        all.insert(all.end(), words.begin(), words.end());
        const ProcessResult result = zoneadm(all);
        EXPECT_EQ(result.exit_status, 1);
        EXPECT_THAT(result.output, HasSubstr("this host has no interface zfnone0"));
        EXPECT_THAT(result.output, HasSubstr("  try: mend it"));
        EXPECT_TRUE(path_exists(root() + "/zones/web01/" + kDetachedName));
    }
    EXPECT_EQ(state("web01"), ZoneState::configured);
}

TEST_F(ZoneadmPrograms, CloneAndMove) {
    EXPECT_EQ(zonecfg("web02", "create -t web01; set zonepath=/zones/web02").exit_status, 0);
    const ProcessResult cloned = zoneadm({"-z", "web02", "clone", "-m", "copy", "web01"});
    EXPECT_EQ(cloned.exit_status, 0) << cloned.output;
    EXPECT_THAT(zoneadm({"list", "-i"}).output, HasSubstr("web02"));
    EXPECT_EQ(*read_file(root() + "/zones/web02/root/etc/hostname", 100), "web02\n");
    const ProcessResult moved = zoneadm({"-z", "web02", "move", "/zones/elsewhere"});
    EXPECT_EQ(moved.exit_status, 0) << moved.output;
    EXPECT_THAT(zoneadm({"-z", "web02", "list", "-p"}).output, HasSubstr(":installed:/zones/elsewhere:"));
    EXPECT_EQ(zoneadm({"-z", "web02", "uninstall", "-F"}).exit_status, 0);
    EXPECT_EQ(run(command("zonecfg", {"-z", "web02", "delete", "-F"})).exit_status, 0);
    EXPECT_THAT(zoneadm({"list", "-c"}).output, Not(HasSubstr("web02")));
}

TEST_F(ZoneadmPrograms, UninstallRemovesNothingUnderAMount) {
    const std::string point = root() + "/zones/web01/root/zz";
    ASSERT_TRUE(make_directories(point, 0755));
    write_file(root() + "/zones/web01/root/etc/mine", "x");
    if (::mount("none", point.c_str(), "tmpfs", 0, "size=64k") != 0) GTEST_SKIP() << "needs the right to mount";
    const ProcessResult result = zoneadm({"-z", "web01", "uninstall", "-F"});
    EXPECT_EQ(::umount2(point.c_str(), MNT_DETACH), 0);
    EXPECT_EQ(result.exit_status, 1);
    EXPECT_THAT(result.output, HasSubstr("still mounted"));
    EXPECT_TRUE(path_exists(root() + "/zones/web01/root/etc/mine"));
    EXPECT_EQ(state("web01"), ZoneState::installed);
}

TEST_F(ZoneadmPrograms, UninstallAsksAtATerminal) {
    for (const char* answer : {"n\n", "\n", "y\n"}) {
        int terminal = -1;
        const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
        ASSERT_GE(pid, 0);
        if (pid == 0) {
            const std::string program = programs_directory() + "/zoneadm";
            ::execl(program.c_str(), "zoneadm", "--root", root().c_str(), "-z", "web01", "uninstall", nullptr);
            ::_exit(127);
        }
        const UniqueFd held(terminal);
        EXPECT_TRUE(write_all(terminal, as_bytes(std::string(answer))));
        std::string seen;
        char buffer[512];
        for (ssize_t n = 0; (n = ::read(terminal, buffer, sizeof buffer)) > 0;)
            seen.append(buffer, static_cast<std::size_t>(n));
        int status = 0;
        ASSERT_EQ(::waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0);
        EXPECT_THAT(seen, HasSubstr("cannot be undone (y/[n])? "));
        const bool gone = answer[0] == 'y';
        EXPECT_EQ(state("web01"), gone ? ZoneState::configured : ZoneState::installed) << answer;
        EXPECT_EQ(path_exists(root() + "/zones/web01/root"), !gone);
    }
}

TEST_F(ZoneadmPrograms, ZonecfgTakesItsCommandsFromEverywhere) {
    const std::string file = root() + "/commands";
    write_file(file, "create -b\nset zonepath=/zones/web02\n");
    EXPECT_EQ(run(command("zonecfg", {"-z", "web02", "-f", file})).exit_status, 0);
    EXPECT_EQ(run(command("zonecfg", {"-z", "web02"}), "set autoboot=true\n").exit_status, 0);
    EXPECT_EQ(run(command("zonecfg", {"-z", "web02", "set", "bootargs=-v"})).exit_status, 0);
    EXPECT_EQ(run(command("zonecfg", {"-z", "web02", "export", "-f", file})).exit_status, 0);
    ASSERT_EQ(run(command("zonecfg", {"-z", "web02", "delete", "-F"})).exit_status, 0);
    EXPECT_EQ(run(command("zonecfg", {"-z", "web02", "-f", file})).exit_status, 0);
    const auto config = store().config(name("web02"));
    ASSERT_TRUE(config);
    EXPECT_TRUE(config->autoboot);
    EXPECT_EQ(config->bootargs, "-v");
    const ProcessResult bad = run(command("zonecfg", {"-z", "web02"}), "set autoboot=true\nset nothing=1\n");
    EXPECT_EQ(bad.exit_status, 1);
    EXPECT_THAT(bad.output, HasSubstr("line 2"));
    EXPECT_EQ(run(command("zonecfg", {"-z", "web02", "fly"})).exit_status, 2);
    const ProcessResult missing = run(command("zonecfg", {"-z", "web03", "info"}));
    EXPECT_EQ(missing.exit_status, 1);
    EXPECT_THAT(missing.output, HasSubstr("not configured"));
}

}  // namespace
}  // namespace zoneferry
