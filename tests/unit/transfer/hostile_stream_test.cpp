// Streams that no honest sender makes: refused with the entry named, nothing outside staging touched.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <atomic>
#include <thread>

#include "tests/support/temp_directory.h"
#include "transfer/receiver.h"
#include "transfer/record.h"

namespace zoneferry {
namespace {

using ::testing::HasSubstr;

Metadata plain_metadata() {
    Metadata metadata;
    metadata.mode = 0644;
    return metadata;
}
FileRecord file(std::string_view name, std::uint64_t size = 0) { return {{}, size, plain_metadata(), name}; }
const Origin kHere{Origin::Kind::here, {}, 0};

ByteVector encode(const std::vector<Record>& records, bool with_begin = true) {
    ByteVector out;
    if (with_begin) append_record(out, BeginRecord{});
    for (const Record& record : records) append_record(out, record);
    return out;
}

// ---- the codec ----

std::vector<Record> one_of_each() {
    static const ByteVector value(10, std::byte{7});
    Metadata rich = plain_metadata();
    rich.mode = 06755;
    rich.mtime_seconds = -5;
    rich.mtime_nanoseconds = 999'999'999;
    rich.xattrs = {{"trusted.a", value}, {"user.b", {}}};
    return {BeginRecord{},
            EnterRecord{{}, "d"},
            LeaveRecord{rich},
            FileRecord{kHere, 100, rich, "f"},
            DataRecord{3, value},
            FileEndRecord{10},
            LinkRecord{{"a", "b"}, "l"},
            SymlinkRecord{rich, "../x", "s"},
            SpecialRecord{S_IFCHR, 1, 3, rich, "n"},
            RemoveRecord{"r"},
            EndRecord{12},
            StashRecord{"t"},
            HoleRecord{5, 6},
            EnterRecord{Origin{Origin::Kind::path, {"x", "y"}, 0}, "e"},
            FileRecord{Origin{Origin::Kind::stash, {}, 7}, 9, rich, "g"}};
}

TEST(RecordCodec, EveryRecordComesBackTheSame) {
    for (const Record& record : one_of_each()) {
        ByteVector bytes;
        append_record(bytes, record);
        ConstBytes rest = bytes;
        const auto back = take_record(rest);
        ASSERT_TRUE(back) << back.error().text();
        EXPECT_TRUE(rest.empty());
        EXPECT_EQ(back->index(), record.index());
        ByteVector again;
        append_record(again, *back);
        EXPECT_EQ(again, bytes);
    }
}

// Each record cut at every byte and lengthened by one: refused, or (where the rest is a name) still a record.
TEST(RecordCodec, EveryTruncationOfTheWholeIsRefused) {
    for (const Record& record : one_of_each()) {
        ByteVector bytes;
        append_record(bytes, record);
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            ConstBytes rest = ConstBytes(bytes).first(length);
            EXPECT_FALSE(take_record(rest)) << "type " << record.index() << " cut at " << length;
        }
    }
}

// The body cut at every byte with the header telling the new length: never read outside (ASan), never a crash.
TEST(RecordCodec, EveryBadBodyLengthIsSafe) {
    for (const Record& record : one_of_each()) {
        ByteVector bytes;
        append_record(bytes, record);
        for (std::size_t length = kRecordHeaderBytes; length < bytes.size(); ++length) {
            ByteVector cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
            store_little_endian(static_cast<std::uint32_t>(length - kRecordHeaderBytes), cut.data() + 1);
            ConstBytes rest = cut;
            (void)take_record(rest);
        }
        for (std::size_t at = kRecordHeaderBytes; at < bytes.size(); ++at) {
            for (const int value : {0, 1, 0x7f, 0xff}) {
                ByteVector changed = bytes;
                changed[at] = std::byte{static_cast<std::uint8_t>(value)};
                ConstBytes rest = changed;
                (void)take_record(rest);
            }
        }
    }
}

TEST(RecordCodec, NamesAreSingleComponents) {
    for (const std::string_view name : {"a", "...", "-", "\xff", " ", "a\nb"}) EXPECT_TRUE(is_entry_name(name)) << name;
    EXPECT_TRUE(is_entry_name(std::string(255, 'n')));
    for (const std::string_view name : {"", ".", "..", "/", "a/b", "/etc", "../x"})
        EXPECT_FALSE(is_entry_name(name)) << name;
    EXPECT_FALSE(is_entry_name(std::string_view("a\0b", 3)));
    EXPECT_FALSE(is_entry_name(std::string(256, 'n')));
}

TEST(RecordCodec, OnlyXattrsOfAZoneTravel) {
    for (const char* name :
         {"user.a", "trusted.b", "security.capability", "system.posix_acl_access", "system.posix_acl_default"}) {
        EXPECT_TRUE(is_carried_xattr(name)) << name;
    }
    for (const char* name :
         {"", "user.", "trusted.", "security.ima", "security.selinux", "security.evm", "system.nfs4_acl", "x"}) {
        EXPECT_FALSE(is_carried_xattr(name)) << name;
    }
    EXPECT_FALSE(is_carried_xattr("user." + std::string(260, 'n')));
    EXPECT_FALSE(is_carried_xattr(std::string_view("user.a\0b", 8)));
}

// ---- the receiver ----

class HostileStream : public ::testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: owners";
        ASSERT_TRUE(make_directories(temp.path() + "/staging", 0700));
        ASSERT_TRUE(make_directories(temp.path() + "/outside", 0755));
        ASSERT_TRUE(replace_file(temp.path() + "/outside/canary", "untouched", 0600));
    }
    void TearDown() override {
        const auto canary = read_file(temp.path() + "/outside/canary", 100);
        EXPECT_TRUE(canary && *canary == "untouched");
        struct stat info {};
        EXPECT_EQ(::lstat((temp.path() + "/outside/canary").c_str(), &info), 0);
        EXPECT_EQ(info.st_nlink, 1U);
        EXPECT_EQ(info.st_mode & 07777U, 0600U);
        EXPECT_EQ(list_directory(temp.path() + "/outside")->size(), 1U);
    }
    Status receive(const TreeSegment& segment, ReceiveOptions options = {}) const {
        ZF_TRY(UniqueFd staging, open_directory(temp.path() + "/staging"));
        ZF_TRY(auto receiver, TreeReceiver::start(std::move(staging), std::move(options)));
        return receiver->accept(segment);
    }
    Status receive(const std::vector<Record>& records, ReceiveOptions options = {}) const {
        TreeSegment segment;
        segment.payload = encode(records);
        segment.raw_bytes = static_cast<std::uint32_t>(segment.payload.size());
        return receive(segment, std::move(options));
    }
    void refused(const std::vector<Record>& records, std::string_view why) const {
        const Status done = receive(records);
        ASSERT_FALSE(done) << why;
        EXPECT_THAT(done.error().text(), HasSubstr(std::string(why)));
        EXPECT_FALSE(done.error().code() == Errc::unknown);
    }
    std::string staging(const std::string& name) const { return temp.path() + "/staging/" + name; }

    TempDirectory temp;
};

