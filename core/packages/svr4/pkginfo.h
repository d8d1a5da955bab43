// One installed SVR4 package: /var/sadm/pkg/NAME/pkginfo and /var/sadm/pkg/NAME/install/depend.
//
//     VERSION=11.10.0,REV=2005.01.21.15.53          the installed copy is not quoted
//     SUNW_PKG_ALLZONES=true                        exactly so; any other spelling does not count
//     PATCH_INFO_118833-36=Installed: DATE From: HOST Obsoletes: 118822-30 Requires: ... Incompatibles:
//
// A backslash at the end of a line continues it. A patch record that does not begin with "Installed:" is of a
// patch that was backed out. Of several revisions of one patch the highest counts, with its own obsoletes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/packages/package.h"

namespace zoneferry {

struct Svr4Package {
    std::string version;
    bool all_zones = false;
    bool this_zone = false;
    bool hollow = false;         // no part in what is dependent; update on attach needs it
    std::vector<Patch> patches;  // by base number

    bool operator==(const Svr4Package&) const = default;
};

// file names the source in errors (Errc::corrupt, with the line).
Result<Svr4Package> parse_pkginfo(std::string_view text, std::string_view file);

// The packages that `P` lines name, in order.
std::vector<std::string> parse_depend(std::string_view text);

// "Names of 1 to 32 letters, digits, '-' and '+'", with '.' and '_' as later releases had them.
bool is_svr4_package_name(std::string_view name);

// Base numbers in numeric order, then whatever is not a number.
bool patch_base_less(std::string_view a, std::string_view b);

}  // namespace zoneferry
