// SHA-256 over OpenSSL's EVP (about 1.2 GB/s with SHA-NI; a peer could forge a faster, weaker hash).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace zoneferry {

using Digest = std::array<std::byte, 32>;

class Sha256 {
public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;

    void update(ConstBytes bytes);
    void update(std::string_view text) { update(as_bytes(text)); }
    // The digest of all that was given; the object then starts afresh.
    Digest finish();

private:
    struct State;
    std::unique_ptr<State> state_;
};

Digest sha256(ConstBytes bytes);
Digest hmac_sha256(ConstBytes key, ConstBytes bytes);
std::string to_hex(ConstBytes bytes);
Result<Digest> digest_from_hex(std::string_view text);

// MD5, where an old format has recorded one (dpkg's conffiles, a flash archive's id). It finds an edit or a damage and
// guards nothing. create() fails where the system's OpenSSL refuses it.
class Md5 {
public:
    static Result<Md5> create();
    ~Md5();
    Md5(Md5&&) noexcept;
    Md5& operator=(Md5&&) noexcept;

    void update(ConstBytes bytes);
    std::string finish_hex();  // once

private:
    struct State;
    explicit Md5(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// The MD5 of a file from where it stands, in hex.
Result<std::string> md5_of_file(int fd);

// Random bytes from the system, for ids, nonces and secrets.
ByteVector random_bytes(std::size_t count);
Digest random_digest();

}  // namespace zoneferry
