#include "wire/codec.h"

#include <capnp/message.h>
#include <capnp/serialize.h>

#include <algorithm>
#include <exception>
#include <string>

#include "core/base/text.h"
#include "wire/codec_parts.h"

namespace zoneferry {
namespace {

// Every control message: its type and its tag in the schema's union.
#define ZF_CONTROL_MESSAGES(X)           \
    X(Hello, HELLO)                      \
    X(HelloAck, HELLO_ACK)               \
    X(CheckRequest, CHECK_REQUEST)       \
    X(CheckReply, CHECK_REPLY)           \
    X(PrepareRequest, PREPARE_REQUEST)   \
    X(PrepareReply, PREPARE_REPLY)       \
    X(PassBegin, PASS_BEGIN)             \
    X(PassReady, PASS_READY)             \
    X(SegmentAck, SEGMENT_ACK)           \
    X(PassEnd, PASS_END)                 \
    X(PassDone, PASS_DONE)               \
    X(VerifyRequest, VERIFY_REQUEST)     \
    X(VerifyReply, VERIFY_REPLY)         \
    X(StageRequest, STAGE_REQUEST)       \
    X(StageReply, STAGE_REPLY)           \
    X(Grant, GRANT)                      \
    X(Owned, OWNED)                      \
    X(Activated, ACTIVATED)              \
    X(StatusRequest, STATUS_REQUEST)     \
    X(StatusReply, STATUS_REPLY)         \
    X(AbortRequest, ABORT_REQUEST)       \
    X(AbortReply, ABORT_REPLY)           \
    X(FinalizeRequest, FINALIZE_REQUEST) \
    X(FinalizeReply, FINALIZE_REPLY)     \
    X(ReturnRequest, RETURN_REQUEST)     \
    X(ReturnReply, RETURN_REPLY)         \
    X(JoinRequest, JOIN_REQUEST)         \
    X(JoinReply, JOIN_REPLY)             \
    X(Refusal, REFUSAL)                  \
    X(OwnersRequest, OWNERS_REQUEST)     \
    X(OwnersReply, OWNERS_REPLY)         \
    X(HistoryRequest, HISTORY_REQUEST)   \
    X(HistoryReply, HISTORY_REPLY)       \
    X(PushRequest, PUSH_REQUEST)         \
    X(PushReply, PUSH_REPLY)             \
    X(PushInstall, PUSH_INSTALL)         \
    X(PushInstalled, PUSH_INSTALLED)     \
    X(BlocksRequest, BLOCKS_REQUEST)     \
    X(BlocksReply, BLOCKS_REPLY)

// --- messages, writing --------------------------------------------------------------------------------------

void write(Checker& check, schema::Hello::Builder to, const Hello& from) {
    to.setProtocolMin(from.protocol_min);
    to.setProtocolMax(from.protocol_max);
    write_names(check, to.initFeatures(check.count(from.features.size(), kFeaturesMax, "features")), from.features);
    to.setHost(check.text(from.host, kWireNameBytesMax, "host"));
    to.setHostId(check.text(from.host_id, kWireNameBytesMax, "host_id"));
    to.setVersion(check.text(from.version, kWireNameBytesMax, "version"));
    to.setClockUnixMs(from.clock_unix_ms);
    to.setListenPort(from.listen_port);
    to.setRunId(check.text(from.run_id, kWireNameBytesMax, "run_id"));
}
void write(Checker& check, schema::HelloAck::Builder to, const HelloAck& from) {
    to.setProtocol(from.protocol);
    write_names(check, to.initFeatures(check.count(from.features.size(), kFeaturesMax, "features")), from.features);
    to.setHost(check.text(from.host, kWireNameBytesMax, "host"));
    to.setHostId(check.text(from.host_id, kWireNameBytesMax, "host_id"));
    to.setVersion(check.text(from.version, kWireNameBytesMax, "version"));
    to.setClockUnixMs(from.clock_unix_ms);
    to.setRunId(check.text(from.run_id, kWireNameBytesMax, "run_id"));
}
void write(Checker& check, schema::CheckRequest::Builder to, const CheckRequest& from) {
    to.setMoveId(check.text(from.move_id, kWireNameBytesMax, "move_id"));
    to.setManifest(check.text(from.manifest, kWireManifestBytesMax, "manifest"));
    write(check, to.initSource(), from.source);
    to.setTreeBytes(from.tree_bytes);
    to.setTreeEntries(from.tree_entries);
    to.setForce(from.force);
    to.setReturnOf(check.text(from.return_of, kWireNameBytesMax, "return_of"));
    to.setStorage(check.text(from.storage, kSentenceBytesMax, "storage"));
    to.setLongLink(check.text(from.long_link, kSentenceBytesMax, "long_link"));
    to.setUseKeptCopy(from.use_kept_copy);
    write_extra_trees(check, to, from.extra_trees);
}
void write(Checker& check, schema::CheckReply::Builder to, const CheckReply& from) {
    write(check, to.initTarget(), from.target);
    write_findings(check, to.initFindings(check.count(from.findings.size(), kFindingsMax, "findings")), from.findings);
    to.setShared(from.shared);
    to.setProof(check.text(from.proof, kWireNameBytesMax, "proof"));
    to.setAnswer(check.text(from.answer, kWireNameBytesMax, "answer"));
    write_travelling(check, to, from.travelling);
}
void write(Checker& check, schema::PrepareRequest::Builder to, const PrepareRequest& from) {
    to.setMoveId(check.text(from.move_id, kWireNameBytesMax, "move_id"));
    to.setZone(check.text(from.zone, kWireNameBytesMax, "zone"));
    to.setZoneUuid(check.text(from.zone_uuid, kWireNameBytesMax, "zone_uuid"));
    to.setEpoch(from.epoch);
    to.setManifest(check.text(from.manifest, kWireManifestBytesMax, "manifest"));
    write(check, to.initSource(), from.source);
    to.setTreeBytes(from.tree_bytes);
    to.setTreeEntries(from.tree_entries);
    to.setWasRunning(from.was_running);
    to.setForce(from.force);
    to.setReturnOf(check.text(from.return_of, kWireNameBytesMax, "return_of"));
    to.setUseKeptCopy(from.use_kept_copy);
    to.setProbe(check.text(from.probe, kSentenceBytesMax, "probe"));
    to.setProbeLimitMs(from.probe_limit_ms);
    to.setShared(from.shared);
    to.setStorage(check.text(from.storage, kSentenceBytesMax, "storage"));
    write_extra_trees(check, to, from.extra_trees);
}
void write(Checker& check, schema::PassBegin::Builder to, const PassBegin& from) {
    to.setMoveId(check.text(from.move_id, kWireNameBytesMax, "move_id"));
    to.setPass(from.pass);
    to.setIsFinal(from.is_final);
    to.setTree(from.tree);
    to.setTransport(check.text(from.transport, kWireNameBytesMax, "transport"));
}
void write(Checker&, schema::PassReady::Builder to, const PassReady& from) { to.setPass(from.pass); }
void write(Checker&, schema::SegmentAck::Builder to, const SegmentAck& from) {
    to.setPass(from.pass);
    to.setDurableCount(from.durable_count);
}
void write(Checker&, schema::PassEnd::Builder to, const PassEnd& from) {
    to.setPass(from.pass);
    to.setSegments(from.segments);
}
void write(Checker&, schema::PassDone::Builder to, const PassDone& from) { to.setPass(from.pass); }
void write(Checker& check, schema::VerifyReply::Builder to, const VerifyReply& from) {
    to.setDigest(data_of(from.digest));
    to.setEntries(from.entries);
    to.setBytes(from.bytes);
    to.setListPart(check.data(from.list_part, kListPartBytesMax, "list_part"));
    to.setIsListPart(from.is_list_part);
    to.setLookedAt(from.looked_at);
}
void write(Checker& check, schema::StageRequest::Builder to, const StageRequest& from) {
    to.setMoveId(check.text(from.move_id, kWireNameBytesMax, "move_id"));
    to.setManifest(check.text(from.manifest, kWireManifestBytesMax, "manifest"));
    to.setNonce(check.text(from.nonce, kWireNameBytesMax, "nonce"));
}
void write(Checker& check, schema::StageReply::Builder to, const StageReply& from) {
    to.setReady(from.ready);
    write_findings(check, to.initFindings(check.count(from.findings.size(), kFindingsMax, "findings")), from.findings);
}
void write(Checker& check, schema::Grant::Builder to, const Grant& from) {
    to.setMoveId(check.text(from.move_id, kWireNameBytesMax, "move_id"));
    to.setEpoch(from.epoch);
    to.setBoot(from.boot);
}
void write(Checker&, schema::Owned::Builder to, const Owned& from) { to.setEpoch(from.epoch); }
void write(Checker& check, schema::Activated::Builder to, const Activated& from) {
    to.setAttached(from.attached);
    to.setRunning(from.running);
    to.setProblem(check.text(from.problem, kSentenceBytesMax, "problem"));
    to.setAttachMs(from.attach_ms);
    to.setBootMs(from.boot_ms);
}
void write(Checker& check, schema::StatusRequest::Builder to, const StatusRequest& from) {
    to.setMoveId(check.text(from.move_id, kWireNameBytesMax, "move_id"));
}
void write(Checker& check, schema::StatusReply::Builder to, const StatusReply& from) {
    to.setKnown(from.known);
    to.setPhase(check.text(from.phase, kWireNameBytesMax, "phase"));
    to.setEpoch(from.epoch);
    to.setOwned(from.owned);
    to.setAttached(from.attached);
    to.setRunning(from.running);
    to.setProblem(check.text(from.problem, kSentenceBytesMax, "problem"));
    to.setProbed(from.probed);
}
void write(Checker& check, schema::AbortRequest::Builder to, const AbortRequest& from) {
    to.setMoveId(check.text(from.move_id, kWireNameBytesMax, "move_id"));
    to.setReason(check.text(from.reason, kSentenceBytesMax, "reason"));
}
void write(Checker&, schema::AbortReply::Builder, const AbortReply&) {}
void write(Checker& check, schema::FinalizeRequest::Builder to, const FinalizeRequest& from) {
    to.setMoveId(check.text(from.move_id, kWireNameBytesMax, "move_id"));
}
void write(Checker&, schema::FinalizeReply::Builder, const FinalizeReply&) {}

// --- messages, reading --------------------------------------------------------------------------------------

void read(Checker& check, schema::Hello::Reader from, Hello& to) {
    to.protocol_min = from.getProtocolMin();
    to.protocol_max = from.getProtocolMax();
    read_names(check, from.getFeatures(), to.features);
    to.host = check.text(from.getHost(), kWireNameBytesMax, "host");
    to.host_id = check.text(from.getHostId(), kWireNameBytesMax, "host_id");
    to.version = check.text(from.getVersion(), kWireNameBytesMax, "version");
    to.clock_unix_ms = from.getClockUnixMs();
    to.listen_port = from.getListenPort();
    to.run_id = check.text(from.getRunId(), kWireNameBytesMax, "run_id");
}
void read(Checker& check, schema::HelloAck::Reader from, HelloAck& to) {
    to.protocol = from.getProtocol();
    read_names(check, from.getFeatures(), to.features);
    to.host = check.text(from.getHost(), kWireNameBytesMax, "host");
    to.host_id = check.text(from.getHostId(), kWireNameBytesMax, "host_id");
    to.version = check.text(from.getVersion(), kWireNameBytesMax, "version");
    to.clock_unix_ms = from.getClockUnixMs();
    to.run_id = check.text(from.getRunId(), kWireNameBytesMax, "run_id");
}
void read(Checker& check, schema::CheckRequest::Reader from, CheckRequest& to) {
    to.move_id = check.text(from.getMoveId(), kWireNameBytesMax, "move_id");
    to.manifest = check.text(from.getManifest(), kWireManifestBytesMax, "manifest");
    read(check, from.getSource(), to.source);
    to.tree_bytes = from.getTreeBytes();
    to.tree_entries = from.getTreeEntries();
    to.force = from.getForce();
    to.return_of = check.text(from.getReturnOf(), kWireNameBytesMax, "return_of");
    to.storage = check.text(from.getStorage(), kSentenceBytesMax, "storage");
    to.long_link = check.text(from.getLongLink(), kSentenceBytesMax, "long_link");
    to.use_kept_copy = from.getUseKeptCopy();
    read_extra_trees(check, from.getExtraTrees(), to.extra_trees);
}
void read(Checker& check, schema::CheckReply::Reader from, CheckReply& to) {
    read(check, from.getTarget(), to.target);
    read_findings(check, from.getFindings(), to.findings);
    to.shared = from.getShared();
    to.proof = check.text(from.getProof(), kWireNameBytesMax, "proof");
    to.answer = check.text(from.getAnswer(), kWireNameBytesMax, "answer");
    read_travelling(check, from, to.travelling);
}
void read(Checker& check, schema::PrepareRequest::Reader from, PrepareRequest& to) {
    to.move_id = check.text(from.getMoveId(), kWireNameBytesMax, "move_id");
    to.zone = check.text(from.getZone(), kWireNameBytesMax, "zone");
    to.zone_uuid = check.text(from.getZoneUuid(), kWireNameBytesMax, "zone_uuid");
    to.epoch = from.getEpoch();
    to.manifest = check.text(from.getManifest(), kWireManifestBytesMax, "manifest");
    read(check, from.getSource(), to.source);
    to.tree_bytes = from.getTreeBytes();
    to.tree_entries = from.getTreeEntries();
    to.was_running = from.getWasRunning();
    to.force = from.getForce();
    to.return_of = check.text(from.getReturnOf(), kWireNameBytesMax, "return_of");
    to.use_kept_copy = from.getUseKeptCopy();
    to.probe = check.text(from.getProbe(), kSentenceBytesMax, "probe");
    to.probe_limit_ms = from.getProbeLimitMs();
    to.shared = from.getShared();
    to.storage = check.text(from.getStorage(), kSentenceBytesMax, "storage");
    read_extra_trees(check, from.getExtraTrees(), to.extra_trees);
}
void read(Checker& check, schema::PassBegin::Reader from, PassBegin& to) {
    to.move_id = check.text(from.getMoveId(), kWireNameBytesMax, "move_id");
    to.pass = from.getPass();
    to.is_final = from.getIsFinal();
    to.tree = from.getTree();
    to.transport = check.text(from.getTransport(), kWireNameBytesMax, "transport");
}
void read(Checker&, schema::PassReady::Reader from, PassReady& to) { to.pass = from.getPass(); }
void read(Checker&, schema::SegmentAck::Reader from, SegmentAck& to) {
    to.pass = from.getPass();
    to.durable_count = from.getDurableCount();
}
void read(Checker&, schema::PassEnd::Reader from, PassEnd& to) {
    to.pass = from.getPass();
    to.segments = from.getSegments();
}
void read(Checker&, schema::PassDone::Reader from, PassDone& to) { to.pass = from.getPass(); }
void read(Checker& check, schema::VerifyReply::Reader from, VerifyReply& to) {
    to.digest = check.digest(from.getDigest());
    to.entries = from.getEntries();
    to.bytes = from.getBytes();
    to.list_part = check.data(from.getListPart(), kListPartBytesMax, "list_part");
    to.is_list_part = from.getIsListPart();
    to.looked_at = from.getLookedAt();
}
void read(Checker& check, schema::StageRequest::Reader from, StageRequest& to) {
    to.move_id = check.text(from.getMoveId(), kWireNameBytesMax, "move_id");
    to.manifest = check.text(from.getManifest(), kWireManifestBytesMax, "manifest");
    to.nonce = check.text(from.getNonce(), kWireNameBytesMax, "nonce");
}
void read(Checker& check, schema::StageReply::Reader from, StageReply& to) {
    to.ready = from.getReady();
    read_findings(check, from.getFindings(), to.findings);
}
void read(Checker& check, schema::Grant::Reader from, Grant& to) {
    to.move_id = check.text(from.getMoveId(), kWireNameBytesMax, "move_id");
    to.epoch = from.getEpoch();
    to.boot = from.getBoot();
}
void read(Checker& check, schema::Owned::Reader from, Owned& to) { to.epoch = check.epoch(from.getEpoch()); }
void read(Checker& check, schema::Activated::Reader from, Activated& to) {
    to.attached = from.getAttached();
    to.running = from.getRunning();
    to.problem = check.text(from.getProblem(), kSentenceBytesMax, "problem");
    to.attach_ms = from.getAttachMs();
    to.boot_ms = from.getBootMs();
}
void read(Checker& check, schema::StatusRequest::Reader from, StatusRequest& to) {
    to.move_id = check.text(from.getMoveId(), kWireNameBytesMax, "move_id");
}
void read(Checker& check, schema::StatusReply::Reader from, StatusReply& to) {
    to.known = from.getKnown();
    to.phase = check.text(from.getPhase(), kWireNameBytesMax, "phase");
    to.epoch = check.epoch(from.getEpoch());
    to.owned = from.getOwned();
    to.attached = from.getAttached();
    to.running = from.getRunning();
    to.problem = check.text(from.getProblem(), kSentenceBytesMax, "problem");
    to.probed = from.getProbed();
}
void read(Checker& check, schema::AbortRequest::Reader from, AbortRequest& to) {
    to.move_id = check.text(from.getMoveId(), kWireNameBytesMax, "move_id");
    to.reason = check.text(from.getReason(), kSentenceBytesMax, "reason");
}
void read(Checker&, schema::AbortReply::Reader, AbortReply&) {}
void read(Checker& check, schema::FinalizeRequest::Reader from, FinalizeRequest& to) {
    to.move_id = check.text(from.getMoveId(), kWireNameBytesMax, "move_id");
}
void read(Checker&, schema::FinalizeReply::Reader, FinalizeReply&) {}

// --- frames -------------------------------------------------------------------------------------------------

#define ZF_WRITE(Name, TAG)                                                             \
    void write_message(Checker& check, schema::Message::Builder to, const Name& from) { \
        write(check, to.init##Name(), from);                                            \
    }
ZF_CONTROL_MESSAGES(ZF_WRITE)
#undef ZF_WRITE
void write_message(Checker&, schema::Message::Builder, const Segment&) {}  // never called: see encode_frame

template <class T, class Reader>
Message read_message(Checker& check, Reader from) {
    T to;
    read(check, from, to);
    return to;
}

Message read_message(Checker& check, schema::Message::Reader from) {
    switch (from.which()) {
#define ZF_READ(Name, TAG) \
    case schema::Message::TAG: return read_message<Name>(check, from.get##Name());
        ZF_CONTROL_MESSAGES(ZF_READ)
#undef ZF_READ
        case schema::Message::UNSET: break;
    }
    check.complain(Errc::unsupported, "a message that this version does not know (number " +
                                          std::to_string(static_cast<int>(from.which())) + ")");
    return Refusal();
}

// Space for the header in front, then the message as one segment with its segment table.
Result<ByteVector> frame_of(capnp::MallocMessageBuilder& builder) {
    const auto segments = builder.getSegmentsForOutput();
    if (segments.size() > 1) {  // it outgrew the first segment: copy it into one that is large enough
        std::size_t words = 0;
        for (const auto& segment : segments) words += segment.size();
        capnp::MallocMessageBuilder whole(static_cast<unsigned>(words + 64));
        whole.setRoot(builder.getRoot<schema::Message>().asReader());
        ZF_CHECK(whole.getSegmentsForOutput().size() == 1);
        return frame_of(whole);
    }
    const std::size_t payload_bytes = sizeof(capnp::word) * (1 + segments[0].size());
    if (payload_bytes > kControlBytesMax) {
        return Error(Errc::invalid, "the message has " + format_bytes(payload_bytes) + ", at most " +
                                        format_bytes(kControlBytesMax) + " can be sent");
    }
    ByteVector frame(kFrameHeaderBytes + sizeof(capnp::word));
    store_frame_header(FrameType::control, static_cast<std::uint32_t>(payload_bytes), frame.data());
    store_little_endian(static_cast<std::uint32_t>(segments[0].size()), frame.data() + kFrameHeaderBytes + 4);
    const auto bytes = segments[0].asBytes();
    append_bytes(frame, std::as_bytes(std::span(bytes.begin(), bytes.size())));
    return frame;
}

Result<ByteVector> encode_control(const Message& message) {
    Checker check(Errc::invalid);
    capnp::MallocMessageBuilder builder;
    const auto root = builder.initRoot<schema::Message>();
    std::visit([&](const auto& value) { write_message(check, root, value); }, message);
    if (check.error()) return *check.error();
    return frame_of(builder);
}

Result<ByteVector> encode_segment(const Segment& segment) {
    ZF_TRY(ByteVector frame, encode_segment_head(segment));
    append_bytes(frame, segment.payload);
    return frame;
}

Result<Message> decode_segment(Frame frame) {
    const ConstBytes bytes(frame.segment_header);
    Segment segment;
    segment.pass = load_little_endian<std::uint32_t>(bytes);
    segment.raw_bytes = load_little_endian<std::uint32_t>(bytes.subspan(4));
    segment.number = load_little_endian<std::uint64_t>(bytes.subspan(8));
    const auto encoding = load_little_endian<std::uint64_t>(bytes.subspan(16));
    if (encoding > 0xff) return Error(Errc::unsupported, "a segment has a header field this version does not know");
    if (segment.raw_bytes > kWireSegmentRawBytesMax) {
        return Error(Errc::protocol, "a segment claims " + std::to_string(segment.raw_bytes) + " bytes unpacked");
    }
    segment.encoding = static_cast<std::uint8_t>(encoding);
    segment.payload = std::move(frame.payload);
    return Message(std::move(segment));
}

// Exactly one segment that fills the payload: then the word array can be read in place.
bool has_one_segment(const ByteVector& payload) {
    if (payload.size() < 2 * sizeof(capnp::word) || payload.size() % sizeof(capnp::word) != 0) return false;
    const ConstBytes bytes(payload);
    const std::uint64_t words = load_little_endian<std::uint32_t>(bytes.subspan(4));
    return load_little_endian<std::uint32_t>(bytes) == 0 && (words + 1) * sizeof(capnp::word) == payload.size();
}

Result<Message> decode_control(const ByteVector& payload) {
    if (!has_one_segment(payload)) return Error(Errc::protocol, "a control message is not one whole segment");
    const std::size_t words = payload.size() / sizeof(capnp::word);
    capnp::ReaderOptions options;
    options.traversalLimitInWords = kTraversalFactor * words + 64;
    options.nestingLimit = kNestingMax;
    capnp::FlatArrayMessageReader reader(kj::arrayPtr(reinterpret_cast<const capnp::word*>(payload.data()), words),
                                         options);
    Checker check(Errc::protocol);
    Message message = read_message(check, reader.getRoot<schema::Message>());
    if (check.error()) return *check.error();
    return message;
}

}  // namespace

Result<ByteVector> encode_segment_head(const Segment& segment) {
    if (segment.payload.size() > kSegmentPayloadBytesMax || segment.raw_bytes > kWireSegmentRawBytesMax) {
        return Error(Errc::invalid, "a segment of " + format_bytes(segment.payload.size()) + " (" +
                                        format_bytes(segment.raw_bytes) + " unpacked) is too large to send");
    }
    ByteVector head;
    head.reserve(kFrameHeaderBytes + kSegmentHeaderBytes);
    head.resize(kFrameHeaderBytes);
    const auto payload_bytes = static_cast<std::uint32_t>(kSegmentHeaderBytes + segment.payload.size());
    store_frame_header(FrameType::segment, payload_bytes, head.data());
    append_little_endian(head, segment.pass);
    append_little_endian(head, segment.raw_bytes);
    append_little_endian(head, segment.number);
    append_little_endian(head, std::uint64_t{segment.encoding});
    return head;
}

Result<ByteVector> encode_frame(const Message& message) {
    const std::string step = "sending " + std::string(message_name(message));
    try {
        const auto* segment = std::get_if<Segment>(&message);
        Result<ByteVector> frame = segment != nullptr ? encode_segment(*segment) : encode_control(message);
        if (!frame) return std::move(frame).error().during(step);
        return frame;
    } catch (const kj::Exception& exception) {
        return Error(Errc::invalid, exception.getDescription().cStr()).during(step);
    } catch (const std::exception& exception) {
        return Error(Errc::invalid, exception.what()).during(step);
    }
}

Result<Message> decode_frame(Frame frame) {
    constexpr const char* kStep = "reading a message of the peer";
    try {
        Result<Message> message =
            frame.type == FrameType::segment ? decode_segment(std::move(frame)) : decode_control(frame.payload);
        if (!message) return std::move(message).error().during(kStep);
        return message;
    } catch (const kj::Exception& exception) {
        return Error(Errc::protocol, printable(exception.getDescription().cStr())).during(kStep);
    } catch (const std::exception& exception) {
        return Error(Errc::protocol, printable(exception.what())).during(kStep);
    }
}

std::string_view message_name(const Message& message) {
    struct Namer {
#define ZF_NAME(Name, TAG) \
    std::string_view operator()(const Name&) const { return #Name; }
        ZF_CONTROL_MESSAGES(ZF_NAME)
#undef ZF_NAME
        std::string_view operator()(const Segment&) const { return "Segment"; }
    };
    return std::visit(Namer{}, message);
}

}  // namespace zoneferry
