// Which entries a pass visits when it knows what changed: a tree of paths, in the order of the walk. What is not in it
// is as the base catalog says, on both sides.
//
// In it: every name that was announced, as it lies now; below a name that was created or renamed everything; what the
// complete pass left in doubt; and the other names of files with several, because the stream tells of all names of an
// inode together. These are found in the base catalog, by inode, in one reading of it, and only if they are not known
// from what was announced already.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "transfer/change_tracker.h"
#include "transfer/pass_trail.h"

namespace zoneferry {

constexpr std::size_t kPlanEntriesMax = 200'000;  // looked at before the pass; more are as well walked

struct PlanNode {
    std::map<std::string, PlanNode> children;
    bool is_itself = false;  // a directory whose own metadata is in question
    bool is_deep = false;    // all below it is in question
    bool is_new = false;     // the target has it in no other place either
};

// Everything by which a pass knows what changed since the complete pass before it.
struct ChangesSince {
    PassTrail trail;  // of that pass
    Changes changes;  // announced since before that pass began
};

// The plan for the tree at root, by what was announced; the disk is looked at for links and for what is new. An error
// says why the whole tree is better walked.
Result<PlanNode> make_change_plan(int root, const ChangesSince& since, const std::string& base_path);

}  // namespace zoneferry
