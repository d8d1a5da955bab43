#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/host_root.h"
#include "core/base/lock.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

// Asks until the answer is yes, for ten seconds at most.
template <class Ask>
bool comes_true(const Ask& ask) {
    for (int i = 0; i < 1000 && !ask(); ++i) (void)::poll(nullptr, 0, 10);
    return ask();
}

TEST(Error, KeepsStepsInOrderAndTheErrno) {
    const Error error = system_error("open x", ENOENT).during("reading the index");
    EXPECT_EQ(error.code(), Errc::not_found);
    EXPECT_EQ(error.text(), "reading the index: open x: No such file or directory");
}

TEST(Error, EveryNameComesBack) {
    for (int i = 0; i <= static_cast<int>(Errc::over_budget); ++i) {
        const auto code = static_cast<Errc>(i);
        EXPECT_EQ(errc_from_name(errc_name(code)), code);
    }
    EXPECT_EQ(errc_from_name("from-a-newer-peer"), Errc::unknown);
}

TEST(Text, PrintableEscapesWhatCouldDriveATerminal) {
    EXPECT_EQ(printable("caf\xc3\xa9"), "caf\xc3\xa9");
    EXPECT_EQ(printable("\x1b[2J"), "\\x1b[2J");
    EXPECT_EQ(printable("a\nb\x7f"), "a\\x0ab\\x7f");
    EXPECT_EQ(printable("\xe2\x80\xae"), "\\xe2\\x80\\xae");  // right-to-left override
    EXPECT_EQ(printable("\xff\\"), "\\xff\\\\");
    EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");  // an overlong '/'
}

TEST(Text, NumbersAreWholeOrNothing) {
    EXPECT_EQ(parse_number<int>("42"), 42);
    EXPECT_FALSE(parse_number<int>("42 "));
    EXPECT_FALSE(parse_number<unsigned>("-1"));
    EXPECT_FALSE(parse_number<std::uint8_t>("256"));
}

TEST(Text, FormatsForPeople) {
    EXPECT_EQ(format_bytes(17), "17 B");
    EXPECT_EQ(format_bytes(1288490189), "1.2 GiB");
    EXPECT_EQ(format_duration_ms(3'723'000), "1:02:03");
}

TEST(Digest, MatchesThePublishedVectorAndItsText) {
    const Digest digest = sha256(as_bytes("abc"));
    const std::string hex = to_hex(digest);
    EXPECT_EQ(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(*digest_from_hex(hex), digest);
    EXPECT_FALSE(digest_from_hex(hex.substr(1)));
    EXPECT_FALSE(digest_from_hex("zz" + hex.substr(2)));
}

TEST(Files, ReplaceKeepsTheOldFileWhenItCannotWrite) {
    const TempDirectory directory;
    const std::string path = directory.path() + "/f";
    ASSERT_TRUE(replace_file(path, "one", 0640));
    EXPECT_EQ(*read_file(path, 10), "one");
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0640U);
    EXPECT_FALSE(replace_file(directory.path() + "/missing/f", "two", 0600));
    EXPECT_EQ(list_directory(directory.path())->size(), 1U) << "no temporary file stays";
    EXPECT_EQ(read_file(path, 2).error().code(), Errc::invalid) << "a file over the limit is refused, not cut";
}

// No process has a pid above pid_max.
TEST(Files, WhatAKilledWriterLeftGoesWithTheNextWrite) {
    const TempDirectory directory;
    const std::string path = directory.path() + "/f";
    const std::string dead = directory.path() + "/.f.4194305.0a0b.tmp";
    const std::string alive = directory.path() + "/.f." + std::to_string(::getpid()) + ".0a0b.tmp";
    const std::string of_another = directory.path() + "/.f.g.4194305.0a0b.tmp";
    // After a power cut another process has the writer's pid.
    const std::string earlier = directory.path() + "/.f." + std::to_string(::getpid()) + "-1.0a0b.tmp";
    for (const std::string& each : {dead, alive, of_another, earlier}) ASSERT_TRUE(replace_file(each, "half", 0600));
    ASSERT_TRUE(replace_file(path, "one", 0600));
    EXPECT_FALSE(path_exists(dead));
    EXPECT_FALSE(path_exists(earlier));
    EXPECT_TRUE(path_exists(alive));
    EXPECT_TRUE(path_exists(of_another));
    EXPECT_TRUE(remove_stale_temporaries(directory.path()));
    EXPECT_FALSE(path_exists(of_another));
    EXPECT_TRUE(path_exists(alive));
    EXPECT_EQ(read_file(path, 100).value(), "one");
    EXPECT_TRUE(remove_stale_temporaries(directory.path() + "/missing"));
}