TEST_F(HostileStream, BadNamesInEveryRecord) {
    for (const std::string_view name : {std::string_view("../canary"), std::string_view(".."), std::string_view("/etc"),
                                        std::string_view("a\0b", 3), std::string_view("")}) {
        refused({file(name)}, "name");
        refused({EnterRecord{{}, name}}, "name");
        refused({RemoveRecord{name}}, "name");
        refused({SymlinkRecord{plain_metadata(), "x", name}}, "name");
        refused({SpecialRecord{S_IFIFO, 0, 0, plain_metadata(), name}}, "name");
        refused({file("a"), FileEndRecord{}, LinkRecord{{"a"}, name}}, "name");
        refused({file("a"), FileEndRecord{}, LinkRecord{{name, "a"}, "b"}}, "name");
    }
}

TEST_F(HostileStream, OrderAndDuplicates) {
    refused({file("b"), FileEndRecord{}, file("a"), FileEndRecord{}}, "out of order");
    refused({file("twice"), FileEndRecord{}, file("twice")}, "twice");
    refused({RemoveRecord{"x"}, file("x")}, "out of order");
    refused({BeginRecord{}}, "begins once");
    refused({EndRecord{1}, file("after")}, "follows the end");
    refused({EndRecord{7}}, "lost records");
    refused({EnterRecord{{}, "d"}, EndRecord{2}}, "ends inside");
    refused({LeaveRecord{plain_metadata()}, file("behind-root")}, "behind-root");
    refused({LeaveRecord{plain_metadata()}, EnterRecord{{}, "behind-root"}}, "behind-root");
    refused({LeaveRecord{plain_metadata()}, LeaveRecord{plain_metadata()}}, "left twice");
}

