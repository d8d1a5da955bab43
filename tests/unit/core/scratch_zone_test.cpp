// The scratch zone against hostile zones and scripts. Where several fences stop the same thing, each is tried alone.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "core/attach/scratch_child.h"
#include "core/attach/scratch_zone.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "tests/support/busybox_zone.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

using std::chrono::milliseconds;

class ScratchZoneTest : public ::testing::Test {
protected:
    void SetUp() override {
        if (!can_run_zones()) GTEST_SKIP() << "needs root and busybox-static";
        make_busybox_zone(root());
        root_fd_ = *open_directory(root());
        spec_.zone_root_fd = root_fd_.get();
        spec_.id_base = 1'000'013'824;
        spec_.limit = milliseconds(60'000);
        spec_.log = [this](std::string_view line) { lines_.emplace_back(line); };
    }

    std::string root() const { return place_.path() + "/zone"; }

    Result<int> run(const std::string& script, const ScratchGuards& guards = {}) {
        lines_.clear();
        return run_with_guards(spec_, {"/bin/sh", "-c", script}, {"PATH=/bin", "HOME=/root"}, guards);
    }
    int status(const std::string& script, const ScratchGuards& guards = {}) {
        const auto done = run(script, guards);
        EXPECT_TRUE(done) << done.error().text();
        return done ? *done : -1;
    }
    std::string output() const { return join(lines_, "\n"); }
    bool said(const std::string& text) const { return output().find(text) != std::string::npos; }

    // The zone at /a in the host's userland.
    void show_at_a() {
        spec_.root_is_zone = false;
        spec_.binds.push_back({root() + "/bin", "/bin"});
    }

    TempDirectory place_;
    UniqueFd root_fd_;
    ScratchSpec spec_;
    std::vector<std::string> lines_;
};

constexpr ScratchGuards kNoFence{true, false, false, false, true};
ScratchGuards only_capabilities() { return {true, true, false, false, true}; }
ScratchGuards only_seccomp() { return {true, false, true, false, true}; }
bool has_landlock() { return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 2; }
ScratchGuards only_landlock() { return {true, false, false, true, true}; }

TEST_F(ScratchZoneTest, RunsAsRootOfTheZoneAndTellsTheStatus) {
    EXPECT_EQ(status("echo hello; echo $PWD; id -u; exit 7"), 7);
    EXPECT_EQ(output(), "hello\n/\n0");
    EXPECT_EQ(status("kill -9 $$"), 128 + 9);
}

TEST_F(ScratchZoneTest, OwnersOnDiskAreTheZonesOwn) {
    ASSERT_EQ(status("echo x > /etc/new && chown 2:3 /etc/new && chmod 2755 /etc/new"), 0);
    struct stat info {};
    ASSERT_EQ(::stat((root() + "/etc/new").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 2U);
    EXPECT_EQ(info.st_gid, 3U);
    EXPECT_EQ(info.st_mode & 07777U, 02755U);
}

TEST_F(ScratchZoneTest, AUserOfTheZoneHasNoPower) {
    spec_.user = 2;
    spec_.group = 3;
    EXPECT_EQ(status("id -u; id -g; grep CapEff /proc/self/status; touch /etc/x"), 1);
    EXPECT_TRUE(said("2\n3\nCapEff:\\x090000000000000000")) << output();
    EXPECT_FALSE(path_exists(root() + "/etc/x"));
}

TEST_F(ScratchZoneTest, AProgramThatIsNotThereIs127) {
    const auto done = run_in_scratch_zone(spec_, {"/bin/none"}, {});
    ASSERT_TRUE(done);
    EXPECT_EQ(*done, 127);
}

TEST_F(ScratchZoneTest, InputIsGiven) {
    spec_.input = std::string(300'000, 'x') + "\nlast\n";
    EXPECT_EQ(status("wc -c"), 0);
    EXPECT_EQ(std::string(trim(output())), "300006");
}

TEST_F(ScratchZoneTest, TheEnvironmentIsExactlyWhatWasGiven) {
    ::setenv("ZONEFERRY_SECRET", "1", 1);
    EXPECT_EQ(status("env | sort"), 0);
    ::unsetenv("ZONEFERRY_SECRET");
    EXPECT_FALSE(said("SECRET"));
    EXPECT_TRUE(said("PATH=/bin"));
}

TEST_F(ScratchZoneTest, NoDescriptorOfTheHostComesAlong) {
    const auto secret = open_file("/etc/passwd", O_RDONLY);
    ASSERT_TRUE(secret);
    const UniqueFd leaked(::fcntl(secret->get(), F_DUPFD, 40));  // without close-on-exec, as libraries may leave one
    EXPECT_EQ(status("ls /proc/self/fd /proc/1/fd"), 1);         // init's cannot be looked at
    EXPECT_FALSE(said("40"));
}

TEST_F(ScratchZoneTest, NothingOfTheHostIsSeen) {
    EXPECT_EQ(status("ls / | tr '\\n' ' '; ls /dev | tr '\\n' ' '; ls /proc/*/root/ 2>&1 | grep -c home; "
                     "cat /../../../etc/hostname; hostname; ls -d /proc/[0-9]* | wc -l"),
              0);
    EXPECT_TRUE(said("bin dev etc proc root run tmp var")) << output();
    EXPECT_TRUE(said("fd full null random stderr stdin stdout urandom zero"));
    EXPECT_TRUE(said("scratch"));
    EXPECT_TRUE(said("can't open '/../../../etc/hostname'"));
}

TEST_F(ScratchZoneTest, ProcIsReadOnly) {
    // Identical ids are the bad case: there the scratch zone's root has the number of the host's.
    spec_.id_base = 0;
    const std::string before = *read_file("/proc/sys/kernel/core_pattern", 4096);
    EXPECT_NE(status("echo '|/bin/evil' > /proc/sys/kernel/core_pattern", kNoFence), 0);
    EXPECT_EQ(*read_file("/proc/sys/kernel/core_pattern", 4096), before);
    EXPECT_TRUE(said("Read-only file system")) << output();
}

TEST_F(ScratchZoneTest, NoNetwork) {
    EXPECT_EQ(status("cat /proc/net/dev | grep -c :"), 0);
    EXPECT_EQ(output(), "1");  // lo, down
    EXPECT_NE(status("nc -w 1 127.0.0.1 7743 < /dev/null"), 0);
}

TEST_F(ScratchZoneTest, NoAbstractSocketOfTheHostIsReached) {
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = place_.name();
    std::copy(name.begin(), name.end(), address.sun_path + 1);
    const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), bytes), 0);
    ASSERT_NE(read_file("/proc/net/unix", 64U << 20U)->find(name), std::string::npos);
    EXPECT_NE(status("grep " + name + " /proc/net/unix"), 0);
}

