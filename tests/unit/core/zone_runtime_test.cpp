// What of the runtime is pure: commands, names, records. The rest needs real zones: tests/e2e/zone_test.py.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "core/zone/control.h"
#include "core/zone/network.h"
#include "core/zone/notify.h"
#include "core/zone/nspawn.h"
#include "core/zone/owner_record.h"
#include "core/zone/runtime.h"
#include "core/zone/zonepath.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

ZoneConfig config_of() {
    ZoneConfig config;
    config.name = "web01";
    config.zonepath = "/z/web01";
    config.ip_type = IpType::exclusive;
    config.nets = {{"192.0.2.17/24", "br0", "192.0.2.1"}, {"2001:db8::17", "br1", ""}};
    return config;
}

bool has(const std::vector<std::string>& argv, const std::string& word) {
    return std::find(argv.begin(), argv.end(), word) != argv.end();
}

TEST(Nspawn, command_of_a_sparse_zone) {
    ZoneConfig config = config_of();
    config.inherited_directories = {"/usr"};
    config.filesystems = {{"/export/a:b", "", "/data", "lofs", {"ro"}},
                          {"/export/c", "", "/c", "lofs", {}},
                          {"swap", "", "/t", "tmpfs", {}}};
    const auto argv = nspawn_command(HostRoot("/h"), config);
    ASSERT_TRUE(argv);
    for (const char* word : {"--directory=/h/z/web01/root", "--private-network", "--bind-ro=/h/usr:/usr:idmap",
                             "--private-users-ownership=map", "--bind-ro=/h/export/a\\:b:/data:idmap",
                             "--bind=/h/export/c:/c:idmap", "--tmpfs=/t"}) {
        EXPECT_TRUE(has(*argv, word)) << word;
    }
    config.ip_type = IpType::shared;
    EXPECT_FALSE(has(*nspawn_command(HostRoot("/h"), config), "--private-network"));
}

TEST(Nspawn, bootargs_are_for_init_and_never_options_of_nspawn) {
    ZoneConfig config;
    config.name = "web01";
    config.zonepath = "/export/zones/web01";
    config.bootargs = "systemd.bind=/etc:/etc systemd.unit=rescue.target -m";
    const auto argv = nspawn_command(HostRoot(), config);
    ASSERT_TRUE(argv);
    const auto end = std::find(argv->begin(), argv->end(), "--");
    ASSERT_NE(end, argv->end());
    EXPECT_GT(std::find(argv->begin(), argv->end(), "--bind=/etc:/etc"), end);
    EXPECT_GT(std::find(argv->begin(), argv->end(), "--unit=rescue.target"), end);
}

TEST(Nspawn, refuses_what_it_cannot_give) {
    ZoneConfig config = config_of();
    config.devices = {"/dev/fuse"};
    EXPECT_EQ(nspawn_command(HostRoot(), config).error().code(), Errc::unsupported);
    config = config_of();
    config.datasets = {"tank/a"};
    EXPECT_EQ(nspawn_command(HostRoot(), config).error().code(), Errc::unsupported);
    config = config_of();
    config.filesystems = {{"/dev/sdb1", "", "/db", "ext4", {}}};
    EXPECT_EQ(nspawn_command(HostRoot(), config).error().code(), Errc::unsupported);
}

TEST(Nspawn, uid_base_is_stable_and_in_range) {
    EXPECT_EQ(uid_base("web01"), uid_base("web01"));
    EXPECT_NE(uid_base("web01"), uid_base("web02"));
    for (int i = 0; i < 1000; ++i) {
        const std::uint32_t base = uid_base("z" + std::to_string(i));
        EXPECT_GE(base, 524288U);
        EXPECT_LE(base, 1879048192U - 65536U);
        EXPECT_EQ(base % 65536, 0U);
    }
}

