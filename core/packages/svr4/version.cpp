#include "core/packages/svr4/version.h"

#include <optional>

#include "core/packages/digits.h"

namespace zoneferry {
namespace {

// A field with a leading number (nothing at all is 0) sorts before one that begins with text.
std::weak_ordering compare_field(std::string_view a, std::string_view b) {
    const bool a_is_text = !a.empty() && !is_digit(a.front());
    const bool b_is_text = !b.empty() && !is_digit(b.front());
    if (a_is_text != b_is_text) return a_is_text ? std::weak_ordering::greater : std::weak_ordering::less;
    std::size_t a_digits = 0;
    std::size_t b_digits = 0;
    while (a_digits < a.size() && is_digit(a[a_digits])) ++a_digits;
    while (b_digits < b.size() && is_digit(b[b_digits])) ++b_digits;
    if (const auto order = compare_digits(a.substr(0, a_digits), b.substr(0, b_digits)); order != 0) return order;
    return a.substr(a_digits) <=> b.substr(b_digits);
}

std::optional<std::string_view> take_field(std::optional<std::string_view>& rest) {
    if (!rest) return std::nullopt;
    const std::size_t dot = rest->find('.');
    const std::string_view field = rest->substr(0, dot);
    if (dot == std::string_view::npos)
        rest.reset();
    else
        rest->remove_prefix(dot + 1);
    return field;
}

std::weak_ordering compare_fields(std::string_view a, std::string_view b) {
    std::optional<std::string_view> a_rest = a;
    std::optional<std::string_view> b_rest = b;
    while (true) {
        const auto a_field = take_field(a_rest);
        const auto b_field = take_field(b_rest);
        if (!a_field || !b_field) return a_field.has_value() <=> b_field.has_value();
        if (const auto order = compare_field(*a_field, *b_field); order != 0) return order;
    }
}

}  // namespace

std::weak_ordering compare_svr4_versions(std::string_view a, std::string_view b) {
    const std::size_t a_comma = a.find(',');
    const std::size_t b_comma = b.find(',');
    if (const auto order = compare_fields(a.substr(0, a_comma), b.substr(0, b_comma)); order != 0) return order;
    const bool a_has_rev = a_comma != std::string_view::npos;
    const bool b_has_rev = b_comma != std::string_view::npos;
    if (!a_has_rev || !b_has_rev) return a_has_rev <=> b_has_rev;
    std::string_view a_rev = a.substr(a_comma + 1);
    std::string_view b_rev = b.substr(b_comma + 1);
    const bool a_is_dated = a_rev.starts_with("REV=");
    const bool b_is_dated = b_rev.starts_with("REV=");
    if (a_is_dated != b_is_dated) return a_is_dated <=> b_is_dated;
    if (!a_is_dated) return a_rev <=> b_rev;
    a_rev.remove_prefix(4);
    b_rev.remove_prefix(4);
    return compare_fields(a_rev, b_rev);
}

std::weak_ordering compare_patch_revisions(std::string_view a, std::string_view b) { return compare_field(a, b); }

}  // namespace zoneferry
