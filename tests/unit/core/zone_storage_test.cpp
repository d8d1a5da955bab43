// Shared storage on one host: LUNs told apart, the seal and the lease, who may replace the record beside a tree, and
// detach, attach and takeover by hand. Two host roots that name one zonepath play two hosts.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <seccomp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <optional>

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/zone/claim.h"
#include "core/zone/lease.h"
#include "core/zone/mount_options.h"
#include "core/zone/owner_seal.h"
#include "core/zone/runtime.h"
#include "core/zone/storage.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

constexpr const char* kUuid = "01234567-89ab-4def-8123-456789abcdef";

Storage lun() { return {"ext4", "4ab1d5c2", "wwid:naa.600140500", 1U << 30U, "/export/zones/web01", {}}; }

TEST(Lun, its_text_is_read_back_and_any_damage_is_refused) {
    const std::string text = lun_text(lun());
    EXPECT_EQ(text, "lun ext4 4ab1d5c2 wwid:naa.600140500 1073741824 /export/zones/web01");
    EXPECT_EQ(*parse_lun(text), lun());
    Storage nameless = lun();
    nameless.device_id.clear();
    EXPECT_EQ(*parse_lun(lun_text(nameless)), nameless);
    Storage with_options = lun();
    with_options.options = {"noatime", "commit=30"};
    EXPECT_EQ(lun_text(with_options), text + " noatime,commit=30");
    EXPECT_EQ(*parse_lun(lun_text(with_options)), with_options);
    for (const char* hostile : {" errors=panic", " noatime,norecovery", " logdev=/dev/sda", " ", " noatime,", " x y"}) {
        EXPECT_FALSE(parse_lun(text + hostile)) << hostile;
    }
    for (const char* bad :
         {"", "directory", "lun", "lun ext4 u d 1 /", "lun ext4 u d 1 /../x", "lun ext4 u d x /x", "lun ext4 - d 1 /x",
          "lun ../e u d 1 /x", "lun ext4 u d 1 /x more", "lun ext4 u d 1 x", "lun ext4  d 1 /x"}) {
        EXPECT_FALSE(parse_lun(bad)) << bad;
    }
}

BlockDevice device_with(const std::string& path, const Storage& storage, bool is_busy = false) {
    return {path, storage, is_busy};
}

TEST(Lun, is_found_by_what_it_carries) {
    const BlockDevice same = device_with("/dev/sdb", lun());
    EXPECT_EQ(find_lun(lun(), {same}).device, "/dev/sdb");
    EXPECT_EQ(find_lun(lun(), {}).code, "STORAGE_MISSING");
    EXPECT_EQ(find_lun(lun(), {same, device_with("/dev/sdc", lun())}).device, "/dev/sdb") << "two paths to it";
    EXPECT_EQ(find_lun(lun(), {device_with("/dev/sdb", lun(), true)}).code, "STORAGE_MOUNTED");
    Storage clone = lun();
    clone.device_id = "wwid:naa.600140501";
    EXPECT_EQ(find_lun(lun(), {device_with("/dev/sdc", clone)}).code, "STORAGE_CLONE");
    EXPECT_EQ(find_lun(lun(), {device_with("/dev/sdc", clone), same}).device, "/dev/sdb");
    Storage grown = lun();
    grown.size_bytes += 512;
    EXPECT_EQ(find_lun(lun(), {device_with("/dev/sdc", grown)}).code, "STORAGE_CLONE");
    Storage other = lun();
    other.uuid = "4ab1d5c3";
    EXPECT_EQ(find_lun(lun(), {device_with("/dev/sdc", other)}).code, "STORAGE_MISSING");
}

ZoneConfig config_with(const StorageResource& storage) {
    ZoneConfig config;
    config.name = "web01";
    config.zonepath = "/export/zones/web01";
    config.storage = storage;
    return config;
}

