// The choice of a transport, and btrfs as one: what it brings over, and what it does with a stream that is not well.
#include "transfer/bulk_transport.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/base/subvolume.h"
#include "tests/support/temp_directory.h"
#include "transfer/bulk_receiver.h"
#include "transfer/bulk_sender.h"

namespace zoneferry {
namespace {

TEST(ChooseTransport, OnlyWhatBothSidesHaveAndNothingSpeaksAgainst) {
    const std::vector<std::vector<std::string>> sets{{}, {"btrfs"}, {"zfs"}, {"zfs", "btrfs"}, {"btrfs", "zfs"}};
    for (unsigned bits = 0; bits < 8; ++bits) {
        for (const auto& sending : sets) {
            for (const auto& offered : sets) {
                const TransportFacts facts{(bits & 1U) != 0, (bits & 2U) != 0, (bits & 4U) != 0, sending, offered};
                std::string best;  // the first of the source's that the target has
                for (const std::string& name : sending) {
                    const bool has = std::find(offered.begin(), offered.end(), name) != offered.end();
                    if (best.empty() && has) best = name;
                }
                EXPECT_EQ(choose_transport(facts), bits == 7 ? best : "");
            }
        }
    }
}

TEST(BulkTransports, AreFoundByName) {
    ASSERT_NE(find_bulk_transport("btrfs"), nullptr);
    EXPECT_EQ(find_bulk_transport(""), nullptr);
    EXPECT_EQ(find_bulk_transport("zfs"), nullptr);
}

class Btrfs : public ::testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "mounting an image needs root";
        ::signal(SIGPIPE, SIG_IGN);  // as the agent does
        const std::string image = temp.path() + "/image";
        ASSERT_TRUE(run_checked({"truncate", "-s", "300M", image}));
        ASSERT_TRUE(run_checked({"mkfs.btrfs", "-q", image}));
        ASSERT_TRUE(make_directories(top, 0755));
        const Status mounted = run_checked({"mount", "-o", "loop", image, top});
        if (!mounted) GTEST_SKIP() << "this kernel does not mount it: " << mounted.error().text();
        is_mounted_ = true;
        ASSERT_TRUE(make_directories(tree, 0700));
        ASSERT_TRUE(make_directories(staging, 0700));
        const auto zonepath = open_directory(tree);
        ASSERT_TRUE(zonepath && make_subvolume_at(zonepath->get(), "root"));
        write("file", "content");
    }
    void TearDown() override {
        if (!is_mounted_) return;
        EXPECT_FALSE(path_exists(snapshot));
        EXPECT_FALSE(path_exists(place));
        EXPECT_EQ(::umount2(top.c_str(), 0), 0);
    }
    void write(const std::string& name, const std::string& content) const {
        std::ofstream(tree + "/root/" + name) << content;
    }
    const BulkTransport& btrfs() const { return *find_bulk_transport("btrfs"); }

    // The whole stream of the tree.
    ByteVector stream() const {
        ByteVector all;
        auto source = btrfs().send(tree, snapshot);
        if (!source) {
            ADD_FAILURE() << source.error().text();
            return all;
        }
        std::array<std::byte, 65536> some{};
        while (true) {
            const auto got = (*source)->read(some);
            EXPECT_TRUE(got) << got.error().text();
            if (!got || *got == 0) return all;
            all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(*got));
        }
    }
    Status receive(ConstBytes bytes, BulkLimits limits = {1000, 100 << 20U}) const {
        ZF_TRY(const auto sink, btrfs().receive(place, staging, limits, [] { return Status(); }));
        ZF_TRY_STATUS(sink->write(bytes));
        return sink->finish();
    }
    void expect_refused(ConstBytes bytes, const std::string& words, BulkLimits limits = {1000, 100 << 20U}) const {
        const Status done = receive(bytes, limits);
        ASSERT_FALSE(done);
        EXPECT_NE(done.error().text().find(words), std::string::npos) << done.error().text();
        EXPECT_FALSE(path_exists(staging + "/root"));
    }

    TempDirectory temp;
    const std::string top = temp.path() + "/top";
    const std::string tree = top + "/zone";
    const std::string staging = top + "/staging";
    const std::string snapshot = top + "/snapshot";
    const std::string place = top + "/received";

private:
    bool is_mounted_ = false;
};

TEST_F(Btrfs, ATreeComesOverInSegments) {
    write("large", std::string(20 << 20U, 'x'));
    auto source = btrfs().send(tree, snapshot);
    ASSERT_TRUE(source) << source.error().text();
    write("later", "not of that moment");
    auto sink = btrfs().receive(place, staging, {1000, 100 << 20U}, [] { return Status(); });
    ASSERT_TRUE(sink) << sink.error().text();
    BulkReceiver receiver(*std::move(sink));
    std::uint64_t count = 0;
    {
        BulkSender sender(*std::move(source), {.compressor_threads = 2});
        while (true) {
            auto segment = sender.next();
            ASSERT_TRUE(segment) << segment.error().text();
            if (!*segment) break;
            ++count;
            const Status taken = receiver.accept(**segment);
            ASSERT_TRUE(taken) << taken.error().text();
        }
        EXPECT_GT(sender.progress().raw_bytes, 20U << 20U);
    }
    const Status done = receiver.finish(count);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_TRUE(path_exists(staging + "/root/large"));
    EXPECT_FALSE(path_exists(staging + "/root/later"));
    std::ofstream(staging + "/root/large") << "it is writable";
    const auto root = open_directory(staging + "/root");
    ASSERT_TRUE(root);
    EXPECT_TRUE(is_subvolume(root->get()));
    EXPECT_TRUE(remove_tree(place));  // what the sink would have done
}

