// What a tracked last pass cannot know, looked for afterwards: entries of the halted tree that are not as they were
// when they were last sent, though the kernel announced nothing of it (change_tracker.h: file attributes alone). Every
// entry of the tree is looked at, by its identity in the catalog; nothing is read but the attributes of what differs.
//
// It is the proof after the switch of what the walk of the whole tree would have been before it, at no cost to the
// downtime: it cannot mend the target's running zone, only tell.
//
// Not looked at: the tree's own directory (its host's agents write beside "root"), and of what is excluded anything.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "transfer/attributes.h"
#include "transfer/catalog.h"

namespace zoneferry {

constexpr std::size_t kLateChangesToldMax = 10;

struct LateChange {
    std::string path;  // from the tree's directory, components joined by '/'; of any bytes
    bool is_more = false;
    FileAttributes attributes;  // as they are now
};

struct LateChanges {
    std::uint64_t looked_at = 0;
    std::uint64_t count = 0;
    bool is_more = false;           // of any of them
    std::vector<LateChange> first;  // at most kLateChangesToldMax
};

// attributes: only the ctime differs, and nothing was written since. more: anything else, also what came or went.
enum class Lateness { none, attributes, more };
Lateness lateness_of(const CatalogEntry& sent, const EntryStat& now);

// Of a tree that nobody changes any more, by the catalogs that its last pass left there. excluded: names directly in
// it. go_on is asked often; its error ends the look. Errc::not_found: the catalogs are gone, or of no use since the
// host was restarted.
Result<LateChanges> find_late_changes(const UniqueFd& tree, const std::string& catalog_path_prefix,
                                      const std::vector<std::string>& excluded, const std::function<Status()>& go_on);

}  // namespace zoneferry
