#include "core/packages/scope.h"

#include <limits.h>
#include <unistd.h>

#include <array>

#include "core/base/text.h"

namespace zoneferry {
namespace {

Result<std::string> normal_directory(const std::string& directory) {
    if (!directory.starts_with('/'))
        return Error(Errc::invalid, "directory " + printable(directory) + " is not absolute");
    std::string normal;
    for (const std::string_view part : split(directory, '/')) {
        if (part.empty()) continue;
        if (part == "." || part == "..") {
            return Error(Errc::invalid, "directory " + printable(directory) + " holds \".\" or \"..\"");
        }
        normal.append("/").append(part);
    }
    return normal;
}

bool lies_in(std::string_view path, std::string_view directory) {
    return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

// The directory itself, and every other name under which packages may have shipped the same place.
void add_with_other_names(std::string directory, const std::vector<RootAlias>& aliases, std::vector<std::string>& to) {
    for (const RootAlias& alias : aliases) {  // "/lib/x" given on a merged host: the place is /usr/lib/x
        if (lies_in(directory, alias.name)) directory = alias.target + directory.substr(alias.name.size());
    }
    for (const RootAlias& alias : aliases) {
        if (lies_in(alias.target, directory))
            to.push_back(alias.name);
        else if (lies_in(directory, alias.target))
            to.push_back(alias.name + directory.substr(alias.target.size()));
    }
    to.push_back(std::move(directory));
}

}  // namespace

std::vector<RootAlias> root_aliases(int root) {
    std::vector<RootAlias> aliases;
    for (const std::string name : {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32"}) {
        std::array<char, PATH_MAX> buffer{};
        const ssize_t size = ::readlinkat(root, name.c_str(), buffer.data(), buffer.size());
        if (size <= 0 || static_cast<std::size_t>(size) == buffer.size()) continue;
        std::string target(buffer.data(), static_cast<std::size_t>(size));
        if (!target.starts_with('/')) target.insert(0, "/");
        const auto normal = normal_directory(target);
        if (normal && *normal != "/" + name) aliases.push_back({"/" + name, *normal});
    }
    return aliases;
}

Result<ScopeMatcher> ScopeMatcher::make(const DependencyScope& scope, const std::vector<RootAlias>& aliases) {
    ScopeMatcher matcher;
    for (const std::string& directory : scope.inherited) {
        ZF_TRY(std::string normal, normal_directory(directory));
        add_with_other_names(std::move(normal), aliases, matcher.inherited_);
    }
    for (const std::string& directory : scope.filesystems) {
        ZF_TRY(std::string normal, normal_directory(directory));
        add_with_other_names(std::move(normal), aliases, matcher.filesystems_);
    }
    return matcher;
}

}  // namespace zoneferry
