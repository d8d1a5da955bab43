// Bytes: span aliases, little-endian loads and stores, and checked arithmetic for lengths from outside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace zoneferry {

using ConstBytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;
using ByteVector = std::vector<std::byte>;

inline ConstBytes as_bytes(std::string_view text) {
    return std::as_bytes(std::span<const char>(text.data(), text.size()));
}
inline std::string_view as_text(ConstBytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class T>
requires std::is_unsigned_v<T> T load_little_endian(ConstBytes from) {  // from.size() >= sizeof(T)
    T value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;) {
        value = static_cast<T>((static_cast<std::uint64_t>(value) << 8U) | std::to_integer<std::uint8_t>(from[i]));
    }
    return value;
}

template <class T>
requires std::is_unsigned_v<T>
void store_little_endian(T value, std::byte* to) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        to[i] = static_cast<std::byte>((static_cast<std::uint64_t>(value) >> (8U * i)) & 0xffU);
    }
}

template <class T>
requires std::is_unsigned_v<T>
void append_little_endian(ByteVector& out, T value) {
    const std::size_t at = out.size();
    out.resize(at + sizeof(T));
    store_little_endian(value, out.data() + at);
}

inline void append_bytes(ByteVector& out, ConstBytes bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

template <class T>
requires std::is_unsigned_v<T> std::optional<T> checked_add(T a, T b) {
    if (a > std::numeric_limits<T>::max() - b) return std::nullopt;
    return static_cast<T>(a + b);
}

template <class T>
requires std::is_unsigned_v<T> std::optional<T> checked_multiply(T a, T b) {
    if (b != 0 && a > std::numeric_limits<T>::max() / b) return std::nullopt;
    return static_cast<T>(a * b);
}

}  // namespace zoneferry
