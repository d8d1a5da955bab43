// A tree copied within one host, by the same walk and writer that a move uses: so nothing of it is lost that a move
// keeps.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "core/base/result.h"

namespace zoneferry {

struct TreeCopy {
    std::string scratch_prefix;         // of files that are gone afterwards (sender.h)
    std::vector<std::string> excluded;  // names directly below either root that are not touched
    std::function<Status()> go_on;      // asked now and then; its error ends the copy
};

// What the target held before is gone then, but for what is excluded. Nothing of the source changes meanwhile.
Status copy_tree(UniqueFd from, UniqueFd to, const TreeCopy& options);

}  // namespace zoneferry
