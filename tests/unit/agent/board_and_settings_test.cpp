#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "agent/exit_codes.h"
#include "agent/fence.h"
#include "agent/move_board.h"
#include "agent/report.h"
#include "agent/settings.h"
#include "core/base/files.h"
#include "tests/support/fake_packages.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

MoveNews news(const std::string& move, MoveNews::Type type, const std::string& message = {}) {
    return MoveNews{.type = type, .move_id = move, .message = message};
}

TEST(MoveBoard, ProgressReplacesProgressAndNothingElse) {
    MoveBoard board;
    board.publish(news("a", MoveNews::Type::phase, "1"));
    for (int i = 0; i < 50; ++i) board.publish(news("a", MoveNews::Type::progress));
    board.publish(news("a", MoveNews::Type::note, "2"));
    board.publish(news("a", MoveNews::Type::progress));
    const auto all = board.wait("a", 0, 0);
    ASSERT_EQ(all.size(), 4U);
    EXPECT_EQ(all[1].seq, 51U) << "the newest";
    EXPECT_EQ(board.wait("a", all[2].seq, 0).size(), 1U);
    EXPECT_TRUE(board.wait("b", 0, 0).empty());
    EXPECT_EQ(board.latest("a")->seq, 53U);
    EXPECT_FALSE(board.latest("b"));
}