TEST(DeclaredLun, fits_what_its_configuration_leaves_open) {
    EXPECT_FALSE(declared_lun(ZoneConfig()));
    const Storage any = *declared_lun(config_with({"ext4", "4ab1d5c2", "", "", {"noatime"}}));
    EXPECT_EQ(any.mount_point, "/export/zones/web01");
    EXPECT_EQ(any.options, std::vector<std::string>{"noatime"});
    EXPECT_TRUE(is_lun_on(any, lun()));
    EXPECT_EQ(find_lun(any, {device_with("/dev/sdb", lun())}).device, "/dev/sdb");
    EXPECT_EQ(find_lun(any, {device_with("/dev/sdb", lun()), device_with("/dev/sdc", lun())}).device, "/dev/sdb");
    Storage clone = lun();
    clone.device_id = "wwid:naa.600140501";
    const std::vector<BlockDevice> both{device_with("/dev/sdb", lun()), device_with("/dev/sdc", clone)};
    EXPECT_EQ(find_lun(any, both).code, "STORAGE_CLONE") << "which of the two is meant, nobody said";
    const Storage named = *declared_lun(config_with({"ext4", "4ab1d5c2", clone.device_id, "/export", {}}));
    EXPECT_EQ(named.mount_point, "/export");
    EXPECT_EQ(find_lun(named, both).device, "/dev/sdc");
    EXPECT_FALSE(is_lun_on(named, lun()));
    EXPECT_EQ(find_lun(named, {both[0]}).code, "STORAGE_CLONE");
    EXPECT_EQ(find_lun(any, {device_with("/dev/sdb", lun(), true)}).code, "STORAGE_MOUNTED");
    Storage other_type = lun();
    other_type.file_system = "xfs";
    EXPECT_FALSE(is_lun_on(any, other_type));
}

TEST(DeclaredLun, is_refused_when_it_could_not_be_one) {
    const StorageResource good{"ext4", "4ab1d5c2", "wwid:naa.6", "/export/zones", {"noatime"}};
    EXPECT_TRUE(verify_config(config_with(good)));
    const auto refused = [&](auto change) {
        StorageResource storage = good;
        change(storage);
        EXPECT_FALSE(verify_config(config_with(storage)));
    };
    refused([](StorageResource& s) { s.type = ""; });
    refused([](StorageResource& s) { s.type = "../ext4"; });
    refused([](StorageResource& s) { s.uuid = ""; });
    refused([](StorageResource& s) { s.uuid = "a b"; });
    refused([](StorageResource& s) { s.device = "/dev/sdb"; });
    refused([](StorageResource& s) { s.device = "wwid:"; });
    refused([](StorageResource& s) { s.device = "wwid:a b"; });
    refused([](StorageResource& s) { s.directory = "/"; });
    refused([](StorageResource& s) { s.directory = "/export/other"; });
    refused([](StorageResource& s) { s.directory = "/export/../export"; });
    refused([](StorageResource& s) { s.options = {"errors=panic"}; });
    refused([](StorageResource& s) { s.options.assign(kMountOptionsMax + 1, "noatime"); });
}

TEST(MountOptions, only_those_of_the_list_go_along) {
    for (const char* good : {"noatime", "discard", "discard=async", "commit=30", "data=journal", "errors=remount-ro",
                             "compress=zstd", "compress-force=zstd:3", "logbsize=64k", "allocsize=1m", "stripe=16"}) {
        EXPECT_TRUE(is_mount_option_allowed(good)) << good;
    }
    for (const char* bad : {"",
                            "rw",
                            "ro",
                            "errors=panic",
                            "data=writeback",
                            "barrier=0",
                            "nobarrier",
                            "norecovery",
                            "nouuid",
                            "noload",
                            "logdev=/dev/sda",
                            "rtdev=/dev/sda",
                            "journal_path=/dev/sda",
                            "journal_dev=1",
                            "subvol=/",
                            "source=/dev/sda",
                            "commit=0",
                            "commit=301",
                            "commit=x",
                            "compress=zstd:99",
                            "compress=none",
                            "logbsize=k",
                            "noatime,ro",
                            "init_itable=0"}) {
        EXPECT_FALSE(is_mount_option_allowed(bad)) << bad;
    }
    EXPECT_EQ(options_to_carry("rw,noatime", "rw,discard,errors=panic,commit=5,noatime"),
              (std::vector<std::string>{"noatime", "discard", "commit=5"}));
    EXPECT_TRUE(options_to_carry("rw,relatime", "rw,attr2,inode64,noquota").empty());
}

