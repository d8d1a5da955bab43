#include "core/zone/name.h"

#include <algorithm>

#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::size_t kNameLengthMax = 63;

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool is_name_character(char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; }

}  // namespace

Result<ZoneName> ZoneName::create(std::string_view text) {
    const auto refuse = [&](const std::string& why) {
        return Error(Errc::invalid, "'" + printable(text.substr(0, 80)) + "' is not a zone name: " + why);
    };
    if (text.empty()) return refuse("it is empty");
    if (text.size() > kNameLengthMax) return refuse("it is longer than 63 characters");
    if (!is_alnum(text.front())) return refuse("it must begin with a letter or a digit");
    if (!std::all_of(text.begin(), text.end(), is_name_character)) {
        return refuse("only letters, digits, '.', '_' and '-' are allowed");
    }
    if (text == "global") return refuse("'global' is the host itself");
    if (text.starts_with("SUNW")) return refuse("names beginning with SUNW are reserved");
    return ZoneName(std::string(text));
}

}  // namespace zoneferry