TEST(MoveBoard, TheOldestNewsGoFirst) {
    MoveBoard board;
    for (int i = 0; i < 1'000; ++i) board.publish(news("a", MoveNews::Type::note, std::to_string(i)));
    const auto all = board.wait("a", 0, 0);
    EXPECT_EQ(all.size(), 400U);
    EXPECT_EQ(all.back().message, "999");
}

TEST(MoveBoard, WaitersAreWokenByNewsAndByTheEnd) {
    MoveBoard board;
    std::vector<MoveNews> seen;
    std::jthread waiter([&] {
        seen = board.wait("a", 0, 60'000);
        (void)board.wait("b", 0, 60'000);
    });
    board.publish(news("a", MoveNews::Type::note, "there"));
    board.close();
    waiter.join();
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_TRUE(board.is_closed());
    EXPECT_TRUE(board.wait("b", 0, 60'000).empty()) << "closed for good";
}

class SettingsFiles : public testing::Test {
protected:
    void put(const std::string& file, const std::string& text) {
        write_file(directory.path() + "/etc/zoneferry/" + file, text);
    }
    Result<Settings> load() { return load_settings(HostRoot(directory.path())); }
    TempDirectory directory;
};

TEST_F(SettingsFiles, DefaultsWithoutAnyFile) {
    const auto settings = load();
    ASSERT_TRUE(settings) << settings.error().text();
    EXPECT_FALSE(settings->name.empty());
    EXPECT_EQ(settings->listen, "::");
    EXPECT_EQ(settings->port, 7743);
    EXPECT_EQ(settings->halt_grace_s, 30);
    EXPECT_EQ(settings->retry_s, 600);
    EXPECT_EQ(settings->quiesced_retry_s, 60);
    EXPECT_EQ(settings->answer_s, 30);
    EXPECT_EQ(settings->boot_wait_s, 60);
    EXPECT_EQ(settings->fence_hook, "");
    EXPECT_EQ(settings->fence_timeout_s, 60);
}

TEST_F(SettingsFiles, TheFenceIsRunWithHostAndZoneAndItsWordCounts) {
    const auto fence = [&](const std::string& more) {
        put("agent.toml", "name = \"a\"\nfence_timeout_s = 1\n" + more);
        return fence_host(HostRoot(directory.path()), *load(), "host2", "web01");
    };
    const auto write_hook = [&](const std::string& path, const std::string& script) {
        write_file(directory.path() + path, "#!/bin/sh\n" + script + "\n");
        ASSERT_EQ(::chmod((directory.path() + path).c_str(), 0755), 0);
    };
    EXPECT_TRUE(fence("")) << "none is there";
    const std::string said = directory.path() + "/said";
    write_hook("/etc/zoneferry/fence", "echo \"$# $1 $2\" >" + said);
    EXPECT_TRUE(fence(""));
    EXPECT_EQ(*read_file(said, 100), "2 host2 web01\n");
    EXPECT_FALSE(fence("fence_hook = \"/opt/cut\"\n")) << "it is named, and not there";
    write_hook("/opt/cut", "exit 1");
    EXPECT_FALSE(fence("fence_hook = \"/opt/cut\"\n"));
    write_hook("/opt/cut", "exec sleep 30");
    EXPECT_EQ(fence("fence_hook = \"/opt/cut\"\n").error().code(), Errc::timed_out);
    write_hook("/opt/cut", "exit 0");
    EXPECT_TRUE(fence("fence_hook = \"/opt/cut\"\n"));
    put("agent.toml", "fence_hook = \"cut\"\n");
    EXPECT_FALSE(load()) << "a path that depends on where one stands";
}

TEST_F(SettingsFiles, LaterFilesOverrideInTheOrderOfTheirNames) {
    put("agent.toml", "name = \"a\"\nport = 1\nretry_s = 5\n");
    put("agent.toml.d/20-b.toml", "port = 3\ntransport = \"auto\"\n");
    put("agent.toml.d/10-a.toml", "port = 2\naddresses = [\"192.0.2.1\", \"2001:db8::1\"]\n");
    put("agent.toml.d/99-not.conf", "port = 9\n");
    const auto settings = load();
    ASSERT_TRUE(settings) << settings.error().text();
    EXPECT_EQ(settings->name, "a");
    EXPECT_EQ(settings->port, 3);
    EXPECT_EQ(settings->retry_s, 5);
    EXPECT_EQ(settings->transport, Transport::automatic);
    EXPECT_EQ(settings->addresses, (std::vector<std::string>{"192.0.2.1", "2001:db8::1"}));
}

TEST_F(SettingsFiles, MistakesAreNamedWithTheirPlace) {
    const std::string file = directory.path() + "/etc/zoneferry/agent.toml";
    const auto problem = [&](const std::string& text) {
        put("agent.toml", text);
        const auto settings = load();
        EXPECT_FALSE(settings) << text;
        return settings ? std::string() : settings.error().text();
    };
    EXPECT_NE(problem("name = \"a\"\nprot = 1\n").find(file + ":2:"), std::string::npos) << problem("prot = 1\n");
    EXPECT_NE(problem("prot = 1\n").find("unknown setting 'prot'"), std::string::npos);
    EXPECT_NE(problem("\n\nport = \"1\"\n").find(":3:"), std::string::npos);
    EXPECT_NE(problem("port = 0\n").find("from 1 to 65535"), std::string::npos);
    EXPECT_NE(problem("port = 65536\n").find("from 1 to 65535"), std::string::npos);
    EXPECT_NE(problem("port = 1.5\n"), "");
    EXPECT_NE(problem("retry_s = -1\n"), "");
    EXPECT_NE(problem("transport = \"rsync\"\n").find("auto or stream"), std::string::npos);
    EXPECT_NE(problem("addresses = \"x\"\n"), "");
    EXPECT_NE(problem("addresses = [1]\n"), "");
    EXPECT_NE(problem("name = \n").find(file + ":1:"), std::string::npos);
    EXPECT_NE(problem("[port]\n"), "");
}

TEST(Report, BytesThatAreNoTextNeverThrow) {
    Finding finding;
    finding.code = "X";
    finding.subject = "\xff\xfe\x80 \xc3";
    finding.message = std::string("\0\x1b[31m", 6);
    const std::string line = json_line(finding_json(finding));
    EXPECT_TRUE(Json::accept(line));
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
    MoveRecord record;
    record.zone = record.problem = "\xed\xa0\x80\n";
    EXPECT_TRUE(Json::accept(json_line(move_json(record))));
    EXPECT_TRUE(Json::accept(json_line(event_json({1, "k", "\xf8"}))));
    EXPECT_TRUE(Json::accept(json_line(end_json(Error(Errc::io, "\xc0\xc0")))));
    EXPECT_FALSE(move_json(record).contains("manifest"));
}

TEST(ExitCodes, EveryErrorHasOne) {
    for (int i = 0; i <= static_cast<int>(Errc::in_doubt); ++i) {
        const int code = exit_code_of(static_cast<Errc>(i));
        EXPECT_GT(code, 0) << errc_name(static_cast<Errc>(i));
        EXPECT_LT(code, 14) << errc_name(static_cast<Errc>(i));
    }
    EXPECT_EQ(exit_code_of(Errc::usage), 2);
    EXPECT_EQ(exit_code_of(Errc::blocked), 3);
    EXPECT_EQ(exit_code_of(Errc::unreachable), 5);
    EXPECT_EQ(exit_code_of(Errc::untrusted), 6);
    EXPECT_EQ(exit_code_of(Errc::busy), 7);
    EXPECT_EQ(exit_code_of(Errc::not_owner), 7);
    EXPECT_EQ(exit_code_of(Errc::not_found), 8);
    EXPECT_EQ(exit_code_of(Errc::peer_lost), 9);
    EXPECT_EQ(exit_code_of(Errc::verify_failed), 10);
    EXPECT_EQ(exit_code_of(Errc::cancelled), 12);
    EXPECT_EQ(exit_code_of(Errc::in_doubt), 13);
    EXPECT_EQ(exit_code_of(static_cast<Errc>(999)), 1);
}

}  // namespace
}  // namespace zoneferry