TEST(Lun, can_be_handed_over_only_if_nothing_else_is_on_it) {
    MountedAt at{lun(), "/dev/sdb", true};
    EXPECT_EQ(lun_problem(at, "/export/zones/web01", {"/export/zones/web02"}), "");
    EXPECT_EQ(lun_problem(at, "/export/zones/web01/below", {}), "");
    EXPECT_NE(lun_problem(at, "/export/zones/web01/a", {"/export/zones/web01/b"}), "");
    EXPECT_NE(lun_problem(at, "/elsewhere", {}), "");
    at.is_whole = false;
    EXPECT_NE(lun_problem(at, "/export/zones/web01", {}), "");
    at = {lun(), "", true};
    EXPECT_NE(lun_problem(at, "/export/zones/web01", {}), "");
    at = {lun(), "/dev/sdb", true};
    at.storage.mount_point = "/";
    EXPECT_NE(lun_problem(at, "/export/zones/web01", {}), "");
    at = {lun(), "/dev/sdb", true};
    at.storage.uuid.clear();
    EXPECT_NE(lun_problem(at, "/export/zones/web01", {}), "");
}

OwnerRecord record_of(std::uint64_t epoch, Ownership state, const std::string& host) {
    OwnerRecord record{"web01", kUuid, epoch, state, host, "ab", 1'763'760'000'000};
    record.storage = kSharedDirectory;
    return record;
}

TEST(SharedRecord, is_replaced_by_its_host_or_under_a_higher_epoch) {
    const OwnerRecord there = record_of(3, Ownership::frozen, "host1");
    EXPECT_TRUE(check_may_replace(std::nullopt, record_of(1, Ownership::owned, "host2")));
    EXPECT_TRUE(check_may_replace(there, record_of(3, Ownership::owned, "host1")));
    EXPECT_TRUE(check_may_replace(there, record_of(4, Ownership::owned, "host2")));
    EXPECT_TRUE(check_may_replace(there, record_of(3, Ownership::owned, "HOST1.example"), true)) << "our own seal";
    for (const char* host : {"host1", "host2"}) {
        EXPECT_FALSE(check_may_replace(there, record_of(2, Ownership::owned, host))) << host;
    }
    EXPECT_EQ(check_may_replace(there, record_of(3, Ownership::owned, "host2")).error().code(), Errc::not_owner);
}

// Two hosts that see one zonepath: each has its own root, and a link of the test's leads both to the same place.
class TwoHosts : public testing::Test {
protected:
    TwoHosts() {
        for (const char* host : {"/one", "/two"}) {
            EXPECT_TRUE(make_directories(directory_.path() + host, 0755));
            EXPECT_EQ(::symlink("../z", (directory_.path() + host + "/z").c_str()), 0);
        }
        EXPECT_TRUE(make_directories(directory_.path() + "/z/web01/root", 0700));
    }
    std::string beside() const { return directory_.path() + "/z/web01/.zoneferry-owner"; }
    std::string text_beside() const { return *read_file(beside(), 4096); }

    const ZoneName name_ = *ZoneName::create("web01");
    TempDirectory directory_;
    HostRoot one_{directory_.path() + "/one"};
    HostRoot two_{directory_.path() + "/two"};
};

TEST_F(TwoHosts, the_copy_beside_the_tree_is_the_holders) {
    OwnerStore one(one_);
    OwnerStore two(two_);
    ASSERT_TRUE(one.save(record_of(3, Ownership::frozen, "host1"), "/z/web01"));
    const std::string frozen = text_beside();
    ASSERT_TRUE(two.save(record_of(3, Ownership::incoming, "host1"), "/z/web01"));
    ASSERT_TRUE(one.save(record_of(4, Ownership::released, "host2"), "/z/web01"));
    EXPECT_EQ(text_beside(), frozen) << "the storage is not touched by who does not hold it";
    ASSERT_TRUE(two.save(record_of(4, Ownership::owned, "host2"), "/z/web01"));
    const std::string owned = text_beside();
    EXPECT_NE(owned, frozen);
    // The source says it again, takes it back under the old epoch, or parks it.
    ASSERT_TRUE(one.save(record_of(4, Ownership::released, "host2"), "/z/web01"));
    EXPECT_EQ(one.save(record_of(3, Ownership::owned, "host1"), "/z/web01").error().code(), Errc::not_owner);
    ASSERT_TRUE(one.save(record_of(4, Ownership::parked, "host2"), "/z/web01"));
    EXPECT_EQ(text_beside(), owned);
    EXPECT_FALSE(may_boot(one_, name_, "/z/web01"));
    EXPECT_TRUE(may_boot(two_, name_, "/z/web01"));
}

