// The zonepath on disk, as detach and attach must find it, opened without following any link.
//
// Rules: absolute and plain; no component is a symbolic link; the directory belongs to root with mode 0700, so
// that no user of the global zone can reach what a zone's root user planted; its parent is writable for root
// only; <zonepath>/root is a directory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"
#include "core/base/host_root.h"

namespace zoneferry {

// Errc::not_found if it is not there, Errc::invalid with the rule it breaks and how to mend it.
Result<UniqueFd> open_zone_tree(const HostRoot& root, const std::string& zonepath);

// Mount points strictly below an open directory, as mountinfo tells them.
Result<std::vector<std::string>> mounts_below(int directory);
// The same from the text of a mountinfo file and the directory's real path; pure.
std::vector<std::string> mount_points_below(std::string_view mountinfo, std::string_view directory);

}  // namespace zoneferry
