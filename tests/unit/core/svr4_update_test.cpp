// The svr4 engine on a whole zone: from level A to level B with every type of entry and every class of script, real
// scripts in real scratch zones, compared by tests/support/svr4_world.py, which knows none of our code.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core/attach/update.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "tests/support/busybox_zone.h"
#include "tests/support/fake_packages.h"
#include "tests/support/paths.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

const std::string kWorld = source_directory() + "/tests/support/svr4_world.py";

class Svr4UpdateTest : public ::testing::Test {
protected:
    void SetUp() override {
        if (!can_run_zones()) GTEST_SKIP() << "needs root and busybox-static";
        const auto made = run_process({"/usr/bin/python3", kWorld, "make", place_.path()});
        ASSERT_TRUE(made);
        ASSERT_EQ(made->exit_status, 0) << made->output;
        ASSERT_TRUE(make_directories(place_.path() + "/work", 0700));
        plan_.system = PackageSystem::svr4;
        plan_.steps = {
            {UpdateAction::remove, "SUNWold", "1.0", "", "all-zones", 0},
            {UpdateAction::add, "SUNWnew", "", "2.0", "all-zones", 0},
            {UpdateAction::replace, "SUNWcore", "11.10.0,REV=2005.01.01", "11.10.0,REV=2006.01.01", "all-zones", 0},
            {UpdateAction::replace, "SUNWhol", "1.A", "1.B", "all-zones", 0},
            {UpdateAction::replace, "SUNWinh", "1.A", "1.B", "inherited", 0}};
    }

    std::string zone() const { return place_.path() + "/zone"; }
    std::string host() const { return place_.path() + "/host"; }
    std::string spool(const std::string& package) const {
        return host() + "/var/sadm/pkg/" + package + "/save/pspool/" + package;
    }

    Status update() {
        root_ = *open_directory(zone());
        UpdateJob job{.plan = plan_, .zone_root = root_.get(), .host_root = host(), .inherited = {"/usr"}};
        job.zone = "web";
        job.work_directory = place_.path() + "/work";
        job.deadline_ms = SystemClock().monotonic_ms() + limit_ms_;
        job.log = [this](std::string_view line) { lines_.emplace_back(line); };
        job.progress = [this](const UpdateProgress& progress) { progress_.push_back(progress); };
        job.at_step = [this](const std::string& step) { steps_.push_back(step); };
        job.notes = &notes_;
        return apply_svr4_update(job);
    }
    void expect_refused(const std::string& words) {
        const Status done = update();
        ASSERT_FALSE(done);
        EXPECT_NE(done.error().text().find(words), std::string::npos) << done.error().text();
    }
    void clear_work() {
        ASSERT_TRUE(remove_tree(place_.path() + "/work"));
        ASSERT_TRUE(make_directories(place_.path() + "/work", 0700));
    }
    void append(const std::string& path, const std::string& text) {
        write_file(path, read_file(path, 1U << 20U).value_or("") + text);
    }

    TempDirectory place_;
    UniqueFd root_;
    UpdatePlan plan_;
    std::int64_t limit_ms_ = 60'000;
    std::vector<std::string> lines_, steps_, notes_;
    std::vector<UpdateProgress> progress_;
};

TEST_F(Svr4UpdateTest, IsAZoneFreshlyInstalledAtTheNewLevelWithTheEdits) {
    const Status done = update();
    ASSERT_TRUE(done) << done.error().text() << "\n" << join(lines_, "\n");
    const auto compared = run_process({"/usr/bin/python3", kWorld, "compare", zone(), place_.path() + "/expected"});
    ASSERT_TRUE(compared);
    EXPECT_EQ(compared->exit_status, 0) << compared->output << "\n" << join(lines_, "\n");
    EXPECT_EQ(notes_, std::vector<std::string>());
    EXPECT_EQ(steps_, (std::vector<std::string>{"package:SUNWold", "removed", "copied", "package:SUNWnew",
                                                "package:SUNWcore", "package:SUNWhol", "package:SUNWinh", "recorded"}));
}

