// Every message of the conversation, as plain values. The way of a move, source on the left:
//
//     Hello               -->   <-- HelloAck          the peer is proven only once this answer is read
//     CheckRequest        -->   <-- CheckReply        `check` stops here and leaves nothing behind
//     PrepareRequest      -->   <-- PrepareReply
//     PassBegin           -->   <-- PassReady         once for every pass
//     Segment ...         -->   <-- SegmentAck ...    durable at the target through that number
//     PassEnd             -->   <-- PassDone
//     VerifyRequest       -->   <-- VerifyReply       digest of what lies on the target's disk; if a list was asked
//                               for: parts of it (is_list_part), an empty part, then the digest
//     BlocksRequest       -->   <-- BlocksReply ...    of large files that differ: the hashes of their blocks
//     StageRequest        -->   <-- StageReply        READY (durable) or the findings that forbid it
//     Grant               -->   <-- Owned             after the source's durable RELEASED: the commit point
//                               <-- Activated         attached, and booted if it ran
//     FinalizeRequest     -->   <-- FinalizeReply
// At any time: StatusRequest/StatusReply, AbortRequest/AbortReply, ReturnRequest/ReturnReply (rollback: asks
// the zone's present host to move it back), OwnersRequest/OwnersReply (who holds which zone under which epoch),
// HistoryRequest/HistoryReply (the journal's events of a move), PushRequest/PushReply (a machine's tree for a zone that
// is configured here: then passes as of a move), PushInstall/PushInstalled (the end of it). Any request may be answered
// by Refusal. Every request may be repeated: the answer is the same. A join (trust) connection carries
// JoinRequest/JoinReply and nothing else.
//
// Types that travel through coroutines have constructors on purpose (g++ 12 destroys aggregates twice).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/attach/finding.h"
#include "core/attach/host_facts.h"
#include "core/base/bytes.h"
#include "core/base/digest.h"
#include "core/base/error.h"

