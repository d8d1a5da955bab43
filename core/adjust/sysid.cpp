#include "core/adjust/sysid.h"

#include <algorithm>
#include <set>

#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::size_t kNameServersMax = 3;  // as many as resolv.conf takes

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool consists_of(std::string_view text, std::string_view also, std::size_t size_max) {
    return !text.empty() && text.size() <= size_max && std::all_of(text.begin(), text.end(), [also](char c) {
        return is_letter_or_digit(c) || also.find(c) != std::string_view::npos;
    });
}

bool is_host_name(std::string_view text) {
    if (!consists_of(text, ".-", 64)) return false;
    const auto labels = split(text, '.');
    return std::all_of(labels.begin(), labels.end(),
                       [](std::string_view label) { return !label.empty() && label[0] != '-' && label.back() != '-'; });
}

// What crypt(3) gives with a method ("$6$..."), or "*". An old DES hash is refused: it can be broken in a day.
bool is_password_hash(std::string_view text) {
    return text == "*" || (text.starts_with('$') && text.size() >= 13 && consists_of(text, "$./=,", 512));
}

bool is_zone_file_name(std::string_view text) {
    if (!consists_of(text, "/_+-", 64)) return false;
    const auto parts = split(text, '/');
    return std::none_of(parts.begin(), parts.end(), [](std::string_view part) { return part.empty(); });
}

bool is_address(std::string_view text) { return consists_of(text, ".:", 45) && text.find_first_of(".:") != text.npos; }

// An empty sentence: it fits.
std::string set_value(Sysid& sysid, std::string_view key, std::string_view value) {
    const auto put = [&](std::string& field, bool is_good, const char* what) -> std::string {
        field = value;
        return is_good ? "" : std::string(what);
    };
    if (key == "hostname") return put(sysid.hostname, is_host_name(value), "is no host name");
    if (key == "root_password") {
        sysid.root_password = value;
        return is_password_hash(value) ? "" : "is neither \"*\" nor a password as crypt(3) gives it (mkpasswd)";
    }
    if (key == "timezone") return put(sysid.timezone, is_zone_file_name(value), "is no time zone");
    if (key == "locale") return put(sysid.locale, consists_of(value, "._@-", 64), "is no locale");
    if (key == "search") return put(sysid.search, is_host_name(value), "is no domain");
    if (key != "name_server") return "is no key of a sysid file";
    if (sysid.name_servers.size() == kNameServersMax) return "is one name server too many: three are used";
    sysid.name_servers.emplace_back(value);
    return is_address(value) ? "" : "is no address";
}

}  // namespace

Result<Sysid> parse_sysid(std::string_view text, std::string_view file) {
    const std::string shown = printable(file);
    if (text.size() > kSysidBytesMax) return Error(Errc::invalid, shown + " is too large for a sysid file");
    Sysid sysid;
    std::set<std::string_view> seen;
    std::size_t number = 0;
    for (const std::string_view whole : split(text, '\n')) {
        ++number;
        const std::string_view line = trim(whole);
        if (line.empty() || line.front() == '#') continue;
        const std::string place = shown + ":" + std::to_string(number) + ": ";
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) return Error(Errc::invalid, place + "has no \"=\"");
        const std::string_view key = trim(line.substr(0, equals));
        const std::string_view value = trim(line.substr(equals + 1));
        if (key != "name_server" && !seen.insert(key).second) {
            return Error(Errc::invalid, place + "gives " + printable(key) + " again");
        }
        // A password is not shown, not even a wrong one.
        if (const std::string wrong = set_value(sysid, key, value); !wrong.empty()) {
            const bool is_unknown = wrong.starts_with("is no key");
            const std::string what = is_unknown               ? printable(key)
                                     : key == "root_password" ? "root_password"
                                                              : printable(key) + " \"" + printable(value) + "\"";
            return Error(Errc::invalid, place + what + " " + wrong)
                .remedy("the keys are hostname, root_password, timezone, locale, name_server and search");
        }
    }
    if (sysid.root_password.empty()) {
        return Error(Errc::invalid, shown + " gives no root_password").remedy("root_password=* locks root's password");
    }
    return sysid;
}

}  // namespace zoneferry
