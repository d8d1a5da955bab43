// The answers to what a system asks when it starts for the first time: the file of `install -u --sysid FILE`.
//
//     # a comment
//     hostname=web01                       default: the zone's name
//     root_password=$6$salt$hash           as crypt(3) gives it; "*": root has none and logs in from the global zone
//     only timezone=Europe/Zurich               default: the image's own locale=de_CH.UTF-8                   default:
//     the image's own name_server=192.0.2.53               up to three lines; none: the image's own are taken away
//     search=example.org                   one domain
//
// One key=value a line, each key once (but name_server); blanks around key and value are dropped. An unknown key is
// refused, and so is a value with other bytes than it may have: they end up in files that others parse. The file must
// give root_password: without it the zone would ask, and then the file is of no use.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

struct Sysid {
    std::string hostname;  // empty: the zone's name
    std::string root_password;
    std::string timezone;
    std::string locale;
    std::vector<std::string> name_servers;
    std::string search;
    bool operator==(const Sysid&) const = default;
};

inline constexpr std::size_t kSysidBytesMax = 16'384;  // ours is under 300 bytes

// file is what the sentences call it. Errc::invalid with the line.
Result<Sysid> parse_sysid(std::string_view text, std::string_view file);

}  // namespace zoneferry
