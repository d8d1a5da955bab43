// Mount options that may go with a LUN: from the zone's configuration, or from its mount on the source to the target.
// Only those of one list: a peer must not choose what this host's kernel does (errors=panic), which other device it
// writes to (logdev=, journal_path=), whether a log is replayed (norecovery), or that a clone may be mounted (nouuid).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace zoneferry {

inline constexpr std::size_t kMountOptionsMax = 16;

bool is_mount_option_allowed(std::string_view option);
// One sentence each: too many, or not on the list.
std::vector<std::string> mount_option_problems(const std::vector<std::string>& options);
// Those of "rw,noatime,attr2" that are on the list: {"noatime"}; what every mount has, and what is not, is left out.
std::vector<std::string> options_to_carry(std::string_view of_mount, std::string_view of_file_system);

}  // namespace zoneferry
