// What two agents agree on in their hello: the highest protocol both speak and the features both have. Pure.
//
// This version speaks protocol 2 (1 had the stream's grammar 1). A newer peer may offer a range that includes it; a
// feature that we do not know is simply not agreed. What is refused, with Errc::unsupported: ranges that do not meet.
// What is refused as Errc::protocol: an answer that chose something not offered.
#pragma once

#include "wire/messages.h"

namespace zoneferry {

inline constexpr std::uint32_t kProtocolMin = 2;
inline constexpr std::uint32_t kProtocolMax = 2;

// The features of this version, sorted. Each names what may be said only to a peer that has it:
//   block-lists   hashes of the blocks of files that differ
//   bulk-streams  a file system's own stream as the first pass
//   extra-trees   file systems of the zone outside its zonepath
//   followed-digests  a digest that is told again by what changed
//   kept-return   rollback --discard    move-history  report --both
//   owner-claims  who holds which zone  probe         a probe after the boot
//   p2v-push      a machine becomes a zone
//   push-digest   what was pushed is compared before it is installed; a push can be given up
//   segments-zstd every version has it  shared-storage  a move without the bytes
//   tree-lists    compare metadata only; the digests of every entry
//
// For tests: where the environment has ZONEFERRY_FEATURES ("a,b"), only those of them that are named there, as an older
// version would have.
const std::vector<std::string>& own_features();

struct Agreement {
    Agreement() {}
    std::uint32_t protocol = 0;
    std::vector<std::string> features;  // sorted
    bool operator==(const Agreement&) const = default;
};

// Fills the protocol range and features of a Hello.
void offer(Hello& hello);
// The accepting side: what to answer.
Result<Agreement> agree(const Hello& peer);
// The connecting side: checks that the answer lies within what we offered.
Result<Agreement> accept_answer(const HelloAck& answer);

// The rule behind both: a range and a feature set against another.
Result<Agreement> negotiate(const Hello& ours, const Hello& peer);

}  // namespace zoneferry