TEST_F(HostileStream, DataOutsideOfFilesAndSizes) {
    static const ByteVector some(10, std::byte{1});
    refused({DataRecord{0, some}}, "belongs to a file");
    refused({FileEndRecord{}}, "belongs to a file");
    refused({file("f", 5), DataRecord{0, some}}, "behind its end");
    refused({file("f", 30), DataRecord{UINT64_MAX - 2, some}}, "behind its end");
    refused({file("f", 30), DataRecord{10, some}, DataRecord{5, some}}, "out of order");
    refused({file("f", 30), DataRecord{10, some}, FileEndRecord{11}}, "not all of its data");
    refused({file("f", 30), file("g")}, "file's end");
    refused({file("huge", UINT64_MAX / 2)}, "larger than any");
    refused({file("huge", kFileBytesMax + 1)}, "larger than any");
    refused({FileRecord{kHere, 10, plain_metadata(), "missing"}}, "missing");
}

TEST_F(HostileStream, EntriesBelowASymlinkAreRefused) {
    refused({SymlinkRecord{plain_metadata(), "../outside", "link"}, EnterRecord{kHere, "link"}}, "link");
    ASSERT_EQ(::symlink("../outside", staging("planted").c_str()), 0);
    refused({EnterRecord{kHere, "planted"}, file("canary")}, "planted");
    // A fresh directory replaces the link and leaves what it pointed to.
    EXPECT_TRUE(receive({EnterRecord{{}, "planted"}, file("canary"), FileEndRecord{}, LeaveRecord{plain_metadata()}}));
    // A file there replaces it too.
    ASSERT_EQ(::symlink("../outside/canary", staging("to-canary").c_str()), 0);
    EXPECT_TRUE(receive({file("to-canary"), FileEndRecord{}}));
    ASSERT_EQ(::symlink("../outside/canary", staging("zz").c_str()), 0);
    refused({FileRecord{kHere, 10, plain_metadata(), "zz"}}, "zz");
}

TEST_F(HostileStream, LinksOnlyToEarlierEntriesInside) {
    refused({LinkRecord{{"missing"}, "x"}}, "x");
    refused({LinkRecord{{"z"}, "x"}}, "later");
    refused({LinkRecord{{"x"}, "x"}}, "later");
    refused({LinkRecord{{"x", "y"}, "x"}}, "later");
    refused({EnterRecord{{}, "d"}, LinkRecord{{"d"}, "x"}}, "later");
    refused({SymlinkRecord{plain_metadata(), "../outside", "a"}, LinkRecord{{"a", "canary"}, "x"}}, "x");
    refused({EnterRecord{{}, "a"}, LeaveRecord{plain_metadata()}, LinkRecord{{"a"}, "x"}}, "x");
    refused({LinkRecord{{}, "x"}}, "depth");
    // Linking a symlink links the symlink itself.
    EXPECT_TRUE(receive({SymlinkRecord{plain_metadata(), "../outside/canary", "s"}, LinkRecord{{"s"}, "t"}}));
    ASSERT_TRUE(replace_file(staging("mine"), "the host's", 0600));
    const auto preserved = receive({LinkRecord{{"mine"}, "x"}}, {.preserved = {"mine"}});
    ASSERT_FALSE(preserved);
    EXPECT_THAT(preserved.error().text(), HasSubstr("host's own"));
}

TEST_F(HostileStream, Metadata) {
    Metadata metadata = plain_metadata();
    metadata.mode = 0100644;
    refused({LeaveRecord{metadata}}, "mode");
    metadata = plain_metadata();
    metadata.uid = UINT32_MAX;
    refused({LeaveRecord{metadata}}, "owner");
    metadata = plain_metadata();
    metadata.mtime_nanoseconds = 1'000'000'000;
    refused({LeaveRecord{metadata}}, "time");
    static const ByteVector value(10, std::byte{1});
    static const ByteVector long_value(kXattrValueBytesMax + 1, std::byte{1});
    metadata = plain_metadata();
    metadata.xattrs = {{"security.ima", value}};
    refused({LeaveRecord{metadata}}, "security.ima");
    metadata.xattrs = {{"user.b", value}, {"user.a", value}};
    refused({LeaveRecord{metadata}}, "out of order");
    metadata.xattrs = {{"user.a", value}, {"user.a", value}};
    refused({LeaveRecord{metadata}}, "out of order");
    metadata.xattrs = {{"user.a", long_value}};
    refused({LeaveRecord{metadata}}, "too long");
    metadata.xattrs.assign(kXattrCountMax + 1, {"user.a", value});
    refused({LeaveRecord{metadata}}, "too many");
}