TEST_F(Btrfs, SendsOnlySubvolumesAndReceivesOnlyOnItself) {
    EXPECT_TRUE(btrfs().can_send(tree));
    EXPECT_TRUE(btrfs().can_receive(place));
    EXPECT_FALSE(btrfs().can_send(top + "/nothing"));
    EXPECT_FALSE(btrfs().can_receive(temp.path() + "/received"));
    ASSERT_TRUE(make_directories(top + "/plain/root", 0755));
    EXPECT_FALSE(btrfs().can_send(top + "/plain"));
}

TEST_F(Btrfs, CancelledWhileItSends) {
    auto source = btrfs().send(tree, snapshot);
    ASSERT_TRUE(source);
    (*source)->cancel();
    std::array<std::byte, 10> some{};
    const auto got = (*source)->read(some);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code(), Errc::cancelled);
}

TEST_F(Btrfs, ADamagedStreamLeavesNothing) {
    const ByteVector good = stream();
    ASSERT_GT(good.size(), 100U);
    expect_refused(as_bytes(std::string(100'000, 'g')), "btrfs");
    expect_refused(ConstBytes(good).first(good.size() / 2), "btrfs");
    expect_refused({}, "btrfs");
    ByteVector flipped = good;
    flipped[flipped.size() / 2] ^= std::byte{1};
    expect_refused(flipped, "btrfs");
    ASSERT_TRUE(receive(good)) << "the stream itself is good";
}

TEST_F(Btrfs, WhatRecordsWouldNotBringIsTakenOut) {
    const std::string root = tree + "/root/";
    ASSERT_EQ(::mknod((root + "disk").c_str(), S_IFBLK | 0600, makedev(8, 0)), 0);
    ASSERT_EQ(::mknod((root + "null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
    ASSERT_EQ(::setxattr((root + "file").c_str(), "security.label", "x", 1, 0), 0);
    ASSERT_EQ(::setxattr((root + "file").c_str(), "user.mine", "y", 1, 0), 0);
    ASSERT_TRUE(receive(stream()));
    const std::string there = staging + "/root/";
    EXPECT_FALSE(path_exists(there + "disk"));
    EXPECT_TRUE(path_exists(there + "null"));
    EXPECT_LT(::getxattr((there + "file").c_str(), "security.label", nullptr, 0), 0);
    EXPECT_EQ(::getxattr((there + "file").c_str(), "user.mine", nullptr, 0), 1);
}

TEST_F(Btrfs, ATreeBeyondWhatWasAnnouncedIsRefused) {
    for (int i = 0; i < 30; ++i) write("file" + std::to_string(i), std::string(100'000, 'x'));
    const ByteVector all = stream();
    expect_refused(all, "more entries", {20, 100 << 20U});
    expect_refused(all, "than was announced", {1000, 1 << 20U});
    expect_refused(all, "larger than was announced", {1, 1000});
}

TEST_F(Btrfs, BlocksSharedManyTimesCountEachTime) {
    write("one", std::string(1 << 20U, 'x'));
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(
            run_checked({"cp", "--reflink=always", tree + "/root/one", tree + "/root/clone" + std::to_string(i)}));
    }
    expect_refused(stream(), "more data than was announced", {1000, 10 << 20U});
}

TEST_F(Btrfs, ATreeThatIsTooDeepIsRefused) {
    std::string path = tree + "/root";
    for (int i = 0; i < 515; ++i) {
        path += "/d";
        ASSERT_EQ(::mkdir(path.c_str(), 0755), 0);
    }
    expect_refused(stream(), "too deep");
}

TEST_F(Btrfs, SubvolumesInOneAnotherAreRemoved) {
    const std::string root = tree + "/root";
    const auto outer = open_directory(root);
    ASSERT_TRUE(outer);
    ASSERT_TRUE(make_subvolume_at(outer->get(), "inner"));
    std::ofstream(root + "/inner/frozen") << "x";
    ASSERT_TRUE(run_checked({"chattr", "+i", root + "/inner/frozen"}));
    const auto inner = open_directory(root + "/inner");
    ASSERT_TRUE(inner && make_snapshot_at(inner->get(), outer->get(), "snapshot", true));
    const Status gone = remove_tree(tree);
    EXPECT_TRUE(gone) << gone.error().text();
    EXPECT_FALSE(path_exists(tree));
}

}  // namespace
}  // namespace zoneferry
