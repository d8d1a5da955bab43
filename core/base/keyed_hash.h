// GMAC as a keyed hash: 7 GB/s where SHA-256 makes 1.2. For what only the holder of the key computes and compares (the
// values are as secret as the key): that two contents collide has a chance below 2^-100, whoever chose them.
#pragma once

#include <array>
#include <memory>

#include "core/base/bytes.h"

namespace zoneferry {

class KeyedHash {
public:
    using Value = std::array<std::byte, 16>;
    explicit KeyedHash(ConstBytes key);  // 16 bytes
    ~KeyedHash();
    KeyedHash(KeyedHash&&) noexcept;
    void update(ConstBytes bytes);
    Value finish();  // of all that was given; the object then starts afresh

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace zoneferry
