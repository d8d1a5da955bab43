#include "core/base/keyed_hash.h"

#include <openssl/evp.h>

#include "core/base/check.h"

namespace zoneferry {

struct KeyedHash::State {
    EVP_CIPHER_CTX* context = ::EVP_CIPHER_CTX_new();
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { ::EVP_CIPHER_CTX_free(context); }
    void start(const unsigned char* key) const {
        // One nonce for all: the tags stay on this host, so that nothing can be computed from two of them.
        static constexpr std::array<unsigned char, 12> kNonce{};
        ZF_CHECK(::EVP_EncryptInit_ex(context, key == nullptr ? nullptr : ::EVP_aes_128_gcm(), nullptr, key,
                                      kNonce.data()) == 1);
    }
};

KeyedHash::KeyedHash(ConstBytes key) : state_(std::make_unique<State>()) {
    ZF_CHECK(state_->context != nullptr && key.size() == 16);
    state_->start(reinterpret_cast<const unsigned char*>(key.data()));
}
KeyedHash::~KeyedHash() = default;
KeyedHash::KeyedHash(KeyedHash&&) noexcept = default;

void KeyedHash::update(ConstBytes bytes) {
    int length = 0;
    ZF_CHECK(bytes.size() <= INT32_MAX);
    ZF_CHECK(::EVP_EncryptUpdate(state_->context, nullptr, &length,
                                 reinterpret_cast<const unsigned char*>(bytes.data()),
                                 static_cast<int>(bytes.size())) == 1);
}

KeyedHash::Value KeyedHash::finish() {
    KeyedHash::Value hash;
    unsigned char none = 0;
    int length = 0;
    ZF_CHECK(::EVP_EncryptFinal_ex(state_->context, &none, &length) == 1);
    ZF_CHECK(
        ::EVP_CIPHER_CTX_ctrl(state_->context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(hash.size()), hash.data()) == 1);
    state_->start(nullptr);
    return hash;
}

}  // namespace zoneferry
