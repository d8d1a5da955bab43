#include "agent/verbs/control_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <semaphore>
#include <thread>
#include <vector>

#include "core/base/files.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

class ControlDoor : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "only root may connect";
    }
    void start(ServeRequest serve) { server = *ControlServer::start(path, std::move(serve)); }
    UniqueFd connect() {
        auto client = connect_control(path);
        EXPECT_TRUE(client) << client.error().text();
        return *std::move(client);
    }
    static bool say(const UniqueFd& client, std::string_view text) {
        return ::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
    }
    // Everything until the server closes.
    static std::string answer(const UniqueFd& client) {
        ::shutdown(client.get(), SHUT_WR);
        auto text = read_to_end(client.get(), 1 << 20);
        return text ? *text : "";
    }
    static ServeRequest echo() {
        return [](const std::string& request, const SendLine& send) { send("got " + request); };
    }

    TempDirectory directory;
    std::string path = directory.path() + "/agent.sock";
    std::unique_ptr<ControlServer> server;
};

TEST_F(ControlDoor, ALineAsksAndIsAnswered) {
    start(echo());
    const UniqueFd client = connect();
    ASSERT_TRUE(say(client, "hel"));
    ASSERT_TRUE(say(client, "lo\nrest is left out"));
    EXPECT_EQ(answer(client), "got hello\n");
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0700U);
    server.reset();
    EXPECT_FALSE(path_exists(path));
    EXPECT_EQ(connect_control(path).error().code(), Errc::unreachable);
}

TEST_F(ControlDoor, WhoWaitsWhenTheAgentEndsGetsTheLastLine) {
    std::binary_semaphore asked(0);
    std::binary_semaphore ending(0);
    start([&](const std::string&, const SendLine& send) {
        asked.release();
        ending.acquire();
        // The server's end has begun by now; the line is written while it waits for us.
        (void)::poll(nullptr, 0, 50);
        send("the agent is stopping");
    });
    const UniqueFd client = connect();
    ASSERT_TRUE(say(client, "watch\n"));
    asked.acquire();
    std::jthread end([&] { server.reset(); });
    while (path_exists(path)) (void)::poll(nullptr, 0, 1);  // the door is shut
    ending.release();
    EXPECT_EQ(answer(client), "the agent is stopping\n");
}

TEST_F(ControlDoor, ARequestWithoutEndIsNotServed) {
    std::atomic<int> served = 0;
    start([&](const std::string&, const SendLine&) { ++served; });
    const UniqueFd client = connect();
    std::string much(200'000, 'x');
    (void)say(client, much);  // cut off by the server at 64 KiB
    EXPECT_EQ(answer(client), "");
    const UniqueFd half = connect();
    ASSERT_TRUE(say(half, "no newline"));
    EXPECT_EQ(answer(half), "");
    EXPECT_EQ(served, 0);
}

TEST_F(ControlDoor, OnlyRootIsLetIn) {
    start(echo());
    ASSERT_EQ(::chmod(path.c_str(), 0777), 0);
    ASSERT_EQ(::chmod(directory.path().c_str(), 0755), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        if (::setuid(65534) != 0) ::_exit(2);
        const auto client = connect_control(path);
        if (!client) ::_exit(3);
        (void)::send(client->get(), "hello\n", 6, MSG_NOSIGNAL);
        char byte = 0;
        ::_exit(::read(client->get(), &byte, 1) == 1 ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    const UniqueFd mine = connect();
    ASSERT_TRUE(say(mine, "still\n"));
    EXPECT_EQ(answer(mine), "got still\n");
}

TEST_F(ControlDoor, AClientThatNeverReadsHoldsUpNobodyAndNoShutdown) {
    start([](const std::string& request, const SendLine& send) {
        const std::string line(4096, 'x');
        while (request == "flood" && send(line)) {
        }
        send("done");
    });
    const UniqueFd deaf = connect();
    ASSERT_TRUE(say(deaf, "flood\n"));
    const UniqueFd silent = connect();  // asks nothing at all
    std::vector<UniqueFd> many;
    for (int i = 0; i < 40; ++i) {
        many.push_back(connect());
        ASSERT_TRUE(say(many.back(), "hello\n"));
    }
    for (const UniqueFd& client : many) EXPECT_EQ(answer(client), "done\n");
    server.reset();
}

// Without descriptors nobody can be let in, and afterwards everybody can again.
TEST_F(ControlDoor, TheDoorOpensAgainAfterAShortageOfDescriptors) {
    start(echo());
    // After this one the server waits in accept4, which takes the next client's descriptor before it waits: that client
    // is let in by a process that has none left.
    const UniqueFd early = connect();
    ASSERT_TRUE(say(early, "early\n"));
    EXPECT_EQ(answer(early), "got early\n");
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const UniqueFd waiting(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    rlimit none = before;
    none.rlim_cur = 3;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(waiting.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    (void)::poll(nullptr, 0, 50);  // the server meets the shortage now; nothing is asserted about when
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_TRUE(say(waiting, "hello\n"));
    EXPECT_EQ(answer(waiting), "got hello\n");
}

}  // namespace
}  // namespace zoneferry
