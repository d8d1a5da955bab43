// zonecfg as a person meets it: the program on a terminal of its own (a pty), typed at.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/zone/store.h"
#include "tests/support/paths.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

using testing::HasSubstr;

class ZonecfgTerminal : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: it configures a zone";
        start();
    }
    void TearDown() override {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }

    void start() {
        int terminal = -1;
        const winsize size{50, 200, 0, 0};
        pid_ = ::forkpty(&terminal, nullptr, nullptr, &size);
        ASSERT_GE(pid_, 0);
        if (pid_ == 0) {
            ::setenv("TERM", "dumb", 1);
            const std::string program = programs_directory() + "/zonecfg";
            ::execl(program.c_str(), "zonecfg", "--root", directory_.path().c_str(), "-z", "my-zone", nullptr);
            ::_exit(127);
        }
        terminal_ = UniqueFd(terminal);
    }

    // Reads until wanted appears; what was read since the last call is given.
    std::string wait_for(const std::string& wanted) {
        constexpr int kPatienceMs = 20'000;
        std::string seen;
        while (seen.find(wanted) == std::string::npos) {
            pollfd ready{terminal_.get(), POLLIN, 0};
            char buffer[4096];
            if (::poll(&ready, 1, kPatienceMs) != 1) break;
            const ssize_t n = ::read(terminal_.get(), buffer, sizeof buffer);
            if (n <= 0) break;  // its end
            seen.append(buffer, static_cast<std::size_t>(n));
        }
        EXPECT_THAT(seen, HasSubstr(wanted));
        return seen;
    }
    void type(const std::string& text) { ASSERT_TRUE(write_all(terminal_.get(), as_bytes(text))); }
    // Ends the input. libedit shows its prompt a moment before it takes the terminal over; a ^D that comes between is
    // the terminal's own, and lost or a byte of the line. So a person clears the line (^U) and types it again.
    void type_end_of_input() {
        const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
        for (int tries = 0; tries < 100; ++tries) {
            type("\x15\x04");
            pollfd ended{process.get(), POLLIN, 0};
            if (::poll(&ended, 1, 200) == 1) return;
        }
    }
    int exit_status() {
        int status = 0;
        EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    TempDirectory directory_;
    pid_t pid_ = -1;
    UniqueFd terminal_;
};

TEST_F(ZonecfgTerminal, TheConversationOfTheSeed) {
    const std::string greeting = wait_for("zonecfg:my-zone> ");
    EXPECT_THAT(greeting, HasSubstr("my-zone: No such zone configured\r\n"
                                    "Use 'create' to begin configuring a new zone.\r\n"));
    type("crea\t-b\n");  // Tab completes
    wait_for("zonecfg:my-zone> ");
    type("set zonepath=/zones/my-zone\n");
    wait_for("zonecfg:my-zone> ");
    type("add net\n");
    wait_for("zonecfg:my-zone:net> ");
    type("set phy\tbr0\n");
    wait_for("zonecfg:my-zone:net> ");
    type("cancel\n");
    wait_for("zonecfg:my-zone> ");
    type("fly\n");
    EXPECT_THAT(wait_for("zonecfg:my-zone> "), HasSubstr("unknown command"));
    type("commit\n");
    wait_for("zonecfg:my-zone> ");
    type("exit\n");
    EXPECT_EQ(exit_status(), 0);
    const auto config = ZoneStore(HostRoot(directory_.path())).config(*ZoneName::create("my-zone"));
    ASSERT_TRUE(config) << config.error().text();
    EXPECT_EQ(config->zonepath, "/zones/my-zone");
}

TEST_F(ZonecfgTerminal, AnEarlierLineIsRecalled) {
    wait_for("zonecfg:my-zone> ");
    type("create -b\n");
    wait_for("zonecfg:my-zone> ");
    type("set zonepath=/zones/one\n");
    wait_for("zonecfg:my-zone> ");
    type("set zonepath=/zones/two\n");
    wait_for("zonecfg:my-zone> ");
    type("\x10\x10\n");  // ^P twice: the line before the last
    wait_for("zonecfg:my-zone> ");
    type("commit\n");
    wait_for("zonecfg:my-zone> ");
    type("exit\n");
    EXPECT_EQ(exit_status(), 0);
    EXPECT_EQ(ZoneStore(HostRoot(directory_.path())).config(*ZoneName::create("my-zone"))->zonepath, "/zones/one");
}

TEST_F(ZonecfgTerminal, ExitStaysUntilTheConfigurationIsSoundOrGivenUp) {
    wait_for("zonecfg:my-zone> ");
    type("create -b\n");
    wait_for("zonecfg:my-zone> ");
    type("exit\n");
    EXPECT_THAT(wait_for("zonecfg:my-zone> "), HasSubstr("zonepath is not set"));
    type("exit -F\n");
    EXPECT_EQ(exit_status(), 0);
    EXPECT_TRUE(ZoneStore(HostRoot(directory_.path())).list()->empty());
}

TEST_F(ZonecfgTerminal, DeleteAsksFirst) {
    wait_for("zonecfg:my-zone> ");
    type("create -b; set zonepath=/zones/my-zone; commit\n");
    wait_for("zonecfg:my-zone> ");
    type("delete\n");
    wait_for("(y/[n])? ");
    type("n\n");
    wait_for("zonecfg:my-zone> ");
    EXPECT_EQ(ZoneStore(HostRoot(directory_.path())).list()->size(), 1U);
    type("delete\n");
    wait_for("(y/[n])? ");
    type("y\n");
    wait_for("zonecfg:my-zone> ");
    EXPECT_TRUE(ZoneStore(HostRoot(directory_.path())).list()->empty());
    type_end_of_input();
    EXPECT_EQ(exit_status(), 0);
}

TEST_F(ZonecfgTerminal, ASecondWriterIsRefused) {
    wait_for("zonecfg:my-zone> ");
    type("create -b; set zonepath=/zones/one\n");
    wait_for("zonecfg:my-zone> ");
    ZoneStore store{HostRoot(directory_.path())};
    const ZoneName name = *ZoneName::create("my-zone");
    {
        const auto lock = store.lock(name);
        ASSERT_TRUE(lock);
        type("commit\n");
        EXPECT_THAT(wait_for("zonecfg:my-zone> "), HasSubstr("another operation on zone my-zone is in progress"));
        ZoneConfig other;
        other.name = "my-zone";
        other.zonepath = "/zones/two";
        ASSERT_TRUE(store.create(*lock, other));
    }
    type("commit\n");
    EXPECT_THAT(wait_for("zonecfg:my-zone> "), HasSubstr("was changed by another"));
    EXPECT_EQ(store.config(name)->zonepath, "/zones/two");
    type("revert -F; set autoboot=true; exit\n");
    EXPECT_EQ(exit_status(), 0);
    EXPECT_EQ(store.config(name)->zonepath, "/zones/two");
    EXPECT_TRUE(store.config(name)->autoboot);
}

}  // namespace
}  // namespace zoneferry
