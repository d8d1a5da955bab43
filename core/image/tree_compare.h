// Are two trees the same in everything that a zone keeps? For a copy whose original is about to be removed.
#pragma once

#include <string_view>

#include "core/base/result.h"

namespace zoneferry {

// Compares below two open directories, and these themselves: names, types, modes, owners, times of last change, sizes,
// contents, link targets, device numbers, extended and file attributes, and which names are one file. Holes are not
// compared. The name only_in_copy at the top of the copy does not count. Errc::verify_failed with the first path that
// differs.
Status require_equal_trees(int original, int copy, std::string_view only_in_copy = {});

}  // namespace zoneferry