TEST(Files, RemoveTreeNeverFollowsALink) {
    const TempDirectory directory;
    const std::string outside = directory.path() + "/outside";
    ASSERT_TRUE(make_directories(outside, 0755));
    ASSERT_TRUE(replace_file(outside + "/keep", "x", 0600));
    ASSERT_TRUE(make_directories(directory.path() + "/tree/a/b", 0755));
    ASSERT_EQ(::symlink(outside.c_str(), (directory.path() + "/tree/a/link").c_str()), 0);
    ASSERT_TRUE(remove_tree(directory.path() + "/tree"));
    EXPECT_FALSE(path_exists(directory.path() + "/tree"));
    EXPECT_TRUE(path_exists(outside + "/keep"));
    EXPECT_TRUE(remove_tree(directory.path() + "/tree")) << "removing nothing is no error";
}

TEST(Fd, OpenBeneathRefusesLinksAndTheWayOut) {
    const TempDirectory directory;
    ASSERT_EQ(::symlink("/etc", (directory.path() + "/etc").c_str()), 0);
    auto held = open_directory(directory.path());
    ASSERT_TRUE(held);
    EXPECT_FALSE(open_beneath(held->get(), "etc/passwd", O_RDONLY));
    EXPECT_FALSE(open_beneath(held->get(), "../" + directory.name(), O_RDONLY));
    EXPECT_FALSE(open_beneath(held->get(), "/etc/passwd", O_RDONLY));
}

TEST(Lock, SecondHolderIsToldAtOnce) {
    const TempDirectory directory;
    const std::string path = directory.path() + "/lock";
    {
        auto first = FileLock::try_take(path);
        ASSERT_TRUE(first);
        auto second = FileLock::try_take(path);
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code(), Errc::busy);
    }
    EXPECT_TRUE(FileLock::try_take(path));
}

TEST(Process, CatchesOutputStatusAndTime) {
    auto result = run_process({"sh", "-c", "cat; echo err >&2; exit 7"}, {.input = "in "});
    ASSERT_TRUE(result);
    EXPECT_EQ(result->exit_status, 7);
    EXPECT_EQ(result->output, "in err\n");
    EXPECT_EQ(run_process({"sleep", "30"}, {.timeout_ms = 50}).error().code(), Errc::timed_out);
    EXPECT_FALSE(run_process({"no-such-program-here"}));
    EXPECT_FALSE(run_checked({"false"}));
}

TEST(FedProcess, TakesWhatItIsFedAndTellsHowItEnded) {
    ::signal(SIGPIPE, SIG_IGN);  // as our programs do
    const auto go_on = [] { return Status(); };
    auto reader = FedProcess::start({"sha256sum"});
    ASSERT_TRUE(reader);
    EXPECT_TRUE(reader->feed(as_bytes(std::string(5 << 20U, 'x')), 10'000, go_on));
    EXPECT_TRUE(reader->finish(10'000, go_on));

    auto failing = FedProcess::start({"cat", "/no/such/file"});
    ASSERT_TRUE(failing);
    const Status fed = failing->feed(as_bytes(std::string(5 << 20U, 'x')), 10'000, go_on);
    ASSERT_FALSE(fed);
    EXPECT_NE(fed.error().text().find("No such file"), std::string::npos) << fed.error().text();
}

TEST(FedProcess, IsKilledWithItsGroupWhenItStallsOrNobodyWantsItAnyMore) {
    const auto go_on = [] { return Status(); };
    const std::string much(5 << 20U, 'x');
    TempDirectory temp;
    const std::string child = temp.path() + "/child";
    {
        auto deaf = FedProcess::start({"sh", "-c", "sleep 1000 & echo $! > " + child + "; sleep 1000"});
        ASSERT_TRUE(deaf);
        // A shell may take longer to begin than the stall that is waited for below.
        ASSERT_TRUE(comes_true([&] { return read_file(child, 100).value_or("").ends_with('\n'); }));
        const Status stalled = deaf->feed(as_bytes(much), 100, go_on);
        ASSERT_FALSE(stalled);
        EXPECT_EQ(stalled.error().code(), Errc::timed_out);
    }
    const auto written = read_file(child, 100);
    ASSERT_TRUE(written);
    const auto pid = parse_number<pid_t>(trim(*written));
    ASSERT_TRUE(pid);
    // Killed, but nobody waits for a grandchild: it is gone as soon as the kernel comes to it.
    EXPECT_TRUE(comes_true([&] { return !identify_process(*pid); }));
    auto deaf = FedProcess::start({"sleep", "1000"});
    ASSERT_TRUE(deaf);
    const Status ended = deaf->feed(as_bytes(much), 60'000, [] { return Status(Error(Errc::cancelled, "enough")); });
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code(), Errc::cancelled);
}

TEST(Process, IdentityTellsALivingProcessFromADeadOne) {
    const auto self = identify_process(::getpid());
    ASSERT_TRUE(self);
    EXPECT_TRUE(is_alive(*self));
    ProcessIdentity other = *self;
    other.start_time += 1;
    EXPECT_FALSE(is_alive(other)) << "the same pid used again is another process";
}

TEST(HostRoot, PutsPathsBelowTheDirectory) {
    EXPECT_EQ(HostRoot("/srv/h1/").at("/etc/zones"), "/srv/h1/etc/zones");
    EXPECT_EQ(HostRoot("").at("/etc/zones"), "/etc/zones");
}

}  // namespace
}  // namespace zoneferry
