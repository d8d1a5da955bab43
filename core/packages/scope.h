// Which paths of the global zone a zone sees through its inherited directories, and so depends on.
//
// A path is in scope when it is an inherited directory or lies below one, and is not at or below a directory
// that the zone's own `fs` resource covers. Packages name paths as they were shipped, "/bin/sh"; on a host
// with merged /usr these lie in /usr/bin. The top-level links of the root are therefore read once, and every
// directory of the scope is also known by its other names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

// Absolute paths as the zone sees them, which are the global zone's too.
struct DependencyScope {
    std::vector<std::string> inherited;    // inherit-pkg-dir
    std::vector<std::string> filesystems;  // where `fs` resources are mounted

    bool operator==(const DependencyScope&) const = default;
};

// A top-level link: `name` ("/lib") leads to `target` ("/usr/lib").
struct RootAlias {
    std::string name;
    std::string target;
};

// The top-level names of a root that are links to a directory below it, of those that merged /usr knows.
std::vector<RootAlias> root_aliases(int root);

class ScopeMatcher {
public:
    // Errc::invalid for a directory that is not absolute or holds "." or "..".
    static Result<ScopeMatcher> make(const DependencyScope& scope, const std::vector<RootAlias>& aliases);

    bool has_inherited() const { return !inherited_.empty(); }
    bool contains(std::string_view path) const {
        return lies_in_any(path, inherited_) && !lies_in_any(path, filesystems_);
    }

private:
    static bool lies_in_any(std::string_view path, const std::vector<std::string>& directories) {
        for (const std::string& directory : directories) {
            if (path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/')) {
                return true;
            }
        }
        return false;
    }

    std::vector<std::string> inherited_;  // without a trailing slash; the root is ""
    std::vector<std::string> filesystems_;
};

}  // namespace zoneferry
