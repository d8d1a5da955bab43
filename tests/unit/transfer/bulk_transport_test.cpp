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

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/base/subvolume.h"
#include "tests/support/mounted_image.h"
#include "tests/support/temp_directory.h"
#include "transfer/bulk_receiver.h"
#include "transfer/bulk_sender.h"
#include "transfer/received_tree.h"
#include "transfer/record.h"

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

// Takes what comes; says whether it was told the end.
class FakeSink final : public BulkSink {
public:
    explicit FakeSink(bool& has_ended) : has_ended_(has_ended) {}
    Status write(ConstBytes bytes) override {
        written += bytes.size();
        return {};
    }
    Status finish() override {
        has_ended_ = true;
        return {};
    }
    std::size_t written = 0;

private:
    bool& has_ended_;
};

TEST(BulkReceiver, EverySegmentOnceInOrderAndAllOfThem) {
    bool has_ended = false;
    BulkReceiver receiver(std::make_unique<FakeSink>(has_ended));
    TreeSegment segment;
    segment.payload = ByteVector(10);
    segment.raw_bytes = 10;
    ASSERT_TRUE(receiver.accept(segment));
    EXPECT_EQ(receiver.accept(segment).error().code(), Errc::protocol) << "twice";
    segment.number = 2;
    EXPECT_EQ(receiver.accept(segment).error().code(), Errc::protocol) << "one is missing";
    EXPECT_EQ(receiver.finish(2).error().code(), Errc::protocol);
    EXPECT_FALSE(has_ended);
    EXPECT_TRUE(receiver.finish(1));
    EXPECT_TRUE(has_ended);
}

// Bytes without end, until it is cancelled.
class FakeSource final : public BulkSource {
public:
    explicit FakeSource(std::atomic<bool>& is_cancelled) : is_cancelled_(is_cancelled) {}
    Result<std::size_t> read(MutableBytes into) override {
        if (is_cancelled_) return Error(Errc::cancelled, "as it was told");
        return into.size();
    }
    void cancel() override { is_cancelled_ = true; }

private:
    std::atomic<bool>& is_cancelled_;
};

TEST(BulkSender, NothingIsAcknowledgedInPartsAndItsSourceIsCancelledWithIt) {
    std::atomic<bool> is_cancelled = false;
    BulkSender sender(std::make_unique<FakeSource>(is_cancelled), {});
    ASSERT_TRUE(sender.next());
    EXPECT_EQ(sender.acknowledge(1).error().code(), Errc::protocol);
    EXPECT_FALSE(is_cancelled);
    sender.cancel();
    EXPECT_TRUE(is_cancelled);
    EXPECT_EQ(sender.next().error().code(), Errc::cancelled);
}

class Btrfs : public ::testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "mounting an image needs root";
        ::signal(SIGPIPE, SIG_IGN);  // as the agent does
        if (const auto mounted = image_.mount("btrfs", top); !mounted) GTEST_SKIP() << mounted.message();
        ASSERT_TRUE(make_directories(tree, 0700));
        ASSERT_TRUE(make_directories(staging, 0700));
        const auto zonepath = open_directory(tree);
        ASSERT_TRUE(zonepath && make_subvolume_at(zonepath->get(), "root"));
        write("file", "content");
    }
    void TearDown() override {
        EXPECT_FALSE(path_exists(snapshot));
        EXPECT_FALSE(path_exists(place));
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
    MountedImage image_;
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
    const auto disk = open_directory(top);
    ASSERT_TRUE(disk && make_subvolume_at(disk->get(), "root"));
    EXPECT_FALSE(btrfs().can_send(top)) << "its snapshot would lie beside it, on another file system";
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
    ASSERT_EQ(::mkdir((root + "below").c_str(), 0755), 0);
    for (const char* directory : {"", "below"}) {
        ASSERT_EQ(::setxattr((root + directory).c_str(), "security.label", "x", 1, 0), 0);
    }
    ASSERT_TRUE(receive(stream()));
    const std::string there = staging + "/root/";
    EXPECT_FALSE(path_exists(there + "disk"));
    EXPECT_TRUE(path_exists(there + "null"));
    for (const char* name : {"file", "", "below"}) {
        EXPECT_LT(::getxattr((there + name).c_str(), "security.label", nullptr, 0), 0) << name;
    }
    EXPECT_EQ(::getxattr((there + "file").c_str(), "user.mine", nullptr, 0), 1);
}

