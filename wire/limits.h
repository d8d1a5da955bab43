// Every bound on what a peer may send or make us wait for, each with its reason. All are ours: nothing a peer
// says raises one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace zoneferry {

// --- frames -------------------------------------------------------------------------------------------------
// One control message: the largest is a check with a manifest (4 MiB) or thousands of findings.
inline constexpr std::size_t kControlBytesMax = 8U << 20U;
// A segment's unpacked size is at most 8 MiB (transfer's unit); zstd may add a little to what does not shrink.
inline constexpr std::size_t kWireSegmentRawBytesMax = 8U << 20U;
inline constexpr std::size_t kSegmentPayloadBytesMax = kWireSegmentRawBytesMax + (64U << 10U);
// A joining peer is not yet authenticated: a certificate request and a proof fit in this many times over.
inline constexpr std::size_t kJoinBytesMax = 64U << 10U;

// --- fields of control messages -----------------------------------------------------------------------------
inline constexpr std::size_t kWireNameBytesMax = 256;            // host, zone, id, version: names
inline constexpr std::size_t kSentenceBytesMax = 4096;           // texts for people, also a path
inline constexpr std::size_t kWireManifestBytesMax = 4U << 20U;  // the XML reader's own limit
inline constexpr std::size_t kFindingsMax = 10'000;              // two package sets of thousands, all different
inline constexpr std::uint64_t kEpochMax = 1ULL << 32U;          // a zone that moves every second needs 136 years
inline constexpr std::size_t kFeaturesMax = 64;
inline constexpr std::size_t kExtraTreesMax = 32;            // file systems of one zone
inline constexpr std::size_t kClaimsMax = 4096;              // zones of one host
inline constexpr std::size_t kPastEventsMax = 2000;          // of one move: the newest ones, a few hundred bytes each
inline constexpr std::size_t kPushWarningsMax = 1000;        // of one install, as core keeps them
inline constexpr std::size_t kListPartBytesMax = 1U << 20U;  // a tree's digests come in parts of that size
inline constexpr std::size_t kBlockFilesMax = 1000;          // a request; their paths take up to 4 MiB
inline constexpr std::size_t kBlockKeyBytesMax = 64;         // it has 16
inline constexpr std::size_t kPemBytesMax = 16U << 10U;      // one certificate or request
inline constexpr std::size_t kProofBytesMax = 64;            // an HMAC-SHA256 is 32

// --- Cap'n Proto --------------------------------------------------------------------------------------------
// A pointer read twice counts twice; we read each once, so this leaves slack without allowing amplification.
inline constexpr std::size_t kTraversalFactor = 4;
inline constexpr int kNestingMax = 8;  // message -> reply -> list -> finding -> text is 5

// --- connections --------------------------------------------------------------------------------------------
// Sockets that have not proven who they are: a scan must not eat our descriptors.
inline constexpr std::size_t kUnauthenticatedMax = 64;
inline constexpr std::size_t kConnectionsMax = 256;  // accepted ones in all: each has a thread
// Of one peer: its moves, each with one, and questions beside them. Others must still get in.
inline constexpr std::size_t kConnectionsOfPeerMax = 32;
inline constexpr int kTlsTimeoutMs = 5'000;               // from accept to the end of the handshake
inline constexpr int kJoinLifetimeMs = 30'000;            // a join is two messages
inline constexpr int kPingIntervalMs = 5'000;             // we send something at least so often
inline constexpr int kSilenceMs = 30'000;                 // six lost pings: the peer is gone
inline constexpr int kGoodbyeTimeoutMs = 2'000;           // to flush and part politely
inline constexpr std::size_t kQueueBytesMax = 8U << 20U;  // each way: some segments
inline constexpr std::size_t kQueueMessagesMax = 4096;    // each way: small messages cost memory, too
inline constexpr std::size_t kWriteBytes = 256U
                                           << 10U;  // small frames are gathered up to this (1.2 GiB/s; 0.55 at 16 KiB)

}  // namespace zoneferry
