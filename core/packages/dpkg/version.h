// Debian's order of versions (Debian Policy 5.6.12).
//
//     [EPOCH:]UPSTREAM[-REVISION]
//
// The epoch is a number (none: 0), the revision begins at the last '-'. Upstream and then revision are
// compared as alternating runs: text by letter, where '~' sorts before the end, the end before letters and
// letters before everything else; numbers by value, of any length. No revision is the same as revision 0.
#pragma once

#include <compare>
#include <string_view>

namespace zoneferry {

std::weak_ordering compare_dpkg_versions(std::string_view a, std::string_view b);

}  // namespace zoneferry