TEST_F(Btrfs, ATreeBeyondWhatWasAnnouncedIsRefused) {
    for (int i = 0; i < 30; ++i) write("file" + std::to_string(i), std::string(100'000, 'x'));
    const ByteVector all = stream();
    expect_refused(all, "more entries", {20, 100 << 20U});
    expect_refused(all, "than was announced", {1000, 1 << 20U});
    expect_refused(all, "larger than was announced", {1, 1000});
}

// The bytes that the stream itself has are within what so many entries may take; those on the disk are not.
TEST_F(Btrfs, MoreOfTheDiskThanWasAnnouncedIsRefusedWhileItComes) {
    write("large", std::string(60 << 20U, 'x'));
    const ByteVector all = stream();
    const auto sink = btrfs().receive(place, staging, {1'000'000, 1 << 20U}, [] { return Status(); });
    ASSERT_TRUE(sink) << sink.error().text();
    const auto disk = open_directory(top);
    ASSERT_TRUE(disk);
    Status done;
    for (ConstBytes rest = all; !rest.empty() && done;) {
        const ConstBytes part = rest.first(std::min<std::size_t>(rest.size(), 4 << 20U));
        done = (*sink)->write(part);
        rest = rest.subspan(part.size());
        ASSERT_EQ(::syncfs(disk->get()), 0);  // what is not yet on the disk does not count
    }
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().text().find("larger than was announced"), std::string::npos) << done.error().text();
}

TEST_F(Btrfs, WhatLiesInStagingIsNotReplaced) {
    const ByteVector all = stream();
    ASSERT_EQ(::mkdir((staging + "/root").c_str(), 0700), 0);
    EXPECT_FALSE(receive(all));
    const auto root = open_directory(staging + "/root");
    ASSERT_TRUE(root);
    EXPECT_FALSE(is_subvolume(root->get()));
}

// A stream of commands: length u32, what u16, CRC-32C u32 of all with zeros in its place, then attributes.
class BtrfsStream {
public:
    explicit BtrfsStream(ByteVector bytes) : bytes_(std::move(bytes)) {}
    // Everywhere; both have the same length.
    void replace(std::string_view from, std::string_view to) {
        const auto as_byte = [](char c) { return static_cast<std::byte>(c); };
        ByteVector wanted(from.size());
        std::transform(from.begin(), from.end(), wanted.begin(), as_byte);
        for (auto at = bytes_.begin();;) {
            at = std::search(at, bytes_.end(), wanted.begin(), wanted.end());
            if (at == bytes_.end()) break;
            at = std::transform(to.begin(), to.end(), at, as_byte);
            ++replaced;
        }
    }
    // With the checksums of what it has become.
    ByteVector sealed() const {
        constexpr std::size_t kStreamHead = 17;
        constexpr std::size_t kCommandHead = 10;
        ByteVector all = bytes_;
        for (std::size_t at = kStreamHead; at + kCommandHead <= all.size();) {
            const std::size_t size = kCommandHead + load_little_endian<std::uint32_t>(ConstBytes(all).subspan(at));
            store_little_endian(std::uint32_t{0}, all.data() + at + 6);
            store_little_endian(crc32c(ConstBytes(all).subspan(at, size)), all.data() + at + 6);
            at += size;
        }
        return all;
    }
    int replaced = 0;

private:
    static std::uint32_t crc32c(ConstBytes bytes) {
        std::uint32_t crc = 0;
        for (const std::byte byte : bytes) {
            crc ^= static_cast<std::uint32_t>(byte);
            for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82F63B78U : 0U);
        }
        return crc;
    }
    ByteVector bytes_;
};