TEST_F(TwoHosts, a_restored_state_directory_does_not_bring_the_right_back) {
    OwnerStore one(one_);
    OwnerStore two(two_);
    ASSERT_TRUE(one.save(record_of(3, Ownership::owned, "host1"), "/z/web01"));
    const std::string backup = *read_file(one_.at("/var/lib/zoneferry/owners/web01"), 4096);
    ASSERT_TRUE(two.save(record_of(4, Ownership::owned, "host2"), "/z/web01"));
    ASSERT_TRUE(one.save(record_of(4, Ownership::released, "host2"), "/z/web01"));
    ASSERT_TRUE(replace_file(one_.at("/var/lib/zoneferry/owners/web01"), backup, 0600));
    EXPECT_EQ(may_boot(one_, name_, "/z/web01").error().code(), Errc::not_owner);
    EXPECT_EQ(may_attach(one_, name_, "/z/web01").error().code(), Errc::not_owner);
}

TEST_F(TwoHosts, a_seal_that_does_not_hold_is_damage) {
    OwnerStore one(one_);
    ASSERT_TRUE(one.save(record_of(3, Ownership::frozen, "host1"), "/z/web01"));
    const std::string path = one_.at("/var/lib/zoneferry/owners/web01");
    std::string text = *read_file(path, 4096);
    text.replace(text.find("state=frozen"), 12, "state=owned");
    for (const std::string& copy : {path, beside()}) {
        const std::string good = *read_file(copy, 4096);
        ASSERT_TRUE(replace_file(copy, text, 0600));
        EXPECT_EQ(may_boot(one_, name_, "/z/web01").error().code(), Errc::corrupt) << copy;
        ASSERT_TRUE(replace_file(copy, good, 0600));
    }
    // Another host's own copy, put into our directory.
    OwnerStore two(two_);
    ASSERT_TRUE(two.save(record_of(9, Ownership::owned, "host1"), ""));
    ASSERT_TRUE(replace_file(path, *read_file(two_.at("/var/lib/zoneferry/owners/web01"), 4096), 0600));
    EXPECT_EQ(may_boot(one_, name_, "/z/web01").error().code(), Errc::corrupt);
}

TEST_F(TwoHosts, a_record_of_version_1_is_still_read) {
    const std::string text =
        "# zoneferry owner record 1\nzone=web01\nzone_uuid=\nepoch=2\nstate=released\nhost=host2\n"
        "move_id=ab\nsince_unix_ms=1\nend\n";
    ASSERT_TRUE(make_directories(one_.at("/var/lib/zoneferry/owners"), 0755));
    ASSERT_TRUE(replace_file(one_.at("/var/lib/zoneferry/owners/web01"), text, 0600));
    const auto record = OwnerStore(one_).load(name_, "/z/web01");
    ASSERT_TRUE(record && *record);
    EXPECT_EQ((*record)->epoch, 2U);
    EXPECT_EQ((*record)->storage, "");
}

TEST_F(TwoHosts, only_one_of_them_runs_the_zone) {
    const std::string place = directory_.path() + "/z/web01";
    EXPECT_FALSE(*ZoneLease::is_held(place));
    {
        const auto lease = ZoneLease::take(place);
        ASSERT_TRUE(lease);
        EXPECT_TRUE(*ZoneLease::is_held(place));
        EXPECT_EQ(ZoneLease::take(place).error().code(), Errc::not_owner);
        EXPECT_TRUE(StorageLock::take(place)) << "the record can be changed while the zone runs";
    }
    EXPECT_FALSE(*ZoneLease::is_held(place));
    EXPECT_TRUE(ZoneLease::take(place));
}

