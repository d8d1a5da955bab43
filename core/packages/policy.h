// Host policy: which packages must be the same in every zone, and which belong to the global zone alone.
//
//     /etc/zoneferry/all-zones.d/*.list     a package that matches is always dependent
//     /etc/zoneferry/this-zone.d/*.list     a package that matches never is; this wins
//
// A line is one shell pattern for a package's name ("libnvidia-*"); '#' begins a comment; empty lines are
// skipped. Files are read in the order of their names; names without ".list" are not read. A pattern without
// ':' matches a dpkg package of any architecture.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

class HostPolicy {
public:
    // Missing directories mean no policy.
    static Result<HostPolicy> load(int root);

    bool is_all_zones(const std::string& package) const { return matches(all_zones_, package); }
    bool is_this_zone(const std::string& package) const { return matches(this_zone_, package); }

private:
    static bool matches(const std::vector<std::string>& patterns, const std::string& package);

    std::vector<std::string> all_zones_;
    std::vector<std::string> this_zone_;
};

// Shipped policy, for packages that only make sense in a global zone: kernels, boot loaders, firmware. No zone gets
// one.
bool is_global_zone_only(std::string_view package);

// The patterns of one list; a line with a blank inside a pattern is Errc::invalid with file and line.
Result<std::vector<std::string>> parse_policy_list(std::string_view text, std::string_view file);

}  // namespace zoneferry
