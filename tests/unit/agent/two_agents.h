// Two (or three) agents in one process that trust each other over loopback, each the agent of a host below a
// directory of its own, with a small zone that never boots: it is moved halted.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/exit_codes.h"
#include "agent/move/finish.h"
#include "agent/move/start_move.h"
#include "agent/move/target_move.h"
#include "agent/move/target_session.h"
#include "agent/move_desk.h"
#include "agent/peer_session.h"
#include "agent/report.h"
#include "agent/verbs/verbs.h"
#include "core/attach/detach.h"
#include "core/zone/owner_record.h"
#include "tests/support/fake_packages.h"
#include "tests/unit/wire/two_hosts.h"

namespace zoneferry {

class TestHost {
public:
    explicit TestHost(const std::string& name) : name_(name) {
        EXPECT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
        make_dpkg_host(directory_.path(), {{"tool", "1.0", {"/usr", "/usr/tool"}}});
        write_file(path("/etc/machine-id"), to_hex(sha256(as_bytes(name))).substr(0, 32) + "\n");
        EXPECT_TRUE(make_directories(path("/zones"), 0755));
        EXPECT_TRUE(make_directories(path("/usr"), 0755));
        EXPECT_TRUE(make_directories(path("/var/lib/zoneferry/moves"), 0700));
        trust_.emplace(*TrustStore::open(path("/var/lib/zoneferry/trust")));
    }
    ~TestHost() { stop(); }
    TestHost(const TestHost&) = delete;
    TestHost& operator=(const TestHost&) = delete;

    void start(std::uint16_t port = 0) {
        journal_.emplace(*Journal::open(path("/var/lib/zoneferry/journal.db"), clock_));
        board_ = std::make_unique<MoveBoard>();
        network_ = std::make_unique<Network>();
        Settings settings;
        settings.name = name_;
        settings.retry_s = 60;
        const std::string id = gather_host_facts(root())->host_id;
        context_ = std::unique_ptr<AgentContext>(
            new AgentContext{root(), settings, id, clock_, *journal_, *board_, *trust_, *network_});
        desk_ = std::make_unique<MoveDesk>(*context_);
        const auto bound = network_->listen(
            "127.0.0.1", port, TwoHosts::contexts_of(*trust_),
            [this](ConnectionPtr connection) { TargetSession(*context_, *desk_, std::move(connection)).run(); });
        ASSERT_TRUE(bound) << bound.error().text();
        port_ = *bound;
        context_->settings.port = port_;  // before any thread of a move reads it
        desk_->resume_all();
    }
    // In the daemon's order.
    void stop() {
        if (!desk_) return;
        desk_->stop();
        network_.reset();
        desk_.reset();
        context_.reset();
        board_.reset();
        journal_.reset();
    }
    void restart() {
        stop();
        start(port_);
    }

    void make_zone(const std::string& name, const std::string& zonepath, std::size_t bytes = 10'000) {
        const std::string tree = path(zonepath);
        ASSERT_TRUE(make_directories(tree, 0700));
        write_file(tree + "/root/etc/hostname", name + "\n");
        write_file(tree + "/root/var/data", to_hex(random_bytes(bytes / 2)));
        ZoneConfig config;
        config.name = name;
        config.zonepath = zonepath;
        const ZoneName zone = *ZoneName::create(name);
        ZoneStore store(root());
        const ZoneLock lock = *store.lock(zone);
        ASSERT_TRUE(store.create(lock, config));
        ASSERT_TRUE(store.change_state(lock, ZoneState::configured, ZoneState::installed));
    }