TEST_F(ScratchZoneTest, HostProcessesAreOutOfReach) {
    EXPECT_NE(status("kill -9 " + std::to_string(::getpid())), 0);
    EXPECT_EQ(status("kill -9 1; kill -15 1; echo alive"), 0);  // the init does not listen to its children
    EXPECT_TRUE(said("alive"));
    EXPECT_NE(status("cat /proc/1/environ /proc/1/mem /proc/1/maps"), 0);
}

TEST_F(ScratchZoneTest, MountsAreRefusedByEachFence) {
    const std::string script = "mount -t tmpfs none /root";
    EXPECT_EQ(status(script, kNoFence), 0) << output();  // the user namespace alone lets it: in its own tree only
    EXPECT_NE(status(script, only_capabilities()), 0);
    EXPECT_NE(status(script, only_seccomp()), 0);
    EXPECT_NE(status(script), 0);
    if (has_landlock()) {
        EXPECT_NE(status(script, only_landlock()), 0);
    }
    EXPECT_EQ(std::string(*read_file("/proc/self/mountinfo", 1U << 24U)).find(root() + "/root"), std::string::npos);
}

TEST_F(ScratchZoneTest, NamespacesAreRefused) {
    EXPECT_EQ(status("unshare -m true", kNoFence), 0);
    EXPECT_NE(status("unshare -m true", only_capabilities()), 0);
    EXPECT_NE(status("unshare -m true", only_seccomp()), 0);
    EXPECT_EQ(status("unshare -U true", only_capabilities()), 0);  // needs no capability: only the filter stops it
    EXPECT_NE(status("unshare -U true", only_seccomp()), 0);
}

TEST_F(ScratchZoneTest, DeviceNodesAreRefusedByEachFence) {
    EXPECT_NE(status("mknod /root/disk b 254 0", kNoFence), 0);  // a user namespace has none to give
    // The kernel lets anybody make 0:0, which stands for a removed file in an overlay: here each fence is seen alone.
    EXPECT_EQ(status("mknod /root/none c 0 0 && rm /root/none", kNoFence), 0) << output();
    EXPECT_NE(status("mknod /root/none c 0 0", only_seccomp()), 0);
    if (has_landlock()) {
        EXPECT_NE(status("mknod /root/none c 0 0", only_landlock()), 0);
    }
    EXPECT_EQ(status("mknod /root/pipe p"), 0) << output();  // harmless, and packages have them
}