// What a network file system says that is not there any more, or that has no lock service, said by the kernel's filter:
// in a child, every such call fails so. False: what is checked there is not so.
struct FaultyCall {
    int call;
    int error;
    std::optional<scmp_datum_t> second_argument;
};
bool holds_with(const FaultyCall& faulty, const std::function<std::string()>& problem) {
    const pid_t child = ::fork();
    if (child == 0) {
        const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
        scmp_arg_cmp second{};
        second.arg = 1;
        second.op = SCMP_CMP_EQ;
        second.datum_a = faulty.second_argument.value_or(0);
        const int added = ::seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(static_cast<std::uint32_t>(faulty.error)),
                                                   faulty.call, faulty.second_argument ? 1 : 0, &second);
        const std::string found = added == 0 && ::seccomp_load(filter) == 0 ? problem() : "no filter";
        (void)!::write(STDERR_FILENO, found.data(), found.size());
        ::_exit(found.empty() ? 0 : 1);
    }
    int status = 0;
    return ::waitpid(child, &status, 0) == child && status == 0;
}

// Empty: it is refused with that code, that sentence and a remedy.
std::string unless_refused(const Status& done, Errc code, const std::string& sentence) {
    if (done) return "it was done\n";
    const Error& error = done.error();
    const bool is_told = error.code() == code && error.text().find(sentence) != std::string::npos;
    return is_told && !error.remedy_text().empty() ? "" : error.text() + "\n";
}

TEST_F(TwoHosts, storage_that_does_not_answer_lets_no_zone_run) {
    ASSERT_TRUE(OwnerStore(one_).save(record_of(3, Ownership::owned, "host1"), "/z/web01"));
    ASSERT_TRUE(may_boot(one_, name_, "/z/web01"));
    for (const int error : {ESTALE, EIO, ETIMEDOUT}) {
        EXPECT_TRUE(holds_with({SCMP_SYS(openat2), error, {}}, [&] {
            return unless_refused(may_boot(one_, name_, "/z/web01"), Errc::io,
                                  "/z/web01/.zoneferry-owner does not answer");
        })) << error;
    }
}

TEST_F(TwoHosts, storage_whose_locks_are_refused_lets_no_zone_run) {
    const std::string place = directory_.path() + "/z/web01";
    const auto take = [&] {
        const auto lease = ZoneLease::take(place);
        return lease ? Status() : Status(lease.error());
    };
    const FaultyCall no_lock_service{SCMP_SYS(fcntl), ENOLCK, F_OFD_SETLK};
    const FaultyCall held{SCMP_SYS(fcntl), EACCES, F_OFD_SETLK};
    const FaultyCall none_known{SCMP_SYS(fcntl), EOPNOTSUPP, F_OFD_SETLK};
    EXPECT_TRUE(holds_with(no_lock_service, [&] { return unless_refused(take(), Errc::io, "gives no locks now"); }));
    EXPECT_TRUE(holds_with(held, [&] { return unless_refused(take(), Errc::not_owner, "the lease is held"); }));
    EXPECT_TRUE(holds_with(none_known, [&] { return take() ? "" : "a file system without locks has no lease"; }));
    EXPECT_TRUE(holds_with({SCMP_SYS(fcntl), ENOLCK, F_OFD_SETLKW}, [&] {
        const Status saved = OwnerStore(one_).save(record_of(3, Ownership::owned, "host1"), "/z/web01");
        return unless_refused(saved, Errc::io, "gives no locks now");
    }));
    EXPECT_TRUE(holds_with({SCMP_SYS(fcntl), ENOLCK, F_OFD_GETLK}, [&] {
        const auto held_there = ZoneLease::is_held(place);
        return unless_refused(held_there ? Status() : Status(held_there.error()), Errc::io, "gives no locks now");
    }));
}

class ByHand : public TwoHosts {
protected:
    ByHand() {
        for (const HostRoot& root : {one_, two_}) {
            ZoneConfig config;
            config.name = "web01";
            config.zonepath = "/z/web01";
            ZoneStore store(root);
            auto lock = store.lock(name_);
            EXPECT_TRUE(lock && store.create(*lock, config));
        }
    }
    ZoneEntry entry(const HostRoot& root) const { return *ZoneStore(root).find(name_); }
    ZoneLock lock(const HostRoot& root) const { return *ZoneStore(root).lock(name_); }
};