// A script that fails is a failure of the update, whichever it is, and it is named.
TEST_F(Svr4UpdateTest, AFailingScriptIsAnErrorThatNamesItAndItsPackage) {
    const std::vector<std::pair<std::string, std::string>> scripts{
        {"SUNWcore", "preinstall"}, {"SUNWcore", "i.own"},       {"SUNWcore", "postinstall"},
        {"SUNWinh", "preinstall"},  {"SUNWnew", "checkinstall"}, {"SUNWinh", "postinstall"}};
    const std::string saved = place_.path() + "/saved";
    ASSERT_TRUE(run_checked({"cp", "-a", zone(), saved}));
    for (const auto& [package, script] : scripts) {
        const std::string path = spool(package) + "/install/" + script;
        const std::string before = read_file(path, 1U << 20U).value_or("");
        write_file(path, "echo this went wrong; exit 1\n");
        const Status done = update();
        ASSERT_FALSE(done) << script;
        for (const std::string& word : {package, script, std::string("status 1: this went wrong")})
            EXPECT_NE(done.error().text().find(word), std::string::npos) << done.error().text();
        if (before.empty()) {
            ASSERT_TRUE(remove_file(path));
        } else {
            write_file(path, before);
        }
        ASSERT_TRUE(remove_tree(zone()));
        ASSERT_TRUE(run_checked({"cp", "-a", saved, zone()}));
        clear_work();
    }
    for (const char* script : {"preremove", "r.own", "postremove"}) {
        const std::string path = zone() + "/var/sadm/pkg/SUNWold/install/" + script;
        const std::string before = *read_file(path, 1U << 20U);
        write_file(path, "echo this went wrong; exit 1\n");
        expect_refused("removing package SUNWold: script " + std::string(script) + " of package SUNWold failed");
        ASSERT_TRUE(remove_tree(zone()));
        ASSERT_TRUE(run_checked({"cp", "-a", saved, zone()}));
    }
}

TEST_F(Svr4UpdateTest, AWarningIsANoteAndAWishToRebootIsNot) {
    write_file(spool("SUNWcore") + "/install/postinstall", "echo look here; exit 2\n");
    write_file(spool("SUNWinh") + "/install/postinstall", "exit 10\n");
    const Status done = update();
    ASSERT_TRUE(done) << done.error().text();
    ASSERT_EQ(notes_.size(), 1U);
    EXPECT_EQ(notes_[0], "script postinstall of package SUNWcore ended with a warning: look here");
}

TEST_F(Svr4UpdateTest, CheckinstallRunsBeforeAnythingIsTouchedAndMaySayNo) {
    write_file(spool("SUNWinh") + "/install/checkinstall", "echo not here; exit 3\n");
    expect_refused("script checkinstall of package SUNWinh failed with status 3: not here");
    EXPECT_TRUE(path_exists(zone() + "/opt/core/gone"));
    EXPECT_TRUE(steps_.empty());
}

TEST_F(Svr4UpdateTest, WhatIsNotSpooledIsRefusedBeforeAnythingIsTouched) {
    ASSERT_TRUE(remove_tree(spool("SUNWinh")));
    expect_refused("package SUNWinh is not spooled on this host");
    EXPECT_TRUE(path_exists(zone() + "/opt/core/gone"));
}

TEST_F(Svr4UpdateTest, ASpoolOfAnotherVersionIsRefused) {
    plan_.steps.back().to = "1.C";
    expect_refused("package SUNWinh is to be brought to version 1.C, but this host has 1.B spooled");
}

TEST_F(Svr4UpdateTest, QuestionsWithoutAnswersAreRefused) {
    ASSERT_TRUE(remove_file(spool("SUNWnew") + "/install/response"));
    expect_refused("package SUNWnew asks questions");
}

TEST_F(Svr4UpdateTest, AMissingFileOfTheHostIsAnError) {
    ASSERT_TRUE(remove_file(host() + "/opt/core/new"));
    expect_refused("this host lacks /opt/core/new of its package SUNWcore");
}

