#include "wire/frame.h"

#include <gtest/gtest.h>

#include "tests/unit/wire/sample_messages.h"
#include "wire/codec.h"

namespace zoneferry {
namespace {

ByteVector stream_of_samples() {
    ByteVector stream;
    for (const Message& message : sample_messages()) {
        append_bytes(stream, *encode_frame(message));
        append_bytes(stream, empty_frame(FrameType::ping));
    }
    append_bytes(stream, empty_frame(FrameType::goodbye));
    return stream;
}

std::vector<ByteVector> parse(FrameParser& parser) {
    std::vector<ByteVector> payloads;
    while (std::optional<Frame> frame = parser.next()) payloads.push_back(std::move(frame->payload));
    return payloads;
}

TEST(FrameParser, AnySplitGivesTheSameFrames) {
    const ByteVector stream = stream_of_samples();
    FrameParser whole(false);
    ASSERT_TRUE(whole.feed(stream));
    const std::vector<ByteVector> wanted = parse(whole);
    EXPECT_EQ(wanted.size(), 2 * sample_messages().size() + 1);
    EXPECT_TRUE(whole.is_between_frames());
    for (std::size_t at = 0; at <= stream.size(); ++at) {
        FrameParser parser(false);
        ASSERT_TRUE(parser.feed(ConstBytes(stream).first(at)));
        ASSERT_TRUE(parser.feed(ConstBytes(stream).subspan(at)));
        ASSERT_EQ(parse(parser), wanted) << "split at " << at;
    }
    FrameParser slow(false);
    for (const std::byte& byte : stream) ASSERT_TRUE(slow.feed(ConstBytes(&byte, 1)));
    EXPECT_EQ(parse(slow), wanted);
}

TEST(FrameParser, EveryChangedBitOfAHeaderIsRefused) {
    const ByteVector frame = empty_frame(FrameType::ping);
    for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
        ByteVector changed = frame;
        changed[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        FrameParser parser(false);
        EXPECT_EQ(parser.feed(changed).error().code(), Errc::protocol) << bit;
        EXPECT_FALSE(parser.next());
        EXPECT_FALSE(parser.feed(frame)) << "an error stays";
    }
}

// A header with a right checksum, whatever it says.
ByteVector header(FrameType type, std::uint32_t length) {
    ByteVector frame(kFrameHeaderBytes);
    store_frame_header(type, length, frame.data());
    return frame;
}

TEST(FrameParser, LengthsAreJudgedBeforeThePayloadComes) {
    struct Case {
        bool join;
        FrameType type;
        std::size_t length_max;
    };
    for (const Case& one : {Case{false, FrameType::control, kControlBytesMax},
                            Case{false, FrameType::segment, kSegmentHeaderBytes + kSegmentPayloadBytesMax},
                            Case{false, FrameType::ping, 0}, Case{false, FrameType::goodbye, 0},
                            Case{true, FrameType::control, kJoinBytesMax}}) {
        EXPECT_TRUE(FrameParser(one.join).feed(header(one.type, static_cast<std::uint32_t>(one.length_max))));
        const ByteVector over = header(one.type, static_cast<std::uint32_t>(one.length_max + 1));
        EXPECT_EQ(FrameParser(one.join).feed(over).error().code(), Errc::protocol);
        EXPECT_EQ(FrameParser(one.join).feed(header(one.type, 0xffffffffU)).error().code(), Errc::protocol);
    }
    EXPECT_FALSE(FrameParser(true).feed(header(FrameType::segment, kSegmentHeaderBytes)))
        << "none on a join connection";
    EXPECT_FALSE(FrameParser(false).feed(header(FrameType::segment, kSegmentHeaderBytes - 1))) << "no whole header";
}

TEST(FrameParser, UnknownTypesAreNamed) {
    for (const int type : {0, 5, 255}) {
        const Status fed = FrameParser(false).feed(header(static_cast<FrameType>(type), 0));
        EXPECT_EQ(fed.error().code(), Errc::unsupported);
        EXPECT_NE(fed.error().text().find(std::to_string(type)), std::string::npos);
    }
}

}  // namespace
}  // namespace zoneferry