TEST_F(HostileStream, DevicesByPolicy) {
    refused({SpecialRecord{S_IFBLK, 8, 0, plain_metadata(), "sda"}}, "sda");
    refused({SpecialRecord{S_IFCHR, 1, 1, plain_metadata(), "mem"}}, "mem");
    refused({SpecialRecord{S_IFBLK, 1, 3, plain_metadata(), "null"}}, "null");
    refused({SpecialRecord{S_IFREG, 0, 0, plain_metadata(), "file"}}, "kind");
    refused({SpecialRecord{S_IFIFO, 1, 3, plain_metadata(), "fifo"}}, "no device");
    EXPECT_TRUE(list_directory(temp.path() + "/staging")->empty());
    EXPECT_TRUE(receive({SpecialRecord{S_IFCHR, 1, 3, plain_metadata(), "null"}}));
}

TEST_F(HostileStream, LimitsOnCountsAndDepth) {
    static const ByteVector some(10, std::byte{1});
    EXPECT_TRUE(receive({file("a"), FileEndRecord{}}, {.entries_max = 1}));
    const SymlinkRecord symlink{plain_metadata(), "x", "b"};
    const SpecialRecord fifo{S_IFIFO, 0, 0, plain_metadata(), "b"};
    const std::vector<Record> second{file("b"), EnterRecord{{}, "b"}, LinkRecord{{"a"}, "b"}, symlink, fifo};
    for (const Record& record : second) {
        EXPECT_TRUE(receive({file("a"), FileEndRecord{}, record}, {.entries_max = 2})) << record.index();
        const Status done = receive({file("a"), FileEndRecord{}, record}, {.entries_max = 1});
        ASSERT_FALSE(done) << record.index();
        EXPECT_THAT(done.error().text(), HasSubstr("too many entries"));
    }
    EXPECT_TRUE(receive({file("a", 10), DataRecord{0, some}}, {.bytes_max = 10}));
    EXPECT_FALSE(receive({file("a", 10), DataRecord{0, some}}, {.bytes_max = 9}));
    refused(std::vector<Record>(kDepthMax + 1, EnterRecord{{}, "d"}), "too deep");
    std::vector<std::string> names;
    for (std::uint32_t i = 0; i <= kStashMax; ++i) names.push_back(std::to_string(1'000'000 + i));
    std::vector<Record> stashes;
    for (const std::string& name : names) stashes.emplace_back(StashRecord{name});
    refused(stashes, "too much is put aside");
    stashes.pop_back();
    EXPECT_TRUE(receive(stashes));
    const std::string name(255, 'n');
    refused(std::vector<Record>(kPathBytesMax / 256 + 1, EnterRecord{{}, name}), "too long");
}

