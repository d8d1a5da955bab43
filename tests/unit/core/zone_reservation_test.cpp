// SCSI-3 persistent reservations: what sg_persist says, and the steps that follow from it; a device in memory that two
// hosts share proves the sequence. No SCSI device was here: the texts are as sg3-utils 1.46 writes them.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "core/base/text.h"
#include "core/zone/reservation.h"

namespace zoneferry {
namespace {

constexpr const char* kMine = "0123456789abcdef0123456789abcdef";
constexpr const char* kTheirs = "fedcba9876543210fedcba9876543210";
using Kind = ReservationStep::Kind;

TEST(ReservationKey, says_whose_it_is_and_since_which_epoch) {
    const ReservationKey key = reservation_key(kMine, 7);
    EXPECT_TRUE(is_own_kind(key));
    EXPECT_EQ(epoch_of(key), 7U);
    EXPECT_TRUE(is_same_host(key, reservation_key(kMine, 8)));
    EXPECT_FALSE(is_same_host(key, reservation_key(kTheirs, 7)));
    EXPECT_NE(key, reservation_key(kMine, 8));
    EXPECT_TRUE(is_own_kind(reservation_key(kMine, ~0ULL)));
    EXPECT_TRUE(is_same_host(key, reservation_key(kMine, ~0ULL))) << "an epoch never reaches into the host";
    for (const ReservationKey other : {0ULL, 0x123abcULL, ~0ULL}) EXPECT_FALSE(is_own_kind(other));
}

constexpr const char* kKeys =
    "  PR generation=0x6c, 2 registered reservation keys follow:\n    0xea1b2a62b1dd8f34\n    0x123abc\n";
constexpr const char* kReserved =
    "  PR generation=0x6c, Reservation follows:\n    Key=0xea1b2a62b1dd8f34\n"
    "    scope: LU_SCOPE,  type: Write Exclusive, registrants only\n";

TEST(SgPersist, is_read) {
    EXPECT_EQ(*parse_registered_keys(kKeys), (std::vector<ReservationKey>{0xea1b2a62b1dd8f34, 0x123abc}));
    EXPECT_EQ(*parse_registered_keys("  LIO-ORG   disk1             4.0 \n  Peripheral device type: disk\n"
                                     "  PR generation=0x1, 1 registered reservation key follows:\n    0xa\n\n"),
              std::vector<ReservationKey>{0xa});
    EXPECT_EQ(
        parse_registered_keys("  PR generation=0x1, 2 registered reservation keys follow:\n    0xa\n    0xa\n")->size(),
        1U)
        << "two paths of one host";
    EXPECT_TRUE(parse_registered_keys("  PR generation=0x0, there are NO registered reservation keys\n")->empty());
    ReservationState state;
    ASSERT_TRUE(parse_reservation(kReserved, state));
    EXPECT_EQ(state.holder, 0xea1b2a62b1dd8f34);
    EXPECT_TRUE(state.is_registrants_only);
    ASSERT_TRUE(
        parse_reservation("    Key=0x1\n    scope: LU_SCOPE,  type: Write Exclusive, all registrants\n", state));
    EXPECT_FALSE(state.is_registrants_only);
    ASSERT_TRUE(parse_reservation("  PR generation=0x2, there is NO reservation held\n", state));
    EXPECT_EQ(state.holder, 0U);
    EXPECT_TRUE(check_capabilities("Report capabilities response:\n    Write Exclusive, registrants only: 1\n"));
    EXPECT_TRUE(check_capabilities("Report capabilities response:\n  Type Mask Valid(TMV): 0\n"));
    EXPECT_FALSE(check_capabilities("Report capabilities response:\n    Write Exclusive, registrants only: 0\n"));
}

TEST(SgPersist, that_says_something_else_is_not_believed) {
    for (const char* text : {"", "nonsense", "  PR generation=0x1, 1 registered reservation key follows:\n",
                             "  PR generation=0x1, 1 registered reservation key follows:\n    12\n",
                             "  PR generation=0x1, 1 registered reservation key follows:\n    0x12345678901234567\n"}) {
        EXPECT_FALSE(parse_registered_keys(text)) << text;
    }
    ReservationState state;
    for (const char* text : {"", "Reservation follows:\n    Key=zz\n", "Reservation follows:\n"}) {
        EXPECT_FALSE(parse_reservation(text, state)) << text;
    }
    EXPECT_FALSE(check_capabilities("PR in (Report capabilities): Invalid argument\n"));
}

ReservationStep next(const ReservationState& state, ReservationKey key) {
    const auto step = next_step_to_take(state, key);
    EXPECT_TRUE(step && *step);
    return step && *step ? **step : ReservationStep{Kind::unregisters};
}

TEST(ReservationSteps, evict_lower_epochs_and_yield_to_others) {
    const ReservationKey mine = reservation_key(kMine, 4);
    const ReservationKey older = reservation_key(kTheirs, 3);
    EXPECT_EQ(next({}, mine), (ReservationStep{Kind::registers, mine}));
    EXPECT_EQ(next({"", {mine}, 0, false}, mine), (ReservationStep{Kind::reserves, mine}));
    EXPECT_FALSE(*next_step_to_take({"", {mine}, mine, true}, mine));
    EXPECT_EQ(next({"", {older}, older, true}, mine), (ReservationStep{Kind::registers, mine}));
    EXPECT_EQ(next({"", {older, mine}, older, true}, mine), (ReservationStep{Kind::preempts, mine, older}));
    EXPECT_EQ(next({"", {older, mine}, mine, true}, mine), (ReservationStep{Kind::preempts, mine, older}))
        << "who is registered may write";
    // This host's key of an earlier boot, by another path.
    const ReservationKey before = reservation_key(kMine, 9);
    EXPECT_EQ(next({"", {before, mine}, before, true}, mine), (ReservationStep{Kind::preempts, mine, before}));
    for (const std::uint64_t epoch : {4U, 5U}) {
        const ReservationKey later = reservation_key(kTheirs, epoch);
        EXPECT_EQ(next_step_to_take({"", {later}, later, true}, mine).error().code(), Errc::not_owner);
        EXPECT_EQ(next_step_to_take({"", {mine, later}, mine, true}, mine).error().code(), Errc::not_owner);
    }
    EXPECT_EQ(next_step_to_take({"", {0x123abc}, 0, false}, mine).error().code(), Errc::conflict);
    EXPECT_EQ(next_step_to_take({"", {mine}, mine, false}, mine).error().code(), Errc::conflict) << "another type";
}

TEST(ReservationSteps, give_only_what_is_this_hosts) {
    const ReservationKey mine = reservation_key(kMine, 4);
    const ReservationKey theirs = reservation_key(kTheirs, 4);
    EXPECT_EQ(next_step_to_give({"", {mine}, mine, true}, mine), (ReservationStep{Kind::releases, mine}));
    EXPECT_EQ(next_step_to_give({"", {mine}, 0, false}, mine), (ReservationStep{Kind::unregisters, mine}));
    EXPECT_EQ(next_step_to_give({"", {mine}, mine, true}, reservation_key(kMine, 9)),
              (ReservationStep{Kind::releases, mine}))
        << "of any epoch";
    EXPECT_FALSE(next_step_to_give({"", {theirs}, theirs, true}, mine));
    EXPECT_EQ(other_host_on({"", {mine, theirs}, mine, true}, mine), theirs);
    EXPECT_EQ(other_host_on({"", {mine}, mine, true}, mine), 0U);
}

// A device that several hosts have one path to each; refuses what SPC-4 refuses.
struct Device {
    std::map<std::string, ReservationKey> keys;
    std::string holder;
    int unit_attentions = 0;
    std::vector<std::string> log;

