#include "core/base/digest.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

namespace zoneferry {

struct Sha256::State {
    State() : context(EVP_MD_CTX_new()) {
        ZF_CHECK(context != nullptr);
        restart();
    }
    ~State() { EVP_MD_CTX_free(context); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    void restart() { ZF_CHECK(EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1); }
    EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(ConstBytes bytes) { ZF_CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1); }

Digest Sha256::finish() {
    Digest digest{};
    unsigned int size = 0;
    ZF_CHECK(EVP_DigestFinal_ex(state_->context, reinterpret_cast<unsigned char*>(digest.data()), &size) == 1);
    ZF_CHECK(size == digest.size());
    state_->restart();
    return digest;
}

Digest sha256(ConstBytes bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.finish();
}

Digest hmac_sha256(ConstBytes key, ConstBytes bytes) {
    Digest mac{};
    std::size_t size = 0;
    const unsigned char* done = EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key.data(), key.size(),
                                          reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                                          reinterpret_cast<unsigned char*>(mac.data()), mac.size(), &size);
    ZF_CHECK(done != nullptr && size == mac.size());
    return mac;
}

std::string to_hex(ConstBytes bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::byte byte : bytes) {
        text += kDigits[std::to_integer<unsigned>(byte) >> 4U];
        text += kDigits[std::to_integer<unsigned>(byte) & 0xfU];
    }
    return text;
}

namespace {

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

}  // namespace

Result<Digest> digest_from_hex(std::string_view text) {
    Digest digest{};
    if (text.size() != digest.size() * 2) return Error(Errc::invalid, "a digest has 64 hexadecimal digits");
    for (std::size_t i = 0; i < digest.size(); ++i) {
        const int high = hex_value(text[2 * i]);
        const int low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0) return Error(Errc::invalid, "a digest has 64 hexadecimal digits");
        digest[i] = static_cast<std::byte>(high * 16 + low);
    }
    return digest;
}

ByteVector random_bytes(std::size_t count) {
    ByteVector bytes(count);
    ZF_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) == 1);
    return bytes;
}

Digest random_digest() {
    Digest digest{};
    ZF_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(digest.data()), static_cast<int>(digest.size())) == 1);
    return digest;
}

struct Md5::State {
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context{::EVP_MD_CTX_new(), &::EVP_MD_CTX_free};
};

Md5::Md5(std::unique_ptr<State> state) : state_(std::move(state)) {}
Md5::~Md5() = default;
Md5::Md5(Md5&&) noexcept = default;
Md5& Md5::operator=(Md5&&) noexcept = default;

Result<Md5> Md5::create() {
    auto state = std::make_unique<State>();
    if (!state->context || ::EVP_DigestInit_ex(state->context.get(), ::EVP_md5(), nullptr) != 1) {
        return Error(Errc::unsupported, "this system's OpenSSL refuses MD5, which an old format's records need");
    }
    return Md5(std::move(state));
}

void Md5::update(ConstBytes bytes) {
    ZF_CHECK(::EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

std::string Md5::finish_hex() {
    std::array<std::byte, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    ZF_CHECK(::EVP_DigestFinal_ex(state_->context.get(), reinterpret_cast<unsigned char*>(digest.data()), &size) == 1);
    return to_hex(ConstBytes(digest.data(), size));
}

Result<std::string> md5_of_file(int fd) {
    ZF_TRY(Md5 md5, Md5::create());
    std::array<std::byte, 1 << 16> buffer;
    while (true) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return system_error("read a file for its MD5", errno);
        if (got == 0) return md5.finish_hex();
        md5.update(ConstBytes(buffer).first(static_cast<std::size_t>(got)));
    }
}

}  // namespace zoneferry