TEST_F(ScratchZoneTest, ADeviceNodePlantedInTheZoneCannotBeOpened) {
    ASSERT_EQ(::mknod((root() + "/etc/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
    ASSERT_EQ(status("echo x > /dev/null", kNoFence), 0);
    EXPECT_NE(status("echo x > /etc/null", kNoFence), 0);
    spec_.id_base = 0;
    EXPECT_NE(status("cat /etc/null", kNoFence), 0);
}

TEST_F(ScratchZoneTest, TheLinkOfTheZoneLeadsIntoTheZone) {
    ASSERT_EQ(::symlink("/", (root() + "/etc/everything").c_str()), 0);
    ASSERT_EQ(::symlink(place_.path().c_str(), (root() + "/etc/host").c_str()), 0);
    EXPECT_NE(status("echo x > /etc/host/escaped"), 0);
    EXPECT_FALSE(path_exists(place_.path() + "/escaped"));
    EXPECT_EQ(status("echo x > /etc/everything/inside"), 0);
    EXPECT_TRUE(path_exists(root() + "/inside"));
}

TEST_F(ScratchZoneTest, ALinkOrFileWhereSomethingIsToBeShownIsRefused) {
    for (const char* name : {"dev", "proc", "run", "tmp"}) {
        const std::string path = root() + "/" + name;
        ASSERT_EQ(::rmdir(path.c_str()), 0);
        ASSERT_EQ(::symlink("/etc", path.c_str()), 0);
        auto done = run("true");
        ASSERT_FALSE(done) << name;
        EXPECT_EQ(done.error().code(), Errc::invalid) << done.error().text();
        ASSERT_EQ(::unlink(path.c_str()), 0);
        ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
        EXPECT_FALSE(run("true")) << name;
        ASSERT_EQ(::unlink(path.c_str()), 0);
        ASSERT_EQ(::mkdir(path.c_str(), 0755), 0);
    }
    EXPECT_EQ(status("true"), 0);
}

TEST_F(ScratchZoneTest, ABindIsReadOnly) {
    ASSERT_TRUE(make_directories(place_.path() + "/spool", 0755));
    ASSERT_TRUE(replace_file(place_.path() + "/spool/file", "x\n", 0600));
    spec_.binds.push_back({place_.path() + "/spool", "/run/spool"});
    EXPECT_EQ(status("cat /run/spool/file"), 0) << output();
    EXPECT_NE(status("echo y > /run/spool/file", kNoFence), 0);
    EXPECT_NE(status("rm /run/spool/file", kNoFence), 0);
    EXPECT_NE(status("mount -o remount,rw /run/spool && echo y > /run/spool/file"), 0);
    EXPECT_EQ(*read_file(place_.path() + "/spool/file", 10), "x\n");
}

TEST_F(ScratchZoneTest, ABindWithoutOwnersHidesWhatNotAllMayRead) {
    ASSERT_TRUE(make_directories(place_.path() + "/spool", 0755));
    ASSERT_TRUE(replace_file(place_.path() + "/spool/secret", "x\n", 0600));
    ASSERT_TRUE(replace_file(place_.path() + "/spool/open", "y\n", 0644));
    spec_.binds.push_back({place_.path() + "/spool", "/run/spool", false});
    EXPECT_NE(status("cat /run/spool/secret"), 0);
    EXPECT_EQ(status("cat /run/spool/open"), 0);
}

TEST_F(ScratchZoneTest, ABindInTheZonesTreeNeedsARealDirectoryThere) {
    ASSERT_TRUE(make_directories(root() + "/usr", 0755));
    spec_.binds.push_back({"/usr/share/doc", "/usr"});
    EXPECT_EQ(status("test -d /usr/bash || test -d /usr/base-files"), 0);
    ASSERT_EQ(::rmdir((root() + "/usr").c_str()), 0);
    ASSERT_EQ(::symlink("/etc", (root() + "/usr").c_str()), 0);
    EXPECT_FALSE(run("true"));
}

TEST_F(ScratchZoneTest, WithTheZoneAtAOnlyItAndMemoryCanBeWritten) {
    show_at_a();
    spec_.files.push_back({"/etc/passwd", "root:x:0:0::/:/bin/sh\n"});
    spec_.links.push_back({"/sbin", "bin"});
    EXPECT_EQ(status("ls / | tr '\\n' ' '; /sbin/true && echo x > /a/etc/made && echo y > /tmp/made && "
                     "cat /var/tmp/made && cat /etc/passwd"),
              0)
        << output();
    EXPECT_TRUE(said("a bin dev etc proc run sbin tmp var"));
    EXPECT_TRUE(path_exists(root() + "/etc/made"));
    for (const ScratchGuards& guards : {kNoFence, only_landlock()}) {
        EXPECT_NE(status("echo x > /etc/passwd", guards), 0);
        EXPECT_NE(status("echo x > /bin/new", guards), 0);
        EXPECT_NE(status("mkdir /new", guards), 0);
    }
    EXPECT_EQ(status("chroot /a /bin/sh -c 'echo z > /etc/again'"), 0) << output();
    EXPECT_TRUE(path_exists(root() + "/etc/again"));
}

bool anybody_runs(const std::string& words) {
    std::string joined = words;
    std::replace(joined.begin(), joined.end(), ' ', '\0');
    const auto names = list_directory("/proc");
    for (const std::string& name : names.value()) {
        const auto command = read_file("/proc/" + name + "/cmdline", 1U << 20U);
        if (command && command->find(joined) != std::string::npos) return true;
    }
    return false;
}

TEST_F(ScratchZoneTest, ProcessesThatStayBehindEnd) {
    EXPECT_EQ(status("setsid sleep 76543 & sleep 76543 & while ! grep -l 76543 /proc/[0-9]*/cmdline; do true; done; "
                     "echo done"),
              0);
    EXPECT_EQ(lines_.back(), "done");
    EXPECT_FALSE(anybody_runs("sleep 76543"));
}

TEST_F(ScratchZoneTest, WhatNeverEndsIsEnded) {
    spec_.limit = milliseconds(300);
    const auto done =
        run("trap '' TERM INT HUP; sh -c 'trap \"\" TERM; while true; do sleep 1; done' & while true; do "
            "sleep 1; done");
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), Errc::timed_out);
}

TEST_F(ScratchZoneTest, ForkingForEverIsBounded) {
    spec_.processes_max = 40;
    spec_.limit = milliseconds(10'000);
    const std::string bomb = "i=0; while test $i -lt 200; do sleep 60 & i=$(expr $i + 1); done; echo all of them";
    (void)run(bomb);
    EXPECT_FALSE(said("all of them")) << output();
    EXPECT_TRUE(said("fork")) << output();
}

TEST_F(ScratchZoneTest, OutputIsBoundedAndEscaped) {
    spec_.output_bytes_max = 20'000;
    EXPECT_EQ(status("printf 'a\\033[2Jb\\n'; yes | head -c 3000000; echo end >&2; head -c 9000 /dev/zero"), 0);
    EXPECT_EQ(lines_.front(), "a\\x1b[2Jb");
    std::size_t bytes = 0;
    for (const std::string& line : lines_) {
        bytes += line.size() + 1;
        EXPECT_LE(line.size(), 4096U);
    }
    EXPECT_LT(bytes, 30'000U);
    EXPECT_NE(lines_.back().find("the rest is not kept"), std::string::npos);
}

TEST_F(ScratchZoneTest, ManyAtATimeFromManyThreads) {
    std::vector<std::thread> threads;
    std::array<int, 6> results{};
    for (int i = 0; i < 6; ++i) {
        threads.emplace_back([&, i] {
            ScratchSpec spec = spec_;
            spec.log = nullptr;
            results[static_cast<std::size_t>(i)] =
                run_in_scratch_zone(spec, {"/bin/sh", "-c", "exit " + std::to_string(i + 10)}, {}).value_or(-1);
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(results, (std::array<int, 6>{10, 11, 12, 13, 14, 15}));
}

TEST_F(ScratchZoneTest, BadPathsAreRefusedBeforeAnythingRuns) {
    for (const char* path : {"", "relative", "/", "/run/../etc", "/run//x", "/run/.", "/etc/x"}) {
        ScratchSpec spec = spec_;
        spec.files.push_back({path, "x"});
        EXPECT_FALSE(run_in_scratch_zone(spec, {"/bin/true"}, {})) << path;
    }
    EXPECT_FALSE(run_in_scratch_zone(spec_, {"true"}, {}));
    EXPECT_FALSE(run_in_scratch_zone(spec_, {}, {}));
}

TEST_F(ScratchZoneTest, ItEndsWithItsMaker) {
    const pid_t maker = ::fork();
    if (maker == 0) {
        (void)run("echo started > /etc/started; sleep 300");
        ::_exit(0);
    }
    const SystemClock clock;
    const std::int64_t deadline_ms = clock.monotonic_ms() + 20'000;
    while (!path_exists(root() + "/etc/started") && clock.monotonic_ms() < deadline_ms) ::sched_yield();
    ASSERT_TRUE(path_exists(root() + "/etc/started"));
    const std::string children =
        *read_file("/proc/" + std::to_string(maker) + "/task/" + std::to_string(maker) + "/children", 4096);
    const auto init = parse_number<pid_t>(trim(children));
    ASSERT_TRUE(init) << children;
    const UniqueFd held(static_cast<int>(::syscall(SYS_pidfd_open, *init, 0)));
    ASSERT_TRUE(held);
    ::kill(maker, SIGKILL);
    (void)::waitpid(maker, nullptr, 0);
    pollfd wait{held.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 20'000), 1);
}

}  // namespace
}  // namespace zoneferry