    Result<ProcessResult> serve(const std::string& host, const std::vector<std::string>& words) {
        if (unit_attentions > 0) {
            --unit_attentions;
            return ProcessResult{6, "Unit attention\n"};
        }
        const auto value = [&](const std::string& name) -> ReservationKey {
            for (const std::string& word : words) {
                if (word.starts_with(name + "=0x"))
                    return *parse_number<ReservationKey>(word.substr(name.size() + 3), 16);
            }
            return 0;
        };
        const auto is = [&](const char* word) { return std::find(words.begin(), words.end(), word) != words.end(); };
        if (is("--in")) return ProcessResult{0, told(words)};
        log.push_back(host + " " + words[2]);
        const ReservationKey ours = keys.contains(host) ? keys[host] : 0;
        const bool is_registration = is("--register-ignore") || is("--register");
        const bool conflict =
            is("--register-ignore") ? false : value("--param-rk") != ours || (!is_registration && !ours);
        if (conflict || (is("--reserve") && !holder.empty() && holder != host)) return ProcessResult{24, "conflict\n"};
        if (is_registration) {
            keys[host] = value("--param-sark");
            if (keys[host] == 0) forget(host);
        } else if (is("--reserve")) {
            holder = host;
        } else if (is("--release")) {
            if (holder == host) holder.clear();
        } else {
            const ReservationKey victim = value("--param-sark");
            if (!holder.empty() && keys[holder] == victim) holder = host;
            std::erase_if(keys, [&](const auto& each) { return each.second == victim; });
        }
        return ProcessResult{0, ""};
    }
    void forget(const std::string& host) {
        keys.erase(host);
        if (holder == host) holder.clear();
    }
    std::string told(const std::vector<std::string>& words) const {
        std::string text;
        for (const std::string& word : words) {
            if (word == "--report-capabilities") return "Report capabilities response:\n";
            if (word == "--read-reservation" && holder.empty()) return "there is NO reservation held\n";
            if (word == "--read-keys" && keys.empty()) return "there are NO registered reservation keys\n";
        }
        const auto line = [](ReservationKey key) {
            std::array<char, 24> hex{};
            std::snprintf(hex.data(), hex.size(), "0x%llx\n", static_cast<unsigned long long>(key));
            return std::string(hex.data());
        };
        if (std::find(words.begin(), words.end(), "--read-reservation") != words.end()) {
            return "Reservation follows:\n    Key=" + line(keys.at(holder)) +
                   "    scope: LU_SCOPE,  type: Write Exclusive, registrants only\n";
        }
        text = "registered reservation keys follow:\n";
        for (const auto& [host, key] : keys) text += "    " + line(key);
        return text;
    }
};

class SharedDevice : public testing::Test {
protected:
    ScsiReservation of(const std::string& host) {
        return ScsiReservation("/dev/sdb", [this, host](const auto& words) { return device_.serve(host, words); });
    }
    Device device_;
    const ReservationKey one_ = reservation_key(kMine, 1);
    const ReservationKey two_ = reservation_key(kTheirs, 2);
};

TEST_F(SharedDevice, is_handed_over_and_taken_over) {
    ASSERT_TRUE(*of("one").take(one_));
    EXPECT_EQ(device_.holder, "one");
    EXPECT_EQ(of("two").take(reservation_key(kTheirs, 1)).error().code(), Errc::not_owner) << "not under that epoch";
    EXPECT_EQ(device_.log, (std::vector<std::string>{"one --register-ignore", "one --reserve"})) << "nothing was tried";
    ASSERT_TRUE(of("one").give(reservation_key(kMine, 0)));
    EXPECT_TRUE(device_.keys.empty() && device_.holder.empty());
    ASSERT_TRUE(*of("two").take(two_));
    // The host is lost; a person raises the epoch.
    ASSERT_TRUE(*of("one").take(reservation_key(kMine, 3)));
    EXPECT_EQ(device_.holder, "one");
    EXPECT_FALSE(device_.keys.contains("two")) << "it could still write";
    EXPECT_EQ(of("two").take(two_).error().code(), Errc::not_owner) << "the former owner comes back";
    ASSERT_TRUE(of("two").give(two_)) << "and has nothing to give";
    EXPECT_EQ(device_.holder, "one");
    ASSERT_TRUE(*of("one").take(reservation_key(kMine, 3))) << "again, after a restart";
    ASSERT_TRUE(*of("one").take(reservation_key(kMine, 4))) << "and under the next epoch";
    EXPECT_EQ(device_.keys.at("one"), reservation_key(kMine, 4));
}

TEST_F(SharedDevice, whose_paths_were_reset_says_so_once) {
    device_.unit_attentions = 1;
    EXPECT_TRUE(*of("one").take(one_));
    device_.unit_attentions = 1;
    EXPECT_TRUE(of("one").give(one_));
    EXPECT_TRUE(device_.keys.empty());
}

TEST(ScsiReservation, is_not_missed_where_the_device_has_none) {
    const ScsiReservation none("/dev/loop0", [](const auto&) { return ProcessResult{72, "Invalid argument\n"}; });
    EXPECT_NE(none.read()->missing, "");
    EXPECT_FALSE(*none.take(reservation_key(kMine, 1)));
    EXPECT_TRUE(none.give(reservation_key(kMine, 1)));
    const ScsiReservation absent("/dev/loop0", [](const auto&) -> Result<ProcessResult> {
        return Error(Errc::not_found, "sg_persist is not installed");
    });
    EXPECT_NE(absent.read()->missing, "");
}

TEST(ScsiReservation, that_breaks_in_the_midst_is_an_error) {
    int calls = 0;
    const ScsiReservation broken("/dev/sdb", [&](const auto&) {
        return ++calls == 1 ? ProcessResult{0, "Report capabilities response:\n"} : ProcessResult{99, "medium error\n"};
    });
    EXPECT_EQ(broken.take(reservation_key(kMine, 1)).error().code(), Errc::io);
}

}  // namespace
}  // namespace zoneferry