TEST_F(ByHand, who_detaches_gives_it_to_who_attaches_next) {
    EXPECT_TRUE(claim_by_hand(two_, lock(two_), "/z/web01", "host2")) << "a tree without a record is anybody's";
    EXPECT_FALSE(path_exists(beside()));
    ASSERT_TRUE(give_up_by_hand(one_, lock(one_), entry(one_), "host1"));
    EXPECT_FALSE(may_boot(one_, name_, "/z/web01"));
    EXPECT_TRUE(may_attach(one_, name_, "/z/web01"));
    EXPECT_TRUE(may_attach(two_, name_, "/z/web01"));
    ASSERT_TRUE(claim_by_hand(two_, lock(two_), "/z/web01", "host2"));
    EXPECT_TRUE(may_boot(two_, name_, "/z/web01"));
    for (const auto& refused : {claim_by_hand(one_, lock(one_), "/z/web01", "host1"),
                                may_attach(one_, name_, "/z/web01"), may_boot(one_, name_, "/z/web01")}) {
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code(), Errc::not_owner);
        EXPECT_NE(refused.error().sentence().find("host2"), std::string::npos) << "says who holds it";
    }
    // A detach here, of what is not ours to give, is refused and writes nothing; one that was broken off goes on.
    const std::string owned = text_beside();
    const Status refused = give_up_by_hand(one_, lock(one_), entry(one_), "host1");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::not_owner);
    EXPECT_NE(refused.error().sentence().find("host2"), std::string::npos) << refused.error().text();
    EXPECT_EQ(text_beside(), owned);
    ASSERT_TRUE(give_up_by_hand(two_, lock(two_), entry(two_), "host2"));
    EXPECT_TRUE(give_up_by_hand(two_, lock(two_), entry(two_), "host2"));
}

TEST_F(ByHand, a_boot_asks_whose_it_is_before_anything_else) {
    ASSERT_TRUE(OwnerStore(one_).save(record_of(4, Ownership::released, "host2"), "/z/web01"));
    const ZoneConfig config = *ZoneStore(one_).config(name_);
    const auto booted = Runtime(one_).boot(lock(one_), entry(one_), config, BootOptions());
    ASSERT_FALSE(booted);
    EXPECT_EQ(booted.error().code(), Errc::not_owner) << booted.error().text();
}

// Both have read that it is free; the second one's word comes after the first one's.
TEST_F(ByHand, of_two_that_attach_at_once_one_has_it) {
    ASSERT_TRUE(give_up_by_hand(one_, lock(one_), entry(one_), "host1"));
    const std::uint64_t free_epoch = (*OwnerStore(one_).load(name_, "/z/web01"))->epoch;
    ASSERT_TRUE(OwnerStore(two_).claim(record_of(free_epoch + 1, Ownership::owned, "host2"), "/z/web01"));
    const std::string owned = text_beside();
    const Status late = OwnerStore(one_).claim(record_of(free_epoch + 1, Ownership::owned, "host1"), "/z/web01");
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code(), Errc::not_owner);
    EXPECT_EQ(text_beside(), owned);
    EXPECT_FALSE(may_boot(one_, name_, "/z/web01"));
    EXPECT_TRUE(may_boot(two_, name_, "/z/web01"));
}

TEST_F(ByHand, a_takeover_raises_the_epoch_and_waits_for_the_lease) {
    ASSERT_TRUE(OwnerStore(one_).save(record_of(5, Ownership::owned, "host1"), "/z/web01"));
    const ZoneConfig config = *ZoneStore(two_).config(name_);
    const auto holder = holder_elsewhere(two_, name_, config);
    ASSERT_TRUE(holder && *holder);
    EXPECT_EQ((*holder)->host, "host1");
    {
        const auto lease = ZoneLease::take(directory_.path() + "/z/web01");
        EXPECT_EQ(take_over_by_hand(two_, lock(two_), "/z/web01", **holder, "host2").error().code(), Errc::busy);
    }
    ASSERT_TRUE(take_over_by_hand(two_, lock(two_), "/z/web01", **holder, "host2"));
    EXPECT_TRUE(may_boot(two_, name_, "/z/web01"));
    EXPECT_EQ((*OwnerStore(two_).load(name_, "/z/web01"))->epoch, 6U);
    EXPECT_FALSE(may_boot(one_, name_, "/z/web01")) << "the former owner comes back";
    EXPECT_EQ(OwnerStore(one_).save(record_of(5, Ownership::owned, "host1"), "/z/web01").error().code(),
              Errc::not_owner);
    EXPECT_FALSE(*holder_elsewhere(two_, name_, config));
}

}  // namespace
}  // namespace zoneferry