TEST_F(HostileStream, Segments) {
    const ByteVector raw = encode({file("a"), FileEndRecord{}, EndRecord{3}});
    SegmentCompressor compressor;
    ByteVector large = raw;
    large.resize(100'000);
    const TreeSegment good = compressor.compress(0, kCompressionModes[3], std::make_shared<ByteVector>(large), nullptr);
    ASSERT_EQ(good.encoding, Encoding::zstd);
    const auto with = [&](auto change) {
        TreeSegment segment = good;
        change(segment);
        return receive(segment);
    };
    EXPECT_FALSE(with([](TreeSegment& s) { s.number = 1; }));
    EXPECT_FALSE(with([](TreeSegment& s) { s.raw_bytes -= 1; })) << "a bomb: unpacks to more than it says";
    EXPECT_FALSE(with([](TreeSegment& s) { s.raw_bytes += 1; }));
    EXPECT_FALSE(with([](TreeSegment& s) { s.raw_bytes = 0; }));
    EXPECT_FALSE(with([](TreeSegment& s) { s.raw_bytes = kSegmentRawBytesMax + 1; }));
    for (unsigned value = 0; value <= 0xff; ++value) {
        const auto encoding = static_cast<Encoding>(value);
        const bool is_good = encoding == Encoding::zstd || encoding == Encoding::zstd_kept;
        TreeSegment changed = good;
        changed.encoding = encoding;
        EXPECT_EQ(SegmentExpander().expand(changed).has_value(), is_good) << value;
    }
    EXPECT_FALSE(with([](TreeSegment& s) { s.encoding = Encoding::raw; }));
    EXPECT_FALSE(with([](TreeSegment& s) { s.payload.pop_back(); }));
    EXPECT_FALSE(with([](TreeSegment& s) { s.payload.push_back(std::byte{0}); }));
    EXPECT_FALSE(with([](TreeSegment& s) { s.payload.back() ^= std::byte{1}; })) << "the checksum";
    EXPECT_FALSE(with([](TreeSegment& s) { s.payload.clear(); }));
}

TEST_F(HostileStream, ABombOfZerosIsNotUnpacked) {
    ByteVector zeros(64 << 20);
    ByteVector packed(ZSTD_compressBound(zeros.size()));
    packed.resize(ZSTD_compress(packed.data(), packed.size(), zeros.data(), zeros.size(), 19));
    TreeSegment segment;
    segment.encoding = Encoding::zstd;
    segment.raw_bytes = kSegmentRawBytesMax;
    segment.payload = packed;
    EXPECT_FALSE(receive(segment));
}

TEST_F(HostileStream, BeginsInAVersionThatIsKnownAndIsOverOnceRefused) {
    const auto segment_of = [](ByteVector raw) {
        TreeSegment segment;
        segment.raw_bytes = static_cast<std::uint32_t>(raw.size());
        segment.payload = std::move(raw);
        return segment;
    };
    EXPECT_FALSE(receive(segment_of(encode({EndRecord{0}}, false))));
    EXPECT_FALSE(receive(segment_of(encode({file("a"), FileEndRecord{}}, false))));
    const Status newer = receive(segment_of(encode({BeginRecord{kStreamVersion + 1}}, false)));
    ASSERT_FALSE(newer);
    EXPECT_EQ(newer.error().code(), Errc::unsupported);
    auto receiver = TreeReceiver::start(*open_directory(temp.path() + "/staging"), {});
    ASSERT_TRUE(receiver);
    EXPECT_FALSE((*receiver)->accept(segment_of(encode({file("b"), FileEndRecord{}, file("a")}))));
    TreeSegment good = segment_of(encode({file("c"), FileEndRecord{}}, false));
    for (const std::uint64_t number : {0U, 1U}) {
        good.number = number;
        EXPECT_FALSE((*receiver)->accept(good)) << number;
    }
}

TEST_F(HostileStream, EndMustBeReached) {
    auto staging_fd = open_directory(temp.path() + "/staging");
    auto receiver = TreeReceiver::start(*std::move(staging_fd), {});
    ASSERT_TRUE(receiver);
    EXPECT_FALSE((*receiver)->finish(0));
    TreeSegment segment;
    segment.payload = encode({});
    segment.raw_bytes = static_cast<std::uint32_t>(segment.payload.size());
    ASSERT_TRUE((*receiver)->accept(segment));
    EXPECT_FALSE((*receiver)->finish(1)) << "begun, not ended";
    segment.payload = encode({EndRecord{1}}, false);
    segment.number = 1;
    segment.raw_bytes = static_cast<std::uint32_t>(segment.payload.size());
    ASSERT_TRUE((*receiver)->accept(segment));
    EXPECT_FALSE((*receiver)->finish(3));
    EXPECT_TRUE((*receiver)->finish(2));
}

// Someone inside staging swaps directories and files for links to the outside all the time.
TEST_F(HostileStream, SymlinkSwapsWhileWriting) {
    std::atomic<bool> over{false};
    std::jthread racer([&] {
        while (!over) {
            (void)::rename(staging("d").c_str(), staging("moved").c_str());
            (void)!::symlink("../outside", staging("d").c_str());
            (void)::unlink(staging("d").c_str());
            (void)::rename(staging("moved").c_str(), staging("d").c_str());
            (void)::unlink(staging("d/canary").c_str());
            (void)!::symlink("../../outside/canary", staging("d/canary").c_str());
        }
    });
    Metadata wide = plain_metadata();
    wide.mode = 0777;
    static const ByteVector some(10, std::byte{1});
    for (int i = 0; i < 3000; ++i) {
        (void)receive({EnterRecord{i % 3 == 0 ? Origin{} : kHere, "d"},
                       FileRecord{i % 2 == 0 ? Origin{} : kHere, 10, wide, "canary"}, DataRecord{0, some},
                       FileEndRecord{10}, LinkRecord{{"d", "canary"}, "d2"}, SpecialRecord{S_IFIFO, 0, 0, wide, "fifo"},
                       RemoveRecord{"gone"}, LeaveRecord{wide}});
    }
    over = true;
}

}  // namespace
}  // namespace zoneferry