TEST(Network, batches) {
    const ZoneConfig config = config_of();
    const std::string link = host_link_name("web01", 0);
    EXPECT_LE(link.size(), 15U);
    EXPECT_NE(mac_address("web01", 0), mac_address("web01", 1));
    EXPECT_EQ(mac_address("web01", 0).substr(0, 3), "02:");
    EXPECT_EQ(mac_address("web01", 0).size(), 17U);
    EXPECT_EQ(host_batch(config, 7).substr(0, host_batch(config, 7).find('\n')),
              "link add " + link + " type veth peer name net0 address " + mac_address("web01", 0) + " netns 7");
    EXPECT_EQ(zone_batch(config),
              "link set lo up\naddr replace 192.0.2.17/24 dev net0\nlink set net0 up\n"
              "route replace default via 192.0.2.1 dev net0 onlink\naddr replace 2001:db8::17/128 dev net1 nodad\nlink "
              "set net1 up\n");
    ZoneConfig shared = config;
    shared.ip_type = IpType::shared;
    EXPECT_EQ(zone_batch(shared), "");
    EXPECT_EQ(host_batch(shared, 7),
              "addr replace 192.0.2.17/24 dev br0\naddr replace 2001:db8::17/128 dev br1 nodad\n");
}

TEST(Notify, reads_what_nspawn_says) {
    EXPECT_EQ(parse_notify("STATUS=x\nX_NSPAWN_LEADER_PID=42").leader, 42);
    EXPECT_TRUE(parse_notify("READY=1\n").ready);
    EXPECT_FALSE(parse_notify("READY=11\nX_NSPAWN_LEADER_PID=4x").ready);
    EXPECT_EQ(parse_notify("X_NSPAWN_LEADER_PID=4x").leader, 0);
}

TEST(Control, errors_travel) {
    const Error back =
        error_from_message(error_message(Error(Errc::not_owner, "it is elsewhere").remedy("look there")));
    EXPECT_EQ(back.code(), Errc::not_owner);
    EXPECT_EQ(back.sentence(), "it is elsewhere");
    EXPECT_EQ(back.remedy_text(), "look there");
    EXPECT_EQ(error_from_message("what?").code(), Errc::unknown);
}

TEST(Control, sockets_in_a_long_path) {
    const TempDirectory directory;
    const std::string deep = directory.path() + "/" + std::string(120, 'd');
    ASSERT_TRUE(make_directories(deep, 0700));
    const auto listener = listen_at(deep, "control");
    ASSERT_TRUE(listener) << listener.error().text();
    const auto client = connect_at(deep, "control");
    ASSERT_TRUE(client) << client.error().text();
    ASSERT_TRUE(send_message(client->get(), "status"));
    if (::geteuid() != 0) GTEST_SKIP() << "only root is let in";
    const auto served = accept_root(listener->get(), 1000);
    ASSERT_TRUE(served);
    EXPECT_EQ(*receive_message(served->get(), 1000), "status");
    EXPECT_EQ(receive_message(served->get(), 0).error().code(), Errc::timed_out);
}

class ZonepathTest : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: a zonepath belongs to root";
        ASSERT_TRUE(make_directories(directory_.path() + "/z/web01/root/etc", 0700));
    }
    Errc opened(const std::string& path) {
        const auto fd = open_zone_root(HostRoot(directory_.path()), path);
        return fd ? Errc::unknown : fd.error().code();
    }
    std::string at(const std::string& path) const { return directory_.path() + path; }
    TempDirectory directory_;
};

TEST_F(ZonepathTest, is_checked) {
    EXPECT_EQ(opened("/z/web01"), Errc::unknown);
    EXPECT_EQ(opened("/z/none"), Errc::not_found);
    EXPECT_EQ(opened("/z/../z/web01"), Errc::invalid);
    ASSERT_EQ(::symlink("z", at("/link").c_str()), 0);
    EXPECT_EQ(opened("/link/web01"), Errc::invalid);
    ASSERT_EQ(::chmod(at("/z/web01").c_str(), 0711), 0);
    EXPECT_EQ(opened("/z/web01"), Errc::permission);
    ASSERT_EQ(::chmod(at("/z/web01").c_str(), 0700), 0);
    ASSERT_EQ(::chown(at("/z/web01").c_str(), 1, 0), 0);
    EXPECT_EQ(opened("/z/web01"), Errc::permission);
    ASSERT_EQ(::chown(at("/z/web01").c_str(), 0, 0), 0);
    ASSERT_EQ(::rename(at("/z/web01/root").c_str(), at("/z/web01/other").c_str()), 0);
    ASSERT_EQ(::symlink("/", at("/z/web01/root").c_str()), 0);
    EXPECT_NE(opened("/z/web01"), Errc::unknown);
}

