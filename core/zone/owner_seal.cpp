#include "core/zone/owner_seal.h"

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/lock.h"

namespace zoneferry {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kKeyNameDigits = 16;

std::string key_path(const HostRoot& root) { return root.state_directory() + "/owner.key"; }

Result<std::string> read_key(const HostRoot& root) {
    ZF_TRY(std::string key, read_file(key_path(root), kKeyBytes));
    if (key.size() == kKeyBytes) return key;
    return Error(Errc::corrupt, key_path(root) + " is not a key of " + std::to_string(kKeyBytes) + " bytes");
}

// Under a lock: two zones that get their first records at the same moment must not make two keys, of which only the
// later could open both. It is held until the key is durable, so no record bears the seal of a key that a power cut
// takes.
Result<std::string> read_or_make_key(const HostRoot& root) {
    ZF_TRY_STATUS(make_directories(root.state_directory(), 0755));
    ZF_TRY(const FileLock lock, FileLock::take(root.state_directory() + "/.owner-key.lock"));
    if (path_exists(key_path(root))) return read_key(root);
    const ByteVector fresh = random_bytes(kKeyBytes);
    const std::string key(reinterpret_cast<const char*>(fresh.data()), fresh.size());
    ZF_TRY_STATUS(replace_file(key_path(root), key, 0600));
    return key;
}

std::string key_name(const std::string& key) { return to_hex(sha256(as_bytes(key))).substr(0, kKeyNameDigits); }

std::string mac_of(const std::string& key, const std::string& text) {
    return to_hex(hmac_sha256(as_bytes(key), as_bytes(text)));
}

}  // namespace

Result<std::string> make_seal(const HostRoot& root, const std::string& text) {
    ZF_TRY(const std::string key, read_or_make_key(root));
    return key_name(key) + ":" + mac_of(key, text);
}

bool is_own_seal(const HostRoot& root, const std::string& seal) {
    const auto key = path_exists(key_path(root)) ? read_key(root) : Result<std::string>();
    return key && seal.starts_with(key_name(*key) + ":");
}

Status check_seal(const HostRoot& root, const std::string& text, const std::string& seal, bool must_be_ours) {
    if (seal.empty()) return {};  // version 1
    if (!path_exists(key_path(root)) && !must_be_ours) return {};
    ZF_TRY(const std::string key, read_key(root));
    const bool is_ours = seal.starts_with(key_name(key) + ":");
    if (!is_ours && !must_be_ours) return {};
    if (is_ours && seal == key_name(key) + ":" + mac_of(key, text)) return {};
    return Error(Errc::corrupt, is_ours ? "the owner record was changed by hand: its seal does not hold"
                                        : "the owner record has the seal of another host");
}

}  // namespace zoneferry
