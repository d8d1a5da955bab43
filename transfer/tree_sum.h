// The digest of a tree as that of a set: every entry counts for itself, with its path, so that one entry can be taken
// out or put in without a look at the others.
//
//     element = SHA-256(key, kind u8, bytes of the path u32, path, entry digest)
//     digest  = XOR of all elements
//
// A path is an entry of the set once at most, so no two elements cancel each other. Without the key XOR would be a weak
// choice: who knows elements can look for files that add up to those of others. The key is random, made for a move and
// known to its two agents only (XOR-MAC by Bellare, Guerin and Rogaway, over a pseudo-random function).
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/digest.h"

namespace zoneferry {

enum class SumKind : std::uint8_t {
    entry = 1,      // anything but a directory; of a file of several names the first in the order of the walk
    directory = 2,  // its own metadata
    name = 3,       // a further name: the digest is that of the first name's path
};

class TreeSum {
public:
    explicit TreeSum(const Digest& key) : key_(key) {}

    // Puts the element in, or takes it out.
    void toggle(SumKind kind, std::string_view path, const Digest& entry);
    const Digest& digest() const { return digest_; }
    const Digest& key() const { return key_; }

private:
    Digest key_;
    Digest digest_{};
    Sha256 hash_;
};

}  // namespace zoneferry