// Every way into a boot must meet the gate: without it these would fail for the missing cgroup or root instead.
TEST_F(ZonepathTest, boot_asks_the_owner_record_first) {
    const HostRoot root(directory_.path());
    const ZoneName name = *ZoneName::create("web01");
    ZoneStore store(root);
    const auto lock = store.lock(name);
    ASSERT_TRUE(lock);
    const ZoneEntry entry{name, ZoneState::installed, "/z/web01", ""};
    Runtime runtime(root, "/nonexistent/zoneadmd");
    for (const Ownership state : {Ownership::frozen, Ownership::incoming, Ownership::released}) {
        ASSERT_TRUE(OwnerStore(root).save({"web01", "", 2, state, "host2", "m1", 1}, "/z/web01"));
        EXPECT_EQ(runtime.boot(*lock, entry, config_of()).error().code(), Errc::not_owner);
        EXPECT_EQ(runtime.reboot(*lock, entry, config_of()).error().code(), Errc::not_owner);
    }
    ASSERT_TRUE(OwnerStore(root).save({"web01", "", 3, Ownership::owned, "host1", "m1", 1}, "/z/web01"));
    const auto owned = runtime.boot(*lock, entry, config_of());
    ASSERT_FALSE(owned);
    EXPECT_NE(owned.error().code(), Errc::not_owner);
    EXPECT_EQ(runtime.boot(*lock, {name, ZoneState::configured, "/z/web01", ""}, config_of()).error().code(),
              Errc::conflict);
}

// What is left when an agent is killed while it boots or halts a zone: a zoneadmd that goes on. It says what it is told
// to, one answer a question, and ends.
class LeftZoneadmd {
public:
    LeftZoneadmd(const std::string& directory, std::vector<std::string> answers)
        : listener_(listen_at(directory, "control").value()), thread_([this, answers = std::move(answers)] {
              for (const std::string& answer : answers) {
                  const auto client = accept_root(listener_.get(), 10'000);
                  if (!client || !receive_message(client->get(), 10'000)) return;
                  (void)send_message(client->get(), answer);
              }
              listener_.reset();
          }) {}

private:
    UniqueFd listener_;
    std::jthread thread_;
};

TEST_F(ZonepathTest, a_start_that_outlived_its_agent_is_waited_for) {
    const HostRoot root(directory_.path());
    const ZoneName name = *ZoneName::create("web01");
    const auto lock = ZoneStore(root).lock(name);
    ASSERT_TRUE(lock);
    const ZoneEntry entry{name, ZoneState::installed, "/z/web01", ""};
    Runtime runtime(root, "/nonexistent/zoneadmd");
    ASSERT_TRUE(make_directories(runtime.run_directory(name), 0700));
    {
        const LeftZoneadmd starts(runtime.run_directory(name), {"ready 0 0", "ready 0 0", "running 4711 0"});
        EXPECT_TRUE(runtime.ensure_runs(*lock, entry, config_of())) << "nothing was there to boot it with";
    }
    const LeftZoneadmd ends(runtime.run_directory(name), {"ready 0 0", "shutting_down 4711 1"});
    const Status booted = runtime.ensure_runs(*lock, entry, config_of());
    ASSERT_FALSE(booted) << "it is down, and was not booted";
    EXPECT_NE(booted.error().code(), Errc::conflict) << booted.error().text();
}

TEST(RuntimeStatus, a_zone_that_starts_is_up) {
    EXPECT_FALSE(RuntimeStatus{}.is_up());
    EXPECT_TRUE((RuntimeStatus{.state = ZoneState::ready, .supervised = true}.is_up()));
    EXPECT_TRUE((RuntimeStatus{.state = ZoneState::running}.is_up())) << "its zoneadmd was killed";
}

TEST(SupervisorRecord, round_trip_and_damage) {
    const TempDirectory directory;
    const auto self = identify_process(::getpid());
    ASSERT_TRUE(self);
    ASSERT_TRUE(write_supervisor_record(directory.path(), {*self, "/sys/fs/cgroup/zones/web01"}));
    const auto again = read_supervisor_record(directory.path());
    ASSERT_TRUE(again);
    EXPECT_TRUE(is_alive(again->process));
    EXPECT_EQ(again->cgroup, "/sys/fs/cgroup/zones/web01");
    for (const char* text : {"", "x\n", "1 2\n/a\n", "1 x b\n/a\n"}) {
        ASSERT_TRUE(replace_file(directory.path() + "/record", text, 0600));
        EXPECT_FALSE(read_supervisor_record(directory.path())) << text;
    }
}

}  // namespace
}  // namespace zoneferry
