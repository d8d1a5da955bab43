// Small text helpers. Numbers are parsed whole or not at all; foreign text is escaped before people see it.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zoneferry {

// Splits at every separator; "a::b" gives "a", "", "b"; "" gives one empty part.
std::vector<std::string_view> split(std::string_view text, char separator);
// Splits at runs of blanks and tabs; no empty parts.
std::vector<std::string_view> split_words(std::string_view text);
std::string_view trim(std::string_view text);
std::string join(const std::vector<std::string>& parts, std::string_view between);

template <class T>
std::optional<T> parse_number(std::string_view text, int base = 10) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// Foreign text made safe for a terminal or a log: control bytes (C0, DEL, C1), bad UTF-8 and direction marks
// as \xNN; a backslash as two.
std::string printable(std::string_view text);

bool is_utf8(std::string_view text);
std::size_t utf8_prefix(std::string_view text);  // how many bytes from the beginning are UTF-8

// "1.2 GiB", "17 B"; "0:12", "1:02:03".
std::string format_bytes(std::uint64_t bytes);
std::string format_duration_ms(std::int64_t ms);

}  // namespace zoneferry
