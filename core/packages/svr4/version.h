// The order of SVR4 package versions and patch revisions.
//
//     PRIMARY[,REV=FIELDS]        "11.10.0,REV=2005.01.21.15.53"
//
// The primary parts are compared field by field ('.' between them); if equal, a version without a second
// part is lower. Fields go by their leading number, then by the text behind it: 010 = 10, 2 < 10 < 10a < b.
// Running out of fields is lower: 1.2 < 1.2.0. (Solaris stopped at the first text field and called the rest
// equal, and its order had cycles; here every field counts, and the order is total.)
#pragma once

#include <compare>
#include <string_view>

namespace zoneferry {

std::weak_ordering compare_svr4_versions(std::string_view a, std::string_view b);
// Revisions of one patch: "9" < "10" < "36".
std::weak_ordering compare_patch_revisions(std::string_view a, std::string_view b);

}  // namespace zoneferry