namespace zoneferry {

struct Hello {
    Hello() {}
    std::uint32_t protocol_min = 0;
    std::uint32_t protocol_max = 0;
    std::vector<std::string> features;
    std::string host;
    std::string host_id;
    std::string version;  // of the program, for people
    std::int64_t clock_unix_ms = 0;
    std::uint32_t listen_port = 0;  // where this agent can be reached itself; 0: nowhere
    std::string run_id;             // another one at each start of the agent; empty: an older version
};
struct HelloAck {
    HelloAck() {}
    std::uint32_t protocol = 0;         // the one chosen
    std::vector<std::string> features;  // those both have
    std::string host;
    std::string host_id;
    std::string version;
    std::int64_t clock_unix_ms = 0;
    std::string run_id;
};

// A file system of the zone's own outside its zonepath (`fs` of type lofs).
struct ExtraTree {
    ExtraTree() {}
    ExtraTree(std::string at, std::uint64_t size, std::uint64_t count)
        : path(std::move(at)), bytes(size), entries(count) {}
    std::string path;  // on both hosts
    std::uint64_t bytes = 0;
    std::uint64_t entries = 0;
};

struct CheckRequest {
    CheckRequest() {}
    std::string move_id;
    std::string manifest;  // the detached manifest's XML: the zone's configuration and packages
    HostFacts source;
    std::uint64_t tree_bytes = 0;
    std::uint64_t tree_entries = 0;
    bool force = false;     // -F: packages are not compared
    std::string return_of;  // a rollback: the id of the move that brought the zone here; else empty
    std::string storage;    // what the tree lies on (agent/move/storage_proof.h); empty: nothing is to be shared
    std::string long_link;  // a symbolic link of more bytes than every file system takes; empty: none
    std::vector<ExtraTree> extra_trees;  // what could be sent beside the zonepath
    bool use_kept_copy = false;          // nothing travels: the copy that return_of left behind is taken
};
struct CheckReply {
    CheckReply() {}
    HostFacts target;
    std::vector<Finding> findings;
    std::uint8_t shared = 0;              // SharedKind
    std::string proof;                    // what the target read
    std::string answer;                   // what it wrote
    std::vector<std::string> travelling;  // paths of the extra trees that must be sent
};

struct PrepareRequest {
    PrepareRequest() {}
    std::string move_id;
    std::string zone;
    std::string zone_uuid;
    std::uint64_t epoch = 0;  // the present one; the release will raise it by one
    std::string manifest;
    HostFacts source;
    std::uint64_t tree_bytes = 0;
    std::uint64_t tree_entries = 0;
    bool was_running = false;
    bool force = false;
    std::string return_of;
    bool use_kept_copy = false;  // nothing travels: the copy that return_of left behind is taken
    std::string probe;           // after the boot; empty: none
    std::uint32_t probe_limit_ms = 0;
    std::uint8_t shared = 0;             // SharedKind: nothing travels, the tree lies there already
    std::string storage;                 // the LUN
    std::vector<ExtraTree> extra_trees;  // what is sent beside the zonepath: trees 1, 2 ...
};
struct PrepareReply {
    PrepareReply() {}
    bool has_copy = false;                // of an earlier move: compare before sending
    bool staging_is_fresh = true;         // false: an earlier try's staging is there, what was acknowledged counts
    std::vector<std::string> transports;  // of file systems, that the target can receive by
};

struct PassBegin {
    PassBegin() {}
    std::string move_id;
    std::uint32_t pass = 0;  // counts up over the whole move, also over reconnects
    bool is_final = false;   // the zone is halted
    std::uint32_t tree = 0;  // agent/move/moved_tree.h; 0: the zonepath
    std::string transport;   // segments are pieces of this one's stream; empty: records
};
struct PassReady {
    PassReady() {}
    std::uint32_t pass = 0;
};
struct Segment {  // not Cap'n Proto: a frame of its own, payload untouched
    Segment() {}
    std::uint32_t pass = 0;
    std::uint64_t number = 0;  // from 0 in every pass
    std::uint32_t raw_bytes = 0;
    std::uint8_t encoding = 0;  // transfer's business
    ByteVector payload;
};
struct SegmentAck {
    SegmentAck() {}
    std::uint32_t pass = 0;
    std::uint64_t durable_count = 0;  // segments 0 .. durable_count-1 are on the target's disk
};
struct PassEnd {
    PassEnd() {}
    std::uint32_t pass = 0;
    std::uint64_t segments = 0;
};
struct PassDone {
    PassDone() {}
    std::uint32_t pass = 0;
};

struct VerifyRequest {
    VerifyRequest() {}
    std::string move_id;
    bool metadata_only = false;
    bool wants_list = false;
    std::uint32_t tree = 0;
    ByteVector key;  // 32 bytes or none
    bool follows = false;
};
struct VerifyReply {
    VerifyReply() {}
    Digest digest{};
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    ByteVector list_part;  // a piece of the target's file of digests
    bool is_list_part = false;
    std::uint64_t looked_at = 0;  // entries
};

struct BlocksOfFile {
    BlocksOfFile() {}
    std::string path;
    std::uint8_t block_log = 0;
};
struct BlocksRequest {
    BlocksRequest() {}
    std::string move_id;
    ByteVector key;  // of the hashes
    std::vector<BlocksOfFile> files;
    std::uint32_t tree = 0;
};
struct BlocksReply {
    BlocksReply() {}
    ByteVector hashes;       // none at all of a file: it is not there, or may not be patched
    bool ends_file = false;  // what follows is of the next one
};

struct StageRequest {
    StageRequest() {}
    std::string move_id;
    std::string manifest;  // as of the halted zone
    std::string nonce;     // shared storage: what the owner record beside the tree says
};
struct StageReply {
    StageReply() {}
    bool ready = false;
    std::vector<Finding> findings;
};

struct Grant {
    Grant() {}
    std::string move_id;
    std::uint64_t epoch = 0;  // the new one
    bool boot = false;
};
struct Owned {
    Owned() {}
    std::uint64_t epoch = 0;
};
struct Activated {
    Activated() {}
    bool attached = false;
    bool running = false;
    std::string problem;  // empty: none
    std::uint32_t attach_ms = 0;
    std::uint32_t boot_ms = 0;
};

struct StatusRequest {
    StatusRequest() {}
    std::string move_id;
};
struct StatusReply {
    StatusReply() {}
    bool known = false;
    std::string phase;
    std::uint64_t epoch = 0;
    bool owned = false;  // the target has taken the zone over
    bool attached = false;
    bool running = false;
    std::string problem;
    std::uint8_t probed = 0;  // ProbeState
};

struct AbortRequest {
    AbortRequest() {}
    std::string move_id;
    std::string reason;
};
struct AbortReply {
    AbortReply() {}
};
struct FinalizeRequest {
    FinalizeRequest() {}
    std::string move_id;
};
struct FinalizeReply {
    FinalizeReply() {}
};
struct ReturnRequest {
    ReturnRequest() {}
    std::string move_id;
    bool use_kept_copy = false;
};
struct ReturnReply {
    ReturnReply() {}
    std::string move_id;  // of the move that brings it back
};

struct OwnerClaim {
    OwnerClaim() {}
    std::string zone;
    std::string zone_uuid;
    std::uint64_t epoch = 0;
    bool held = false;  // who says this has the right to run it
};
struct OwnersRequest {
    OwnersRequest() {}
    std::vector<OwnerClaim> claims;
};
struct OwnersReply {
    OwnersReply() {}
    std::vector<OwnerClaim> claims;
};
struct PastEvent {
    PastEvent() {}
    std::int64_t at_unix_ms = 0;
    std::string kind;
    std::string text;
    std::int64_t number = 0;
    std::int64_t extra = 0;
};
struct HistoryRequest {
    HistoryRequest() {}
    std::string move_id;
};
struct HistoryReply {
    HistoryReply() {}
    bool known = false;
    std::string phase;
    std::string problem;
    std::vector<PastEvent> events;
};

struct PushRequest {
    PushRequest() {}
    std::string push_id;
    std::string zone;
    std::uint64_t tree_bytes = 0;
    std::uint64_t tree_entries = 0;
};
struct PushReply {
    PushReply() {}
    bool staging_is_fresh = true;  // as PrepareReply's
};
struct PushInstall {
    PushInstall() {}
    std::string push_id;
    bool unconfigure = false;  // else the identity is kept
    bool delete_containers = false;
};
struct PushInstalled {
    PushInstalled() {}
    bool installed = false;
    std::string problem;  // empty when installed
    std::string remedy;
    std::vector<Finding> findings;
    std::vector<std::string> warnings;
    std::uint64_t files = 0;
    std::uint32_t packages_updated = 0;
    std::uint32_t adjustments = 0;
    std::string log;  // on the target
};

struct JoinRequest {
    JoinRequest() {}
    std::string host;
    std::uint32_t listen_port = 0;
    std::string certificate_request;  // PEM
    ByteVector proof;                 // HMAC by the invitation's secret over the TLS exporter and the request
};
struct JoinReply {
    JoinReply() {}
    std::string host;
    std::string certificate;  // PEM
    std::string authority;    // PEM
    ByteVector proof;         // the inviting side's, over the exporter and both certificates
};

struct Refusal {
    Refusal() {}
    explicit Refusal(const Error& error) : code(error.code()), sentence(error.text()), remedy(error.remedy_text()) {}
    Error to_error() const { return Error(code, sentence).remedy(remedy); }
    Errc code = Errc::unknown;
    std::string sentence;
    std::string remedy;
};

using Message = std::variant<Hello, HelloAck, CheckRequest, CheckReply, PrepareRequest, PrepareReply, PassBegin,
                             PassReady, Segment, SegmentAck, PassEnd, PassDone, VerifyRequest, VerifyReply,
                             StageRequest, StageReply, Grant, Owned, Activated, StatusRequest, StatusReply,
                             AbortRequest, AbortReply, FinalizeRequest, FinalizeReply, ReturnRequest, ReturnReply,
                             JoinRequest, JoinReply, Refusal, OwnersRequest, OwnersReply, HistoryRequest, HistoryReply,
                             PushRequest, PushReply, PushInstall, PushInstalled, BlocksRequest, BlocksReply>;

}  // namespace zoneferry
