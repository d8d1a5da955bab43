#include "core/packages/dpkg/version.h"

#include "core/packages/digits.h"

namespace zoneferry {
namespace {

struct Parts {
    std::string_view epoch;
    std::string_view upstream;
    std::string_view revision;
};

Parts parts_of(std::string_view version) {
    Parts parts;
    if (const std::size_t colon = version.find(':'); colon != std::string_view::npos) {
        parts.epoch = version.substr(0, colon);
        version.remove_prefix(colon + 1);
    }
    const std::size_t dash = version.rfind('-');
    parts.upstream = version.substr(0, dash);
    if (dash != std::string_view::npos) parts.revision = version.substr(dash + 1);
    return parts;
}

// Where a character of a text run sorts; the run's end (a digit, or nothing more) is 0.
int rank_of(std::string_view text) {
    if (text.empty() || is_digit(text.front())) return 0;
    const char c = text.front();
    if (c == '~') return -1;
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return static_cast<int>(static_cast<unsigned char>(c)) + (letter ? 0 : 256);
}

std::string_view take_digits(std::string_view& text) {
    std::size_t count = 0;
    while (count < text.size() && is_digit(text[count])) ++count;
    const std::string_view digits = text.substr(0, count);
    text.remove_prefix(count);
    return digits;
}

std::weak_ordering compare_runs(std::string_view a, std::string_view b) {
    while (!a.empty() || !b.empty()) {
        while (rank_of(a) != 0 || rank_of(b) != 0) {
            if (const auto order = rank_of(a) <=> rank_of(b); order != 0) return order;
            a.remove_prefix(1);
            b.remove_prefix(1);
        }
        if (const auto order = compare_digits(take_digits(a), take_digits(b)); order != 0) return order;
    }
    return std::weak_ordering::equivalent;
}

}  // namespace

std::weak_ordering compare_dpkg_versions(std::string_view a, std::string_view b) {
    const Parts left = parts_of(a);
    const Parts right = parts_of(b);
    if (const auto order = compare_digits(left.epoch, right.epoch); order != 0) return order;
    if (const auto order = compare_runs(left.upstream, right.upstream); order != 0) return order;
    return compare_runs(left.revision, right.revision);
}

}  // namespace zoneferry
