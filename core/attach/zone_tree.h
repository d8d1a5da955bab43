// The zone's tree on disk, as detach and attach must find it, opened without following any link.
//
// Rules, beside those of core/zone/zonepath.h (no symbolic link, root's own, mode 0700): the directory that holds
// the zonepath is writable for root only, else a user could put another tree in its place; <zonepath>/root is a
// directory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"
#include "core/base/host_root.h"

namespace zoneferry {

// The zonepath, open. Errc::not_found if it is not there, else the rule it breaks and how to mend it.
Result<UniqueFd> open_zone_tree(const HostRoot& root, const std::string& zonepath);

// The rule about the directory that holds an open zonepath; path is for the sentence.
Status check_zonepath_parent(int zonepath, const std::string& path);

// Mount points strictly below an open directory, as mountinfo tells them.
Result<std::vector<std::string>> mounts_below(int directory);
// The same from the text of a mountinfo file and the directory's real path; pure.
std::vector<std::string> mount_points_below(std::string_view mountinfo, std::string_view directory);

}  // namespace zoneferry
