#include "wire/codec.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "core/base/files.h"
#include "core/base/text.h"
#include "tests/unit/wire/sample_messages.h"
#include "wire/features.h"

namespace zoneferry {
namespace {

Result<Message> decode_bytes(const ByteVector& encoded) {
    FrameParser parser(false);
    ZF_TRY_STATUS(parser.feed(encoded));
    std::optional<Frame> frame = parser.next();
    if (!frame) return Error(Errc::protocol, "no whole frame");
    return decode_frame(std::move(*frame));
}

TEST(Codec, EveryMessageSurvives) {
    const std::vector<Message> samples = sample_messages();
    EXPECT_EQ(samples.size(), std::variant_size_v<Message>);
    for (const Message& message : samples) {
        const Result<ByteVector> encoded = encode_frame(message);
        ASSERT_TRUE(encoded) << message_name(message);
        const Result<Message> decoded = decode_bytes(*encoded);
        ASSERT_TRUE(decoded) << message_name(message) << ": " << decoded.error().text();
        EXPECT_EQ(decoded->index(), message.index());
        EXPECT_EQ(*encode_frame(*decoded), *encoded) << message_name(message);
    }
}

// The bytes on the wire are a contract with other versions. ZONEFERRY_ACCEPT_GOLDEN=1 writes the present ones (and
// skips, so that an accepting run is never mistaken for a passing one).
TEST(Codec, BytesAreAsRecorded) {
    const bool accept = std::getenv("ZONEFERRY_ACCEPT_GOLDEN") != nullptr;
    for (const Message& message : sample_messages()) {
        const std::string path = GOLDEN_DIRECTORY "/" + std::string(message_name(message)) + ".bin";
        const ByteVector encoded = *encode_frame(message);
        if (accept) {
            ASSERT_TRUE(replace_file(path, as_text(encoded), 0644));
            continue;
        }
        const Result<std::string> recorded = read_file(path, 1 << 20);
        ASSERT_TRUE(recorded) << recorded.error().text();
        EXPECT_TRUE(*recorded == as_text(encoded)) << message_name(message) << " is written differently now";
    }
    if (accept) GTEST_SKIP() << "golden files written anew: look at the difference, then run without the switch";
}

// What an agent of the version before sends still means the same: fields it does not know are as if not set.
TEST(Codec, MessagesOfTheVersionBeforeAreRead) {
    const auto read_previous = [](const std::string& name) {
        const std::string recorded = *read_file(GOLDEN_DIRECTORY "_previous/" + name + ".bin", 1 << 20);
        const ConstBytes bytes = as_bytes(recorded);
        return *decode_bytes(ByteVector(bytes.begin(), bytes.end()));
    };
    const auto prepare = std::get<PrepareRequest>(read_previous("PrepareRequest"));
    EXPECT_EQ(prepare.zone, "web01");
    EXPECT_EQ(std::tuple(prepare.use_kept_copy, prepare.probe, prepare.probe_limit_ms), std::tuple(false, "", 0U));
    const auto status = std::get<StatusReply>(read_previous("StatusReply"));
    EXPECT_EQ(std::tuple(status.phase, status.probed), std::tuple("stage", 0));
    EXPECT_FALSE(std::get<ReturnRequest>(read_previous("ReturnRequest")).use_kept_copy);
    const auto hello = std::get<Hello>(read_previous("Hello"));
    EXPECT_EQ(std::tuple(hello.listen_port, hello.run_id), std::tuple(7743U, ""));
    EXPECT_EQ(std::get<HelloAck>(read_previous("HelloAck")).run_id, "");
    EXPECT_EQ(std::get<PassBegin>(read_previous("PassBegin")).tree, 0U);
    EXPECT_EQ(std::get<VerifyRequest>(read_previous("VerifyRequest")).tree, 0U);
}

// Under asan: no change may crash or read outside; what still decodes must encode again.
TEST(Codec, ChangedBitsNeverCrash) {
    for (const Message& message : sample_messages()) {
        const ByteVector encoded = *encode_frame(message);
        for (std::size_t bit = kFrameHeaderBytes * 8; bit < encoded.size() * 8; ++bit) {
            ByteVector changed = encoded;
            changed[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
            const Result<Message> decoded = decode_bytes(changed);
            if (decoded) {
                EXPECT_TRUE(encode_frame(*decoded)) << message_name(message) << " bit " << bit;
            }
        }
    }
}

TEST(Codec, TruncatedPayloadsAreRefused) {
    for (const Message& message : sample_messages()) {
        if (std::holds_alternative<Segment>(message)) continue;  // its header is the frame parser's to judge
        const ByteVector encoded = *encode_frame(message);
        for (std::size_t bytes = 0; bytes + kFrameHeaderBytes < encoded.size(); ++bytes) {
            Frame frame;
            frame.type = FrameType::control;
            frame.payload.assign(encoded.begin() + kFrameHeaderBytes,
                                 encoded.begin() + static_cast<std::ptrdiff_t>(kFrameHeaderBytes + bytes));
            EXPECT_FALSE(decode_frame(std::move(frame))) << message_name(message);
        }
    }
}

TEST(Codec, LimitsHoldWhenSending) {
    Hello hello;
    hello.host = std::string(kWireNameBytesMax, 'x');
    EXPECT_TRUE(encode_frame(hello));
    hello.host += 'x';
    EXPECT_EQ(encode_frame(hello).error().code(), Errc::invalid);
    CheckRequest check;
    check.manifest = std::string(kWireManifestBytesMax, 'x');
    EXPECT_TRUE(encode_frame(check)) << "larger than the first segment of the builder";
    EXPECT_TRUE(decode_bytes(*encode_frame(check)));
    check.manifest += 'x';
    EXPECT_EQ(encode_frame(check).error().code(), Errc::invalid);
    CheckReply reply;
    reply.findings.assign(kFindingsMax, sample::findings()[0]);
    EXPECT_TRUE(decode_bytes(*encode_frame(reply)));
    reply.findings.emplace_back();
    EXPECT_EQ(encode_frame(reply).error().code(), Errc::invalid);
    Segment segment;
    segment.payload.resize(kSegmentPayloadBytesMax + 1);
    EXPECT_EQ(encode_frame(segment).error().code(), Errc::invalid);
}

Frame control_frame(std::initializer_list<std::uint64_t> words) {
    Frame frame;
    frame.type = FrameType::control;
    append_little_endian(frame.payload, static_cast<std::uint64_t>(words.size()) << 32U);
    for (const std::uint64_t word : words) append_little_endian(frame.payload, word);
    return frame;
}

TEST(Codec, HostileMessagesAreRefused) {
    // A root struct of one data word and one pointer, as Message is.
    constexpr std::uint64_t kRoot = 1ULL << 32U | 1ULL << 48U;
    EXPECT_EQ(decode_frame(control_frame({kRoot, 0, 0})).error().code(), Errc::unsupported) << "unset";
    EXPECT_EQ(decode_frame(control_frame({kRoot, 999, 0})).error().code(), Errc::unsupported) << "a newer message";
    // CheckReply (tag 4) whose findings are a list of 5e8 structs of no size: 48 bytes that claim gigabytes.
    constexpr std::uint64_t kCheckReply = 2ULL << 48U;
    constexpr std::uint64_t kCompositeList = 1ULL | 7ULL << 32U;
    const Frame bomb = control_frame({kRoot, 4, kCheckReply, 0, kCompositeList, 500'000'000ULL << 2U});
    EXPECT_EQ(decode_frame(bomb).error().code(), Errc::protocol);
    Frame two_segments = control_frame({kRoot, 1, 0});
    two_segments.payload[0] = std::byte{1};
    EXPECT_EQ(decode_frame(two_segments).error().code(), Errc::protocol);
}

TEST(Codec, UnknownErrorCodesOfANewerPeerAreUnknown) {
    Refusal refusal;
    refusal.code = static_cast<Errc>(900);
    refusal.sentence = "new trouble";
    const Result<Message> decoded = decode_bytes(*encode_frame(refusal));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(std::get<Refusal>(*decoded).code, Errc::unknown);
}

// --- features -----------------------------------------------------------------------------------------------

Hello hello_of(std::uint32_t low, std::uint32_t high, std::vector<std::string> features = {}) {
    Hello hello;
    hello.protocol_min = low;
    hello.protocol_max = high;
    hello.features = std::move(features);
    return hello;
}

TEST(Features, HighestCommonProtocolOrARefusal) {
    for (std::uint32_t a = 1; a < 6; ++a) {
        for (std::uint32_t b = a; b < 6; ++b) {
            for (std::uint32_t c = 1; c < 6; ++c) {
                for (std::uint32_t d = c; d < 6; ++d) {
                    const Result<Agreement> agreed = negotiate(hello_of(a, b), hello_of(c, d));
                    const bool meets = std::max(a, c) <= std::min(b, d);
                    ASSERT_EQ(agreed.has_value(), meets);
                    EXPECT_EQ(meets ? agreed->protocol : 0, meets ? std::min(b, d) : 0);
                    EXPECT_TRUE(meets || agreed.error().code() == Errc::unsupported);
                }
            }
        }
    }
    EXPECT_EQ(negotiate(hello_of(1, 1), hello_of(0, 1)).error().code(), Errc::protocol);
    EXPECT_EQ(negotiate(hello_of(1, 1), hello_of(2, 1)).error().code(), Errc::protocol);
}

TEST(Features, OnlyWhatBothHave) {
    const Result<Agreement> agreed = negotiate(hello_of(1, 1, {"c", "a", "b"}), hello_of(1, 1, {"b", "z", "c", "b"}));
    ASSERT_TRUE(agreed);
    EXPECT_EQ(agreed->features, (std::vector<std::string>{"b", "c"}));
}

TEST(Features, AnswerMustLieWithinTheOffer) {
    HelloAck answer;
    answer.protocol = kProtocolMax;
    EXPECT_TRUE(accept_answer(answer));
    answer.features = {"never-offered"};
    EXPECT_EQ(accept_answer(answer).error().code(), Errc::protocol);
    answer.features.clear();
    answer.protocol = kProtocolMax + 1;
    EXPECT_EQ(accept_answer(answer).error().code(), Errc::protocol);
}

}  // namespace
}  // namespace zoneferry
