// Numbers written in decimal, of any length: versions hold dates and hashes that overflow every integer.
#pragma once

#include <compare>
#include <string_view>

namespace zoneferry {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

inline bool all_digits(std::string_view text) {
    for (const char c : text) {
        if (!is_digit(c)) return false;
    }
    return true;
}

// By value; leading zeros do not count, nothing at all is 0.
inline std::weak_ordering compare_digits(std::string_view a, std::string_view b) {
    while (!a.empty() && a.front() == '0') a.remove_prefix(1);
    while (!b.empty() && b.front() == '0') b.remove_prefix(1);
    if (a.size() != b.size()) return a.size() <=> b.size();
    return a <=> b;
}

}  // namespace zoneferry