TEST_F(Btrfs, PathsThatLeadOutsideMakeNothingThere) {
    write("AAAAAAAAAAAAA", "content");
    BtrfsStream outwards(stream());
    ASSERT_TRUE(receive(outwards.sealed())) << "the checksums are right";
    ASSERT_TRUE(remove_tree(staging + "/root"));
    outwards.replace("AAAAAAAAAAAAA", "../../escaped");
    ASSERT_GT(outwards.replaced, 1);
    EXPECT_FALSE(receive(outwards.sealed()));
    EXPECT_FALSE(path_exists(top + "/escaped"));
    EXPECT_FALSE(path_exists(staging + "/root"));
    // Through a link that came with the tree.
    ASSERT_EQ(::symlink(top.c_str(), (tree + "/root/A").c_str()), 0);
    write("A_____escaped", "content");
    BtrfsStream through(stream());
    through.replace("A_____escaped", "A/////escaped");
    ASSERT_GT(through.replaced, 1);
    EXPECT_FALSE(receive(through.sealed()));
    EXPECT_FALSE(path_exists(top + "/escaped"));
}

TEST_F(Btrfs, AStreamOfAnotherNameIsRefused) {
    ASSERT_TRUE(run_checked({"btrfs", "-q", "subvolume", "snapshot", "-r", tree + "/root", top + "/other"}));
    const std::string file = temp.path() + "/stream";
    ASSERT_TRUE(run_checked({"btrfs", "-q", "send", "-f", file, top + "/other"}));
    const auto other = read_file(file, 1 << 20U);
    ASSERT_TRUE(other);
    expect_refused(as_bytes(*other), "exactly one tree");
}

// A block that the disk has turned into another one: the kernel does not send it, and its stream just ends.
TEST_F(Btrfs, AStreamThatTheKernelBreaksOffIsNoWholeOne) {
    const std::string marked(1 << 20U, '\x5A');
    write("large", marked);
    const auto disk = open_directory(top);
    const UniqueFd file(::open((tree + "/root/large").c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::syncfs(disk->get()), 0);
    ASSERT_EQ(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
    const UniqueFd raw(::open(MountedImage::image_of(top).c_str(), O_RDWR | O_CLOEXEC));
    std::string block(4096, 0);
    off_t at = 0;
    while (block.find_first_not_of('\x5A') != std::string::npos) {
        ASSERT_EQ(::pread(raw.get(), block.data(), block.size(), at), static_cast<ssize_t>(block.size()));
        at += static_cast<off_t>(block.size());
    }
    ASSERT_EQ(::pwrite(raw.get(), "y", 1, at - 1), 1);
    auto source = btrfs().send(tree, snapshot);
    ASSERT_TRUE(source) << source.error().text();
    std::array<std::byte, 65536> some{};
    Result<std::size_t> got = std::size_t{1};
    while (got && *got > 0) got = (*source)->read(some);
    ASSERT_FALSE(got);
    EXPECT_NE(got.error().text().find("btrfs send"), std::string::npos) << got.error().text();
}

TEST_F(Btrfs, AReceivedTreeIsLookedThrough) {
    const auto check = [&](const std::function<Status()>& go_on = [] { return Status(); }) {
        return check_received_tree(*open_directory(tree + "/root"), {1000, 100 << 20U}, go_on);
    };
    const auto expect_bad = [&](const std::string& words) {
        const Status done = check();
        ASSERT_FALSE(done) << words;
        EXPECT_EQ(done.error().code(), Errc::protocol);
        EXPECT_NE(done.error().text().find(words), std::string::npos) << done.error().text();
    };
    const std::string below = tree + "/root/below";
    ASSERT_EQ(::mkdir(below.c_str(), 0755), 0);
    EXPECT_TRUE(check());
    EXPECT_EQ(check([] { return Status(Error(Errc::cancelled, "enough")); }).error().code(), Errc::cancelled);
    ASSERT_EQ(::mount("none", below.c_str(), "tmpfs", 0, ""), 0);
    expect_bad("mounted here");
    ASSERT_EQ(::umount2(below.c_str(), 0), 0);
    ASSERT_EQ(::rmdir(below.c_str()), 0);
    const auto root = open_directory(tree + "/root");
    ASSERT_TRUE(make_subvolume_at(root->get(), "below"));
    expect_bad("another subvolume");
    ASSERT_TRUE(remove_tree(below));
    write("huge", "x");
    ASSERT_EQ(::truncate((tree + "/root/huge").c_str(), static_cast<off_t>(kFileBytesMax)), 0);
    EXPECT_TRUE(check());
    ASSERT_EQ(::truncate((tree + "/root/huge").c_str(), static_cast<off_t>(kFileBytesMax) + 1), 0);
    expect_bad("too large");
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
