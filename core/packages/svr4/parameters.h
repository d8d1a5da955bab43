// The parameters of an SVR4 package: all of its pkginfo, and the answers to its request script.
//
//     PARAM="value"        as the package came: quoted, one line
//     PARAM=value          as it lies in /var/sadm/pkg/PKG/pkginfo of a host where it is installed
//
// A backslash at the end of a line continues it. A response file has the same form (the words of a shell's
// assignments, with '...' as well). Names: letters, digits, '_', and '-', '.', '+' for patch records.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

// In the order of the file; a name that comes again has its last value, at its first place.
using ParameterList = std::vector<std::pair<std::string, std::string>>;

// Errc::corrupt with file and line.
Result<ParameterList> parse_parameters(std::string_view text, std::string_view file);

const std::string* find_parameter(const ParameterList& list, std::string_view name);
void set_parameter(ParameterList& list, std::string_view name, std::string value);

struct InstalledPackage {
    std::string name;
    std::string install_date;  // "Nov 22 2026 01:20"
};

// The pkginfo of an installed package: CLASSES first, BASEDIR second, then the others, unquoted, in their order;
// without those that are of an installation and not of a package; with PKGINST, PKGSAV and INSTDATE. PATCHLIST and
// PATCH_INFO_* are those of `host` (the package as it is installed in the global zone), which a spool may not have got
// yet.
std::string installed_pkginfo(const ParameterList& spooled, const ParameterList& host, const InstalledPackage& package);

}  // namespace zoneferry