TEST_F(Svr4UpdateTest, AMissingSpooledFileIsAnError) {
    ASSERT_TRUE(remove_file(spool("SUNWcore") + "/root/etc/new.conf"));
    expect_refused("package SUNWcore has /etc/new.conf, but this host did not spool it");
}

TEST_F(Svr4UpdateTest, AFileThatTheHostChangedIsTold) {
    append(host() + "/opt/core/new", "by hand\n");
    ASSERT_TRUE(update());
    ASSERT_EQ(notes_.size(), 1U);
    EXPECT_NE(notes_[0].find("/opt/core/new of package SUNWcore is not as it was packed"), std::string::npos);
}

TEST_F(Svr4UpdateTest, TheLogHasTheOriginalsOrderAndHeadings) {
    ASSERT_TRUE(update());
    const auto golden = read_file(source_directory() + "/tests/golden/svr4_update_log.txt", 1U << 20U);
    ASSERT_TRUE(golden);
    EXPECT_EQ(join(lines_, "\n") + "\n", *golden);
}

TEST_F(Svr4UpdateTest, ProgressCountsToTheEnd) {
    ASSERT_TRUE(update());
    ASSERT_FALSE(progress_.empty());
    EXPECT_EQ(progress_.back().packages, 5U);
    EXPECT_EQ(progress_.back().packages_done, 4U);  // told when it begins
    EXPECT_EQ(progress_.back().package, "SUNWinh");
    EXPECT_GT(progress_.back().files, 10U);
}

TEST_F(Svr4UpdateTest, ASecondUpdateChangesNothing) {
    ASSERT_TRUE(update());
    std::erase_if(plan_.steps, [](const UpdateStep& step) { return step.action == UpdateAction::remove; });
    for (UpdateStep& step : plan_.steps) {
        step.action = UpdateAction::replace;
        step.from = step.to;
    }
    clear_work();
    const std::string before = *read_file(zone() + "/var/sadm/install/contents", 1U << 20U);
    ASSERT_TRUE(update());
    const std::string after = *read_file(zone() + "/var/sadm/install/contents", 1U << 20U);
    EXPECT_EQ(*read_file(zone() + "/etc/core.conf", 100), "edited\n");
    EXPECT_EQ(*read_file(zone() + "/etc/sed.conf", 100), "# mine\nlevel=B\nmore\n");
    EXPECT_FALSE(before.empty() || after.empty());
}

// The zone's own traps. Nothing outside may change, and the host does not wait on a pipe.
class Svr4HostileZoneTest : public Svr4UpdateTest {
protected:
    void SetUp() override {
        Svr4UpdateTest::SetUp();
        if (IsSkipped()) return;
        ASSERT_TRUE(make_directories(victim(), 0755));
        write_file(victim() + "/contents", "host's\n");
        write_file(victim() + "/core.conf", "host's\n");
    }
    void TearDown() override {
        if (IsSkipped()) return;
        EXPECT_EQ(*list_directory(victim()), (std::vector<std::string>{"contents", "core.conf"}));
        EXPECT_EQ(*read_file(victim() + "/contents", 100), "host's\n");
        EXPECT_EQ(*read_file(victim() + "/core.conf", 100), "host's\n");
    }
    std::string victim() const { return place_.path() + "/victim"; }
    void link_to_victim(const std::string& path) {
        ASSERT_TRUE(remove_tree(zone() + path));
        ASSERT_EQ(::symlink(victim().c_str(), (zone() + path).c_str()), 0);
    }
};

TEST_F(Svr4HostileZoneTest, DirectoriesThatAreLinksToTheHost) {
    for (const char* path : {"/etc", "/var/sadm", "/var/sadm/install", "/opt", "/var/sadm/pkg", "/var"}) {
        ASSERT_TRUE(remove_tree(zone()));
        ASSERT_TRUE(run_checked({"/usr/bin/python3", kWorld, "make", place_.path() + "/again"}));
        ASSERT_EQ(::rename((place_.path() + "/again/zone").c_str(), zone().c_str()), 0);
        ASSERT_TRUE(remove_tree(place_.path() + "/again"));
        link_to_victim(path);
        (void)update();  // most end in an error; what counts is TearDown
        clear_work();
    }
}