    // What the command line would get: all lines, the last one of type end.
    std::vector<Json> ask(const Json& request) {
        std::vector<Json> lines;
        serve_request(
            *context_, *desk_, [] {}, request.dump(),
            [&](const std::string& line) {
                lines.push_back(Json::parse(line));
                return true;
            });
        return lines;
    }
    std::string started(const std::string& zone, const std::string& to, std::uint64_t bytes_per_second = 0) {
        MoveWish wish;
        wish.zone = zone;
        wish.peer = to;
        wish.bytes_per_second = bytes_per_second;
        const auto move = start_move(*context_, *desk_, wish);
        EXPECT_TRUE(move) << (move ? "" : move.error().text());
        return move ? move->move_id : "";
    }
    // All that was told of a move, a line each: why a test waits in vain.
    std::string heard(const std::string& move) {
        std::string text;
        for (const MoveNews& news : board_->wait(move, 0, 0)) text += "\n  " + news.phase + ": " + news.message;
        return text;
    }
    // Waits for news of that type; at the end of the move also returns.
    MoveNews wait_for(const std::string& move, MoveNews::Type type) {
        std::uint64_t seen = 0;
        const std::int64_t until_ms = clock_.monotonic_ms() + 60'000;
        while (clock_.monotonic_ms() < until_ms) {
            for (const MoveNews& news : board_->wait(move, seen, 1'000)) {
                seen = news.seq;
                if (news.type == type || news.type == MoveNews::Type::end) return news;
            }
        }
        ADD_FAILURE() << "no such news of move " << move << heard(move);
        return {};
    }

    Phase phase(const std::string& move) { return record(move).phase; }
    MoveRecord record(const std::string& move) {
        const auto found = journal_->find(move);
        EXPECT_TRUE(found && *found) << name_ << " knows no move " << move;
        return found && *found ? **found : MoveRecord();
    }
    std::string state(const std::string& zone) {
        const auto entry = ZoneStore(root()).find(*ZoneName::create(zone));
        return entry ? std::string(state_name(entry->state)) : "none";
    }
    std::string owner(const std::string& zone) {
        const auto owner = OwnerStore(root()).load(*ZoneName::create(zone), "");
        if (!owner || !*owner) return "none";
        return std::string(ownership_name((*owner)->state)) + " " + std::to_string((*owner)->epoch) + " " +
               (*owner)->host;
    }
    bool may_boot_zone(const std::string& zone, const std::string& zonepath) {
        return state(zone) == "installed" && may_boot(root(), *ZoneName::create(zone), zonepath).has_value();
    }
    // Hidden places that a move has left beside the zonepaths.
    std::vector<std::string> leftovers() {
        std::vector<std::string> names = *list_directory(path("/zones"));
        std::erase_if(names, [](const std::string& name) { return !name.starts_with(".zoneferry"); });
        return names;
    }

    HostRoot root() const { return HostRoot(directory_.path()); }
    std::string path(const std::string& absolute) const { return directory_.path() + absolute; }
    TrustStore& trust() { return *trust_; }
    AgentContext& context() { return *context_; }
    MoveDesk& desk() { return *desk_; }
    Journal& journal() { return *journal_; }
    const std::string& name() const { return name_; }
    std::uint16_t port() const { return port_; }
    // The agent's network goes away, as when its cable is cut; a new one comes with restart().
    void cut_network() { network_.reset(); }

private:
    std::string name_;
    TempDirectory directory_;
    SystemClock clock_;
    std::optional<TrustStore> trust_;
    std::optional<Journal> journal_;
    std::unique_ptr<MoveBoard> board_;
    std::unique_ptr<Network> network_;
    std::unique_ptr<AgentContext> context_;
    std::unique_ptr<MoveDesk> desk_;
    std::uint16_t port_ = 0;
};

inline void know(TestHost& host, TestHost& other) {
    Peer peer = *host.trust().peer(other.name());
    peer.address = "127.0.0.1";
    peer.port = other.port();
    ASSERT_TRUE(host.trust().save_peer(peer));
}

class TwoAgents : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "owners of files are kept, which needs root";
        ASSERT_TRUE(one.trust().init("host1", now_ms()));
        ASSERT_TRUE(join_directly(one.trust(), two.trust(), "host2"));
        one.start();
        two.start();
        know(one, two);
        know(two, one);
    }
    // The same for a third host that only host1 has invited: host2 knows it through the authority.
    void let_in(TestHost& three) {
        ASSERT_TRUE(join_directly(one.trust(), three.trust(), "host3"));
        three.start();
        Peer peer;
        peer.host = "host3";
        peer.address = "127.0.0.1";
        peer.port = three.port();
        ASSERT_TRUE(two.trust().save_peer(peer));
        peer.host = "host2";
        peer.port = two.port();
        ASSERT_TRUE(three.trust().save_peer(peer));
    }
    static PeerSession session(TestHost& from, const std::string& to) {
        auto opened = PeerSession::open(from.context(), to);
        EXPECT_TRUE(opened) << (opened ? "" : opened.error().text());
        return *std::move(opened);
    }
    static PrepareRequest prepare_of(TestHost& host, const std::string& zone, const std::string& move) {
        PrepareRequest request;
        request.move_id = move;
        request.zone = zone;
        request.zone_uuid = "01234567-89ab-4def-8123-456789abcdef";
        request.epoch = 1;
        const auto config = ZoneStore(host.root()).config(*ZoneName::create(zone));
        request.manifest = manifest_text(*make_manifest(host.root(), *config));
        request.source = *gather_host_facts(host.root());
        return request;
    }

    TestHost one{"host1"};
    TestHost two{"host2"};
};

}  // namespace zoneferry
