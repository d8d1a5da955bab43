// The owner record and the boot gate: every state of both copies, damage, links.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <latch>
#include <thread>

#include "core/zone/owner_record.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

OwnerRecord record_of(std::uint64_t epoch, Ownership state) {
    return {"web01", "01234567-89ab-4def-8123-456789abcdef", epoch, state, "host2", "m1", 1'763'760'000'000};
}
const ZoneName kName = *ZoneName::create("web01");
constexpr Ownership kAll[] = {Ownership::owned, Ownership::frozen, Ownership::incoming, Ownership::released};

TEST(OwnerRecord, round_trip) {
    for (const Ownership state : kAll) {
        const auto again = parse_owner_record(owner_record_text(record_of(7, state)));
        ASSERT_TRUE(again) << again.error().text();
        EXPECT_EQ(*again, record_of(7, state));
    }
}

TEST(OwnerRecord, any_damage_is_an_error) {
    const std::string good = owner_record_text(record_of(7, Ownership::released));
    for (std::size_t cut = 0; cut < good.size(); ++cut) {
        const auto record = parse_owner_record(good.substr(0, cut));
        ASSERT_FALSE(record) << cut;
        EXPECT_EQ(record.error().code(), Errc::corrupt);
    }
    const auto spoiled = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        return text.replace(text.find(from), from.size(), to);
    };
    for (const auto& [from, to] :
         std::vector<std::pair<std::string, std::string>>{{"record 2", "record 3"},
                                                          {"record 2", "record 1"},
                                                          {"storage=", "storage=\x1b"},
                                                          {"nonce=", "nonce=a b"},
                                                          {"zone=web01", "zone=../x"},
                                                          {"epoch=7", "epoch=x"},
                                                          {"epoch=7", "epoch=-1"},
                                                          {"epoch=7", "epoch="},
                                                          {"state=released", "state=mine"},
                                                          {"host=host2", "host="},
                                                          {"host=host2", "host=a b"},
                                                          {"move_id=m1", "move_id=\x1b"},
                                                          {"since_unix_ms=1", "since_unix_ms=-1"},
                                                          {"zone_uuid=0", "zone_uuid=x"},
                                                          {"end\n", "end\nmore\n"},
                                                          {"epoch=7\n", "epoch=7\nepoch=8\n"}}) {
        EXPECT_FALSE(parse_owner_record(spoiled(from, to))) << to;
    }
}

// The copies are judged for every pair of states and epoch orders: the zone boots only if the host's own copy is the
// newest and both that are newest say owned.
TEST(BootGate, every_state_of_both_copies) {
    for (int host = -1; host < 4; ++host) {
        for (int zonepath = -1; zonepath < 4; ++zonepath) {
            for (const int newer : {-1, 0, 1}) {
                std::optional<OwnerRecord> of_host;
                std::optional<OwnerRecord> of_zonepath;
                if (host >= 0) of_host = record_of(5, kAll[host]);
                if (zonepath >= 0) of_zonepath = record_of(static_cast<std::uint64_t>(5 + newer), kAll[zonepath]);
                bool allowed = false;
                if (host < 0 && zonepath < 0) allowed = true;
                if (host == 0 && (zonepath < 0 || newer < 0 || (newer == 0 && zonepath == 0))) allowed = true;
                const auto effective = effective_record(of_host, of_zonepath);
                const Status may = check_may_boot(effective);
                EXPECT_EQ(may.has_value(), allowed) << host << " " << zonepath << " " << newer;
                if (!may) {
                    EXPECT_EQ(may.error().code(), Errc::not_owner);
                    // A frozen zone's record names its present host, not where it goes.
                    const std::string where = effective->state == Ownership::frozen ? "another host" : "host2";
                    EXPECT_NE(may.error().sentence().find(where), std::string::npos);
                    EXPECT_NE(may.error().remedy_text().find("m1"), std::string::npos);
                }
            }
        }
    }
}

class OwnerStoreTest : public testing::Test {
protected:
    OwnerStoreTest() { EXPECT_TRUE(make_directories(directory_.path() + "/z/web01", 0700)); }
    std::string zonepath_copy() const { return directory_.path() + "/z/web01/.zoneferry-owner"; }
    std::string host_copy() const { return directory_.path() + "/var/lib/zoneferry/owners/web01"; }
    TempDirectory directory_;
    HostRoot root_{directory_.path()};
    OwnerStore store_{root_};
};