TEST_F(Svr4HostileZoneTest, LinksUpwards) {
    ASSERT_TRUE(remove_tree(zone() + "/etc"));
    ASSERT_EQ(::symlink("../victim", (zone() + "/etc").c_str()), 0);
    (void)update();
}

TEST_F(Svr4HostileZoneTest, AFileThatIsALinkToTheHostIsReplacedNotFollowed) {
    for (const char* name : {"/opt/core/tool", "/opt/core/suid"}) {
        ASSERT_EQ(::unlink((zone() + name).c_str()), 0);
        ASSERT_EQ(::symlink((victim() + "/contents").c_str(), (zone() + name).c_str()), 0);
    }
    const Status done = update();
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(*read_file(zone() + "/opt/core/tool", 100), "tool B\n");
}

TEST_F(Svr4HostileZoneTest, AClassScriptFollowsALinkOnlyInTheScratchZone) {
    ASSERT_EQ(::unlink((zone() + "/etc/own.conf").c_str()), 0);
    ASSERT_EQ(::symlink((victim() + "/core.conf").c_str(), (zone() + "/etc/own.conf").c_str()), 0);
    (void)update();
}

TEST_F(Svr4HostileZoneTest, PipesWhereFilesAreExpected) {
    for (const char* name : {"/var/sadm/install/contents", "/var/sadm/pkg/SUNWold/pkginfo", "/etc/passwd"}) {
        ASSERT_EQ(::rename((zone() + name).c_str(), (place_.path() + "/saved").c_str()), 0);
        ASSERT_EQ(::mkfifo((zone() + name).c_str(), 0644), 0);
        if (std::string(name) == "/etc/passwd") {
            EXPECT_TRUE(update());  // a zone without names still has root
        } else {
            expect_refused("is not a regular file");
        }
        ASSERT_EQ(::unlink((zone() + name).c_str()), 0);
        ASSERT_EQ(::rename((place_.path() + "/saved").c_str(), (zone() + name).c_str()), 0);
        clear_work();
    }
}

TEST_F(Svr4HostileZoneTest, AContentsFileThatLeadsOutOfTheZone) {
    append(zone() + "/var/sadm/install/contents", "/opt/../../victim/contents f none 0644 root bin 1 1 1 SUNWold\n");
    expect_refused("has a path that cannot be installed");
}

TEST_F(Svr4HostileZoneTest, AScriptOfTheZoneThatTriesEverything) {
    write_file(zone() + "/var/sadm/pkg/SUNWold/install/preremove",
               "for f in " + victim() + "/contents /a/../../victim/contents /proc/1/root" + victim() +
                   "/contents; do echo x > $f; done 2>/dev/null\nmknod /a/disk b 254 0\nkill -9 -1\n"
                   "mkdir -p /a" +
                   victim() + "; ls /var/sadm > /a/var/seen; exit 0\n");
    (void)update();
    EXPECT_FALSE(path_exists(zone() + "/disk"));
}

TEST_F(Svr4HostileZoneTest, AScriptThatNeverEnds) {
    write_file(zone() + "/var/sadm/pkg/SUNWold/install/preremove", "while true; do sleep 1; done\n");
    limit_ms_ = 500;
    expect_refused("did not end within");
}

TEST_F(Svr4HostileZoneTest, ManyScriptsHaveOneDeadlineTogether) {
    limit_ms_ = 900;
    write_file(zone() + "/var/sadm/pkg/SUNWold/install/preremove", "sleep 0.6\n");
    write_file(zone() + "/var/sadm/pkg/SUNWold/install/postremove", "sleep 0.6\n");
    expect_refused("did not end within");
}

}  // namespace
}  // namespace zoneferry