TEST_F(OwnerStoreTest, saves_loads_and_removes_both_copies) {
    EXPECT_FALSE(store_.load(kName, "/z/web01")->has_value());
    EXPECT_TRUE(may_boot(root_, kName, "/z/web01"));
    EXPECT_TRUE(may_boot(root_, kName, "/z/not-there"));
    ASSERT_TRUE(store_.save(record_of(1, Ownership::owned), "/z/web01"));
    EXPECT_TRUE(path_exists(zonepath_copy()));
    EXPECT_TRUE(may_boot(root_, kName, "/z/web01"));
    ASSERT_TRUE(store_.save(record_of(2, Ownership::released), "/z/web01"));
    EXPECT_EQ(may_boot(root_, kName, "/z/web01").error().code(), Errc::not_owner);
    ASSERT_TRUE(store_.remove(kName, "/z/web01"));
    EXPECT_FALSE(path_exists(zonepath_copy()));
    EXPECT_FALSE(path_exists(host_copy()));
}

// The key of a host is made with the first record, and two zones may get theirs at the same moment.
TEST_F(OwnerStoreTest, first_records_of_two_zones_have_one_key) {
    constexpr int kRounds = 5;
    constexpr int kZones = 4;
    for (int round = 0; round < kRounds; ++round) {
        const std::string place = directory_.path() + "/host" + std::to_string(round);
        ASSERT_TRUE(make_directories(place, 0755));
        const HostRoot fresh(place);
        std::latch together(kZones);
        std::vector<std::jthread> writers;
        for (int zone = 0; zone < kZones; ++zone) {
            writers.emplace_back([&, zone] {
                OwnerRecord record = record_of(1, Ownership::owned);
                record.zone = "zone" + std::to_string(zone);
                together.arrive_and_wait();
                EXPECT_TRUE(OwnerStore(fresh).save(record, ""));
            });
        }
        writers.clear();  // joins
        for (int zone = 0; zone < kZones; ++zone) {
            const auto loaded = OwnerStore(fresh).load(*ZoneName::create("zone" + std::to_string(zone)), "");
            EXPECT_TRUE(loaded) << loaded.error().text();
        }
    }
}

TEST_F(OwnerStoreTest, one_lost_copy_does_not_unlock_the_zone) {
    ASSERT_TRUE(store_.save(record_of(2, Ownership::released), "/z/web01"));
    ASSERT_EQ(::unlink(host_copy().c_str()), 0);
    EXPECT_EQ(may_boot(root_, kName, "/z/web01").error().code(), Errc::not_owner);
    ASSERT_TRUE(store_.save(record_of(2, Ownership::released), "/z/web01"));
    ASSERT_EQ(::unlink(zonepath_copy().c_str()), 0);
    EXPECT_EQ(may_boot(root_, kName, "/z/web01").error().code(), Errc::not_owner);
}

TEST_F(OwnerStoreTest, fails_closed_on_damage) {
    for (const std::string& path : {host_copy(), zonepath_copy()}) {
        ASSERT_TRUE(store_.save(record_of(2, Ownership::owned), "/z/web01"));
        for (const std::string& content : {std::string(), std::string("x"), std::string(5000, 'x')}) {
            ASSERT_TRUE(replace_file(path, content, 0600));
            const Status may = may_boot(root_, kName, "/z/web01");
            ASSERT_FALSE(may);
            EXPECT_EQ(may.error().code(), Errc::corrupt) << may.error().text();
        }
    }
}

TEST_F(OwnerStoreTest, follows_no_link_and_no_fifo) {
    ASSERT_TRUE(store_.save(record_of(2, Ownership::owned), "/z/web01"));
    ASSERT_EQ(::unlink(zonepath_copy().c_str()), 0);
    ASSERT_EQ(::symlink(host_copy().c_str(), zonepath_copy().c_str()), 0);
    EXPECT_FALSE(may_boot(root_, kName, "/z/web01"));
    ASSERT_EQ(::unlink(zonepath_copy().c_str()), 0);
    ASSERT_EQ(::mkfifo(zonepath_copy().c_str(), 0600), 0);
    EXPECT_FALSE(may_boot(root_, kName, "/z/web01"));
}

TEST_F(OwnerStoreTest, refuses_a_record_about_another_zone) {
    OwnerRecord other = record_of(2, Ownership::owned);
    other.zone = "db01";
    ASSERT_TRUE(store_.save(other, ""));
    ASSERT_EQ(::rename((directory_.path() + "/var/lib/zoneferry/owners/db01").c_str(), host_copy().c_str()), 0);
    EXPECT_EQ(may_boot(root_, kName, "").error().code(), Errc::corrupt);
    other.host = "a\nb";
    EXPECT_EQ(store_.save(other, "").error().code(), Errc::invalid);
}

}  // namespace
}  // namespace zoneferry
